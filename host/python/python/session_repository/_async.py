"""The repository for programs on asyncio."""

from __future__ import annotations

import asyncio
import builtins
import os
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

from . import _lifetime, _native, _records
from ._place import ARCHIVE_AFTER, fields, url
from ._records import Agent, ArchivedAgent, Feedback, Message, Session, Undone


class AsyncRepository:
    """Sessions of agents in a file, in memory or in MongoDB.

    Any number of tasks may share one, also those of several event loops. A task that is cancelled while it waits does not stop its
    write. Use it as an async context manager, or call `close`.
    """

    def __init__(self, native: _native.Repository) -> None:
        self._native = _lifetime.opened(native)
        self.sessions = AsyncSessions(native)
        self.agents = AsyncAgents(native)
        self.messages = AsyncMessages(native)
        self.metadata = AsyncMetadata(native)
        self.feedback = AsyncFeedbacks(native)
        self.archive = AsyncArchive(native)

    @classmethod
    async def open(
        cls,
        place: str | os.PathLike[str],
        *,
        database: str | None = None,
        collection: str = "collection_name",
        metadata_fields: Sequence[str] = (),
        archive_after: int | None = ARCHIVE_AFTER,
        read_only: bool = False,
        call_deadline: float | None = None,
    ) -> AsyncRepository:
        """Open a repository, and make its file if there is none.

        Args:
            place: `file:PATH`, `memory:`, `mongodb://…` or `mongodb+srv://…`, or a `pathlib.Path` of a file.
            database: The database. Default: the one in the connection string, else `database_name`.
            collection: The collection.
            metadata_fields: In MongoDB: metadata fields to index.
            archive_after: In MongoDB: how much of an agent's messages stays in the session's document, in bytes from 1 KiB to 8 MiB,
                before the oldest move to the collection `NAME.archive`. With `None` all stay.
            read_only: Whether writes are refused. Nothing is made then.
            call_deadline: How long the store may take for one call, in seconds. Default: the timeout of the connection string, else 60.

        Raises:
            UnavailableError: The server cannot be reached, or another process has the file open.
            InvalidArgumentError: An option or the connection string breaks a rule.
        """
        native = await _native.Repository.open_at(
            asyncio.get_running_loop(),
            url(place),
            database,
            collection,
            fields(metadata_fields),
            archive_after,
            read_only,
            call_deadline,
        )
        return cls(native)

    async def close(self) -> None:
        """Wait until all calls are answered, then close the store. Later calls raise `UnavailableError`."""
        await self._native.close(asyncio.get_running_loop(), None)

    async def __aenter__(self) -> AsyncRepository:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


class _Calls:
    def __init__(self, native: _native.Repository) -> None:
        self._native = native


class AsyncSessions(_Calls):
    """Calls on sessions."""

    async def create(
        self, session_id: str, session_type: str | None = None, *, expected_revision: int | None = None
    ) -> Session:
        """Create an empty session. Its type is `default` unless one is given.

        Raises:
            AlreadyExistsError: The id is taken.
        """
        return _records.session(
            await self._native.sessions_create(asyncio.get_running_loop(), session_id, session_type, expected_revision)
        )

    async def read(self, session_id: str) -> Session | None:
        """Read a session. The answer is `None` if there is none."""
        row = await self._native.sessions_read(asyncio.get_running_loop(), session_id)
        return None if row is None else _records.session(row)


class AsyncAgents(_Calls):
    """Calls on agents."""

    async def create(
        self, session_id: str, agent_id: str, agent: Mapping[str, Any], *, expected_revision: int | None = None
    ) -> None:
        """Create an agent from its own fields.

        Raises:
            NotFoundError: There is no such session.
            AlreadyExistsError: The id is taken.
            StaleError: The session is at another revision.
        """
        await self._native.agents_create(asyncio.get_running_loop(), session_id, agent_id, agent, expected_revision)

    async def read(self, session_id: str, agent_id: str) -> Agent | None:
        """Read an agent without its messages. The answer is `None` if there is none."""
        row = await self._native.agents_read(asyncio.get_running_loop(), session_id, agent_id)
        return None if row is None else _records.agent(row)

    async def update(
        self, session_id: str, agent_id: str, agent: Mapping[str, Any], *, expected_revision: int | None = None
    ) -> None:
        """Replace an agent's own fields.

        `model`, `system_prompt` and `prompt_metadata` stay unless the update brings them.

        Raises:
            NotFoundError: There is no such session or agent.
            StaleError: The session is at another revision.
        """
        await self._native.agents_update(asyncio.get_running_loop(), session_id, agent_id, agent, expected_revision)


