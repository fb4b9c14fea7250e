"""A model of the agent framework with scripted replies."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterable
from typing import Any

from strands.models import Model
from strands.types.content import Messages
from strands.types.streaming import StreamEvent


class ScriptedModel(Model):
    """Answers each turn with the next of its replies: a text, a tool's name and input, or a redaction of the user's message."""

    def __init__(self, *replies: str | tuple[str, dict[str, Any]] | dict[str, str]) -> None:
        self._replies = list(replies)
        self.seen: list[Messages] = []
        """The conversation at each turn."""

    def update_config(self, **model_config: Any) -> None:
        pass

    def get_config(self) -> dict[str, Any]:
        return {}

    def structured_output(self, *args: Any, **kwargs: Any) -> AsyncGenerator[dict[str, Any], None]:
        raise NotImplementedError

    async def stream(self, messages: Messages, *args: Any, **kwargs: Any) -> AsyncIterable[StreamEvent]:
        self.seen.append(json.loads(json.dumps(messages, default=repr)))
        reply = self._replies.pop(0)
        yield {"messageStart": {"role": "assistant"}}
        if isinstance(reply, tuple):
            name, arguments = reply
            tool_use = {"toolUseId": f"use-{len(self.seen)}-{name}", "name": name}
            yield {"contentBlockStart": {"start": {"toolUse": tool_use}}}  # type: ignore[typeddict-item]
            yield {"contentBlockDelta": {"delta": {"toolUse": {"input": json.dumps(arguments)}}}}
            yield {"contentBlockStop": {}}
            yield {"messageStop": {"stopReason": "tool_use"}}
            return
        if isinstance(reply, dict):
            yield {"redactContent": {"redactUserContentMessage": reply["redact"]}}
            reply = reply["text"]
        yield {"contentBlockStart": {"start": {}}}
        yield {"contentBlockDelta": {"delta": {"text": reply}}}
        yield {"contentBlockStop": {}}
        yield {"messageStop": {"stopReason": "end_turn"}}
