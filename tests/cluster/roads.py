"""A way to a server that a test may close: as a cable that is pulled, nothing arrives any more and nobody is told."""

from __future__ import annotations

import socket
import socketserver
import threading
from types import TracebackType
from urllib.parse import urlsplit


class Road:
    """A port of ours that leads to the server at an address, while the block runs."""

    def __init__(self, address: str, port: int = 0) -> None:
        goal = urlsplit(address)
        free = self._free = threading.Event()
        free.set()

        class Traveller(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                free.wait()
                with socket.create_connection((goal.hostname or "", goal.port or 0)) as there:
                    back = threading.Thread(target=_copy, args=(there, self.request, free), daemon=True)
                    back.start()
                    _copy(self.request, there, free)
                    back.join()

        class Listener(socketserver.ThreadingTCPServer):
            allow_reuse_address = daemon_threads = True
            block_on_close = False

        self._listener = Listener(("127.0.0.1", port), Traveller)
        self.port = int(self._listener.server_address[1])

    def __enter__(self) -> Road:
        threading.Thread(target=self._listener.serve_forever, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.open()
        self._listener.shutdown()
        self._listener.server_close()

    def close(self) -> None:
        """From now on nothing arrives, in either direction; connections stay."""
        self._free.clear()

    def open(self) -> None:
        """What was held up arrives now."""
        self._free.set()


def _copy(source: socket.socket, target: socket.socket, free: threading.Event) -> None:
    try:
        while data := source.recv(65536):
            free.wait()
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # one of the two has gone
