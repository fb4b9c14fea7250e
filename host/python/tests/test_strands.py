"""The agent framework's own session manager on the repository."""

from __future__ import annotations

import logging
import queue
from collections.abc import Iterator
from datetime import datetime, timezone
from logging.handlers import QueueHandler
from typing import Any

import pytest
from conftest import PATIENCE, Place
from model import ScriptedModel
from pymongo import MongoClient
from session_repository import AlreadyExistsError, CorruptError, InvalidArgumentError, NotFoundError, UnavailableError
from session_repository.strands import StrandsSessionRepository
from strands import Agent, ToolContext, tool
from strands.session.repository_session_manager import RepositorySessionManager
from strands.types.exceptions import SessionException
from strands.types.session import Session, SessionAgent, SessionMessage, SessionType


@pytest.fixture
def stored(lasting: Place) -> Iterator[StrandsSessionRepository]:
    with lasting.open() as repository:
        yield StrandsSessionRepository(repository)


def agent(repository: StrandsSessionRepository, model: ScriptedModel, agent_id: str = "a", **options: Any) -> Agent:
    """An agent as a process has it that has just started."""
    manager = options.pop("session_manager", None) or RepositorySessionManager("s", repository)
    return Agent(model, agent_id=agent_id, session_manager=manager, callback_handler=None, **options)


def texts(messages: Any) -> list[str]:
    return [block["text"] for message in messages for block in message["content"] if "text" in block]


def test_turns_are_restored_after_a_restart(lasting: Place) -> None:
    with lasting.open() as repository:
        first = agent(StrandsSessionRepository(repository), ScriptedModel("Hello.", "Fine."), state={"n": 1})
        first("Hi!")
        first.state.set("n", 2)
        first("How are you?")
    with lasting.open() as repository:
        model = ScriptedModel("So we did.")
        second = agent(StrandsSessionRepository(repository), model)
        assert texts(second.messages) == ["Hi!", "Hello.", "How are you?", "Fine."]
        assert second.state.get("n") == 2
        second("Did we talk?")
        assert texts(model.seen[0]) == ["Hi!", "Hello.", "How are you?", "Fine.", "Did we talk?"]
        stored = repository.messages.list("s", "a")
        assert [message.message_id for message in stored] == list(range(6))


def test_two_agents_share_a_session(stored: StrandsSessionRepository) -> None:
    manager = RepositorySessionManager("s", stored)
    one = agent(stored, ScriptedModel("I am one."), "one", session_manager=manager)
    two = agent(stored, ScriptedModel("I am two."), "two", session_manager=manager)
    one("Who are you?")
    two("And you?")
    assert texts(agent(stored, ScriptedModel(), "one").messages) == ["Who are you?", "I am one."]
    assert texts(agent(stored, ScriptedModel(), "two").messages) == ["And you?", "I am two."]
    with pytest.raises(SessionException, match="unique"):
        agent(stored, ScriptedModel(), "one", session_manager=manager)


@tool(context=True)
def delete_files(tool_context: ToolContext, path: str) -> str:
    """Delete files, if a person agrees."""
    agreed: str = tool_context.interrupt("agree", reason={"path": path})
    return f"{path}: {agreed}"


def test_an_interrupt_is_answered_after_a_restart(stored: StrandsSessionRepository) -> None:
    first = agent(stored, ScriptedModel(("delete_files", {"path": "/tmp/x"})), tools=[delete_files])
    result = first("Delete it.")
    assert result.stop_reason == "interrupt"
    (interrupt,) = result.interrupts or ()
    assert interrupt.reason == {"path": "/tmp/x"}

    model = ScriptedModel("Deleted.")
    second = agent(stored, model, tools=[delete_files])
    response = {"interruptResponse": {"interruptId": interrupt.id, "response": "yes"}}
    result = second([response])  # type: ignore[arg-type]
    assert result.stop_reason == "end_turn"
    (used,) = [block["toolResult"] for block in model.seen[0][-1]["content"]]
    assert used["content"] == [{"text": "/tmp/x: yes"}]


@pytest.mark.parametrize("is_in_mongodb", [False, True])
def test_a_redacted_message_leaves_no_old_text(is_in_mongodb: bool, request: pytest.FixtureRequest) -> None:
    place: Place = request.getfixturevalue("mongodb" if is_in_mongodb else "file")
    with place.open() as repository:
        redact(StrandsSessionRepository(repository))
        # With the messages that are around it.
        assert "1234" not in str(repository.messages.list("s", "a"))
        assert "[removed]" in str(repository.messages.list("s", "a"))
    if is_in_mongodb:
        with MongoClient[dict[str, Any]](place.url) as client:
            documents = list(client[place.options["database"]][place.options["collection"]].find())
        assert "1234" not in str(documents) and "[removed]" in str(documents)


