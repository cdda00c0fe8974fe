"""The HTTP face of the file server: POST, GET (ranges, conditional requests), HEAD and DELETE below /files.

Stored files come from clients and must never run scripts in this server's origin. Types that browsers execute get
`Content-Security-Policy: sandbox`, every file gets `nosniff`, and scripts are served as plain text.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar
from urllib.parse import urlsplit

import orjson
from flask import Blueprint, Flask, Request, Response, request
from werkzeug.exceptions import HTTPException
from werkzeug.http import http_date, parse_range_header, quote_etag
from werkzeug.routing import PathConverter

from apiserver.common.attachment import attachment
from apiserver.common.fairness import give_way, in_thread
from apiserver.files.names import other_decodings
from apiserver.files.problems import BadName, FileProblem, NoSuchFile, TooLarge, UploadInterrupted
from apiserver.files.storage import FileStorage, OpenFile
from apiserver.files.thumbnails import Thumbnails
from apiserver.files.types import content_type, is_inert
from apiserver.files.uploads import receive

_T = TypeVar("_T")

_READ = 256 * 1024
_DRAIN = 64 * 1024

_SANDBOX = "sandbox{}; default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; media-src 'self' data:; font-src data:{}"


class Access(Protocol):
    """Authentication and authorization of file requests."""

    def company(self, request: Request, *, write: bool) -> str:
        """The caller's company id. Raises errors for `refusal`: missing or wrong credentials, a foreign web page, a role that may not write."""

    def owner(self, company: str, task: str) -> str | None:
        """The other company that owns this task, if the task is public; else None."""

    def was_deleted(self, company: str, task: str) -> bool:
        """Whether this task was deleted recently."""

    def refusal(self, error: Exception) -> tuple[int, str, dict[str, str]]:
        """HTTP status, message and headers for an exception; unexpected ones are logged."""


@dataclass(frozen=True)
class Policy:
    """`allow_scripts`: uploaded HTML may run its own scripts and those of `script_origins`, in an opaque origin. `other_sites`: pages of other sites
    (cors.origins) may embed files."""

    allow_scripts: bool = False
    script_origins: tuple[str, ...] = ()
    other_sites: bool = False


