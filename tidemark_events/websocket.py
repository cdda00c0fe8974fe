"""A WebSocket that listens (RFC 6455), on the standard library: a training machine installs `requests` and nothing else."""

from __future__ import annotations

import base64
import hashlib
import os
import socket
import ssl
import time
from collections.abc import Mapping
from urllib.parse import urlsplit

_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_TEXT, _CLOSE, _PING, _PONG = 1, 8, 9, 10
_LONGEST_HEAD = 65_536
_LONGEST_MESSAGE = 16 << 20


class Closed(OSError):
    """The server closed the socket: its close code, 1006 for a lost connection."""

    def __init__(self, code: int) -> None:
        super().__init__(f"closed with {code}")
        self.code = code


class Refused(OSError):
    """The handshake was not accepted: the HTTP status, 0 for an answer that is none."""

    def __init__(self, status: int) -> None:
        super().__init__(f"refused with {status}")
        self.status = status


class WebSocket:
    """One connection, without a thread: pings are answered while `receive` waits. Every failure is an OSError."""

    def __init__(self, url: str, headers: Mapping[str, str], context: ssl.SSLContext | None, timeout: float) -> None:
        """`url` begins with http or https; `context` is for https. Raises Refused when the answer is no handshake."""
        parts = urlsplit(url)
        secure = parts.scheme == "https"
        host = parts.hostname or ""
        self._socket = socket.create_connection((host, parts.port or (443 if secure else 80)), timeout)
        self._received = b""
        self._message = b""
        try:
            if secure:
                self._socket = (context or ssl.create_default_context()).wrap_socket(self._socket, server_hostname=host)
            self._shake_hands(parts.path or "/", parts.netloc.rpartition("@")[2], headers, timeout)
        except BaseException:
            self._socket.close()
            raise

    def send(self, text: str) -> None:
        """Send a message of text."""
        self._send(_TEXT, text.encode())

    def receive(self, timeout: float) -> str | None:
        """The next message; None when none came in time. Raises Closed."""
        until = time.monotonic() + timeout
        while True:
            message = self._next()
            if message is not None:
                return message
            left = until - time.monotonic()
            if left <= 0 or not self._read(left):
                return None

    def close(self) -> None:
        """Send a close frame if the connection is open, and close it."""
        try:
            self._send(_CLOSE, (1000).to_bytes(2, "big"))
        except OSError:
            pass  # the server has disconnected already
        finally:
            self._socket.close()

    # --- the handshake

    def _shake_hands(self, path: str, host: str, headers: Mapping[str, str], timeout: float) -> None:
        key = base64.b64encode(os.urandom(16))
        fields = {
            "Host": host,
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": key.decode(),
            **headers,
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        self._socket.sendall(f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode("latin-1"))
        until = time.monotonic() + timeout
        while b"\r\n\r\n" not in self._received:
            left = until - time.monotonic()
            if left <= 0 or len(self._received) > _LONGEST_HEAD or not self._read(left):
                raise Refused(0)
        head, _, self._received = self._received.partition(b"\r\n\r\n")
        first, *rest = head.split(b"\r\n")
        words = first.split()
        status = int(words[1]) if len(words) > 1 and words[1].isdigit() else 0
        accepted = base64.b64encode(hashlib.sha1(key + _MAGIC, usedforsecurity=False).digest())
        answers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(b":") for line in rest)}
        if status != 101 or answers.get(b"sec-websocket-accept") != accepted:
            raise Refused(status)

    # --- frames

    def _read(self, timeout: float) -> bool:
        """Read what there is, waiting for it; whether anything came in time."""
        self._socket.settimeout(timeout)
        try:
            data = self._socket.recv(65_536)
        except TimeoutError:
            return False
        if not data:
            raise Closed(1006)
        self._received += data
        return True

    def _next(self) -> str | None:
        """Process the frames that were read, up to the end of a message."""
        while (frame := self._frame()) is not None:
            last, kind, content = frame
            if kind == _CLOSE:
                raise Closed(int.from_bytes(content[:2], "big") if len(content) >= 2 else 1005)
            if kind == _PING:
                self._send(_PONG, content)
            elif kind != _PONG:
                self._message += content
                if last:
                    message, self._message = self._message, b""
                    return message.decode("utf-8", "replace")
        return None

    def _frame(self) -> tuple[bool, int, bytes] | None:
        """Cut one whole frame off what was read."""
        data = self._received
        if len(data) < 2:
            return None
        length, start = data[1] & 0x7F, 2
        if length >= 126:
            start = 4 if length == 126 else 10
            length = int.from_bytes(data[2:start], "big")
        if length > _LONGEST_MESSAGE or len(self._message) > _LONGEST_MESSAGE:
            raise Closed(1009)
        if len(data) < start + length:
            return None
        self._received = data[start + length :]
        return bool(data[0] & 0x80), data[0] & 0x0F, data[start : start + length]

    def _send(self, kind: int, content: bytes) -> None:
        size = len(content)
        head = bytes([0x80 | kind, 0x80 | size]) if size < 126 else bytes([0x80 | kind, 0xFE]) + size.to_bytes(2, "big")
        mask = os.urandom(4)
        self._socket.settimeout(10.0)
        self._socket.sendall(head + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(content)))
