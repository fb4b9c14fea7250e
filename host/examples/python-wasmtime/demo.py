"""Show the repository at work: `python demo.py`."""

from pathlib import Path

from model import SessionError
from repository import Repository
from storage import DictStorage

COMPONENT = Path(__file__).resolve().parents[2] / "session-repository-sync.wasm"

repository = Repository(DictStorage(), COMPONENT)
print(repository.create_session("user-123", session_type="chat"))
repository.create_agent("user-123", "helper", '{"model": "m-1", "state": {"temperature": 1.0}}')
for text in ("hello", "how are you?"):
    body = f'{{"role": "user", "content": "{text}"}}'
    print("stored as", repository.append_message("user-123", "helper", body, idempotency_key=text))
print("a retry:", repository.append_message("user-123", "helper", body, idempotency_key=text))
repository.update_metadata("user-123", '{"labels.urgent": true, "labels.cost": 1e22}')
print(*repository.list_messages("user-123", "helper", limit=10), sep="\n")
print(repository.get_metadata("user-123"), repository.read_session("user-123"), sep="\n")
try:
    repository.add_feedback("user-123", '{"rating": "up"}', expected_revision=1)
except SessionError as error:
    print(error.code, error.current, error)
