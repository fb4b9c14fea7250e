"""The repository for programs that block."""

from __future__ import annotations

import builtins
import os
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

from . import _lifetime, _native, _records
from ._place import ARCHIVE_AFTER, fields, url
from ._records import Agent, ArchivedAgent, Feedback, Message, Session, Undone


class Repository:
    """Sessions of agents in a file, in memory or in MongoDB.

    Any number of threads may share one. Every call releases the GIL while it waits. Use it as a context manager, or call `close`.
    """

    def __init__(self, native: _native.Repository) -> None:
        self._native = _lifetime.opened(native)
        self.sessions = Sessions(native)
        self.agents = Agents(native)
        self.messages = Messages(native)
        self.metadata = Metadata(native)
        self.feedback = Feedbacks(native)
        self.archive = Archive(native)

    @classmethod
    def open(
        cls,
        place: str | os.PathLike[str],
        *,
        database: str | None = None,
        collection: str = "collection_name",
        metadata_fields: Sequence[str] = (),
        archive_after: int | None = ARCHIVE_AFTER,
        read_only: bool = False,
        call_deadline: float | None = None,
    ) -> Repository:
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
        native = _native.Repository.open_at(
            None,
            url(place),
            database,
            collection,
            fields(metadata_fields),
            archive_after,
            read_only,
            call_deadline,
        )
        return cls(native)

    def close(self) -> None:
        """Wait until all calls are answered, then close the store. Later calls raise `UnavailableError`."""
        self._native.close(None, None)

    def __enter__(self) -> Repository:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Calls:
    def __init__(self, native: _native.Repository) -> None:
        self._native = native


class Sessions(_Calls):
    """Calls on sessions."""

    def create(
        self, session_id: str, session_type: str | None = None, *, expected_revision: int | None = None
    ) -> Session:
        """Create an empty session. Its type is `default` unless one is given.

        Raises:
            AlreadyExistsError: The id is taken.
        """
        return _records.session(self._native.sessions_create(None, session_id, session_type, expected_revision))

    def read(self, session_id: str) -> Session | None:
        """Read a session. The answer is `None` if there is none."""
        row = self._native.sessions_read(None, session_id)
        return None if row is None else _records.session(row)


class Agents(_Calls):
    """Calls on agents."""

    def create(
        self, session_id: str, agent_id: str, agent: Mapping[str, Any], *, expected_revision: int | None = None
    ) -> None:
        """Create an agent from its own fields.

        Raises:
            NotFoundError: There is no such session.
            AlreadyExistsError: The id is taken.
            StaleError: The session is at another revision.
        """
        self._native.agents_create(None, session_id, agent_id, agent, expected_revision)

    def read(self, session_id: str, agent_id: str) -> Agent | None:
        """Read an agent without its messages. The answer is `None` if there is none."""
        row = self._native.agents_read(None, session_id, agent_id)
        return None if row is None else _records.agent(row)

    def update(
        self, session_id: str, agent_id: str, agent: Mapping[str, Any], *, expected_revision: int | None = None
    ) -> None:
        """Replace an agent's own fields.

        `model`, `system_prompt` and `prompt_metadata` stay unless the update brings them.

        Raises:
            NotFoundError: There is no such session or agent.
            StaleError: The session is at another revision.
        """
        self._native.agents_update(None, session_id, agent_id, agent, expected_revision)


class Messages(_Calls):
    """Calls on messages."""

    def create(
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
        self._native.messages_create(None, session_id, agent_id, message_id, message, expected_revision)

    def append(
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
        return self._native.messages_append(None, session_id, agent_id, message, idempotency_key, expected_revision)

    def append_many(
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
        return native.messages_append_many(None, session_id, agent_id, messages, idempotency_key, expected_revision)

    def read(self, session_id: str, agent_id: str, message_id: int) -> Message | None:
        """Read a message. The answer is `None` if there is none."""
        row = self._native.messages_read(None, session_id, agent_id, message_id)
        return None if row is None else _records.message(row)

    def update(
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
        self._native.messages_update(None, session_id, agent_id, message_id, message, expected_revision)

    def list(self, session_id: str, agent_id: str, limit: int | None = None, offset: int = 0) -> builtins.list[Message]:
        """List messages, oldest first: at most `limit` after skipping `offset`. The answer is empty if there is no such agent."""
        return [_records.message(row) for row in self._native.messages_list(None, session_id, agent_id, limit, offset)]


class Metadata(_Calls):
    """Calls on metadata."""

    def update(self, session_id: str, metadata: Mapping[str, Any], *, expected_revision: int | None = None) -> None:
        """Set fields and leave all others. A key may be a path with dots.

        Raises:
            NotFoundError: There is no such session.
            StaleError: The session is at another revision.
        """
        self._native.metadata_update(None, session_id, metadata, expected_revision)

    def get(self, session_id: str) -> dict[str, Any] | None:
        """Read all metadata. The answer is `None` if there is no such session."""
        text = self._native.metadata_get(None, session_id)
        return None if text is None else _records.metadata(text)

    def delete(self, session_id: str, keys: Sequence[str], *, expected_revision: int | None = None) -> None:
        """Remove fields, by the same paths as in `update`. Absent fields are no error.

        Raises:
            NotFoundError: There is no such session.
            StaleError: The session is at another revision.
        """
        self._native.metadata_delete(None, session_id, keys, expected_revision)


class Feedbacks(_Calls):
    """Calls on feedback."""

    def add(self, session_id: str, feedback: Mapping[str, Any], *, expected_revision: int | None = None) -> None:
        """Add an entry.

        Raises:
            NotFoundError: There is no such session.
            StaleError: The session is at another revision.
        """
        self._native.feedback_add(None, session_id, feedback, expected_revision)

    def list(self, session_id: str) -> builtins.list[Feedback]:
        """List all entries, oldest first. The answer is empty if there is no such session."""
        return [_records.feedback(row) for row in self._native.feedback_list(None, session_id)]


class Archive(_Calls):
    """Calls on the archive in MongoDB. In other stores they raise `InvalidArgumentError`."""

    def status(self, session_id: str) -> list[ArchivedAgent] | None:
        """Tell where the messages of each agent lie. The answer is `None` if there is no such session."""
        rows = self._native.archive_status(None, session_id)
        return None if rows is None else [ArchivedAgent(*row) for row in rows]

    def run(self, session_id: str) -> int | None:
        """Move the oldest messages to the archive now, and return how many. The answer is `None` if there is no such session."""
        return self._native.archive_run(None, session_id)

    def undo(self, session_id: str) -> Undone | None:
        """Fold the archive back into the session's document. The answer is `None` if there is no such session."""
        row = self._native.archive_undo(None, session_id)
        return None if row is None else Undone(*row)
