"""HTTP calls of the commands, with retries while the other server is busy or unavailable."""

from __future__ import annotations

import gzip
import time
import urllib.request
import zlib
from collections.abc import Iterator, Mapping
from email.message import Message
from http.client import HTTPException, IncompleteRead
from typing import NamedTuple, Protocol, Self, cast
from urllib.error import HTTPError

from tidemark_events.pauses import retry_after

ATTEMPTS = 6
"""Attempts of a call: about 8 s in total, unless the server asks for longer pauses."""
LONGEST_PAUSE = 30.0
BUSY = (429, 502, 503, 504)
BLOCK = 1 << 20


class NoAnswer(Exception):
    """There was no complete answer; the text says why. `passing`: a retry may help."""

    def __init__(self, text: str, *, passing: bool = True) -> None:
        super().__init__(text)
        self.passing = passing


class Response(Protocol):
    """An answer whose body is not read yet."""

    status: int
    headers: Message

    def read(self, size: int = -1, /) -> bytes: ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...


class Answer(NamedTuple):
    """An answer of any status, with its body decompressed."""

    status: int
    body: bytes

    @property
    def beginning(self) -> str:
        """The first 200 bytes of the body as text, for messages."""
        return self.body[:200].decode("utf-8", "replace")


def send(
    url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None, *, method: str = "", timeout: float = 120.0
) -> Answer:
    """Send a request and return the answer of the first attempt that is not busy, or of the last one. `method` empty: POST with a body, else GET.
    `timeout` in seconds. Raises NoAnswer."""
    for attempt in range(ATTEMPTS):
        last, pause = attempt == ATTEMPTS - 1, 2**attempt / 4
        try:
            with opened(url, body, headers, method=method, timeout=timeout) as response:
                answer = Answer(response.status, _body(response))
                if answer.status not in BUSY or last:
                    return answer
                pause = min(retry_after(response.headers.get("Retry-After"), pause), LONGEST_PAUSE)
        except NoAnswer as error:
            if last or not error.passing:
                raise
        time.sleep(pause)
    raise AssertionError("unreachable")


def opened(
    url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None, *, method: str = "", timeout: float = 120.0
) -> Response:
    """Send a request once. The answer, of any status, is open for reading. Raises NoAnswer."""
    try:
        request = urllib.request.Request(url, body, dict(headers or {}), method=method or None)
        response: Response = urllib.request.urlopen(request, timeout=timeout)
        return response
    except HTTPError as error:  # urllib raises answers with an error status
        return cast(Response, error)
    except (OSError, HTTPException) as error:
        raise NoAnswer(_words(error)) from None
    except ValueError as error:  # not a URL
        raise NoAnswer(_words(error), passing=False) from None


def blocks(response: Response) -> Iterator[bytes]:
    """The body of an answer in blocks. Raises NoAnswer if it is incomplete."""
    size, whole = 0, response.headers.get("Content-Length") or ""
    try:
        while block := response.read(BLOCK):
            size += len(block)
            yield block
    except (OSError, HTTPException) as error:
        raise NoAnswer(f"the answer broke off after {size:,} bytes ({_words(error)})") from None
    if whole.isdecimal() and size != int(whole):  # `read(size)` does not report a short body
        raise NoAnswer(f"the answer broke off after {size:,} of {int(whole):,} bytes")


def _body(response: Response) -> bytes:
    try:
        data = response.read()
        return gzip.decompress(data) if response.headers.get("Content-Encoding") == "gzip" else data
    except IncompleteRead as error:
        raise NoAnswer(f"the answer broke off after {len(error.partial):,} bytes") from None
    except (OSError, HTTPException, EOFError, zlib.error) as error:
        raise NoAnswer(f"the answer broke off ({_words(error)})") from None


def _words(error: Exception) -> str:
    reason = getattr(error, "reason", error)
    return str(reason) or type(reason).__name__
