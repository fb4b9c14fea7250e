"""What `open` takes, in both APIs."""

from __future__ import annotations

import os

ARCHIVE_AFTER = 1024 * 1024
"""The default of `archive_after`, in bytes."""


def url(place: str | os.PathLike[str]) -> str:
    """Return the URL of a store. A path stands for a file."""
    return place if isinstance(place, str) else f"file:{os.fspath(place)}"
