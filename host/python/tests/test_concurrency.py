"""Many threads and tasks on one repository."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import PATIENCE, Place
from proxy import Proxy
from session_repository import StaleError

THREADS = 64
TASKS = 256


def test_threads_share_a_repository(place: Place) -> None:
    begin = threading.Barrier(THREADS)
    with place.open() as repository, ThreadPoolExecutor(THREADS) as pool:
        repository.sessions.create("s")
        repository.agents.create("s", "a", {})

        def append(thread: int) -> list[int]:
            begin.wait(PATIENCE)
            return [repository.messages.append("s", "a", {"thread": thread, "n": n}) for n in range(4)]

        ids = list(pool.map(append, range(THREADS)))
        messages = repository.messages.list("s", "a")
    assert sorted(message_id for own in ids for message_id in own) == list(range(THREADS * 4))
    by_id = {message.message_id: message.body for message in messages}
    for thread, own in enumerate(ids):
        assert own == sorted(own)
        assert [by_id[message_id] for message_id in own] == [{"thread": thread, "n": n} for n in range(4)]


def test_one_of_many_writers_at_a_revision_wins(place: Place) -> None:
    begin = threading.Barrier(THREADS)
    with place.open() as repository, ThreadPoolExecutor(THREADS) as pool:
        repository.sessions.create("s")

        def write(thread: int) -> bool:
            begin.wait(PATIENCE)
            try:
                repository.metadata.update("s", {"winner": thread}, expected_revision=0)
            except StaleError as error:
                assert error.current == 1
                return False
            return True

        winners = [thread for thread, won in enumerate(pool.map(write, range(THREADS))) if won]
        assert [repository.metadata.get("s")] == [{"winner": winner} for winner in winners]


def test_tasks_share_a_repository(place: Place) -> None:
    async def main() -> None:
        async with await place.open_async() as repository:
            await repository.sessions.create("s")
            await repository.agents.create("s", "a", {})
            ids = await asyncio.gather(*(repository.messages.append("s", "a", {"n": n}) for n in range(TASKS)))
            messages = await repository.messages.list("s", "a")
            assert sorted(ids) == list(range(TASKS))
            assert [ids[message.body["n"]] for message in messages] == [message.message_id for message in messages]

    asyncio.run(main())


def test_event_loops_share_a_repository(place: Place) -> None:
    async def read(repository_of: list[object]) -> None:
        repository = repository_of[0]
        assert hasattr(repository, "sessions")
        answers = await asyncio.gather(*(repository.sessions.read("s") for _ in range(16)))
        assert all(answer.session_id == "s" for answer in answers)

    async def main() -> None:
        async with await place.open_async() as repository:
            await repository.sessions.create("s")
            loops = (asyncio.to_thread(asyncio.run, read([repository])) for _ in range(8))
            await asyncio.gather(*loops)

    asyncio.run(main())


def test_a_cancelled_task_does_not_stop_its_write(mongodb: Place) -> None:
    async def main() -> None:
        complaints: list[dict[str, object]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, complaint: complaints.append(complaint))
        with Proxy(mongodb) as proxy:
            async with await proxy.place.open_async() as repository:
                await repository.sessions.create("s")
                proxy.hold(b"held-back-value")
                task = asyncio.create_task(repository.metadata.update("s", {"key": "held-back-value"}))
                assert await asyncio.to_thread(proxy.held.wait, PATIENCE)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                proxy.release()
                # Closing waits for the write.
        assert complaints == []
        with mongodb.open() as repository:
            assert repository.metadata.get("s") == {"key": "held-back-value"}

    asyncio.run(main())


def test_an_event_loop_that_is_closed_early_gets_no_answer(mongodb: Place) -> None:
    with Proxy(mongodb) as proxy:
        loop = asyncio.new_event_loop()
        repository = loop.run_until_complete(proxy.place.open_async())
        loop.run_until_complete(repository.sessions.create("s"))
        proxy.hold(b"held-back-value")
        task = loop.create_task(repository.metadata.update("s", {"key": "held-back-value"}))
        assert loop.run_until_complete(asyncio.to_thread(proxy.held.wait, PATIENCE))
        task.cancel()
        loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
        proxy.release()

        async def main() -> None:
            # Behind the write, whose answer nobody takes.
            assert await repository.metadata.get("s") is not None
            await repository.close()

        asyncio.run(main())
    with mongodb.open() as after:
        assert after.metadata.get("s") == {"key": "held-back-value"}
