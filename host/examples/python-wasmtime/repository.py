"""The session repository: the synchronous component, hosted in the package `wasmtime`.

repository = Repository(DictStorage(), "session-repository-sync.wasm")
repository.create_session("user-123", session_type="chat")
"""

import functools
import threading
import time
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from wasmtime import Engine, Store
from wasmtime.component import Component, Func, Linker, Record, Variant
from wasmtime.component._types import VariantLikeType

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
from storage import DictStorage

PACKAGE = "session:repository-sync"
VERSION = "0.1.0"
UINT64_MAX = 2**64 - 1

_running = threading.local()


def _tag_every_variant() -> None:
    """Work around a defect of `wasmtime`, seen in 40.0.0 and 50.0.1.

    The package leaves out the tag of an option, a result or a variant if the Python classes of its
    cases look disjoint. A case without a payload counts as `object`, which matches any value. So
    the `err` of a `result<option<T>, error>` is taken for its `ok` and cannot be returned. With the
    tag there is no guess. Other components in this process keep the package's own rule.
    """
    guessed = VariantLikeType._tagged

    def tagged(self: VariantLikeType) -> bool:
        return getattr(_running, "here", False) or guessed(self)

    VariantLikeType._tagged = tagged  # type: ignore[method-assign]


_tag_every_variant()


@functools.cache
def _compiled(path: Path) -> tuple[Engine, Component]:
    engine = Engine()
    return engine, Component.from_file(engine, str(path))


_compiling = threading.Lock()


