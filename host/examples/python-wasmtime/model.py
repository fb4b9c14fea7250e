"""The records and the error of the WIT package, as the repository and a storage exchange them.

Field names are those of `wit/types.wit` with underscores. Times are milliseconds since 1970, in
UTC. `data` and `body` are the text of a JSON object.
"""

from dataclasses import dataclass

INT64_MAX = 2**63 - 1


@dataclass
class Session:
    """A session without its agents, metadata and feedback."""

    session_id: str
    session_type: str
    created_at: int
    updated_at: int
    revision: int


@dataclass
class Agent:
    """An agent without its messages."""

    agent_id: str
    data: str
    created_at: int
    updated_at: int


@dataclass
class Message:
    """A message of an agent."""

    message_id: int
    body: str
    created_at: int
    updated_at: int


@dataclass
class FeedbackEntry:
    """One entry of a session's feedback."""

    body: str
    created_at: int


@dataclass
class AppendKey:
    """The idempotency key of an append, and a digest of its messages."""

    key: str
    digest: str


@dataclass
class MetadataField:
    """A metadata field to set: a path with dots, and JSON text."""

    path: str
    value: str


class SessionError(Exception):
    """Why a call failed. `code` is the name of a case of `error` in `wit/types.wit`.

    `entity` comes with `not-found` and `already-exists`, `current` with `stale`, `size` and `limit`
    with `too-large`, `retry_after_ms` with `quota-exceeded`. The text is fit for callers. An
    `internal` error may have a `__cause__`, which is for the host alone.
    """

    def __init__(
        self,
        code: str,
        message: str | None = None,
        *,
        entity: str | None = None,
        current: int | None = None,
        size: int | None = None,
        limit: int | None = None,
        retry_after_ms: int | None = None,
    ) -> None:
        self.code = code
        self.entity = entity
        self.current = current
        self.size = size
        self.limit = limit
        self.retry_after_ms = retry_after_ms
        super().__init__(self._default_message() if message is None else message)

    def _default_message(self) -> str:
        match self.code:
            case "not-found":
                return f"the {self.entity} does not exist"
            case "already-exists":
                return f"the {self.entity} exists already"
            case "stale":
                return f"the session is at revision {self.current} by now"
            case "too-large":
                return f"{self.size} bytes are too large, the limit is {self.limit}"
            case "quota-exceeded":
                return f"the quota is used up; there is more in {self.retry_after_ms} ms"
            case "timeout":
                return "no answer came in time"
            case code:
                return code
