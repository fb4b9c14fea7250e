"""Speak the `exec` protocol (`host/docs/exec.md`) on stdin and stdout.

Calls run one after the other, so responses come in the order of their lines.
"""

import json
import sys
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import json_text
from model import Agent, FeedbackEntry, Message, Session, SessionError
from repository import Repository
from storage import DictStorage

COMPONENT = Path(__file__).resolve().parents[2] / "session-repository-sync.wasm"

MAX_LINE = 128 * 1024 * 1024
"""The longest line that is read, in bytes."""

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)

Read = Callable[[str], Any]
"""Reads an argument from JSON text. Raises `ValueError`."""


def main() -> None:
    repository = Repository(DictStorage(), COMPONENT)
    while line := sys.stdin.buffer.readline(MAX_LINE + 1):
        size = len(line)
        while not line.endswith(b"\n") and (more := sys.stdin.buffer.readline(MAX_LINE)):
            line, size = more, size + len(more)
        size -= line.endswith(b"\n")
        if size > MAX_LINE:
            answer = failed("null", SessionError("too-large", size=size, limit=MAX_LINE))
        elif line.strip():
            answer = respond(repository, line)
        else:
            continue
        sys.stdout.buffer.write(f"{answer}\n".encode())
        sys.stdout.buffer.flush()


def respond(repository: Repository, line: bytes) -> str:
    """Answer one request."""
    request_id = "null"
    try:
        request, fault = envelope(line)
        request_id = request.get("id", request_id).replace("\r", " ")
        if fault is not None:
            raise SessionError("invalid-argument", fault)
        return f'{{"id":{request_id},"result":{call(repository, request)}}}'
    except SessionError as error:
        return failed(request_id, error)


def envelope(line: bytes) -> tuple[dict[str, str], str | None]:
    """Cut a request into its members, and say what is wrong with their keys."""
    try:
        return unique(json_text.members(line.decode()), ("id", "call", "args"))
    except ValueError as error:
        raise SessionError("invalid-argument", f"not a JSON object: {error}") from None


def unique(
    members: list[tuple[str, str]], known: tuple[str, ...]
) -> tuple[dict[str, str], str | None]:
    found: dict[str, str] = {}
    fault = None
    for key, value in members:
        if key not in known:
            fault = fault or f"unknown key {json.dumps(key[:64])}"
        elif key in found:
            fault = fault or f"the key `{key}` occurs twice"
        found[key] = value
    return found, fault


def call(repository: Repository, request: dict[str, str]) -> str:
    """Make the call that a request names, and return its result as JSON text."""
    try:
        name = json_text.string(request.get("call", ""))
    except ValueError:
        raise SessionError("invalid-argument", "`call` is missing or no string") from None
    if name not in CALLS:
        raise SessionError("invalid-argument", f"unknown call {json.dumps(name[:64])}")
    make, required, optional = CALLS[name]
    if "args" not in request:
        raise SessionError("invalid-argument", "`args` is missing")
    return make(repository, **arguments(request["args"], required, optional))


def arguments(text: str, required: dict[str, Read], optional: dict[str, Read]) -> dict[str, Any]:
    try:
        texts, fault = unique(json_text.members(text), (*required, *optional))
    except ValueError as error:
        raise SessionError("invalid-argument", f"args: {error}") from None
    missing = next((key for key in required if key not in texts), None)
    if missing is not None:
        fault = fault or f"missing field `{missing}`"
    if fault is not None:
        raise SessionError("invalid-argument", f"args: {fault}")
    found = {}
    for key, value in texts.items():
        if key in optional and value == "null" and key != "offset":
            continue
        try:
            found[key] = (required | optional)[key](value)
        except ValueError as error:
            raise SessionError("invalid-argument", f"{key}: {error}") from None
    return found


def integer(text: str) -> int:
    # A number of more digits has no place in 64 bits, whatever it is.
    if not text.lstrip("-").isdigit() or len(text) > 20:
        raise ValueError("must be an integer of 64 bits")
    return int(text)


def json_value(text: str) -> str:
    return text


def strings(text: str) -> list[str]:
    return [json_text.string(item) for item in json_text.items(text)]


def named(text: str, name: str, read: Read) -> Any:
    """Read the id that stands among the fields of an agent or a message."""
    try:
        found = [value for key, value in json_text.members(text) if key == name]
        if len(found) != 1:
            raise ValueError(f"must have one field `{name}`")
        return read(found[0])
    except ValueError as error:
        raise SessionError("invalid-argument", f"{name.removesuffix('_id')}: {error}") from None


def create_session(repository: Repository, **given: Any) -> str:
    return session(repository.create_session(**given))


def read_session(repository: Repository, **given: Any) -> str:
    return or_null(session, repository.read_session(**given))


def create_agent(repository: Repository, *, agent: str, **given: Any) -> str:
    agent_id = named(agent, "agent_id", json_text.string)
    repository.create_agent(agent_id=agent_id, agent=agent, **given)
    return "null"


def read_agent(repository: Repository, **given: Any) -> str:
    return or_null(agent, repository.read_agent(**given))