class Repository:
    """A session repository on a storage.

    Calls may come from any thread; one runs at a time. All JSON is text, so that numbers stay as
    they are written. Every method raises `SessionError`. A write that gets an `expected_revision`
    is refused as `stale` if the session is at another one.
    """

    def __init__(self, storage: DictStorage, component_path: str | Path) -> None:
        self._storage = storage
        with _compiling:
            self._engine, self._component = _compiled(Path(component_path).resolve())
        self._lock = threading.Lock()
        self._instance: _Instance | None = None
        self._fault: BaseException | None = None

    def create_session(
        self,
        session_id: str,
        session_type: str | None = None,
        *,
        expected_revision: int | None = None,
    ) -> Session:
        """Create an empty session."""
        return self._call(
            "sessions",
            "create",
            _text("session_id", session_id),
            _option(_text, "session_type", session_type),
            _option(_uint64, "expected_revision", expected_revision),
        )

    def read_session(self, session_id: str) -> Session | None:
        """Read a session; `None` if there is no such session."""
        return self._call("sessions", "read", _text("session_id", session_id))

    def create_agent(
        self, session_id: str, agent_id: str, agent: str, *, expected_revision: int | None = None
    ) -> None:
        """Create an agent without messages from a JSON object of its own fields."""
        self._call(
            "agents",
            "create",
            _text("session_id", session_id),
            _text("agent_id", agent_id),
            _text("agent", agent),
            _option(_uint64, "expected_revision", expected_revision),
        )

    def read_agent(self, session_id: str, agent_id: str) -> Agent | None:
        """Read an agent without its messages; `None` if there is no such session or agent."""
        return self._call(
            "agents", "read", _text("session_id", session_id), _text("agent_id", agent_id)
        )

    def update_agent(
        self, session_id: str, agent_id: str, agent: str, *, expected_revision: int | None = None
    ) -> None:
        """Replace an agent's own fields."""
        self._call(
            "agents",
            "update",
            _text("session_id", session_id),
            _text("agent_id", agent_id),
            _text("agent", agent),
            _option(_uint64, "expected_revision", expected_revision),
        )

    def create_message(
        self,
        session_id: str,
        agent_id: str,
        message_id: int,
        message: str,
        *,
        expected_revision: int | None = None,
    ) -> None:
        """Append a message under an id of the caller's. The same message again is stored once."""
        self._call(
            "messages",
            "create",
            _text("session_id", session_id),
            _text("agent_id", agent_id),
            _int64("message_id", message_id),
            _text("message", message),
            _option(_uint64, "expected_revision", expected_revision),
        )

    def append_message(
        self,
        session_id: str,
        agent_id: str,
        message: str,
        *,
        idempotency_key: str | None = None,
        expected_revision: int | None = None,
    ) -> int:
        """Append a message under the next id, and return the id."""
        return self._call(
            "messages",
            "append",
            _text("session_id", session_id),
            _text("agent_id", agent_id),
            _text("message", message),
            _option(_text, "idempotency_key", idempotency_key),
            _option(_uint64, "expected_revision", expected_revision),
        )

    def append_messages(
        self,
        session_id: str,
        agent_id: str,
        messages: list[str],
        *,
        idempotency_key: str | None = None,
        expected_revision: int | None = None,
    ) -> int:
        """Append messages in one atomic step, and return the id of the first."""
        return self._call(
            "messages",
            "append-many",
            _text("session_id", session_id),
            _text("agent_id", agent_id),
            _texts("messages", messages),
            _option(_text, "idempotency_key", idempotency_key),
            _option(_uint64, "expected_revision", expected_revision),
        )

    def read_message(self, session_id: str, agent_id: str, message_id: int) -> Message | None:
        """Read a message; `None` if there is no such session, agent or message."""
        return self._call(
            "messages",
            "read",
            _text("session_id", session_id),
            _text("agent_id", agent_id),
            _int64("message_id", message_id),
        )

    def update_message(
        self,
        session_id: str,
        agent_id: str,
        message_id: int,
        message: str,
        *,
        expected_revision: int | None = None,
    ) -> None:
        """Replace a message's own fields."""
        self._call(
            "messages",
            "update",
            _text("session_id", session_id),
            _text("agent_id", agent_id),
            _int64("message_id", message_id),
            _text("message", message),
            _option(_uint64, "expected_revision", expected_revision),
        )

    def list_messages(
        self, session_id: str, agent_id: str, limit: int | None = None, offset: int = 0
    ) -> list[Message]:
        """List messages, oldest first: at most `limit`, after `offset` others."""
        return self._call(
            "messages",
            "list",
            _text("session_id", session_id),
            _text("agent_id", agent_id),
            _option(_int64, "limit", limit),
            _int64("offset", offset),
        )

    def update_metadata(
        self, session_id: str, metadata: str, *, expected_revision: int | None = None
    ) -> None:
        """Set the fields that a JSON object names; a key may be a path with dots."""
        self._call(
            "metadata",
            "update",
            _text("session_id", session_id),
            _text("metadata", metadata),
            _option(_uint64, "expected_revision", expected_revision),
        )

    def get_metadata(self, session_id: str) -> str | None:
        """Read all metadata of a session, a JSON object; `None` if there is no such session."""
        return self._call("metadata", "get", _text("session_id", session_id))

    def delete_metadata(
        self, session_id: str, keys: list[str], *, expected_revision: int | None = None
    ) -> None:
        """Remove the named fields; a key may be a path with dots."""
        self._call(
            "metadata",
            "delete",
            _text("session_id", session_id),
            _texts("keys", keys),
            _option(_uint64, "expected_revision", expected_revision),
        )

    def add_feedback(
        self, session_id: str, feedback: str, *, expected_revision: int | None = None
    ) -> None:
        """Add a feedback entry, a JSON object."""
        self._call(
            "feedback",
            "add",
            _text("session_id", session_id),
            _text("feedback", feedback),
            _option(_uint64, "expected_revision", expected_revision),
        )

    def list_feedback(self, session_id: str) -> list[FeedbackEntry]:
        """List all feedback, oldest first; empty if there is no such session."""
        return self._call("feedback", "list", _text("session_id", session_id))

    def _call(self, interface: str, function: str, *arguments: object) -> Any:
        with self._lock:
            self._fault = None
            _running.here = True
            try:
                if self._instance is None:
                    self._instance = _Instance(self._engine, self._component, self._imports())
                answer = self._instance.call(interface, function, arguments)
            except BaseException as trap:
                # After a trap an instance cannot be entered again. The next call gets a new one.
                self._instance = None
                if not isinstance(trap, Exception):
                    raise
                raise SessionError("internal", "the component failed") from (self._fault or trap)
            finally:
                _running.here = False
            fault = self._fault
        if fault is not None and not isinstance(fault, Exception):
            raise fault
        if answer.tag == "ok":
            return _lifted(answer.payload)
        raise _error_from(answer) from fault

    def _imports(self) -> dict[str, Callable[..., Variant]]:
        return {name: self._import(name) for name in STORAGE_FUNCTIONS}

    def _import(self, name: str) -> Callable[..., Variant]:
        """Return what the component calls as the function `name` of its storage."""
        method = getattr(self._storage, name.replace("-", "_"))
        answer = STORAGE_FUNCTIONS[name]

        def called(_: object, *arguments: object) -> Variant:
            try:
                return Variant("ok", answer(_lowered(method(*map(_lifted, arguments)))))
            except SessionError as refusal:
                return Variant("err", _error_to(refusal))
            except BaseException as fault:  # noqa: BLE001
                # Its text may hold anything. The component gets a text of ours, the host gets the
                # exception as a cause.
                self._fault = fault
                return Variant("err", Variant("internal", "the storage failed"))

        return called


class _Instance:
    """An instance of the component, and its functions as far as they were used."""

    def __init__(
        self, engine: Engine, component: Component, imports: dict[str, Callable[..., Variant]]
    ) -> None:
        linker = Linker(engine)
        with linker.root() as root:
            with root.add_instance("wasi:clocks/wall-clock@0.2.0") as clock:
                clock.add_func("now", _now)
            with root.add_instance(f"{PACKAGE}/types@{VERSION}"):
                pass
            with root.add_instance(f"{PACKAGE}/storage@{VERSION}") as storage:
                for name, function in imports.items():
                    storage.add_func(name, function)
        self._store = Store(engine)
        self._instance = linker.instantiate(self._store, component)
        self._functions: dict[tuple[str, str], Func] = {}

    def call(self, interface: str, function: str, arguments: tuple[object, ...]) -> Variant:
        name = (interface, function)
        if name not in self._functions:
            self._functions[name] = self._find(*name)
        return self._functions[name](self._store, *arguments)

    def _find(self, interface: str, function: str) -> Func:
        exported = self._instance.get_export_index(self._store, f"{PACKAGE}/{interface}@{VERSION}")
        index = self._instance.get_export_index(self._store, function, exported)
        found = None if index is None else self._instance.get_func(self._store, index)
        if found is None:
            raise LookupError(f"the component has no function {interface}.{function}")
        return found


