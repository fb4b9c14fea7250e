"""A proxy to MongoDB whose every byte passes through Python threads of this process."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from types import TracebackType
from urllib.parse import urlsplit

from conftest import PATIENCE, Place


class Proxy:
    """Forwards connections to a server, unless it holds back data for the server."""

    def __init__(self, to: Place) -> None:
        self._to = to
        target = urlsplit(to.url)
        self._target = (target.hostname or "127.0.0.1", target.port or 27017)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._may_pass = threading.Event()
        self._may_pass.set()
        self.held = threading.Event()
        """Whether something was held back."""
        self._hold_on: bytes | None = None
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def place(self) -> Place:
        """The same sessions through the proxy. Connections are not compressed, so that the proxy sees the commands."""
        port = self._listener.getsockname()[1]
        return Place(f"mongodb://127.0.0.1:{port}/?directConnection=true", self._to.options)

    def hold(self, command: bytes) -> None:
        """Hold back all data from the next command on that contains these bytes."""
        self._hold_on = command
        self._may_pass.clear()

    def release(self) -> None:
        self._hold_on = None
        self._may_pass.set()

    def __enter__(self) -> Proxy:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
        for open_socket in (self._listener, *self._sockets):
            with suppress(OSError):
                open_socket.shutdown(socket.SHUT_RDWR)
            open_socket.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
                self._sockets += [client, server]
                for here, there, is_to_server in ((client, server, True), (server, client, False)):
                    threading.Thread(target=self._pump, args=(here, there, is_to_server), daemon=True).start()

    def _pump(self, here: socket.socket, there: socket.socket, is_to_server: bool) -> None:
        with suppress(OSError):
            while data := here.recv(65536):
                if is_to_server and self._hold_on is not None and self._hold_on in data:
                    self.held.set()
                    self._may_pass.wait(PATIENCE)
                there.sendall(data)
