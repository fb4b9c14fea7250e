"""The session repository of the agent framework Strands, on a `Repository`. Install the extra `strands` for it."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, urlencode

from strands.session.session_repository import SessionRepository
from strands.types.session import (
    Session,
    SessionAgent,
    SessionMessage,
    SessionType,
    decode_bytes_values,
    encode_bytes_values,
)

from . import _records
from ._errors import CorruptError
from ._place import ARCHIVE_AFTER
from ._sync import Repository

__all__ = ["StrandsSessionRepository"]


class StrandsSessionRepository(SessionRepository):
    """Stores the sessions of a `RepositorySessionManager`, in the schema of `MongoDBSessionRepository`.

    Any number of session managers and threads may share one. Calls for multi-agents are not offered.
    """

    def __init__(self, repository: Repository) -> None:
        """Use a repository, which stays open when this is closed."""
        self.repository = repository
        self._owns_repository = False

    @classmethod
    def from_mongodb(
        cls,
        connection_string: str,
        database_name: str = "database_name",
        collection_name: str = "collection_name",
        metadata_fields: Sequence[str] | None = None,
        *,
        archive_after: int | None = ARCHIVE_AFTER,
        **kwargs: str | int | bool,
    ) -> StrandsSessionRepository:
        """Open a repository in MongoDB, which is closed with this.

        Args:
            connection_string: The connection string.
            database_name: The database, whatever the connection string names.
            collection_name: The collection.
            metadata_fields: Metadata fields to index.
            archive_after: See `Repository.open`.
            **kwargs: Options of the connection string, for example `maxPoolSize=50`. They replace the same options in it.
        """
        opened = Repository.open(
            _with_options(connection_string, kwargs),
            database=database_name,
            collection=collection_name,
            metadata_fields=() if metadata_fields is None else metadata_fields,
            archive_after=archive_after,
        )
        this = cls(opened)
        this._owns_repository = True
        return this

    def create_session(self, session: Session, **kwargs: Any) -> Session:
        """Create a session, and return the argument.

        Raises:
            AlreadyExistsError: The id is taken.
        """
        self.repository.sessions.create(session.session_id, session.session_type)
        return session

    def read_session(self, session_id: str, **kwargs: Any) -> Session | None:
        """Read a session. The answer is `None` if there is none."""
        found = self.repository.sessions.read(session_id)
        if found is None:
            return None
        return Session(found.session_id, _session_type(found.session_type), **_times(found))

    def create_agent(self, session_id: str, session_agent: SessionAgent, **kwargs: Any) -> None:
        """Create an agent.

        Raises:
            NotFoundError: There is no such session.
            AlreadyExistsError: The id is taken.
        """
        self.repository.agents.create(session_id, session_agent.agent_id, session_agent.to_dict())

    def read_agent(self, session_id: str, agent_id: str, **kwargs: Any) -> SessionAgent | None:
        """Read an agent. The answer is `None` if there is none."""
        found = self.repository.agents.read(session_id, agent_id)
        if found is None:
            return None
        return SessionAgent.from_dict(_EMPTY_AGENT | found.data | {"agent_id": found.agent_id, **_times(found)})

    def update_agent(self, session_id: str, session_agent: SessionAgent, **kwargs: Any) -> None:
        """Replace an agent's fields. `model` and `system_prompt`, if stored, stay.

        Raises:
            NotFoundError: There is no such session or agent.
        """
        self.repository.agents.update(session_id, session_agent.agent_id, session_agent.to_dict())

    def create_message(self, session_id: str, agent_id: str, session_message: SessionMessage, **kwargs: Any) -> None:
        """Add a message. The same message again is stored once.

        Raises:
            NotFoundError: There is no such session or agent.
            AlreadyExistsError: The id is taken by other content.
        """
        message_id = session_message.message_id
        self.repository.messages.create(session_id, agent_id, message_id, _body(session_message))

    def read_message(self, session_id: str, agent_id: str, message_id: int, **kwargs: Any) -> SessionMessage | None:
        """Read a message. The answer is `None` if there is none.

        Raises:
            CorruptError: Another program wrote the message, and it has neither `message` nor `role` and `content`.
        """
        row = self.repository._native.messages_read(None, session_id, agent_id, message_id)
        if row is None:
            return None
        found = _message(row)
        if found is None:
            raise CorruptError(f"message {message_id}: {_UNREADABLE}")
        return found

    def update_message(self, session_id: str, agent_id: str, session_message: SessionMessage, **kwargs: Any) -> None:
        """Replace a message, for example to redact it.

        Raises:
            NotFoundError: There is no such session, agent or message.
        """
        message_id = session_message.message_id
        self.repository.messages.update(session_id, agent_id, message_id, _body(session_message))

    def list_messages(
        self, session_id: str, agent_id: str, limit: int | None = None, offset: int = 0, **kwargs: Any
    ) -> list[SessionMessage]:
        """List messages, oldest first. The answer is empty if there is no such agent.

        A message of another program that has neither `message` nor `role` and `content` is left out with a warning in the log. The last
        one of the list stays with empty content, because a session manager counts on from its id.
        """
        rows = self.repository._native.messages_list(None, session_id, agent_id, limit, offset)
        messages = []
        for index, row in enumerate(rows, 1):
            message = _message(row)
            if message is None:
                _log.warning("session %r, agent %r, message %d: %s", session_id, agent_id, row[0], _UNREADABLE)
                if index < len(rows):
                    continue
                message = _with_times({"role": "user", "content": []}, row)
            messages.append(message)
        return messages

    def update_metadata(self, session_id: str, metadata: dict[str, Any]) -> None:
        """Set metadata fields and leave all others. A key may be a path with dots.

        Raises:
            NotFoundError: There is no such session.
        """
        self.repository.metadata.update(session_id, metadata)

    def get_metadata(self, session_id: str) -> dict[str, Any] | None:
        """Return an object with all metadata under `metadata`. The answer is `None` if there is no such session."""
        found = self.repository.metadata.get(session_id)
        return None if found is None else {"metadata": found}

    def delete_metadata(self, session_id: str, metadata_keys: list[str]) -> None:
        """Remove metadata fields. Absent fields are no error.

        Raises:
            NotFoundError: There is no such session.
        """
        self.repository.metadata.delete(session_id, metadata_keys)

    def add_feedback(self, session_id: str, feedback: dict[str, Any]) -> None:
        """Add an entry of feedback, which gets a `created_at`.

        Raises:
            NotFoundError: There is no such session.
        """
        self.repository.feedback.add(session_id, feedback)

    def get_feedbacks(self, session_id: str) -> list[dict[str, Any]]:
        """List all feedback, oldest first, each entry with its `created_at`."""
        found = self.repository.feedback.list(session_id)
        return [{**entry.body, "created_at": entry.created_at} for entry in found]

    def close(self) -> None:
        """Close the repository if `from_mongodb` opened it."""
        if self._owns_repository:
            self.repository.close()


_EMPTY_AGENT: dict[str, Any] = {"state": {}, "conversation_manager_state": {}}
"""Fields that an agent needs and that another program may have left out."""


_UNREADABLE = "has neither `message` nor `role` and `content`; another program wrote it"

_log = logging.getLogger("session_repository")


def _with_options(connection_string: str, options: dict[str, str | int | bool]) -> str:
    """Add options to a connection string. They replace the same options in it, whose names may be in another case."""
    if not options:
        return connection_string
    texts = {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in options.items()}
    before, _, after = connection_string.partition("?")
    replaced = {name.lower() for name in options}
    kept = [pair for pair in re.split("[&;]", after) if pair and pair.partition("=")[0].lower() not in replaced]
    return f"{before}?{'&'.join([*kept, urlencode(texts, quote_via=quote)])}"


def _session_type(name: str) -> SessionType:
    try:
        return SessionType(name)
    except ValueError:
        # Other programs have types of their own, which this framework passes on as text.
        return name  # type: ignore[return-value]


def _times(of: _records.Session | _records.Agent) -> dict[str, str]:
    return {"created_at": of.created_at.isoformat(), "updated_at": of.updated_at.isoformat()}


def _body(message: SessionMessage) -> dict[str, Any]:
    """Return the fields that are stored. The repository sets the times itself."""
    fields = {"message": message.message, "redact_message": message.redact_message}
    body: dict[str, Any] = encode_bytes_values(fields)
    return body


def _message(row: tuple[int, str, int, int]) -> SessionMessage | None:
    """Return a message of the framework, or `None` if another program wrote something else.

    It is made straight from the text: a list of messages is the call that takes the most time in Python.
    """
    text = row[1]
    body = json.loads(text)
    if "__bytes_encoded__" in text:
        body = decode_bytes_values(body)
    if isinstance(body.get("message"), dict):
        return _with_times(body["message"], row, body.get("redact_message"))
    if "role" in body and "content" in body:
        content = body["content"]
        # The framework's models take blocks alone.
        blocks = [{"text": content}] if isinstance(content, str) else content
        return _with_times({"role": body["role"], "content": blocks}, row)
    return None


def _with_times(message: Any, row: tuple[int, str, int, int], redacted: Any = None) -> SessionMessage:
    message_id, _, created, updated = row
    created_at = _records.time(created).isoformat()
    updated_at = created_at if updated == created else _records.time(updated).isoformat()
    return SessionMessage(message, message_id, redacted, created_at, updated_at)