class FileServer:
    """The handlers; `blueprint()` has their routes."""

    def __init__(self, storage: FileStorage, access: Access, policy: Policy, thumbnails: Thumbnails) -> None:
        self._storage = storage
        self._thumbnails = thumbnails
        self._access = access
        self._readers = "cross-origin" if policy.other_sites else "same-site"
        sources = " ".join(["'unsafe-inline'", "'unsafe-eval'", *policy.script_origins])
        self._csp = _SANDBOX.format(*((" allow-scripts", f"; script-src {sources}") if policy.allow_scripts else ("", "")))

    def blueprint(self) -> Blueprint:
        """POST /files, and everything else at /files/<name>."""
        routes = Blueprint("files", __name__)
        for rule in ("/files", "/files/<anything:name>"):
            routes.add_url_rule(rule, view_func=self.handle, methods=["GET", "HEAD", "POST", "DELETE"], merge_slashes=False)
        return routes

    def handle(self, name: str = "") -> Response:
        """Answer a request. Errors are `{"detail": message}`."""
        try:
            if request.method == "POST":
                return self._upload()
            company = self._access.company(request, write=request.method == "DELETE")
            if request.method == "DELETE":
                return self._delete(company, name)
            return self._download(company, name)
        except UploadInterrupted as problem:
            return _json(problem.status, {"detail": problem.text})
        except FileProblem as problem:
            return self._refused(problem.status, problem.text, {})
        except HTTPException as problem:  # the client disconnected, or its request is malformed
            return self._refused(problem.code or 400, problem.description or "the request can't be read", {})
        except Exception as error:
            return self._refused(*self._access.refusal(error))

    # --- uploads

    def _upload(self) -> Response:
        company = self._access.company(request, write=True)
        request.environ["tidemark.admitted"] = True
        request.max_content_length = None  # Flask's limit is that of API calls; files have files.max_size
        length = request.content_length
        if request.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise _Unsupported("a compressed upload (Content-Encoding) is not supported; send the file as it is")
        if length is not None and length > self._storage.max_size + _DRAIN:
            limit = self._storage.max_size
            raise TooLarge(f"the upload has {length} bytes; files may have up to {limit} bytes (files.max_size)")
        stored = receive(self._storage, company, request.headers.get("Content-Type", ""), request.stream, length)
        return _json(200, stored)

    def _refused(self, status: int, text: str, headers: dict[str, str]) -> Response:
        """An error answer, sent after the rest of the body: a client that is still sending would see a reset instead of the answer."""
        # For callers without a login, the common limit of refused bodies applies.
        if request.method == "POST" and "tidemark.admitted" in request.environ:
            _drain(request, self._storage.max_size)
        return _json(status, {"detail": text}, headers)

    def _delete(self, company: str, name: str) -> Response:
        try:
            self._first_found(company, name, self._storage.delete)
        except NoSuchFile:
            # The SDK deletes a task, which deletes its files, and then each file again; it would report a 404 as a failure.
            task = self._storage.task_of(name)
            if task is None or not self._access.was_deleted(company, task):
                raise
        return _json(200, {"deleted": name})

    # --- downloads

    def _download(self, company: str, name: str) -> Response:
        file = self._find(company, name)
        try:
            if "thumb" in request.args:
                small = self._thumbnail(file)
                if small is not None:
                    os.close(file.fd)
                    return small
            return self._answer(file, name)
        except BaseException:
            os.close(file.fd)
            raise

    def _thumbnail(self, file: OpenFile) -> Response | None:
        """A thumbnail, or None: send the file itself. Leaves the descriptor open. Raises BadName for a bad size, TooManyPixels, NotAnImage."""
        asked = request.args["thumb"]
        if not asked.isdecimal() or not asked.isascii() or len(asked) > 5:
            raise BadName(f"thumb must be a number of pixels such as 256, got {asked[:40]!r}")
        if request.method == "HEAD":  # the page asks whether a browser should decode the image at all
            self._thumbnails.check(file)
            return None
        body = self._thumbnails.of(file, int(asked))
        if body is None:
            return None
        etag = f"{file.etag}-{asked}"
        headers = {**self._common(file), "ETag": quote_etag(etag), "Content-Type": "image/webp"}
        if request.if_none_match.contains_weak(etag):
            headers.pop("Content-Type")
            return Response(status=304, headers=headers)
        return Response(body, headers=headers)

    def _common(self, file: OpenFile) -> dict[str, str]:
        return {
            "Last-Modified": http_date(file.modified),
            # The SDK reuses names after a hundred iterations, so caches must revalidate.
            "Cache-Control": "private, no-cache, no-transform",
            "X-Content-Type-Options": "nosniff",
            "Cross-Origin-Resource-Policy": self._readers,
        }

    def _find(self, company: str, name: str) -> OpenFile:
        try:
            return self._first_found(company, name, self._storage.open)
        except BadName:
            raise NoSuchFile("there is no such file") from None
        except NoSuchFile:
            owner = self._owner_of(company, name)
            if owner is None:
                raise
            return self._first_found(owner, name, self._storage.open)

    def _first_found(self, company: str, name: str, act: Callable[[str, str], _T]) -> _T:
        """The result of `act` for the name, else for another name of the same task that the path can stand for. Raises NoSuchFile."""
        try:
            return in_thread(act, company, name)
        except NoSuchFile:
            sent = str(request.environ.get("RAW_URI", "")).partition("?")[0].partition("/files/")[2]
            task = self._storage.task_of(name)  # a public task of another company, perhaps, whose other tasks are not public
            for reading in self._readings(company, sent) if "%" in sent else ():
                with contextlib.suppress(NoSuchFile, BadName):
                    if self._storage.task_of(reading) == task:
                        return in_thread(act, company, reading)
            raise

    def _readings(self, company: str, sent: str) -> Iterator[str]:
        yield from other_decodings(sent)
        with contextlib.suppress(BadName):
            yield from in_thread(self._storage.alike, company, sent)

    def _owner_of(self, company: str, name: str) -> str | None:
        task = self._storage.task_of(name)
        return self._access.owner(company, task) if task else None

    def _answer(self, file: OpenFile, name: str) -> Response:
        """200, 206, 304 or 416; closes the descriptor, or passes it to the body."""
        kind = content_type(name)
        headers = {"Content-Type": kind, "ETag": quote_etag(file.etag), "Accept-Ranges": "bytes", **self._common(file)}
        if not is_inert(kind):
            headers["Content-Security-Policy"] = self._csp
        if "download" in request.args:  # download buttons of web applications: otherwise a browser would show the file
            headers["Content-Disposition"] = attachment(name.rpartition("/")[2])
        if request.if_none_match.contains_weak(file.etag):
            os.close(file.fd)
            headers.pop("Content-Type")
            return Response(status=304, headers=headers)
        start, end, status = 0, file.size, 200
        asked = parse_range_header(request.headers.get("Range"))
        same = "If-Range" not in request.headers or request.if_range.etag == file.etag
        if asked is not None and asked.units == "bytes" and len(asked.ranges) == 1 and same:
            found = asked.range_for_length(file.size)
            if found is None:
                os.close(file.fd)
                return _json(416, {"detail": f"the file has {file.size} bytes"}, {"Content-Range": f"bytes */{file.size}"})
            (start, end), status = found, 206
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{file.size}"
        headers["Content-Length"] = str(end - start)
        if request.method == "HEAD":
            os.close(file.fd)
            return Response(status=status, headers=headers)
        return Response(_Body(file.fd, start, end), status=status, headers=headers)


