"""Summarises the last messages of an agent into the metadata of its session."""

import json

import wit_world
from componentize_py_types import Err
from wit_world.imports import messages, metadata

# How many messages a call reads, and how many the summary is about.
PAGE = 100
LAST = 5


class WitWorld(wit_world.WitWorld):
    async def run(self, session_id: str, agent_id: str) -> str:
        try:
            return await summarise(session_id, agent_id)
        except Err as error:
            raise Err(repr(error.value))


async def summarise(session_id: str, agent_id: str) -> str:
    count, last = 0, []
    while True:
        page = await messages.list(session_id, agent_id, PAGE, count)
        count += len(page)
        last = (last + page)[-LAST:]
        if len(page) < PAGE:
            break
    summary = {"summary": {"messages": count, "last": [line(message) for message in last]}}
    await metadata.update(session_id, json.dumps(summary), None)
    return f"{count} messages"


def line(message) -> str:
    """A message in one line of at most 80 characters."""
    body = json.loads(message.body)
    role, content = (str(body.get(field, "")) for field in ("role", "content"))
    return f"{role}: {content}".replace("\n", " ")[:80]
