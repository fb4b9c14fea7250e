"""Measure what calls cost, in microseconds: `python bench.py`."""

import time
from collections.abc import Callable
from pathlib import Path

from repository import Repository
from storage import DictStorage

COMPONENT = Path(__file__).resolve().parents[2] / "session-repository-sync.wasm"
CALLS = 2000
BODY = '{"role": "user", "content": "hello there"}'


def main() -> None:
    start = time.perf_counter()
    repository = Repository(DictStorage(), COMPONENT)
    print(f"compile the component, once per process: {(time.perf_counter() - start) * 1000:.0f} ms")
    start = time.perf_counter()
    repository.read_session("s")
    print(f"first call of a repository: {(time.perf_counter() - start) * 1000:.1f} ms")
    repository.create_session("s")
    repository.create_agent("s", "a", "{}")
    measure("append a message", lambda: repository.append_message("s", "a", BODY))
    measure("read a message", lambda: repository.read_message("s", "a", 20))
    measure("list 20 messages", lambda: repository.list_messages("s", "a", 20, 1000))
    measure("read a session", lambda: repository.read_session("s"))


def measure(name: str, call: Callable[[], object]) -> None:
    """Print the median and the 99th percentile."""
    times = []
    for _ in range(CALLS):
        start = time.perf_counter()
        call()
        times.append((time.perf_counter() - start) * 1e6)
    times.sort()
    print(f"{name}: {times[CALLS // 2]:.0f} µs, 99 % below {times[CALLS * 99 // 100]:.0f} µs")


if __name__ == "__main__":
    main()
