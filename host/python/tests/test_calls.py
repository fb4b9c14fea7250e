"""Every call, in both APIs and on each store."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import pytest
import session_repository
from conftest import Place
from proxy import Proxy
from scenario import ARCHIVE_STEPS, STEPS, Step, method
from session_repository import (
    AccessDeniedError,
    AsyncRepository,
    InvalidArgumentError,
    Repository,
)


def run(repository: Repository, steps: list[Step]) -> None:
    for name, arguments, options, is_right in steps:
        answer = method(repository, name)(*arguments, **options)
        assert is_right(answer), (name, arguments, answer)


async def run_async(repository: AsyncRepository, steps: list[Step]) -> None:
    for name, arguments, options, is_right in steps:
        answer = await method(repository, name)(*arguments, **options)
        assert is_right(answer), (name, arguments, answer)


def test_calls_answer(place: Place) -> None:
    with place.open() as repository:
        run(repository, STEPS)


def test_asynchronous_calls_answer(place: Place) -> None:
    async def main() -> None:
        async with await place.open_async() as repository:
            await run_async(repository, STEPS)

    asyncio.run(main())


def test_calls_on_the_archive_answer(mongodb: Place) -> None:
    async def main() -> None:
        async with await mongodb.open_async() as repository:
            await run_async(repository, ARCHIVE_STEPS)

    with mongodb.open() as repository:
        run(repository, STEPS + ARCHIVE_STEPS)
    asyncio.run(main())


def test_old_messages_move_to_the_archive_and_back(mongodb: Place) -> None:
    with mongodb.open(archive_after=1024) as repository:
        repository.sessions.create("s")
        repository.agents.create("s", "a", {})
        repository.messages.append_many("s", "a", [{"text": "x" * 100}] * 100)
        repository.archive.run("s")
        (agent,) = repository.archive.status("s") or []
        assert agent.archived_messages > 0 and agent.archived_messages + agent.messages == 100
        assert len(repository.messages.list("s", "a")) == 100
        undone = repository.archive.undo("s")
        assert undone is not None and undone.folded == agent.archived_messages


def test_other_stores_have_no_archive() -> None:
    with Repository.open("memory:") as repository, pytest.raises(InvalidArgumentError, match="archive"):
        repository.archive.status("s")


def test_all_calls_release_the_gil(mongodb: Place) -> None:
    """Each byte between the calls and the server passes through threads of this interpreter."""
    with Proxy(mongodb) as proxy, proxy.place.open() as repository:
        run(repository, STEPS + ARCHIVE_STEPS)


def test_the_steps_cover_all_calls() -> None:
    covered = {name for name, *_ in STEPS + ARCHIVE_STEPS}
    with Repository.open("memory:") as repository:
        offered = {
            f"{interface}.{function}"
            for interface, calls in vars(repository).items()
            if not interface.startswith("_")
            for function in dir(calls)
            if not function.startswith("_")
        }
    assert covered == offered


def test_both_apis_have_the_same_calls_and_docs() -> None:
    compared = 0
    for name in ("Repository", "Sessions", "Agents", "Messages", "Metadata", "Feedbacks", "Archive"):
        sync, asynchronous = (getattr(session_repository, prefix + name) for prefix in ("", "Async"))
        public = [function for function in vars(sync) if not function.startswith("_")]
        assert public == [function for function in vars(asynchronous) if not function.startswith("_")]
        for function in public:
            here, there = getattr(sync, function), getattr(asynchronous, function)
            assert str(inspect.signature(here)).replace("'Repository'", "'AsyncRepository'") == str(
                inspect.signature(there)
            )
            assert inspect.getdoc(here) == inspect.getdoc(there)
            assert inspect.iscoroutinefunction(there) and not inspect.iscoroutinefunction(here)
            compared += 1
    assert compared == 21


def test_a_repository_for_reading_refuses_writes(lasting: Place) -> None:
    with lasting.open() as repository:
        repository.sessions.create("s")
    with lasting.open(read_only=True) as repository:
        assert repository.sessions.read("s") is not None
        with pytest.raises(AccessDeniedError):
            repository.sessions.create("t")


def test_collections_are_apart(place: Place) -> None:
    options: dict[str, Any] = {"collection": "another"}
    with place.open() as repository, Repository.open("memory:", collection="x") as memory:
        repository.sessions.create("s")
        assert memory.sessions.read("s") is None
    if place.url != "memory:":
        with place.open(**options) as repository:
            assert repository.sessions.read("s") is None


@pytest.mark.parametrize(
    ("place", "options"),
    [
        ("http://127.0.0.1", {}),
        ("memory:", {"archive_after": 1}),
        ("memory:", {"collection": "$x"}),
        ("memory:", {"call_deadline": 0.0}),
        ("memory:", {"call_deadline": float("nan")}),
        ("memory:", {"metadata_fields": ["a..b"]}),
    ],
)
def test_wrong_options_are_refused(place: str, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError):
        Repository.open(place, **options)
