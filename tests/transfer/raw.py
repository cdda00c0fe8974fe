"""A server that answers with bytes as they are, for answers that no library would send."""

from __future__ import annotations

import socketserver

from tests.small_server import SmallServer


class RawAnswers(SmallServer):
    """Answers each request with the next of some bytes, then with the last, and closes the connection. `asked`: the requests it got."""

    def __init__(self, *answers: bytes) -> None:
        self.asked: list[str] = []
        raw = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                line, length = self.rfile.readline().decode().strip(), 0
                while (header := self.rfile.readline()) not in (b"\r\n", b""):
                    name, _, value = header.decode().partition(":")
                    length = int(value) if name.lower() == "content-length" else length
                self.rfile.read(length)
                raw.asked.append(line)
                self.wfile.write(answers[min(len(raw.asked), len(answers)) - 1])

        super().__init__(Handler, kind=socketserver.ThreadingTCPServer)


def answer(status: str, body: bytes, *headers: str) -> bytes:
    """An answer in order: `answer("200 OK", b"{}")`."""
    head = "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers])
    return head.encode() + b"\r\n\r\n" + body