def _now(_: object) -> Record:
    seconds, nanoseconds = divmod(time.time_ns(), 10**9)
    return _record(seconds=seconds, nanoseconds=nanoseconds)


def _as_it_is(value: object) -> object:
    return value


def _some_or_none(value: object) -> Variant:
    return Variant("none") if value is None else Variant("some", value)


def _append_outcome(taken: object) -> Variant:
    return Variant("appended") if taken is None else Variant("taken", taken)


STORAGE_FUNCTIONS: dict[str, Callable[[object], object]] = {
    "insert-session": _as_it_is,
    "find-session": _some_or_none,
    "insert-agent": _as_it_is,
    "find-agent": _some_or_none,
    "replace-agent": _as_it_is,
    "append-message": _append_outcome,
    "append-messages": _as_it_is,
    "find-message": _some_or_none,
    "replace-message": _as_it_is,
    "list-messages": _as_it_is,
    "set-metadata": _as_it_is,
    "get-metadata": _some_or_none,
    "unset-metadata": _as_it_is,
    "append-feedback": _as_it_is,
    "list-feedback": _as_it_is,
}
"""The functions of `storage`. Each has what turns its method's value into the `ok` of a result."""

RECORDS = {
    frozenset(field.name for field in fields(record)): record
    for record in (Session, Agent, Message, FeedbackEntry, AppendKey, MetadataField)
}
"""The records by the names of their fields."""


def _record(**members: object) -> Record:
    record = Record()
    for name, value in members.items():
        setattr(record, name.replace("_", "-"), value)
    return record


def _lowered(value: object) -> object:
    """Return a value as `wasmtime` takes it. Options are not known as such here."""
    if isinstance(value, list):
        return [_lowered(item) for item in value]
    return _record(**vars(value)) if is_dataclass(value) else value


def _lifted(value: object) -> Any:
    """Return a value that `wasmtime` gave as the records of `model`, an empty option as `None`."""
    if isinstance(value, Variant):
        return _lifted(value.payload)
    if isinstance(value, list):
        return [_lifted(item) for item in value]
    if isinstance(value, Record):
        members = {name.replace("-", "_"): _lifted(member) for name, member in vars(value).items()}
        return RECORDS[frozenset(members)](**members)
    return value


def _error_to(error: SessionError) -> Variant:
    match error.code:
        case "not-found" | "already-exists":
            return Variant(error.code, error.entity)
        case "stale":
            return Variant(error.code, error.current)
        case "too-large":
            return Variant(error.code, _record(size=error.size, limit=error.limit))
        case "quota-exceeded":
            return Variant(error.code, error.retry_after_ms)
        case "timeout":
            return Variant(error.code)
        case code:
            return Variant(code, str(error))


def _error_from(answer: Variant) -> SessionError:
    error: Any = answer.payload
    payload = error.payload
    match error.tag:
        case "not-found" | "already-exists":
            return SessionError(error.tag, entity=payload)
        case "stale":
            return SessionError(error.tag, current=payload)
        case "too-large":
            return SessionError(error.tag, size=payload.size, limit=payload.limit)
        case "quota-exceeded":
            return SessionError(error.tag, retry_after_ms=payload)
        case "timeout":
            return SessionError(error.tag)
        case tag:
            return SessionError(tag, payload)


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise SessionError("invalid-argument", f"{name}: must be a text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise SessionError("invalid-argument", f"{name}: has a lone surrogate") from None
    return value


def _texts(name: str, values: object) -> list[str]:
    if not isinstance(values, list):
        raise SessionError("invalid-argument", f"{name}: must be a list")
    return [_text(f"{name}[{at}]", value) for at, value in enumerate(values)]


def _integer(name: str, value: object, lowest: int, highest: int) -> int:
    # `wasmtime` cuts an integer to its lowest 64 bits without a word.
    if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
        raise SessionError(
            "invalid-argument", f"{name}: must be an integer from {lowest} to {highest}"
        )
    return value


def _int64(name: str, value: object) -> int:
    return _integer(name, value, -INT64_MAX - 1, INT64_MAX)


def _uint64(name: str, value: object) -> int:
    return _integer(name, value, 0, UINT64_MAX)


def _option(check: Callable[[str, object], object], name: str, value: object) -> Variant:
    return _some_or_none(None if value is None else check(name, value))
