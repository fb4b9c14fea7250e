"""The records that calls answer."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True)
class Session:
    """A session without its agents, metadata and feedback."""

    session_id: str
    session_type: str
    """The kind of session. `default` unless its creator chose another."""
    created_at: datetime
    updated_at: datetime
    """When anything in it was last written."""
    revision: int
    """How often it has been written to. Programs that write past the repository do not advance it."""


@dataclass(frozen=True)
class Agent:
    """An agent without its messages."""

    agent_id: str
    data: dict[str, Any]
    """Its own fields, without its id and its times."""
    created_at: datetime
    updated_at: datetime
    """When it or one of its messages was last written."""


@dataclass(frozen=True)
class Message:
    """A message without its metric fields."""

    message_id: int
    body: dict[str, Any]
    """Its own fields, without its id and its times."""
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class Feedback:
    """One entry of a session's feedback."""

    body: dict[str, Any]
    """Its own fields, without its time."""
    created_at: datetime


@dataclass(frozen=True)
class ArchivedAgent:
    """Where the messages of an agent lie in MongoDB."""

    agent_id: str
    messages: int
    """Messages in the session's document: the newest, and those on their way to the archive."""
    bytes: int
    """The size of the newest messages."""
    moving_bytes: int
    """The size of the messages on their way to the archive."""
    archived_messages: int
    """Messages in the archive."""
    pending_bytes: int
    """The size of new versions of archived messages that are still in the session's document."""
    archived_blocks: int
    """Blocks that the archive consists of."""
    archived_bytes: int
    """The size of these blocks."""


@dataclass(frozen=True)
class Undone:
    """The result of `archive.undo`."""

    folded: int
    """Messages that came back into the session's document."""
    orphans: int
    """Blocks that belonged to no archive and were removed."""


def time(milliseconds: int) -> datetime:
    """Return a time in UTC. Times outside the years 1 to 9999, which `datetime` cannot hold, become the nearest that it can."""
    try:
        return _EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError:
        nearest = datetime.min if milliseconds < 0 else datetime.max
        return nearest.replace(tzinfo=timezone.utc)


def session(row: tuple[str, str, int, int, int]) -> Session:
    session_id, session_type, created_at, updated_at, revision = row
    return Session(session_id, session_type, time(created_at), time(updated_at), revision)


def agent(row: tuple[str, str, int, int]) -> Agent:
    agent_id, data, created_at, updated_at = row
    return Agent(agent_id, json.loads(data), time(created_at), time(updated_at))


def message(row: tuple[int, str, int, int]) -> Message:
    message_id, body, created_at, updated_at = row
    return Message(message_id, json.loads(body), time(created_at), time(updated_at))


def feedback(row: tuple[str, int]) -> Feedback:
    body, created_at = row
    return Feedback(json.loads(body), time(created_at))


def metadata(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text)
    return found