def update_agent(repository: Repository, *, agent: str, **given: Any) -> str:
    agent_id = named(agent, "agent_id", json_text.string)
    repository.update_agent(agent_id=agent_id, agent=agent, **given)
    return "null"


def create_message(repository: Repository, *, message: str, **given: Any) -> str:
    message_id = named(message, "message_id", integer)
    repository.create_message(message_id=message_id, message=message, **given)
    return "null"


def append_message(repository: Repository, **given: Any) -> str:
    return f'{{"message_id":{repository.append_message(**given)}}}'


def append_messages(repository: Repository, **given: Any) -> str:
    return f'{{"first_message_id":{repository.append_messages(**given)}}}'


def read_message(repository: Repository, **given: Any) -> str:
    return or_null(message, repository.read_message(**given))


def update_message(repository: Repository, *, message: str, **given: Any) -> str:
    message_id = named(message, "message_id", integer)
    repository.update_message(message_id=message_id, message=message, **given)
    return "null"


def list_messages(repository: Repository, **given: Any) -> str:
    return json_text.array_of(map(message, repository.list_messages(**given)))


def update_metadata(repository: Repository, **given: Any) -> str:
    repository.update_metadata(**given)
    return "null"


def get_metadata(repository: Repository, **given: Any) -> str:
    return or_null(lambda text: f'{{"metadata":{text}}}', repository.get_metadata(**given))


def delete_metadata(repository: Repository, **given: Any) -> str:
    repository.delete_metadata(**given)
    return "null"


def add_feedback(repository: Repository, **given: Any) -> str:
    repository.add_feedback(**given)
    return "null"


def list_feedback(repository: Repository, **given: Any) -> str:
    return json_text.array_of(map(feedback, repository.list_feedback(**given)))


def session(of: Session) -> str:
    fields = {"session_id": of.session_id, "session_type": of.session_type}
    before = {key: json_text.quoted(value) for key, value in fields.items()}
    return json_text.object_of(before | stamps(of) | {"revision": str(of.revision)})


def agent(of: Agent) -> str:
    return flat({"agent_id": json_text.quoted(of.agent_id)}, of.data, stamps(of))


def message(of: Message) -> str:
    return flat({"message_id": str(of.message_id)}, of.body, stamps(of))


def feedback(of: FeedbackEntry) -> str:
    return flat({}, of.body, {"created_at": time(of.created_at)})


def flat(before: dict[str, str], body: str, after: dict[str, str]) -> str:
    """Join an object of some members, those of a body, and some more."""
    return json_text.object_of([*before.items(), *json_text.members(body), *after.items()])


def stamps(of: Session | Agent | Message) -> dict[str, str]:
    return {"created_at": time(of.created_at), "updated_at": time(of.updated_at)}


def time(milliseconds: int) -> str:
    moment = EPOCH + timedelta(milliseconds=milliseconds)
    return json_text.quoted(f"{moment:%Y-%m-%dT%H:%M:%S}.{milliseconds % 1000:03}Z")


def or_null(write: Callable[[Any], str], found: object) -> str:
    return "null" if found is None else write(found)


def failed(request_id: str, error: SessionError) -> str:
    """Write a response that has an error."""
    details = ("code", "entity", "current", "size", "limit", "retry_after_ms")
    told = {name: getattr(error, name) for name in details if getattr(error, name) is not None}
    return f'{{"id":{request_id},"error":{json.dumps(told | {"message": str(error)})}}}'


IDS: dict[str, Read] = {"session_id": json_text.string, "agent_id": json_text.string}
SESSION: dict[str, Read] = {"session_id": json_text.string}
WRITE: dict[str, Read] = {"expected_revision": integer}
APPEND: dict[str, Read] = WRITE | {"idempotency_key": json_text.string}

CALLS: dict[str, tuple[Callable[..., str], dict[str, Read], dict[str, Read]]] = {
    "sessions.create": (create_session, SESSION, WRITE | {"session_type": json_text.string}),
    "sessions.read": (read_session, SESSION, {}),
    "agents.create": (create_agent, SESSION | {"agent": json_value}, WRITE),
    "agents.read": (read_agent, IDS, {}),
    "agents.update": (update_agent, SESSION | {"agent": json_value}, WRITE),
    "messages.create": (create_message, IDS | {"message": json_value}, WRITE),
    "messages.append": (append_message, IDS | {"message": json_value}, APPEND),
    "messages.append-many": (append_messages, IDS | {"messages": json_text.items}, APPEND),
    "messages.read": (read_message, IDS | {"message_id": integer}, {}),
    "messages.update": (update_message, IDS | {"message": json_value}, WRITE),
    "messages.list": (list_messages, IDS, {"limit": integer, "offset": integer}),
    "metadata.update": (update_metadata, SESSION | {"metadata": json_value}, WRITE),
    "metadata.get": (get_metadata, SESSION, {}),
    "metadata.delete": (delete_metadata, SESSION | {"keys": strings}, WRITE),
    "feedback.add": (add_feedback, SESSION | {"feedback": json_value}, WRITE),
    "feedback.list": (list_feedback, SESSION, {}),
}
"""The calls: what makes each, the arguments it needs, and those it may have."""


if __name__ == "__main__":
    main()
