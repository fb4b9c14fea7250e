"""Measure each call beside `MongoDBSessionRepository`, on one MongoDB server: reference.py [ROUNDS].

Both classes run the same calls in turns, on sessions of their own, so that a busy machine slows both. The table has medians. The reference
is the package `mongodb-session-manager`; `MONGODB_URI` names the server. Measure with a wheel that maturin built with `--release`.
"""

from __future__ import annotations

import gc
import logging
import os
import platform
import statistics
import sys
import time
import uuid
from collections.abc import Callable
from typing import Any

from mongodb_session_manager.mongodb_session_repository import MongoDBSessionRepository
from pymongo import MongoClient
from session_repository.strands import StrandsSessionRepository
from strands.types.session import Session, SessionAgent, SessionMessage, SessionType

HISTORY = 200
"""Messages of the session that is read."""

TEXT = "The quick brown fox jumps over the lazy dog. " * 10
"""The text of a message."""


def message(message_id: int) -> SessionMessage:
    return SessionMessage({"role": "user", "content": [{"text": TEXT}]}, message_id)


class Bench:
    """The calls on one of the classes."""

    def __init__(self, repository: Any) -> None:
        self.repository = repository
        self.session_id = uuid.uuid4().hex
        self.agent = SessionAgent("a", {"n": 1}, {"removed_message_count": 0})
        self.count = HISTORY
        repository.create_session(Session(self.session_id, SessionType.AGENT))
        repository.create_agent(self.session_id, self.agent)
        for message_id in range(HISTORY):
            repository.create_message(self.session_id, "a", message(message_id))
        repository.update_metadata(self.session_id, {"priority": "high", "customer": {"tier": "gold"}})
        repository.add_feedback(self.session_id, {"rating": "up"})

    def calls(self) -> dict[str, Callable[[], Any]]:
        repository, session_id = self.repository, self.session_id
        return {
            "create_session": lambda: repository.create_session(Session(uuid.uuid4().hex, SessionType.AGENT)),
            "read_session": lambda: repository.read_session(session_id),
            "create_agent": lambda: repository.create_agent(session_id, SessionAgent(uuid.uuid4().hex, {}, {})),
            "read_agent": lambda: repository.read_agent(session_id, "a"),
            "update_agent": lambda: repository.update_agent(session_id, self.agent),
            "create_message": self.create_message,
            "read_message": lambda: repository.read_message(session_id, "a", HISTORY // 2),
            "update_message": lambda: repository.update_message(session_id, "a", message(HISTORY // 2)),
            "list_messages, all": lambda: repository.list_messages(session_id, "a"),
            "list_messages, 10": lambda: repository.list_messages(session_id, "a", 10, HISTORY - 10),
            "update_metadata": lambda: repository.update_metadata(session_id, {"priority": "low"}),
            "get_metadata": lambda: repository.get_metadata(session_id),
            "delete_metadata": lambda: repository.delete_metadata(session_id, ["absent"]),
            "add_feedback": lambda: repository.add_feedback(session_id, {"rating": "up", "comment": "Great."}),
            "get_feedbacks": lambda: repository.get_feedbacks(session_id),
        }

    def create_message(self) -> None:
        self.repository.create_message(self.session_id, "a", message(self.count))
        self.count += 1


def main() -> None:
    logging.disable(logging.CRITICAL)
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    uri, database = os.environ["MONGODB_URI"], f"bench-{uuid.uuid4().hex}"
    here = StrandsSessionRepository.from_mongodb(uri, database, "here")
    # The same acknowledgment for both.
    there = MongoDBSessionRepository(uri, database, "there", w="majority")
    try:
        table(Bench(there).calls(), Bench(here).calls(), rounds)
    finally:
        here.close()
        there.close()
        with MongoClient[dict[str, Any]](uri) as client:
            client.drop_database(database)


def table(there: dict[str, Callable[[], Any]], here: dict[str, Callable[[], Any]], rounds: int) -> None:
    print(f"Medians of {rounds} rounds in ms; {HISTORY} messages; CPython {platform.python_version()}.\n")
    print("| call | reference | here | reference / here |")
    print("|---|---|---|---|")
    gc.disable()
    for name in there:
        times = [measured(there[name], here[name], number % 2 == 1) for number in range(rounds + 6)][6:]
        before, after = (statistics.median(column) * 1000 for column in zip(*times, strict=True))
        print(f"| `{name}` | {before:.2f} | {after:.2f} | {before / after:.1f} |")


def measured(there: Callable[[], Any], here: Callable[[], Any], is_swapped: bool) -> tuple[float, float]:
    """Time both calls, in seconds. The one that comes first changes from round to round."""
    if is_swapped:
        here_took, there_took = took(here), took(there)
    else:
        there_took, here_took = took(there), took(here)
    return there_took, here_took


def took(call: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
