"""Exceptions of calls."""

from __future__ import annotations

import pickle

import pytest
import session_repository
from conftest import Place
from session_repository import (
    AlreadyExistsError,
    InvalidArgumentError,
    NotFoundError,
    SessionRepositoryError,
    StaleError,
    TooLargeError,
)

CODES = {
    "not-found",
    "already-exists",
    "stale",
    "invalid-argument",
    "too-large",
    "access-denied",
    "timeout",
    "unavailable",
    "corrupt",
    "internal",
    "quota-exceeded",
    "unsupported",
}
"""The cases of `error` in the WIT package."""


def test_each_code_has_a_class() -> None:
    classes = [getattr(session_repository, name) for name in session_repository.__all__ if name.endswith("Error")]
    assert {cls.code for cls in classes if cls is not SessionRepositoryError} == CODES
    retryable = {cls.code for cls in classes if cls.is_retryable}
    assert retryable == {"timeout", "unavailable", "quota-exceeded"}


def test_errors_carry_their_details(place: Place) -> None:
    with place.open() as repository:
        with pytest.raises(NotFoundError) as not_found:
            repository.agents.create("s", "a", {})
        assert (not_found.value.code, not_found.value.entity) == ("not-found", "session")
        assert isinstance(not_found.value, ValueError)

        repository.sessions.create("s")
        with pytest.raises(AlreadyExistsError) as exists:
            repository.sessions.create("s")
        assert (exists.value.code, exists.value.entity) == ("already-exists", "session")

        with pytest.raises(StaleError) as stale:
            repository.agents.create("s", "a", {}, expected_revision=7)
        assert (stale.value.code, stale.value.current, stale.value.entity) == ("stale", 0, None)

        with pytest.raises(InvalidArgumentError) as invalid:
            repository.sessions.create("")
        assert (invalid.value.code, isinstance(invalid.value, ValueError)) == ("invalid-argument", True)

        with pytest.raises(TooLargeError) as large:
            repository.feedback.add("s", {"text": "x" * 25 * 2**20})
        limit = large.value.limit
        assert limit is not None and large.value.size is not None and large.value.size > limit


def test_errors_can_be_pickled() -> None:
    error = StaleError("the session is at revision 7 by now", current=7)
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), vars(copy)) == (StaleError, str(error), vars(error))
