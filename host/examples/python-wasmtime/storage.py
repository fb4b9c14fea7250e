"""A storage in a dict: the functions of `wit/storage.wit` with underscores, in plain Python.

It keeps every promise of that file but one: it is gone when the process ends, so nothing in it is
durable.
"""

import bisect
import functools
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Concatenate, ParamSpec, TypeVar

import json_text
import metadata
from model import (
    INT64_MAX,
    Agent,
    AppendKey,
    FeedbackEntry,
    Message,
    MetadataField,
    Session,
    SessionError,
)

P = ParamSpec("P")
T = TypeVar("T")

KEYS_KEPT = 256
"""How many keyed appends an agent remembers."""

Fields = dict[str, str]
"""The own fields of an agent or a message: the text of each value by its key."""


@dataclass
class _Message:
    message_id: int
    fields: Fields
    created_at: int
    updated_at: int

    def seen(self, omit: Iterable[str]) -> Message:
        shown = {key: value for key, value in self.fields.items() if key not in omit}
        return Message(
            self.message_id, json_text.object_of(shown), self.created_at, self.updated_at
        )


@dataclass
class _Agent:
    agent_id: str
    fields: Fields
    created_at: int
    updated_at: int
    by_time: list[_Message] = field(default_factory=list)
    by_id: dict[int, _Message] = field(default_factory=dict)
    highest_id: int = -1
    keys: dict[str, tuple[str, int]] = field(default_factory=dict)
    """The digest and the first id of each keyed append, oldest first."""

    def add(self, message: _Message) -> None:
        bisect.insort_right(self.by_time, message, key=lambda other: other.created_at)
        self.by_id[message.message_id] = message
        self.highest_id = max(self.highest_id, message.message_id)


@dataclass
class _Session:
    row: Session
    agents: dict[str, _Agent] = field(default_factory=dict)
    tree: metadata.Tree = "{}"
    feedback: list[FeedbackEntry] = field(default_factory=list)

    def agent(self, agent_id: str) -> _Agent:
        if agent_id not in self.agents:
            raise SessionError("not-found", entity="agent")
        return self.agents[agent_id]

    def check(self, expected_revision: int | None) -> None:
        if expected_revision is not None and expected_revision != self.row.revision:
            raise SessionError("stale", current=self.row.revision)

    def advance(self, at: int, agent: _Agent | None = None) -> None:
        self.row.revision += 1
        self.row.updated_at = max(self.row.updated_at, at)
        if agent is not None:
            agent.updated_at = max(agent.updated_at, at)


def _atomic(
    step: Callable[Concatenate["DictStorage", P], T],
) -> Callable[Concatenate["DictStorage", P], T]:
    @functools.wraps(step)
    def locked(self: "DictStorage", *args: P.args, **kwargs: P.kwargs) -> T:
        with self._lock:
            return step(self, *args, **kwargs)

    return locked


