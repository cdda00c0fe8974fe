"""Multipart bodies, parsed as a stream: memory use does not depend on the size of the file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import IO

from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.http import parse_options_header
from werkzeug.sansio.multipart import Data, Epilogue, Event, Field, File, MultipartDecoder, NeedData

from apiserver.common.fairness import in_thread
from apiserver.files.names import split
from apiserver.files.problems import BadUpload, UploadInterrupted
from apiserver.files.storage import FileStorage, Incoming

_READ = 64 * 1024
_WRITE = 1024 * 1024
_MAX_HEADERS = 4 * _READ
"""Most bytes that the decoder buffers: the headers of a part, and text before the first part."""
_MAX_PARTS = 1000


def receive(storage: FileStorage, company: str, content_type: str, body: IO[bytes], length: int | None) -> list[str]:
    """Store every file of a multipart body under the name of its form field; returns these names in order.

    Each file is visible as soon as it is complete. `length` is the Content-Length. Raises FileProblem: then the current file is not stored,
    earlier ones of the body are.
    """
    in_thread(storage.check_space, min(length or 0, storage.max_size))
    stored: list[str] = []
    current: tuple[str, Incoming, bytearray] | None = None
    try:
        for event in _events(content_type, body):
            if isinstance(event, (File, Field)):
                name = _name(event)
                # Form fields that are not files are skipped.
                current = (name, storage.begin(), bytearray()) if isinstance(event, File) and split(name) else None
            elif isinstance(event, Data) and current is not None:
                name, incoming, block = current
                block += event.data
                if not event.more_data:
                    in_thread(_finish, incoming, bytes(block), company, name)
                    stored.append(name)
                    current = None
                elif len(block) >= _WRITE:
                    in_thread(incoming.write, bytes(block))
                    block.clear()
    finally:
        if current is not None:
            in_thread(current[1].abort)
    if not stored:
        raise BadUpload("there is no file in the form; its field name and file name must be the target path")
    return stored


_QUOTED = re.compile(r';[ \t]*name="((?:[^"\\]|\\.)*)"', re.IGNORECASE | re.DOTALL)


def _name(part: File | Field) -> str:
    """The target path: the field's name, else the file's.

    Browsers and urllib3 write a backslash as it is and a quote as %22 (WHATWG), so only an escaped quote is unescaped here; werkzeug
    would read backslashes the older way. Names in the RFC 2231 form (`name*=`) are werkzeug's to read.
    """
    found = _QUOTED.search(part.headers.get("Content-Disposition", ""))
    return (found[1].replace('\\"', '"') if found else part.name) or (part.filename if isinstance(part, File) else "")


def _finish(incoming: Incoming, rest: bytes, company: str, name: str) -> None:
    """The last write and the commit together: a small file needs one switch to a thread."""
    try:
        incoming.write(rest)
        incoming.commit(company, name)
    finally:
        incoming.abort()


def _events(content_type: str, body: IO[bytes]) -> Iterator[Event]:
    """The decoder's events. Raises BadUpload for a damaged or incomplete body, UploadInterrupted when the client disconnects."""
    kind, options = parse_options_header(content_type)
    boundary = options.get("boundary", "")
    if kind.lower() != "multipart/form-data" or not boundary:
        raise BadUpload("an upload is a POST of multipart/form-data with a boundary")
    decoder = MultipartDecoder(boundary.encode(), _MAX_HEADERS, max_parts=_MAX_PARTS)
    try:
        while True:
            try:
                block = body.read(_READ)
            except OSError as error:  # a time-out, a reset, a broken chunk
                raise UploadInterrupted("the upload was interrupted") from error
            decoder.receive_data(block or None)
            while not isinstance(event := decoder.next_event(), NeedData):
                yield event
                if isinstance(event, Epilogue):
                    return
            if not block:
                raise BadUpload("the upload is incomplete")
    except RequestEntityTooLarge:
        raise BadUpload(f"a part has more than {_MAX_HEADERS} bytes of headers, or there are more than {_MAX_PARTS} parts") from None
    except (ValueError, UnicodeDecodeError, AttributeError) as error:  # what werkzeug's decoder raises for damaged bodies
        raise BadUpload("the upload is damaged or incomplete") from error
