"""JSON text, cut into parts that stay as they are written.

A Python float would turn `1e22` into `1e+22`. Text keeps every number. All functions raise
`ValueError` for text that is not JSON.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

T = TypeVar("T")

_SPACE = re.compile(r"[ \t\n\r]*")


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


# Numbers are not converted: only their text is used, and Python limits the digits of an `int`.
_DECODER = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=_refuse)


def members(text: str) -> list[tuple[str, str]]:
    """Cut an object into its members: the decoded key, and the text of the value."""
    return _cut(text, "{}", _member)


def items(text: str) -> list[str]:
    """Cut an array into the texts of its items."""
    return _cut(text, "[]", _value)


def string(text: str) -> str:
    """Decode a string."""
    if not text.startswith('"'):
        raise ValueError("must be a string")
    return json.loads(text)


def quoted(value: str) -> str:
    """Encode a string."""
    return json.dumps(value, ensure_ascii=False)


def object_of(parts: Mapping[str, str] | Iterable[tuple[str, str]]) -> str:
    """Join keys and the texts of their values to an object."""
    pairs = parts.items() if isinstance(parts, Mapping) else parts
    return "{" + ",".join(f"{quoted(key)}:{value}" for key, value in pairs) + "}"


def array_of(parts: Iterable[str]) -> str:
    """Join the texts of items to an array."""
    return "[" + ",".join(parts) + "]"


def _cut(text: str, brackets: str, part: Callable[[str, int], tuple[T, int]]) -> list[T]:
    parts: list[T] = []
    at = _skip(text, 0)
    if text[at : at + 1] != brackets[0]:
        raise ValueError("must be an object" if brackets == "{}" else "must be an array")
    at = _skip(text, at + 1)
    mark = ","
    if text[at : at + 1] == brackets[1]:
        mark, at = brackets[1], _skip(text, at + 1)
    while mark == ",":
        found, at = part(text, at)
        parts.append(found)
        at = _skip(text, at)
        mark, at = text[at : at + 1], _skip(text, at + 1)
    if mark != brackets[1] or at < len(text):
        raise ValueError(f"expected `,` or `{brackets[1]}`")
    return parts


def _member(text: str, at: int) -> tuple[tuple[str, str], int]:
    key, at = _value(text, at)
    name = string(key)
    at = _skip(text, at)
    if text[at : at + 1] != ":":
        raise ValueError("expected `:`")
    value, at = _value(text, _skip(text, at + 1))
    return (name, value), at


def _value(text: str, at: int) -> tuple[str, int]:
    try:
        _, end = _DECODER.raw_decode(text, at)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return text[at:end], end


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at