class _Anything(PathConverter):
    """The rest of a path; may be empty or begin with a slash."""

    regex = "(?s:.*)"
    part_isolating = False


class _Unsupported(FileProblem):
    status = 415


class _Body:
    """Bytes [start, end) of a file, read in a thread and sent in blocks; closed at the end or when the client disconnects."""

    def __init__(self, fd: int, start: int, end: int) -> None:
        self._fd, self._at, self._end = fd, start, end

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._at >= self._end:
            raise StopIteration
        block = in_thread(os.pread, self._fd, min(_READ, self._end - self._at), self._at)
        if not block:  # the file was truncated: the connection closes before Content-Length bytes, which clients notice
            raise OSError("a file became shorter while it was sent")
        self._at += len(block)
        return block

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _json(status: int, content: object, headers: dict[str, str] | None = None) -> Response:
    common = {"Content-Type": "application/json", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
    return Response(orjson.dumps(content), status=status, headers={**common, **(headers or {})})


def _drain(request: Request, limit: int) -> None:
    """Read and discard the rest of a body, up to `limit`."""
    left = limit
    try:
        while left > 0 and (block := request.stream.read(_DRAIN)):
            left -= len(block)
            give_way()  # a fast client always has data: without this no other request would run
    except (HTTPException, OSError, ValueError):
        return


class SecondPort:
    """WSGI middleware: requests to the file server's own port are answered as if their path were below /files."""

    def __init__(self, app: Callable[..., Iterable[bytes]], port: int) -> None:
        self._app = app
        self._port = str(port)

    def __call__(self, environ: dict[str, object], start_response: Callable[..., object]) -> Iterable[bytes]:
        if environ.get("SERVER_PORT") == self._port:
            environ["PATH_INFO"] = "/files" + str(environ.get("PATH_INFO", "") or "/")
            environ["RAW_URI"] = "/files" + urlsplit(str(environ.get("RAW_URI", ""))).path
        return self._app(environ, start_response)


def mount(app: Flask, storage: FileStorage, access: Access, policy: Policy, thumbnails: Thumbnails) -> None:
    """Add the file server's routes to the application."""
    app.url_map.converters["anything"] = _Anything
    app.register_blueprint(FileServer(storage, access, policy, thumbnails).blueprint())
