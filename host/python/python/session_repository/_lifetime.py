"""Close open repositories when the interpreter ends, so that a file need not be checked when it is opened next."""

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
    try:
        for repository in list(_open):
            try:
                repository.close(None, _MOST_SECONDS)
            except Exception:
                # It is the parent's after a fork, or its store fails. The others are still closed.
                continue
    finally:
        # Ctrl-C ends the closing, and the thread must not outlive the interpreter.
        _native.stop()


atexit.register(_end)
