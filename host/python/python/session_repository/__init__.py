"""Sessions of AI agents (agents, messages, metadata, feedback), kept in a file, in memory or in MongoDB.

`Repository` is for programs that block, `AsyncRepository` for programs on asyncio. Both have the same calls.
"""

from ._async import (
    AsyncAgents,
    AsyncArchive,
    AsyncFeedbacks,
    AsyncMessages,
    AsyncMetadata,
    AsyncRepository,
    AsyncSessions,
)
from ._errors import (
    AccessDeniedError,
    AlreadyExistsError,
    CorruptError,
    InternalError,
    InvalidArgumentError,
    NoAnswerError,
    NotFoundError,
    QuotaExceededError,
    SessionRepositoryError,
    StaleError,
    TooLargeError,
    UnavailableError,
    UnsupportedError,
)
from ._records import Agent, ArchivedAgent, Feedback, Message, Session, Undone
from ._sync import Agents, Archive, Feedbacks, Messages, Metadata, Repository, Sessions

__all__ = [
    "AccessDeniedError",
    "Agent",
    "Agents",
    "AlreadyExistsError",
    "Archive",
    "ArchivedAgent",
    "AsyncAgents",
    "AsyncArchive",
    "AsyncFeedbacks",
    "AsyncMessages",
    "AsyncMetadata",
    "AsyncRepository",
    "AsyncSessions",
    "CorruptError",
    "Feedback",
    "Feedbacks",
    "InternalError",
    "InvalidArgumentError",
    "Message",
    "Messages",
    "Metadata",
    "NoAnswerError",
    "NotFoundError",
    "QuotaExceededError",
    "Repository",
    "Session",
    "SessionRepositoryError",
    "Sessions",
    "StaleError",
    "TooLargeError",
    "UnavailableError",
    "Undone",
    "UnsupportedError",
]
