"""Every call of the repository once, by its name, with its answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

Step: TypeAlias = tuple[str, tuple[Any, ...], dict[str, Any], Callable[[Any], bool]]

STEPS: list[Step] = [
    ("sessions.read", ("s",), {}, lambda answer: answer is None),
    ("sessions.create", ("s", "chat"), {}, lambda answer: answer.session_type == "chat" and answer.revision == 0),
    (
        "sessions.read",
        ("s",),
        {},
        lambda answer: answer.session_id == "s" and answer.created_at.utcoffset().seconds == 0,
    ),
    ("agents.read", ("s", "a"), {}, lambda answer: answer is None),
    ("agents.create", ("s", "a", {"model": "m", "state": {"n": 1}}), {}, lambda answer: answer is None),
    ("agents.update", ("s", "a", {"state": {"n": 2}}), {"expected_revision": 1}, lambda answer: answer is None),
    ("agents.read", ("s", "a"), {}, lambda answer: answer.data == {"model": "m", "state": {"n": 2}}),
    ("messages.read", ("s", "a", 0), {}, lambda answer: answer is None),
    ("messages.create", ("s", "a", 0, {"role": "user", "latency_ms": 1}), {}, lambda answer: answer is None),
    ("messages.append", ("s", "a", {"role": "assistant"}), {"idempotency_key": "k"}, lambda answer: answer == 1),
    ("messages.append", ("s", "a", {"role": "assistant"}), {"idempotency_key": "k"}, lambda answer: answer == 1),
    ("messages.append_many", ("s", "a", [{"n": 1}, {"n": 2}]), {}, lambda answer: answer == 2),
    ("messages.update", ("s", "a", 3, {"text": "[removed]"}), {}, lambda answer: answer is None),
    ("messages.read", ("s", "a", 0), {}, lambda answer: answer.body == {"role": "user"}),
    ("messages.list", ("s", "a"), {}, lambda answer: [message.message_id for message in answer] == [0, 1, 2, 3]),
    ("messages.list", ("s", "a", 2, 1), {}, lambda answer: [message.message_id for message in answer] == [1, 2]),
    ("messages.list", ("s", "b"), {}, lambda answer: answer == []),
    ("metadata.get", ("unknown",), {}, lambda answer: answer is None),
    ("metadata.get", ("s",), {}, lambda answer: answer == {}),
    ("metadata.update", ("s", {"a.b": 1, "c": [2.0]}), {}, lambda answer: answer is None),
    ("metadata.delete", ("s", ["c"]), {}, lambda answer: answer is None),
    ("metadata.get", ("s",), {}, lambda answer: answer == {"a": {"b": 1}}),
    ("feedback.list", ("s",), {}, lambda answer: answer == []),
    ("feedback.add", ("s", {"rating": "up"}), {}, lambda answer: answer is None),
    ("feedback.list", ("s",), {}, lambda answer: [entry.body for entry in answer] == [{"rating": "up"}]),
]

ARCHIVE_STEPS: list[Step] = [
    ("archive.status", ("s",), {}, lambda answer: answer[0].agent_id == "a" and answer[0].messages == 4),
    ("archive.run", ("s",), {}, lambda answer: answer == 0),
    ("archive.undo", ("s",), {}, lambda answer: (answer.folded, answer.orphans) == (0, 0)),
    ("archive.status", ("unknown",), {}, lambda answer: answer is None),
]
"""Calls on the archive, which only MongoDB has. They come after the others."""


def method(repository: Any, name: str) -> Callable[..., Any]:
    interface, _, function = name.partition(".")
    found: Callable[..., Any] = getattr(getattr(repository, interface), function)
    return found
