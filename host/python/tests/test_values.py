"""Values go in and come out literally."""

from __future__ import annotations

import enum
import types
from collections import OrderedDict
from collections.abc import ItemsView, Iterator, Mapping
from datetime import datetime, timezone
from typing import Any

import pytest
from bson.datetime_ms import DatetimeMS
from conftest import Place
from pymongo import MongoClient
from session_repository import InvalidArgumentError, Repository


class Colour(str, enum.Enum):
    RED = "red"


VALUES: list[Any] = [
    None,
    True,
    False,
    0,
    -(2**63),
    2**63 - 1,
    1.0,
    -0.0,
    0.1,
    1e22,
    5e-324,
    1.7976931348623157e308,
    "",
    'é \U0001f600 \x01 " \\ \x00',
    "$set",
    [],
    {},
    [1, 1.0, [True]],
    {"$oid": "x", "a.b": {"$gt": 1}},
    {"__bytes_encoded__": True, "data": "AAECAw=="},
]


def test_values_are_kept(place: Place) -> None:
    with place.open() as repository:
        repository.sessions.create("s")
        repository.agents.create("s", "a", {})
        repository.messages.append("s", "a", {"values": VALUES})
        (message,) = repository.messages.list("s", "a")
        # `repr` tells 1 from 1.0 and from True.
        assert repr(message.body) == repr({"values": VALUES})
        assert list(repository.messages.list("s", "a")[0].body) == ["values"]


def test_times_are_those_that_are_stored(mongodb: Place) -> None:
    with MongoClient[dict[str, Any]](mongodb.url, tz_aware=True) as client, mongodb.open() as repository:
        documents = client[mongodb.options["database"]][mongodb.options["collection"]]
        created = repository.sessions.create("s")
        stored = documents.find_one({"_id": "s"})
        assert stored is not None
        assert (created.created_at, created.updated_at) == (stored["created_at"], stored["updated_at"])
        # Years that `datetime` cannot hold.
        documents.update_one(
            {"_id": "s"}, {"$set": {"created_at": DatetimeMS(-(2**62)), "updated_at": DatetimeMS(2**62)}}
        )
        session = repository.sessions.read("s")
        assert session is not None
        assert session.created_at == datetime.min.replace(tzinfo=timezone.utc)
        assert session.updated_at == datetime.max.replace(tzinfo=timezone.utc)


def test_kinds_of_objects_and_arrays_are_kept() -> None:
    body = types.MappingProxyType({"tuple": (1, 2), "ordered": OrderedDict(a=1), "enum": Colour.RED})
    with Repository.open("memory:") as repository:
        repository.sessions.create("s")
        repository.feedback.add("s", body)
        (entry,) = repository.feedback.list("s")
        assert entry.body == {"tuple": [1, 2], "ordered": {"a": 1}, "enum": "red"}


def nested(levels: int) -> Any:
    value: Any = []
    for _ in range(levels - 1):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"a": [0, 2**63]}, r"feedback\.a\[1\]"),
        ({"a": -(2**63) - 1}, r"feedback\.a"),
        ({"a": float("inf")}, r"feedback\.a"),
        ({"a": {"b": float("nan")}}, r"feedback\.a\.b"),
        ({"a": "\ud800"}, r"feedback\.a"),
        ({"\ud800": 1}, r"feedback"),
        ({"a\x00": 1}, r"feedback"),
        ({"a": nested(90)}, r"feedback"),
        ({"a": nested(200)}, r"feedback"),
    ],
)
def test_values_that_cannot_be_kept_are_refused_with_their_place(value: Any, place: str) -> None:
    with Repository.open("memory:") as repository:
        repository.sessions.create("s")
        with pytest.raises(InvalidArgumentError, match=place):
            repository.feedback.add("s", value)
        assert repository.feedback.list("s") == []


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"a": b"x"}, r"feedback\.a: bytes"),
        ({"a": [datetime.min]}, r"feedback\.a\[0\]: datetime"),
        ({"a": {1, 2}}, r"feedback\.a: set"),
        ({1: "a"}, r"feedback: a key must be a str, not int"),
        ({"a": {None: 1}}, r"feedback\.a: a key must be a str, not NoneType"),
    ],
)
def test_values_that_json_lacks_are_type_errors(value: Any, place: str) -> None:
    with Repository.open("memory:") as repository:
        repository.sessions.create("s")
        with pytest.raises(TypeError, match=place):
            repository.feedback.add("s", value)


class Intruder(Mapping[str, Any]):
    """A mapping whose items add a member to another one."""

    def __init__(self, other: dict[str, Any]) -> None:
        self._other = other

    def __getitem__(self, key: str) -> Any:
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0

    def items(self) -> ItemsView[str, Any]:
        self._other["added"] = 1
        return super().items()


def test_an_object_that_changes_meanwhile_is_taken_as_it_was() -> None:
    body: dict[str, Any] = {}
    body |= {"intruder": Intruder(body), "last": 1}
    with Repository.open("memory:") as repository:
        repository.sessions.create("s")
        repository.feedback.add("s", body)
        (entry,) = repository.feedback.list("s")
    assert entry.body == {"intruder": {}, "last": 1} and "added" in body


def test_a_value_that_holds_itself_is_refused() -> None:
    value: dict[str, Any] = {}
    value["a"] = value
    with Repository.open("memory:") as repository:
        repository.sessions.create("s")
        with pytest.raises(InvalidArgumentError, match="too deep"):
            repository.feedback.add("s", value)


@pytest.mark.parametrize("body", ["{}", [], None, 1])
def test_a_body_is_an_object(body: Any) -> None:
    with Repository.open("memory:") as repository:
        repository.sessions.create("s")
        with pytest.raises(InvalidArgumentError):
            repository.feedback.add("s", body)


def test_arguments_are_checked() -> None:
    calls: Any
    with Repository.open("memory:") as calls:
        with pytest.raises(TypeError, match="must be a str, not int"):
            calls.sessions.read(1)
        with pytest.raises(TypeError, match="must be an int, not bool"):
            calls.messages.read("s", "a", True)
        with pytest.raises(TypeError, match="messages: must be a list, not int"):
            calls.messages.append_many("s", "a", 1)
        with pytest.raises(TypeError, match="metadata_fields: .* not str"):
            Repository.open("memory:", metadata_fields="priority")
        with pytest.raises(InvalidArgumentError, match="message_id: .*64 bits"):
            calls.messages.read("s", "a", 2**63)
        with pytest.raises(InvalidArgumentError, match="offset: .*64 bits"):
            calls.messages.list("s", "a", 1, -(2**63) - 1)
        with pytest.raises(InvalidArgumentError, match="limit"):
            calls.messages.list("s", "a", -1)
        with pytest.raises(InvalidArgumentError, match="expected_revision: .*64-1"):
            calls.sessions.create("s", expected_revision=-1)
        with pytest.raises(InvalidArgumentError, match="session_id: .*surrogate"):
            calls.sessions.read("\ud800")
        with pytest.raises(InvalidArgumentError, match="keys: .*surrogate"):
            calls.metadata.delete("s", ["\ud800"])
        with pytest.raises(InvalidArgumentError, match="collection: .*surrogate"):
            Repository.open("memory:", collection="\ud800")
        with pytest.raises(InvalidArgumentError, match="session_id"):
            calls.sessions.read("")
