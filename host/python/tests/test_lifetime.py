"""Opening, closing, signals, forks, and the end of the interpreter."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from conftest import Place
from session_repository import AsyncRepository, NoAnswerError, Repository, UnavailableError


def test_a_path_names_a_file(tmp_path: Path) -> None:
    path = tmp_path / "sessions.store"
    with Repository.open(path) as repository:
        repository.sessions.create("s")
    with Repository.open(f"file:{path}") as repository:
        assert repository.sessions.read("s") is not None


def test_a_closed_repository_is_unavailable(place: Place) -> None:
    with place.open() as repository:
        repository.sessions.create("s")
    with pytest.raises(UnavailableError, match="closed"):
        repository.sessions.read("s")
    with pytest.raises(UnavailableError, match="closed"):
        repository.archive.status("s")
    repository.close()


def test_a_closed_asynchronous_repository_is_unavailable(place: Place) -> None:
    async def main() -> None:
        async with await place.open_async() as repository:
            await repository.sessions.create("s")
        with pytest.raises(UnavailableError, match="closed"):
            await repository.sessions.read("s")
        await repository.close()

    asyncio.run(main())


def test_a_file_that_is_open_is_unavailable(file: Place) -> None:
    with file.open(), pytest.raises(UnavailableError):
        file.open()


def test_what_is_open_when_the_interpreter_ends_is_closed(tmp_path: Path) -> None:
    script = """
import asyncio, sys
from session_repository import AsyncRepository, Repository
left_open = Repository.open(sys.argv[1])
left_open.sessions.create("s")

async def main():
    global also_left_open
    also_left_open = await AsyncRepository.open("memory:")
    asyncio.create_task(also_left_open.sessions.create("t"))

asyncio.run(main())
"""
    path = tmp_path / "sessions.store"
    ran = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    with Repository.open(path, read_only=True) as repository:
        assert repository.sessions.read("s") is not None


def test_an_interrupt_ends_the_waiting_of_a_call() -> None:
    main = threading.main_thread().ident
    with socket.create_server(("127.0.0.1", 0)) as silent:

        def interrupt() -> None:
            # Somebody waits for an answer by now.
            silent.accept()
            signal.pthread_kill(main or 0, signal.SIGINT)

        threading.Thread(target=interrupt, daemon=True).start()
        with pytest.raises(KeyboardInterrupt):
            Repository.open(f"mongodb://127.0.0.1:{silent.getsockname()[1]}/").sessions.read("s")


def test_the_deadline_of_a_call_is_a_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with (
            Repository.open(f"mongodb://127.0.0.1:{port}/?serverSelectionTimeoutMS=200", call_deadline=0.05) as repository,
            pytest.raises(NoAnswerError) as raised,
        ):
            repository.sessions.read("s")
        assert isinstance(raised.value, TimeoutError) and raised.value.is_retryable


FORK = """
import os, sys, warnings
from session_repository import Repository

warnings.simplefilter("ignore", DeprecationWarning)
path = sys.argv[1]
repository = Repository.open(path)
repository.sessions.create("parent")
child = os.fork()
if child == 0:
    for call in (lambda: repository.sessions.read("parent"), repository.close):
        try:
            call()
        except RuntimeError as error:
            assert "os.fork()" in str(error), error
        else:
            sys.exit("a call in the child of a fork went on")
    # The parent's repository goes without a trace.
    del repository
    with Repository.open("memory:") as own:
        own.sessions.create("child")
        assert own.sessions.read("child") is not None
    sys.exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
repository.sessions.create("after")
repository.close()
with Repository.open(path) as again:
    assert again.sessions.read("parent") and again.sessions.read("after")
"""


def test_a_child_of_a_fork_is_told_to_open_a_repository_of_its_own(tmp_path: Path) -> None:
    ran = subprocess.run([sys.executable, "-c", FORK, tmp_path / "sessions.store"], capture_output=True, text=True)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


def test_a_child_of_a_fork_opens_the_same_database(mongodb: Place) -> None:
    script = """
import os, sys, warnings
from session_repository import Repository

warnings.simplefilter("ignore", DeprecationWarning)
options = {"database": sys.argv[2], "collection": "sessions"}
repository = Repository.open(sys.argv[1], **options)
repository.sessions.create("parent")
child = os.fork()
if child == 0:
    with Repository.open(sys.argv[1], **options) as own:
        assert own.sessions.read("parent") is not None
        own.sessions.create("child")
    sys.exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert repository.sessions.read("child") is not None
"""
    command = [sys.executable, "-c", script, mongodb.url, mongodb.options["database"]]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


def test_an_asynchronous_call_needs_an_event_loop() -> None:
    call = AsyncRepository.open("memory:")
    with pytest.raises(RuntimeError, match="event loop"):
        call.send(None)
