"""Speak the `exec` protocol (`host/docs/exec.md`) on stdin and stdout: exec.py [--async] [STORE].

Each call goes through the public API of the package. Without `--async` calls run one after the other. With it each runs in a task, and
those of one session in the order of their lines.
"""

from __future__ import annotations

import asyncio
import json
import sys
import traceback
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from session_repository import (
    Agent,
    AsyncRepository,
    Feedback,
    InvalidArgumentError,
    Message,
    Repository,
    Session,
    SessionRepositoryError,
)

DETAILS = ("entity", "current", "size", "limit", "retry_after_ms")


def main() -> None:
    arguments = sys.argv[1:]
    is_async = "--async" in arguments
    store = next((argument for argument in arguments if not argument.startswith("--")), "memory:")
    if is_async:
        asyncio.run(serve_async(store))
    else:
        serve(store)


def serve(store: str) -> None:
    with Repository.open(store) as repository:
        for line in sys.stdin.buffer:
            if line.strip():
                request_id = None
                try:
                    request_id, name, arguments = request(line)
                    result = call(repository, name)(**arguments)
                except (SessionRepositoryError, TypeError) as error:
                    answer(getattr(error, "request_id", request_id), error=error)
                else:
                    answer(request_id, result=shaped(name, result))


async def serve_async(store: str) -> None:
    loop = asyncio.get_running_loop()
    last: dict[str, asyncio.Task[None]] = {}
    async with await AsyncRepository.open(store) as repository:
        while line := await loop.run_in_executor(None, sys.stdin.buffer.readline):
            if not line.strip():
                continue
            try:
                request_id, name, arguments = request(line)
            except SessionRepositoryError as error:
                answer(getattr(error, "request_id", None), error=error)
                continue
            session_id = str(arguments.get("session_id"))
            task = respond(repository, request_id, name, arguments, last.get(session_id))
            last[session_id] = loop.create_task(task)
        await asyncio.gather(*last.values())


async def respond(
    repository: AsyncRepository,
    request_id: Any,
    name: str,
    arguments: dict[str, Any],
    before: asyncio.Task[None] | None,
) -> None:
    if before is not None:
        await before
    try:
        result = await call(repository, name)(**arguments)
    except (SessionRepositoryError, TypeError) as error:
        answer(request_id, error=error)
    else:
        answer(request_id, result=shaped(name, result))


class Refused(InvalidArgumentError):
    """A line that no call stands in."""

    def __init__(self, message: str, request_id: Any = None) -> None:
        super().__init__(message)
        self.request_id = request_id


def request(line: bytes) -> tuple[Any, str, dict[str, Any]]:
    """Read a line: the id, the name of the call and the arguments of its method."""
    twice: list[str] = []

    def unique(members: list[tuple[str, Any]]) -> dict[str, Any]:
        # A `dict` cannot hold a key twice, so that such a body never reaches the package.
        found = dict(members)
        if len(found) < len(members):
            twice.extend(found)
        return found

    def no_constant(name: str) -> None:
        raise ValueError(f"{name} is no JSON")

    try:
        read = json.loads(line, object_pairs_hook=unique, parse_constant=no_constant)
    except (ValueError, RecursionError) as error:
        raise Refused(f"not JSON: {error}") from None
    if not isinstance(read, dict) or not read.keys() <= {"id", "call", "args"}:
        raise Refused("must be an object with `id`, `call` and `args`")
    request_id, name, arguments = read.get("id"), read.get("call"), read.get("args")
    if twice:
        raise Refused(f"a key occurs twice: {', '.join(twice)}", request_id)
    if not isinstance(name, str) or not isinstance(arguments, dict):
        raise Refused("`call` must be a text and `args` an object", request_id)
    within = IDS_WITHIN.get(name)
    if within is not None:
        argument, its_id = within
        body = arguments.get(argument)
        if its_id in arguments or not isinstance(body, dict) or its_id not in body:
            raise Refused(f"{argument}: must be an object with `{its_id}`", request_id)
        arguments[its_id] = body[its_id]
    return request_id, name, arguments


IDS_WITHIN = {
    "agents.create": ("agent", "agent_id"),
    "agents.update": ("agent", "agent_id"),
    "messages.create": ("message", "message_id"),
    "messages.update": ("message", "message_id"),
}
"""Calls whose argument has an id among its fields that is an argument of its own in Python."""


def call(repository: Repository | AsyncRepository, name: str) -> Callable[..., Any]:
    interface, _, function = name.partition(".")
    if f"{interface}.{function}" not in CALLS:
        raise InvalidArgumentError(f"unknown call {name[:64]}")
    method: Callable[..., Any] = getattr(getattr(repository, interface), function.replace("-", "_"))
    return method


CALLS = {
    *("sessions.create", "sessions.read", "agents.create", "agents.read", "agents.update"),
    *(
        "messages.create",
        "messages.append",
        "messages.append-many",
        "messages.read",
        "messages.update",
        "messages.list",
    ),
    *("metadata.update", "metadata.get", "metadata.delete", "feedback.add", "feedback.list"),
}


def shaped(name: str, result: Any) -> Any:
    """Return a result in the shape of the protocol."""
    match result:
        case Session():
            return {**vars(result), **times(result)}
        case Agent():
            return {"agent_id": result.agent_id, **result.data, **times(result)}
        case Message():
            return {"message_id": result.message_id, **result.body, **times(result)}
        case Feedback():
            return {**result.body, "created_at": text(result.created_at)}
        case list():
            return [shaped(name, item) for item in result]
        case int():
            return {"message_id" if name == "messages.append" else "first_message_id": result}
        case dict():
            return {"metadata": result}
    return result


def times(of: Session | Agent | Message) -> dict[str, str]:
    return {"created_at": text(of.created_at), "updated_at": text(of.updated_at)}


def text(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def answer(request_id: Any, *, result: Any = None, error: Exception | None = None) -> None:
    response: dict[str, Any] = {"id": request_id}
    if error is None:
        response["result"] = result
    else:
        details = {name: getattr(error, name, None) for name in DETAILS}
        told = {name: value for name, value in details.items() if value is not None}
        code = getattr(error, "code", None) or ("invalid-argument" if is_about_arguments(error) else "internal")
        response["error"] = {"code": code, **told, "message": str(error)}
    sys.stdout.write(json.dumps(response) + "\n")
    sys.stdout.flush()


def is_about_arguments(error: Exception) -> bool:
    """Whether a call itself raised an error. Native code has no frame, so an error deeper in the package is a defect of its own."""
    *_, innermost = traceback.extract_tb(error.__traceback__)
    return Path(innermost.filename).name in {"exec.py", "_sync.py", "_async.py"}


if __name__ == "__main__":
    main()
