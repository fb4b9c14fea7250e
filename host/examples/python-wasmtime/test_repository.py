"""What the conformance suite cannot see from outside: `python -m unittest`."""

import sys
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from wasmtime import Engine, Store
from wasmtime.component import Component, Linker

from model import Message, SessionError
from repository import Repository
from storage import DictStorage

COMPONENT = Path(__file__).resolve().parents[2] / "session-repository-sync.wasm"

SECRET = "password of the database"

VALUE_OR_0 = """
(component
  (core module $m (func (export "f") (param i32 i32) (result i32) local.get 1))
  (core instance $i (instantiate $m))
  (func (export "f") (param "value" (option u32)) (result u32)
    (canon lift (core func $i "f"))))
"""


class Failing(DictStorage):
    """A storage whose `find_session` does what a test says."""

    def __init__(self) -> None:
        super().__init__()
        self.failure: object = None

    def find_session(self, session_id: str) -> object:
        if isinstance(self.failure, BaseException):
            raise self.failure
        return self.failure or super().find_session(session_id)


class RepositoryTest(unittest.TestCase):
    def setUp(self) -> None:
        self.storage = Failing()
        self.repository = Repository(self.storage, COMPONENT)
        self.repository.create_session("s")
        self.repository.create_agent("s", "a", "{}")

    def refused(self, call: object, *arguments: object, **named: object) -> SessionError:
        with self.assertRaises(SessionError) as caught:
            call(*arguments, **named)
        return caught.exception

    def test_an_exception_of_the_storage_is_internal_and_keeps_its_text(self) -> None:
        self.storage.failure = OSError(SECRET)
        error = self.refused(self.repository.read_session, "s")
        self.assertEqual(error.code, "internal")
        self.assertNotIn(SECRET, f"{error} {vars(error)}")
        self.assertIs(error.__cause__, self.storage.failure)
        self.storage.failure = None
        self.assertEqual(self.repository.read_session("s").session_id, "s")

    def test_an_interrupt_in_the_storage_comes_through(self) -> None:
        self.storage.failure = KeyboardInterrupt()
        with self.assertRaises(KeyboardInterrupt):
            self.repository.read_session("s")
        self.storage.failure = None
        self.assertEqual(self.repository.read_session("s").session_id, "s")

    def test_each_error_of_a_storage_arrives_with_its_parts(self) -> None:
        errors = [
            SessionError("not-found", entity="agent"),
            SessionError("already-exists", entity="message"),
            SessionError("stale", current=2**64 - 1),
            SessionError("too-large", size=2**63, limit=2**40),
            SessionError("quota-exceeded", retry_after_ms=250),
            SessionError("timeout"),
            *(SessionError(code, "why") for code in ("access-denied", "unsupported", "corrupt")),
            *(
                SessionError(code, "why")
                for code in ("unavailable", "internal", "invalid-argument")
            ),
        ]
        for failure in errors:
            with self.subTest(failure.code):
                self.storage.failure = failure
                error = self.refused(self.repository.read_session, "s")
                self.assertEqual(vars(error), vars(failure))
                self.assertEqual(str(error), str(failure))

    def test_after_a_trap_the_next_call_gets_a_new_instance(self) -> None:
        for wrong in (Message(1, "{}", 0, 0), 5, SessionError("no such code")):
            with self.subTest(wrong):
                self.storage.failure = wrong
                error = self.refused(self.repository.read_session, "s")
                self.assertEqual((error.code, str(error)), ("internal", "the component failed"))
                self.assertIsNotNone(error.__cause__)
                self.storage.failure = None
                self.assertEqual(self.repository.read_session("s").session_id, "s")

    def test_integers_outside_their_range_are_refused(self) -> None:
        repository = self.repository
        for wrong in (2**63, -(2**63) - 1, 2**64 + 1, True, 1.0, "1", None):
            error = self.refused(repository.read_message, "s", "a", wrong)
            self.assertEqual(error.code, "invalid-argument", wrong)
        for wrong in (-1, 2**64):
            error = self.refused(repository.update_metadata, "s", "{}", expected_revision=wrong)
            self.assertEqual(error.code, "invalid-argument", wrong)
        self.assertEqual(self.refused(repository.read_session, "\ud800").code, "invalid-argument")
        self.assertEqual(self.refused(repository.read_session, 5).code, "invalid-argument")

    def test_numbers_stay_as_they_are_written(self) -> None:
        numbers = "[1,1.0,1e22,-0.0,9223372036854775807]"
        self.repository.append_message("s", "a", f'{{"n":{numbers},"latency_ms":1}}')
        self.assertEqual(self.repository.read_message("s", "a", 0).body, f'{{"n":{numbers}}}')
        self.repository.update_metadata("s", f'{{"k":{{"n":{numbers}}}}}')
        self.repository.update_metadata("s", '{"k.m":1e2}')
        self.assertEqual(self.repository.get_metadata("s"), f'{{"k":{{"n":{numbers},"m":1e2}}}}')

    def test_bytes_have_no_fields_to_set(self) -> None:
        marker = '{"__bytes_encoded__": true, "data": "aGk="}'
        self.repository.update_metadata("s", f'{{"b": {marker}}}')
        error = self.refused(self.repository.update_metadata, "s", '{"b.data": 1}')
        self.assertEqual(error.code, "invalid-argument")
        self.repository.delete_metadata("s", ["b.data"])
        self.assertEqual(self.repository.get_metadata("s"), f'{{"b":{marker}}}')

    def test_nulls_before_far_positions_are_bounded(self) -> None:
        names = [f"l{n}" for n in range(5)]
        self.repository.update_metadata("s", "{" + ",".join(f'"{n}":[]' for n in names) + "}")
        before = self.repository.get_metadata("s")
        far = "{" + ",".join(f'"{n}.1500000":1' for n in names) + "}"
        self.assertEqual(self.refused(self.repository.update_metadata, "s", far).code, "too-large")
        farther = '{"l0.4294967295": 1}'
        error = self.refused(self.repository.update_metadata, "s", farther)
        self.assertEqual(error.code, "invalid-argument")
        self.assertEqual(self.repository.get_metadata("s"), before)

    def test_a_path_beyond_the_end_of_an_array_makes_objects(self) -> None:
        self.repository.update_metadata("s", '{"l": []}')
        self.repository.update_metadata("s", '{"l.1.a.b": 1, "l.00000000000002.c": 2}')
        self.assertEqual(self.repository.get_metadata("s"), '{"l":[null,{"a":{"b":1}},{"c":2}]}')

    def test_messages_are_listed_by_time_and_then_in_the_order_of_their_appends(self) -> None:
        for message_id, at in ((5, 30), (4, 10), (3, 20), (2, 20), (1, 10)):
            message = Message(message_id, "{}", at, at)
            self.storage.append_message("s", "a", message, [], None)
        listed = self.repository.list_messages("s", "a")
        self.assertEqual([message.message_id for message in listed], [4, 1, 3, 2, 5])
        self.assertEqual(self.storage.append_messages("s", "a", ["{}"], 7, None, None), 6)
        last = self.repository.list_messages("s", "a", offset=5)
        self.assertEqual([(message.message_id, message.created_at) for message in last], [(6, 30)])

    def test_repositories_on_threads_share_a_storage(self) -> None:
        def write(repository: Repository) -> None:
            for _ in range(100):
                repository.append_message("s", "a", "{}")

        repositories = [Repository(self.storage, COMPONENT) for _ in range(3)]
        self.at_once(write, [*repositories, *repositories])
        ids = [message.message_id for message in self.repository.list_messages("s", "a")]
        self.assertEqual(ids, list(range(600)))

    def test_writes_of_a_storage_from_threads_do_not_mix(self) -> None:
        def write(created_at: int) -> None:
            for _ in range(50):
                self.storage.append_messages("s", "a", ["{}"] * 50, created_at, None, None)

        self.at_once(write, list(range(4)))
        ids = [message.message_id for message in self.repository.list_messages("s", "a")]
        self.assertEqual(ids, list(range(10_000)))
        self.assertEqual(self.repository.read_session("s").revision, 201)

    def at_once(self, write: object, arguments: list[object]) -> None:
        """Call a function on a thread for each argument. Threads switch as often as they can."""
        self.addCleanup(sys.setswitchinterval, sys.getswitchinterval())
        sys.setswitchinterval(1e-6)
        with ThreadPoolExecutor(len(arguments)) as threads:
            list(threads.map(write, arguments))

    def test_other_components_of_the_process_keep_their_tags(self) -> None:
        engine = Engine()
        store = Store(engine)
        instance = Linker(engine).instantiate(store, Component(engine, VALUE_OR_0))
        function = instance.get_func(store, "f")
        self.assertEqual([function(store, 7), function(store, None)], [7, 0])


if __name__ == "__main__":
    unittest.main()
