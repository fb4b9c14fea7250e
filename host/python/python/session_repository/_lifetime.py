"""What is open when the interpreter ends is closed, so that a file need not be checked when it is opened next."""

from __future__ import annotations

import atexit
import weakref

from . import _native

_MOST_SECONDS = 30.0
"""How long closing may take at the end: a server may be silent."""

_open: weakref.WeakSet[_native.Repository] = weakref.WeakSet()


def opened(repository: _native.Repository) -> _native.Repository:
    """Note a repository, which is closed at the end of the interpreter unless it is gone by then."""
    _open.add(repository)
    return repository


def _end() -> None:
    for repository in list(_open):
        try:
            repository.close(None, _MOST_SECONDS)
        except RuntimeError:
            # It was opened before a fork: it is the parent's.
            continue
    _native.stop()


atexit.register(_end)