def redact(stored: StrandsSessionRepository) -> None:
    first = agent(stored, ScriptedModel("Noted.", {"redact": "[removed]", "text": "I cannot."}))
    first("Hello!")
    first("My password is 1234.")
    assert texts(first.messages) == ["Hello!", "Noted.", "[removed]", "I cannot."]
    second = agent(stored, ScriptedModel("Go on."))
    assert texts(second.messages) == ["Hello!", "Noted.", "[removed]", "I cannot."]
    second("Next.")
    assert texts(second.messages)[-2:] == ["Next.", "Go on."]
    message = stored.read_message("s", "a", 2)
    assert message is not None and message.redact_message is not None
    assert texts([message.to_message()]) == ["[removed]"]


def test_bytes_are_restored(stored: StrandsSessionRepository) -> None:
    image: Any = {"image": {"format": "png", "source": {"bytes": b"\x89PNG\x00\xff"}}}
    agent(stored, ScriptedModel("A picture."))([image, {"text": "What is it?"}])
    assert agent(stored, ScriptedModel()).messages[0]["content"] == [image, {"text": "What is it?"}]


def test_records_have_the_shapes_of_the_framework(stored: StrandsSessionRepository) -> None:
    assert stored.read_session("s") is None
    given = Session("s", SessionType.AGENT)
    assert stored.create_session(given) is given
    session = stored.read_session("s")
    assert session is not None and session.session_type is SessionType.AGENT and session.created_at.endswith("+00:00")
    with pytest.raises(AlreadyExistsError):
        stored.create_session(given)

    assert stored.read_agent("s", "a") is None
    stored.create_agent("s", SessionAgent("a", {"n": 1}, {"kept": b"x"}))
    created = stored.read_agent("s", "a")
    assert created is not None and (created.state, created.conversation_manager_state) == ({"n": 1}, {"kept": b"x"})
    stored.update_agent("s", SessionAgent("a", {"n": 2}, {"kept": b"x"}, {"internal": True}))
    read = stored.read_agent("s", "a")
    assert read is not None
    assert (read.state, read.conversation_manager_state, read._internal_state) == (
        {"n": 2},
        {"kept": b"x"},
        {"internal": True},
    )

    message = SessionMessage({"role": "user", "content": [{"text": "Hi!"}]}, 0)
    stored.create_message("s", "a", message)
    stored.create_message("s", "a", message)
    assert [found.message for found in stored.list_messages("s", "a")] == [message.message]
    assert stored.list_messages("s", "a", limit=1, offset=1) == []
    assert stored.read_message("s", "a", 1) is None
    with pytest.raises(NotFoundError):
        stored.update_message("s", "a", SessionMessage(message.message, 1))
    # The reference raises `ValueError` for a session that does not exist.
    with pytest.raises(ValueError):
        stored.create_agent("unknown", SessionAgent("a", {}, {}))


def test_metadata_and_feedback_have_the_shapes_of_the_reference(stored: StrandsSessionRepository) -> None:
    stored.create_session(Session("s", SessionType.AGENT))
    assert stored.get_metadata("s") == {"metadata": {}}
    assert stored.get_metadata("unknown") is None
    stored.update_metadata("s", {"user": {"name": "Ada"}, "priority": "high"})
    stored.update_metadata("s", {"user.name": "Bob"})
    stored.delete_metadata("s", ["priority", "absent"])
    assert stored.get_metadata("s") == {"metadata": {"user": {"name": "Bob"}}}

    stored.add_feedback("s", {"rating": "up"})
    (entry,) = stored.get_feedbacks("s")
    assert entry.pop("created_at").tzinfo is timezone.utc and entry == {"rating": "up"}
    assert stored.get_feedbacks("unknown") == []