class AsyncMessages(_Calls):
    """Calls on messages."""

    async def create(
        self,
        session_id: str,
        agent_id: str,
        message_id: int,
        message: Mapping[str, Any],
        *,
        expected_revision: int | None = None,
    ) -> None:
        """Add a message under an id of the caller's. The same message again is stored once.

        Raises:
            NotFoundError: There is no such session or agent.
            AlreadyExistsError: The id is taken by other content.
            StaleError: The session is at another revision.
        """
        await self._native.messages_create(
            asyncio.get_running_loop(), session_id, agent_id, message_id, message, expected_revision
        )

    async def append(
        self,
        session_id: str,
        agent_id: str,
        message: Mapping[str, Any],
        *,
        idempotency_key: str | None = None,
        expected_revision: int | None = None,
    ) -> int:
        """Append a message under the next id, and return the id.

        A retry with the same idempotency key stores nothing and returns the same id. An agent remembers at least its last 256 keyed appends.

        Raises:
            NotFoundError: There is no such session or agent.
            AlreadyExistsError: The key stands for other content.
            StaleError: The session is at another revision.
        """
        return await self._native.messages_append(
            asyncio.get_running_loop(), session_id, agent_id, message, idempotency_key, expected_revision
        )

    async def append_many(
        self,
        session_id: str,
        agent_id: str,
        messages: Sequence[Mapping[str, Any]],
        *,
        idempotency_key: str | None = None,
        expected_revision: int | None = None,
    ) -> int:
        """Append 1 to 1,000 messages in one step, all or none, and return the first id. The ids count up by one.

        Raises:
            NotFoundError: There is no such session or agent.
            AlreadyExistsError: The key stands for other content.
            StaleError: The session is at another revision.
        """
        native = self._native
        return await native.messages_append_many(
            asyncio.get_running_loop(), session_id, agent_id, messages, idempotency_key, expected_revision
        )

    async def read(self, session_id: str, agent_id: str, message_id: int) -> Message | None:
        """Read a message. The answer is `None` if there is none."""
        row = await self._native.messages_read(asyncio.get_running_loop(), session_id, agent_id, message_id)
        return None if row is None else _records.message(row)

    async def update(
        self,
        session_id: str,
        agent_id: str,
        message_id: int,
        message: Mapping[str, Any],
        *,
        expected_revision: int | None = None,
    ) -> None:
        """Replace a message's own fields, for example to redact it. Stored metric fields stay unless the update brings its own.

        Raises:
            NotFoundError: There is no such session, agent or message.
            StaleError: The session is at another revision.
        """
        await self._native.messages_update(
            asyncio.get_running_loop(), session_id, agent_id, message_id, message, expected_revision
        )

    async def list(
        self, session_id: str, agent_id: str, limit: int | None = None, offset: int = 0
    ) -> builtins.list[Message]:
        """List messages, oldest first: at most `limit` after skipping `offset`. The answer is empty if there is no such agent."""
        return [
            _records.message(row)
            for row in await self._native.messages_list(asyncio.get_running_loop(), session_id, agent_id, limit, offset)
        ]


class AsyncMetadata(_Calls):
    """Calls on metadata."""

    async def update(
        self, session_id: str, metadata: Mapping[str, Any], *, expected_revision: int | None = None
    ) -> None:
        """Set fields and leave all others. A key may be a path with dots.

        Raises:
            NotFoundError: There is no such session.
            StaleError: The session is at another revision.
        """
        await self._native.metadata_update(asyncio.get_running_loop(), session_id, metadata, expected_revision)

    async def get(self, session_id: str) -> dict[str, Any] | None:
        """Read all metadata. The answer is `None` if there is no such session."""
        text = await self._native.metadata_get(asyncio.get_running_loop(), session_id)
        return None if text is None else _records.metadata(text)

    async def delete(self, session_id: str, keys: Sequence[str], *, expected_revision: int | None = None) -> None:
        """Remove fields, by the same paths as in `update`. Absent fields are no error.

        Raises:
            NotFoundError: There is no such session.
            StaleError: The session is at another revision.
        """
        await self._native.metadata_delete(asyncio.get_running_loop(), session_id, keys, expected_revision)


class AsyncFeedbacks(_Calls):
    """Calls on feedback."""

    async def add(self, session_id: str, feedback: Mapping[str, Any], *, expected_revision: int | None = None) -> None:
        """Add an entry.

        Raises:
            NotFoundError: There is no such session.
            StaleError: The session is at another revision.
        """
        await self._native.feedback_add(asyncio.get_running_loop(), session_id, feedback, expected_revision)

    async def list(self, session_id: str) -> builtins.list[Feedback]:
        """List all entries, oldest first. The answer is empty if there is no such session."""
        return [
            _records.feedback(row) for row in await self._native.feedback_list(asyncio.get_running_loop(), session_id)
        ]


class AsyncArchive(_Calls):
    """Calls on the archive in MongoDB. In other stores they raise `InvalidArgumentError`."""

    async def status(self, session_id: str) -> list[ArchivedAgent] | None:
        """Tell where the messages of each agent lie. The answer is `None` if there is no such session."""
        rows = await self._native.archive_status(asyncio.get_running_loop(), session_id)
        return None if rows is None else [ArchivedAgent(*row) for row in rows]

    async def run(self, session_id: str) -> int | None:
        """Move the oldest messages to the archive now, and return how many. The answer is `None` if there is no such session."""
        return await self._native.archive_run(asyncio.get_running_loop(), session_id)

    async def undo(self, session_id: str) -> Undone | None:
        """Fold the archive back into the session's document. The answer is `None` if there is no such session."""
        row = await self._native.archive_undo(asyncio.get_running_loop(), session_id)
        return None if row is None else Undone(*row)
