"""Opening, closing, signals, forks, and the end of the interpreter."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import PATIENCE, Place
from proxy import Proxy
from session_repository import AsyncRepository, NoAnswerError, Repository, UnavailableError


def python(script: str, *arguments: str) -> tuple[int, str, str]:
    """Run a script: its status, and its output on stdout and on stderr."""
    command = [sys.executable, "-c", script, *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    return ran.returncode, ran.stdout, ran.stderr


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
import atexit

def look():
    try:
        left_open.sessions.read("s")
    except UnavailableError as error:
        print(error)

# The first registered function runs last.
atexit.register(look)

import asyncio, sys
from session_repository import AsyncRepository, Repository, UnavailableError

left_open = Repository.open(sys.argv[1])
left_open.sessions.create("s")

async def main():
    global also_left_open
    also_left_open = await AsyncRepository.open("memory:")
    asyncio.create_task(also_left_open.sessions.create("t"))

asyncio.run(main())
"""
    path = tmp_path / "sessions.store"
    assert python(script, f"file:{path}") == (0, "the repository is closed\n", "")
    with Repository.open(path, read_only=True) as repository:
        assert repository.sessions.read("s") is not None


def test_an_asynchronous_call_is_refused_when_the_interpreter_has_nearly_ended() -> None:
    script = """
import atexit

async def close():
    await left_open.close()

def look():
    try:
        asyncio.run(close())
    except RuntimeError as error:
        print(error)

# The first registered function runs last.
atexit.register(look)

import asyncio
from session_repository import AsyncRepository

left_open = asyncio.run(AsyncRepository.open("memory:"))
"""
    status, printed, complaints = python(script)
    assert (status, complaints) == (0, "") and printed.startswith("the interpreter is ending"), printed


def test_the_end_closes_the_others_if_one_cannot_be_closed(tmp_path: Path) -> None:
    script = """
import sys
from session_repository import Repository, _lifetime

class Failing:
    def close(self, loop, seconds):
        raise ValueError("cannot be closed")

# First in the order of closing, whichever that is.
failing = [Failing(), Failing()]
_lifetime.opened(failing[0])
left_open = Repository.open(sys.argv[1])
_lifetime.opened(failing[1])
left_open.sessions.create("s")
"""
    path = tmp_path / "sessions.store"
    assert python(script, f"file:{path}") == (0, "", "")
    with Repository.open(path, read_only=True) as repository:
        assert repository.sessions.read("s") is not None


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Ctrl-C raises, even if the tests run in the background of a shell, which has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_ends_the_waiting_of_a_call(mongodb: Place) -> None:
    main = threading.main_thread().ident
    with Proxy(mongodb) as proxy, proxy.place.open() as repository:
        repository.sessions.create("s")
        proxy.hold(b"held-back-value")

        def interrupt() -> None:
            assert proxy.held.wait(PATIENCE)
            signal.pthread_kill(main or 0, signal.SIGINT)

        interrupter = threading.Thread(target=interrupt)
        interrupter.start()
        with pytest.raises(KeyboardInterrupt):
            repository.metadata.update("s", {"key": "held-back-value"})
        interrupter.join(PATIENCE)
        proxy.release()
    # The write goes on.
    with mongodb.open() as after:
        assert after.metadata.get("s") == {"key": "held-back-value"}


def test_a_call_that_gets_no_answer_ends_at_its_deadline(mongodb: Place) -> None:
    with mongodb.open() as repository:
        repository.sessions.create("s")
    with Proxy(mongodb) as proxy, proxy.place.open(call_deadline=0.5) as repository:
        proxy.hold(b"held-back-value")
        with pytest.raises(NoAnswerError) as raised:
            repository.metadata.update("s", {"key": "held-back-value"})
        assert isinstance(raised.value, TimeoutError) and raised.value.is_retryable
        proxy.release()


FORK = """
import os, sys, warnings
from session_repository import Repository

warnings.simplefilter("ignore", DeprecationWarning)
file, mongodb, database = sys.argv[1:]
parents = Repository.open(file), Repository.open(mongodb, database=database, collection="sessions")
for repository in parents:
    repository.sessions.create("parent")
child = os.fork()
if child == 0:
    for repository in parents:
        for call in (lambda: repository.sessions.read("parent"), repository.close):
            try:
                call()
            except RuntimeError as error:
                assert "os.fork()" in str(error), error
            else:
                sys.exit("a call in the child of a fork went on")
    # The parent's repositories go without a trace.
    del parents, repository
    with Repository.open(mongodb, database=database, collection="sessions") as own:
        assert own.sessions.read("parent") is not None
        own.sessions.create("child")
    sys.exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert parents[1].sessions.read("child") is not None
for repository in parents:
    repository.sessions.create("after")
    repository.close()
with Repository.open(file) as again:
    assert again.sessions.read("parent") and again.sessions.read("after")
"""


def test_a_child_of_a_fork_is_told_to_open_a_repository_of_its_own(tmp_path: Path, mongodb: Place) -> None:
    arguments = [f"file:{tmp_path / 'sessions.store'}", mongodb.url, mongodb.options["database"]]
    assert python(FORK, *arguments) == (0, "", "")


TICKER = """
import os, sys, warnings
from contextlib import suppress
from pathlib import Path
from session_repository import Repository

warnings.simplefilter("ignore", DeprecationWarning)

def ticks():
    for thread in Path("/proc/self/task").glob("*/comm"):
        with suppress(OSError):  # It has ended meanwhile.
            if thread.read_text().strip() == "session-epoch":
                return True
    return False

def use(repository):
    repository.sessions.create("s")
    # A thread takes its name once it runs. Whoever runs this ends it if there is none.
    while not ticks():
        repository.sessions.read("s")

parents = Repository.open("memory:")
use(parents)
child = os.fork()
if child == 0:
    assert not ticks()
    with Repository.open("memory:") as own:
        use(own)
    sys.exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
parents.close()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="names of threads are read from /proc")
def test_a_child_of_a_fork_can_interrupt_the_component() -> None:
    assert python(TICKER) == (0, "", "")


def test_an_asynchronous_call_needs_an_event_loop() -> None:
    call = AsyncRepository.open("memory:")
    with pytest.raises(RuntimeError, match="event loop"):
        call.send(None)