def test_messages_of_other_programs_are_read_or_named(
    stored: StrandsSessionRepository, caplog: pytest.LogCaptureFixture
) -> None:
    stored.create_session(Session("s", SessionType.AGENT))
    stored.repository.agents.create("s", "a", {"model": "m"})
    found = stored.read_agent("s", "a")
    assert found is not None and found.state == {}
    bodies: list[dict[str, Any]] = [
        {"role": "user", "content": "Hello!"},
        {"text": "Hi!"},
        {"message": "Fine.", "role": "assistant", "content": [{"text": "Fine."}]},
        {"message": None},
    ]
    stored.repository.messages.append_many("s", "a", bodies)
    assert [(message.message_id, message.message) for message in stored.list_messages("s", "a")] == [
        (0, {"role": "user", "content": [{"text": "Hello!"}]}),
        (2, {"role": "assistant", "content": [{"text": "Fine."}]}),
        (3, {"role": "user", "content": []}),
    ]
    assert [record.getMessage().partition(":")[0] for record in caplog.records if record.name == "session_repository"] == [
        "session 's', agent 'a', message 1",
        "session 's', agent 'a', message 3",
    ]
    with pytest.raises(CorruptError, match="message 1"):
        stored.read_message("s", "a", 1)


def test_a_turn_after_a_message_of_another_program_gets_an_id_of_its_own(stored: StrandsSessionRepository) -> None:
    agent(stored, ScriptedModel("Hello."))("Hi!")
    stored.repository.messages.append("s", "a", {"text": "a note"})
    agent(stored, ScriptedModel("Fine."))("How are you?")
    listed = stored.repository.messages.list("s", "a")
    assert [message.message_id for message in listed] == [0, 1, 2, 3, 4]
    assert listed[2].body == {"text": "a note"}


@pytest.mark.parametrize(
    ("value", "error"),
    [(datetime.min, TypeError), ({1: "a"}, TypeError), (float("nan"), InvalidArgumentError), (2**63, InvalidArgumentError)],
)
def test_values_that_json_lacks_are_refused(stored: StrandsSessionRepository, value: Any, error: type[Exception]) -> None:
    stored.create_session(Session("s", SessionType.AGENT))
    with pytest.raises(error):
        stored.create_agent("s", SessionAgent("a", {"value": value}, {}))
    stored.create_agent("s", SessionAgent("a", {}, {}))
    with pytest.raises(error):
        stored.create_message("s", "a", SessionMessage({"role": "user", "content": [value]}, 0))
    with pytest.raises(error):
        stored.update_metadata("s", {"value": value})
    with pytest.raises(error):
        stored.add_feedback("s", {"value": value})


def test_multi_agents_are_not_offered(stored: StrandsSessionRepository) -> None:
    with pytest.raises(NotImplementedError):
        stored.read_multi_agent("s", "m")


def test_who_opens_a_repository_closes_it(mongodb: Place) -> None:
    options = {"database_name": mongodb.options["database"], "collection_name": mongodb.options["collection"]}
    owner = StrandsSessionRepository.from_mongodb(
        mongodb.url, **options, metadata_fields=["priority"], maxPoolSize=4, retryWrites=True
    )
    owner.create_session(Session("s", SessionType.AGENT))
    borrower = StrandsSessionRepository(owner.repository)
    borrower.close()
    assert owner.read_session("s") is not None
    owner.close()
    with pytest.raises(UnavailableError):
        owner.read_session("s")


def test_options_are_escaped_and_reach_the_server(mongodb: Place) -> None:
    stored = StrandsSessionRepository.from_mongodb(mongodb.url, mongodb.options["database"], appName="a & b + c")
    with MongoClient[dict[str, Any]](mongodb.url) as client:
        connections = client.admin.aggregate([{"$currentOp": {"allUsers": True, "idleConnections": True}}])
        assert "a & b + c" in {connection.get("appName") for connection in connections}
    stored.close()


def test_an_option_without_effect_is_named_in_the_log(mongodb: Place) -> None:
    logged: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    handler = QueueHandler(logged)
    logger = logging.getLogger("session_repository")
    logger.addHandler(handler)
    try:
        options: dict[str, Any] = {"unknownOption": 1}
        StrandsSessionRepository.from_mongodb(mongodb.url, mongodb.options["database"], **options).close()
        record = logged.get(timeout=PATIENCE)
        assert record.levelno == logging.WARNING and "unknownOption" in record.getMessage()
    finally:
        logger.removeHandler(handler)


@pytest.mark.parametrize(
    "url",
    [
        "mongodb://127.0.0.1:1",
        "mongodb://127.0.0.1:1/?",
        "mongodb://127.0.0.1:1/?w=1",
        "mongodb://127.0.0.1:1/?serverselectiontimeoutms=60000&w=1",
        "mongodb://127.0.0.1:1/?w=1;serverSelectionTimeoutMS=60000",
    ],
)
def test_options_join_the_connection_string(url: str) -> None:
    # The server would be looked for during 30 seconds without the option.
    with pytest.raises(UnavailableError, match="within 1ms"):
        StrandsSessionRepository.from_mongodb(url, serverSelectionTimeoutMS=1, directConnection=True)