class DictStorage:
    """Sessions in a dict. Several repositories may share one, on any threads."""

    def __init__(self) -> None:
        self._sessions: dict[str, _Session] = {}
        self._lock = threading.Lock()

    @_atomic
    def insert_session(self, session: Session) -> None:
        if session.session_id in self._sessions:
            raise SessionError("already-exists", entity="session")
        self._sessions[session.session_id] = _Session(replace(session, revision=0))

    @_atomic
    def find_session(self, session_id: str) -> Session | None:
        session = self._sessions.get(session_id)
        return None if session is None else replace(session.row)

    @_atomic
    def insert_agent(self, session_id: str, agent: Agent, expected_revision: int | None) -> None:
        session = self._session(session_id)
        if agent.agent_id in session.agents:
            raise SessionError("already-exists", entity="agent")
        session.check(expected_revision)
        fields = dict(json_text.members(agent.data))
        session.agents[agent.agent_id] = _Agent(
            agent.agent_id, fields, agent.created_at, agent.updated_at
        )
        session.advance(agent.updated_at)

    @_atomic
    def find_agent(self, session_id: str, agent_id: str) -> Agent | None:
        agent = self._agent_if_any(session_id, agent_id)
        if agent is None:
            return None
        return Agent(
            agent.agent_id, json_text.object_of(agent.fields), agent.created_at, agent.updated_at
        )

    @_atomic
    def replace_agent(
        self,
        session_id: str,
        agent_id: str,
        data: str,
        updated_at: int,
        keep: list[str],
        expected_revision: int | None,
    ) -> None:
        session = self._session(session_id)
        agent = session.agent(agent_id)
        session.check(expected_revision)
        agent.fields = _replaced(data, agent.fields, keep)
        session.advance(updated_at, agent)

    @_atomic
    def append_message(
        self,
        session_id: str,
        agent_id: str,
        message: Message,
        omit: list[str],
        expected_revision: int | None,
    ) -> Message | None:
        """Append a message; if its id is taken, return the message that has it."""
        session = self._session(session_id)
        agent = session.agent(agent_id)
        if message.message_id in agent.by_id:
            return agent.by_id[message.message_id].seen(omit)
        session.check(expected_revision)
        fields = dict(json_text.members(message.body))
        agent.add(_Message(message.message_id, fields, message.created_at, message.updated_at))
        session.advance(message.updated_at, agent)
        return None

    @_atomic
    def append_messages(
        self,
        session_id: str,
        agent_id: str,
        bodies: list[str],
        created_at: int,
        key: AppendKey | None,
        expected_revision: int | None,
    ) -> int:
        session = self._session(session_id)
        agent = session.agent(agent_id)
        if key is not None and key.key in agent.keys:
            digest, first = agent.keys[key.key]
            if digest != key.digest:
                raise SessionError("already-exists", entity="message")
            return first
        session.check(expected_revision)
        first = agent.highest_id + 1
        if len(bodies) - 1 > INT64_MAX - first:
            raise SessionError("invalid-argument", "message_id: the ids of the agent run out")
        at = max(created_at, agent.by_time[-1].created_at) if agent.by_time else created_at
        every = [dict(json_text.members(body)) for body in bodies]
        for message_id, fields in enumerate(every, first):
            agent.add(_Message(message_id, fields, at, at))
        if key is not None:
            agent.keys[key.key] = (key.digest, first)
            if len(agent.keys) > KEYS_KEPT:
                del agent.keys[next(iter(agent.keys))]
        session.advance(at, agent)
        return first

    @_atomic
    def find_message(
        self, session_id: str, agent_id: str, message_id: int, omit: list[str]
    ) -> Message | None:
        agent = self._agent_if_any(session_id, agent_id)
        if agent is None or message_id not in agent.by_id:
            return None
        return agent.by_id[message_id].seen(omit)

    @_atomic
    def replace_message(
        self,
        session_id: str,
        agent_id: str,
        message_id: int,
        body: str,
        updated_at: int,
        keep: list[str],
        expected_revision: int | None,
    ) -> None:
        session = self._session(session_id)
        agent = session.agent(agent_id)
        if message_id not in agent.by_id:
            raise SessionError("not-found", entity="message")
        session.check(expected_revision)
        message = agent.by_id[message_id]
        message.fields = _replaced(body, message.fields, keep)
        message.updated_at = max(message.updated_at, updated_at)
        session.advance(updated_at, agent)

    @_atomic
    def list_messages(
        self, session_id: str, agent_id: str, offset: int, limit: int | None, omit: list[str]
    ) -> list[Message]:
        agent = self._agent_if_any(session_id, agent_id)
        if agent is None:
            return []
        end = None if limit is None else offset + limit
        return [message.seen(omit) for message in agent.by_time[offset:end]]

    @_atomic
    def set_metadata(
        self,
        session_id: str,
        fields: list[MetadataField],
        updated_at: int,
        expected_revision: int | None,
    ) -> None:
        session = self._session(session_id)
        session.check(expected_revision)
        if fields:
            pairs = [(one.path, one.value) for one in fields]
            session.tree = metadata.update(session.tree, pairs)
            session.advance(updated_at)

    @_atomic
    def get_metadata(self, session_id: str) -> str | None:
        session = self._sessions.get(session_id)
        return None if session is None else metadata.text(session.tree)

    @_atomic
    def unset_metadata(
        self, session_id: str, paths: list[str], updated_at: int, expected_revision: int | None
    ) -> None:
        session = self._session(session_id)
        session.check(expected_revision)
        if paths:
            session.tree = metadata.delete(session.tree, paths)
            session.advance(updated_at)

    @_atomic
    def append_feedback(
        self, session_id: str, feedback: FeedbackEntry, expected_revision: int | None
    ) -> None:
        session = self._session(session_id)
        session.check(expected_revision)
        session.feedback.append(replace(feedback))
        session.advance(feedback.created_at)

    @_atomic
    def list_feedback(self, session_id: str) -> list[FeedbackEntry]:
        session = self._sessions.get(session_id)
        return [] if session is None else [replace(entry) for entry in session.feedback]

    def _session(self, session_id: str) -> _Session:
        if session_id not in self._sessions:
            raise SessionError("not-found", entity="session")
        return self._sessions[session_id]

    def _agent_if_any(self, session_id: str, agent_id: str) -> _Agent | None:
        session = self._sessions.get(session_id)
        return None if session is None else session.agents.get(agent_id)


def _replaced(text: str, old: Fields, keep: Iterable[str]) -> Fields:
    """Return the new fields, and the old ones that stay."""
    return dict(json_text.members(text)) | {key: old[key] for key in keep if key in old}
