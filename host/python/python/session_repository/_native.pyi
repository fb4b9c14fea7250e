from asyncio import AbstractEventLoop, Future
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, final, overload

__all__ = ["Repository", "stop"]

_Body: TypeAlias = Mapping[str, Any]
_Session: TypeAlias = tuple[str, str, int, int, int]
_Agent: TypeAlias = tuple[str, str, int, int]
_Message: TypeAlias = tuple[int, str, int, int]
_Feedback: TypeAlias = tuple[str, int]
_ArchivedAgent: TypeAlias = tuple[str, int, int, int, int, int, int, int]
_Undone: TypeAlias = tuple[int, int]

@final
class Repository:
    @overload
    @staticmethod
    def open_at(
        event_loop: None,
        url: str,
        database: str | None,
        collection: str | None,
        metadata_fields: Sequence[str],
        archive_after: int | None,
        read_only: bool,
        call_deadline: float | None,
    ) -> Repository: ...
    @overload
    @staticmethod
    def open_at(
        event_loop: AbstractEventLoop,
        url: str,
        database: str | None,
        collection: str | None,
        metadata_fields: Sequence[str],
        archive_after: int | None,
        read_only: bool,
        call_deadline: float | None,
    ) -> Future[Repository]: ...
    @overload
    def close(self, event_loop: None, seconds: float | None) -> None: ...
    @overload
    def close(self, event_loop: AbstractEventLoop, seconds: float | None) -> Future[None]: ...
    @overload
    def sessions_create(
        self, event_loop: None, session_id: str, session_type: str | None, expected_revision: int | None
    ) -> _Session: ...
    @overload
    def sessions_create(
        self, event_loop: AbstractEventLoop, session_id: str, session_type: str | None, expected_revision: int | None
    ) -> Future[_Session]: ...
    @overload
    def sessions_read(self, event_loop: None, session_id: str) -> _Session | None: ...
    @overload
    def sessions_read(self, event_loop: AbstractEventLoop, session_id: str) -> Future[_Session | None]: ...
    @overload
    def agents_create(
        self, event_loop: None, session_id: str, agent_id: str, agent: _Body, expected_revision: int | None
    ) -> None: ...
    @overload
    def agents_create(
        self, event_loop: AbstractEventLoop, session_id: str, agent_id: str, agent: _Body, expected_revision: int | None
    ) -> Future[None]: ...
    @overload
    def agents_read(self, event_loop: None, session_id: str, agent_id: str) -> _Agent | None: ...
    @overload
    def agents_read(self, event_loop: AbstractEventLoop, session_id: str, agent_id: str) -> Future[_Agent | None]: ...
    @overload
    def agents_update(
        self, event_loop: None, session_id: str, agent_id: str, agent: _Body, expected_revision: int | None
    ) -> None: ...
    @overload
    def agents_update(
        self, event_loop: AbstractEventLoop, session_id: str, agent_id: str, agent: _Body, expected_revision: int | None
    ) -> Future[None]: ...
    @overload
    def messages_create(
        self,
        event_loop: None,
        session_id: str,
        agent_id: str,
        message_id: int,
        message: _Body,
        expected_revision: int | None,
    ) -> None: ...
    @overload
    def messages_create(
        self,
        event_loop: AbstractEventLoop,
        session_id: str,
        agent_id: str,
        message_id: int,
        message: _Body,
        expected_revision: int | None,
    ) -> Future[None]: ...
    @overload
    def messages_append(
        self,
        event_loop: None,
        session_id: str,
        agent_id: str,
        message: _Body,
        idempotency_key: str | None,
        expected_revision: int | None,
    ) -> int: ...
    @overload
    def messages_append(
        self,
        event_loop: AbstractEventLoop,
        session_id: str,
        agent_id: str,
        message: _Body,
        idempotency_key: str | None,
        expected_revision: int | None,
    ) -> Future[int]: ...
    @overload
    def messages_append_many(
        self,
        event_loop: None,
        session_id: str,
        agent_id: str,
        messages: Sequence[_Body],
        idempotency_key: str | None,
        expected_revision: int | None,
    ) -> int: ...
    @overload
    def messages_append_many(
        self,
        event_loop: AbstractEventLoop,
        session_id: str,
        agent_id: str,
        messages: Sequence[_Body],
        idempotency_key: str | None,
        expected_revision: int | None,
    ) -> Future[int]: ...
    @overload
    def messages_read(self, event_loop: None, session_id: str, agent_id: str, message_id: int) -> _Message | None: ...
    @overload
    def messages_read(
        self, event_loop: AbstractEventLoop, session_id: str, agent_id: str, message_id: int
    ) -> Future[_Message | None]: ...
    @overload
    def messages_update(
        self,
        event_loop: None,
        session_id: str,
        agent_id: str,
        message_id: int,
        message: _Body,
        expected_revision: int | None,
    ) -> None: ...
    @overload
    def messages_update(
        self,
        event_loop: AbstractEventLoop,
        session_id: str,
        agent_id: str,
        message_id: int,
        message: _Body,
        expected_revision: int | None,
    ) -> Future[None]: ...
    @overload
    def messages_list(
        self, event_loop: None, session_id: str, agent_id: str, limit: int | None, offset: int
    ) -> list[_Message]: ...
    @overload
    def messages_list(
        self, event_loop: AbstractEventLoop, session_id: str, agent_id: str, limit: int | None, offset: int
    ) -> Future[list[_Message]]: ...
    @overload
    def metadata_update(
        self, event_loop: None, session_id: str, metadata: _Body, expected_revision: int | None
    ) -> None: ...
    @overload
    def metadata_update(
        self, event_loop: AbstractEventLoop, session_id: str, metadata: _Body, expected_revision: int | None
    ) -> Future[None]: ...
    @overload
    def metadata_get(self, event_loop: None, session_id: str) -> str | None: ...
    @overload
    def metadata_get(self, event_loop: AbstractEventLoop, session_id: str) -> Future[str | None]: ...
    @overload
    def metadata_delete(
        self, event_loop: None, session_id: str, keys: Sequence[str], expected_revision: int | None
    ) -> None: ...
    @overload
    def metadata_delete(
        self, event_loop: AbstractEventLoop, session_id: str, keys: Sequence[str], expected_revision: int | None
    ) -> Future[None]: ...
    @overload
    def feedback_add(
        self, event_loop: None, session_id: str, feedback: _Body, expected_revision: int | None
    ) -> None: ...
    @overload
    def feedback_add(
        self, event_loop: AbstractEventLoop, session_id: str, feedback: _Body, expected_revision: int | None
    ) -> Future[None]: ...
    @overload
    def feedback_list(self, event_loop: None, session_id: str) -> list[_Feedback]: ...
    @overload
    def feedback_list(self, event_loop: AbstractEventLoop, session_id: str) -> Future[list[_Feedback]]: ...
    @overload
    def archive_status(self, event_loop: None, session_id: str) -> list[_ArchivedAgent] | None: ...
    @overload
    def archive_status(self, event_loop: AbstractEventLoop, session_id: str) -> Future[list[_ArchivedAgent] | None]: ...
    @overload
    def archive_run(self, event_loop: None, session_id: str) -> int | None: ...
    @overload
    def archive_run(self, event_loop: AbstractEventLoop, session_id: str) -> Future[int | None]: ...
    @overload
    def archive_undo(self, event_loop: None, session_id: str) -> _Undone | None: ...
    @overload
    def archive_undo(self, event_loop: AbstractEventLoop, session_id: str) -> Future[_Undone | None]: ...

def stop() -> None: ...
