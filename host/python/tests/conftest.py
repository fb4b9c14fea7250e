"""Stores for tests: memory, a file, and a database of the MongoDB server that `MONGODB_URI` names."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from session_repository import AsyncRepository, Repository

PATIENCE = 60.0
"""How long a test waits for something that comes at once, in seconds."""


@dataclass
class Place:
    """Where a test's sessions are."""

    url: str
    options: dict[str, Any] = field(default_factory=dict)

    def open(self, **options: Any) -> Repository:
        return Repository.open(self.url, **self.options | options)

    async def open_async(self, **options: Any) -> AsyncRepository:
        return await AsyncRepository.open(self.url, **self.options | options)


@pytest.fixture
def mongodb() -> Iterator[Place]:
    """A database of the test's own, dropped after it."""
    uri, database = os.environ["MONGODB_URI"], f"python-{uuid.uuid4().hex}"
    yield Place(uri, {"database": database, "collection": "sessions"})
    with MongoClient[dict[str, Any]](uri) as client:
        client.drop_database(database)


@pytest.fixture
def file(tmp_path: Path) -> Place:
    return Place(f"file:{tmp_path / 'sessions.store'}")


@pytest.fixture(params=["memory", "file", "mongodb"])
def place(request: pytest.FixtureRequest) -> Place:
    """Each store in turn."""
    if request.param == "memory":
        return Place("memory:")
    found: Place = request.getfixturevalue(request.param)
    return found


@pytest.fixture(params=["file", "mongodb"])
def lasting(request: pytest.FixtureRequest) -> Place:
    """Each store that outlives a repository."""
    found: Place = request.getfixturevalue(request.param)
    return found
