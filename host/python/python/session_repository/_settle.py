"""The last step of an asynchronous call, on the thread of its event loop."""

from __future__ import annotations

import asyncio
from typing import Any


def settle(future: asyncio.Future[Any], answer: Any, error: Exception | None) -> None:
    """Give a future its answer or its error. A future that was cancelled meanwhile gets neither."""
    if future.done():
        return
    if error is None:
        future.set_result(answer)
    else:
        future.set_exception(error)
