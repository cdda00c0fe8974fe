"""What lies between a client and a server: a line that tests cut, and a proxy that has limits of its own."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from http import HTTPStatus
from urllib.parse import urlsplit

import requests

from tests.small_server import QuietHandler, SmallServer


class Cable:
    """Forwards connections to a server, until it is cut: then none is made any more."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = parts.hostname or "", parts.port or 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.whole = True
        self._left: int | None = None
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Break every connection and make no other."""
        self.whole = False
        for one in list(self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def cut_after(self, count: int) -> None:
        """Cut once the server has answered with so many bytes more: in the middle of an answer."""
        self._left = count

    def mend(self) -> None:
        self._left = None
        self.whole = True

    def close(self) -> None:
        self.cut()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if not self.whole:
                client.close()
                continue
            server = socket.create_connection(self._target)
            self._open |= {client, server}
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self._copy, args=(source, sink, source is server), daemon=True).start()

    def _copy(self, source: socket.socket, sink: socket.socket, answers: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if self._left is not None and answers:
                    data, self._left = data[: self._left], max(0, self._left - len(data))
                sink.sendall(data)
                if self._left == 0:
                    self.cut()
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
        self._open.discard(source)


class Gate(SmallServer):
    """A proxy in front of a server that answers some requests itself, with a page as proxies have them. `status`: of the path and the body of a
    request the status of its answer; None: the server answers."""

    def __init__(self, url: str, status: Callable[[str, bytes], int | None]) -> None:
        class Handler(QuietHandler):
            def do_POST(self) -> None:
                body = self.body()
                refusal = status(self.path, body)
                if refusal is None:
                    kept = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection")}
                    answer = requests.request(self.command, url + self.path, data=body, headers=kept, timeout=30)
                    self.reply(answer.status_code, answer.content, answer.headers.get("Content-Type", ""))
                else:
                    title = f"{refusal} {HTTPStatus(refusal).phrase}"
                    self.reply(refusal, f"<html><head><title>{title}</title></head></html>\n".encode(), "text/html")

            do_GET = do_POST

        super().__init__(Handler)
