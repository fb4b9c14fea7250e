"""Exceptions: one class for each error code of the repository."""

from __future__ import annotations

from typing import Any, ClassVar


class SessionRepositoryError(Exception):
    """A call failed. Each code has a subclass.

    Messages are short and hold no credentials.
    """

    code: ClassVar[str] = "internal"
    """The name of the error, as in the WIT package and the `exec` protocol."""

    is_retryable: ClassVar[bool] = False
    """Whether the same call can succeed later without anybody changing anything."""

    def __init__(
        self,
        message: str,
        *,
        entity: str | None = None,
        current: int | None = None,
        size: int | None = None,
        limit: int | None = None,
        retry_after_ms: int | None = None,
    ) -> None:
        super().__init__(message)
        self.entity = entity
        """The subject of a `not-found` or an `already-exists`: `session`, `agent` or `message`."""
        self.current = current
        """The revision that a `stale` session is at."""
        self.size = size
        """The size that was `too-large`, in bytes."""
        self.limit = limit
        """The largest size that is accepted, in bytes."""
        self.retry_after_ms = retry_after_ms
        """When a call can succeed that is `quota-exceeded`, in milliseconds from now."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Keyword arguments are not among those that exceptions are pickled with.
        return (of_code, (self.code, str(self)), self.__dict__)


class NotFoundError(SessionRepositoryError, ValueError):
    """The named session, agent or message does not exist. `entity` says which."""

    code = "not-found"


class AlreadyExistsError(SessionRepositoryError):
    """The named thing exists already; of a message or an idempotency key: with other content. `entity` says which."""

    code = "already-exists"


class StaleError(SessionRepositoryError):
    """The session is not at the expected revision, but at `current`. Nothing was written."""

    code = "stale"


class InvalidArgumentError(SessionRepositoryError, ValueError):
    """An argument breaks a rule. The message names the argument, the place in it and the rule."""

    code = "invalid-argument"


class TooLargeError(SessionRepositoryError):
    """Something has `size` bytes, and `limit` bytes are allowed."""

    code = "too-large"


class AccessDeniedError(SessionRepositoryError):
    """The caller may not do this, for example write to a repository that is open for reading."""

    code = "access-denied"


class NoAnswerError(SessionRepositoryError, TimeoutError):
    """No answer came in time. A write may or may not have happened."""

    code = "timeout"
    is_retryable = True


class UnavailableError(SessionRepositoryError, ConnectionError):
    """The store cannot be reached right now, or the repository is closed. A write may or may not have happened."""

    code = "unavailable"
    is_retryable = True


class CorruptError(SessionRepositoryError):
    """Stored data does not fit the schema."""

    code = "corrupt"


class InternalError(SessionRepositoryError):
    """A defect in the repository. A write may or may not have happened."""

    code = "internal"


class QuotaExceededError(SessionRepositoryError):
    """The quota is used up. `retry_after_ms` says when there is more."""

    code = "quota-exceeded"
    is_retryable = True


class UnsupportedError(SessionRepositoryError):
    """The store does not do this at all."""

    code = "unsupported"


_CLASSES: dict[str, type[SessionRepositoryError]] = {
    cls.code: cls
    for cls in (
        NotFoundError,
        AlreadyExistsError,
        StaleError,
        InvalidArgumentError,
        TooLargeError,
        AccessDeniedError,
        NoAnswerError,
        UnavailableError,
        CorruptError,
        InternalError,
        QuotaExceededError,
        UnsupportedError,
    )
}


def of_code(code: str, message: str, **details: Any) -> SessionRepositoryError:
    """Return the exception for a code. One without a class of its own is a plain `SessionRepositoryError`."""
    error = _CLASSES.get(code, SessionRepositoryError)(message, **details)
    if type(error) is SessionRepositoryError:
        vars(error)["code"] = code
    return error
