"""Arguments of `open`, in both APIs."""

from __future__ import annotations

import os
from collections.abc import Sequence

ARCHIVE_AFTER = 1024 * 1024
"""The default of `archive_after`, in bytes."""


def url(place: str | os.PathLike[str]) -> str:
    """Return the URL of a store. A path stands for a file."""
    return place if isinstance(place, str) else f"file:{os.fspath(place)}"


def fields(names: Sequence[str]) -> list[str]:
    """Return the metadata fields to index. A text is a sequence of texts, and hardly meant as one."""
    if isinstance(names, str):
        raise TypeError("metadata_fields: must be a sequence of str, not str")
    return list(names)
