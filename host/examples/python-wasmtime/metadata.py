"""Metadata: one JSON object, changed by paths with dots.

A `Tree` is JSON text, or an object or array that a path has led into. Text stays as it is written
until then.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import TypeAlias

import json_text
from model import SessionError

Tree: TypeAlias = "str | dict[str, Tree] | list[Tree]"
Changes: TypeAlias = "dict[str, str | Changes | None]"

MAX_PADDING = 1_500_000
"""The largest number of nulls that one position beyond the end of an array may add."""

MAX_NULL_BYTES = 16 * 1024 * 1024
"""The largest size of the nulls that one update may add, as text."""

NULL_BYTES = len("null,")


def update(tree: Tree, fields: Iterable[tuple[str, str]]) -> Tree:
    """Return a copy with a value at each path. Raises `SessionError` if one does not fit."""
    return _set(tree, _by_segment(fields), _Room())


def delete(tree: Tree, paths: Iterable[str]) -> Tree:
    """Return a copy without the value at each path. An array item becomes null."""
    return _unset(tree, _by_segment((path, None) for path in paths))


def text(tree: Tree) -> str:
    """Return the tree as JSON text."""
    if isinstance(tree, dict):
        return json_text.object_of((key, text(child)) for key, child in tree.items())
    if isinstance(tree, list):
        return json_text.array_of(map(text, tree))
    return tree


class _Room:
    """Counts the bytes of the nulls that an update adds."""

    def __init__(self) -> None:
        self.used = 0

    def take(self, nulls: int) -> None:
        if nulls > MAX_PADDING:
            raise _unfit()
        self.used += nulls * NULL_BYTES
        if self.used > MAX_NULL_BYTES:
            raise SessionError("too-large", size=self.used, limit=MAX_NULL_BYTES)


def _unfit() -> SessionError:
    return SessionError(
        "invalid-argument", "metadata: a path leads through a value that cannot hold it"
    )


def _by_segment(changes: Iterable[tuple[str, str | None]]) -> Changes:
    """Arrange changes by segments, so that each container on a path is copied once."""
    root: Changes = {}
    for path, change in changes:
        *parents, last = path.split(".")
        here = root
        for segment in parents:
            below = here.setdefault(segment, {})
            if not isinstance(below, dict):
                raise _unfit()
            here = below
        here[last] = change
    return root


def _set(tree: Tree, changes: str | Changes | None, room: _Room) -> Tree:
    if not isinstance(changes, dict):
        return "null" if changes is None else changes
    opened = _opened(tree)
    if isinstance(opened, dict):
        for key, change in changes.items():
            opened[key] = _set(opened.get(key, "{}"), change, room)
        return opened
    if isinstance(opened, list):
        for at, change in _positions(changes):
            missing = at - len(opened)
            if missing >= 0:
                room.take(missing)
                opened.extend(["null"] * missing)
                opened.append("{}")
            opened[at] = _set(opened[at], change, room)
        return opened
    raise _unfit()


def _unset(tree: Tree, changes: Changes) -> Tree:
    opened = _opened(tree)
    if isinstance(opened, dict):
        for key, change in changes.items():
            if key in opened:
                if isinstance(change, dict):
                    opened[key] = _unset(opened[key], change)
                else:
                    del opened[key]
        return opened
    if isinstance(opened, list):
        for segment, change in changes.items():
            at = _position(segment)
            if at is not None and at < len(opened):
                opened[at] = _unset(opened[at], change) if isinstance(change, dict) else "null"
        return opened
    return tree


def _opened(tree: Tree) -> Tree:
    """Return a copy of an object or array with its parts apart; a scalar as it is."""
    if not isinstance(tree, str):
        return tree.copy()
    if tree.startswith("{"):
        parts = dict(json_text.members(tree))
        return tree if _is_bytes(parts) else dict(parts)
    if tree.startswith("["):
        return list(json_text.items(tree))
    return tree


def _is_bytes(parts: Mapping[str, str]) -> bool:
    """Tell whether an object is the marker for bytes (`wit/types.wit`), which has no fields to set."""
    if len(parts) != 2 or parts.get("__bytes_encoded__") != "true":
        return False
    try:
        data = json_text.string(parts.get("data", ""))
        return base64.b64encode(base64.b64decode(data, validate=True)).decode("ascii") == data
    except ValueError:
        return False


def _positions(changes: Changes) -> list[tuple[int, str | Changes | None]]:
    """Return the changes of an array's items, in the order of the items."""
    found = []
    for segment, change in changes.items():
        at = _position(segment)
        if at is None:
            raise _unfit()
        found.append((at, change))
    return sorted(found, key=lambda position: position[0])


def _position(segment: str) -> int | None:
    """Return the array position that a segment names: digits up to 32 bits after leading zeros."""
    digits = segment.lstrip("0") or segment[-1:]
    if not (segment.isascii() and segment.isdigit() and len(digits) <= 10):
        return None
    at = int(digits)
    return at if at < 2**32 else None
