"""Connects the file server to the application: authentication, the second port, deletion of tasks."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Collection, Iterator
from urllib.parse import unquote, urlsplit

from flask import Flask, Request
from werkzeug.datastructures import Headers

from apiserver.bll.registry.directory import TaskDirectory
from apiserver.common.fairness import in_thread
from apiserver.context import Context
from apiserver.errors import RoleNotAllowed
from apiserver.files.names import other_decodings, split, stored_names
from apiserver.files.problems import BadName
from apiserver.files.storage import FileStorage
from apiserver.files.thumbnails import Thumbnails
from apiserver.files.web import Policy, SecondPort, mount
from apiserver.service_repo.auth import Authenticator
from apiserver.service_repo.errors import failure_of

MAX_PREFIX = 8
"""Most folders in the file server's URL (`http://host/some/prefix/files`)."""

log = logging.getLogger("tidemark.files")


def register_files(app: Flask, context: Context, storage: FileStorage) -> None:
    """Mount the file server below /files and, with `files.port`, at the root of that port."""
    settings = context.settings
    access = ApiAccess(context.authenticator, TaskDirectory(context.engine.registry))
    policy = Policy(settings.files.allow_scripts, tuple(settings.files.script_origins), other_sites=bool(settings.cors.origins))
    mount(app, storage, access, policy, Thumbnails(settings.files.max_pixels, settings.files.thumbnail_memory))
    if settings.files.port:
        app.wsgi_app = SecondPort(app.wsgi_app, settings.files.port)  # type: ignore[method-assign]


class StoredTaskFiles:
    """Deletes the files of deleted tasks."""

    def __init__(self, storage: FileStorage) -> None:
        self._storage = storage

    def delete(self, company: str, task: str, *, keep: Collection[str] = ()) -> bool:
        """Remove all files of a task except those that a URL in `keep` names; False when it had none. Runs in a thread."""
        return in_thread(self._storage.delete_task, company, task, [name for url in keep for name in names_in(url)])


def names_in(url: str) -> Iterator[str]:
    """The names that a URL may stand for: only the client knows how many folders of the path belong to the file server's own URL."""
    path = urlsplit(url).path
    for reading in dict.fromkeys([unquote(path), *other_decodings(path)]):
        segments = [segment for segment in reading.split("/") if segment]
        for start in range(min(len(segments), MAX_PREFIX + 1)):
            name = "/".join(segments[start:])
            try:
                split(name)
            except BadName:
                continue
            yield from stored_names(name)


class ApiAccess:
    """`Access` by the API's authentication."""

    def __init__(self, authenticator: Authenticator, directory: TaskDirectory) -> None:
        self._authenticator = authenticator
        self._directory = directory

    def company(self, request: Request, *, write: bool) -> str:
        """The caller's company id. Raises the errors of `Authenticator.admit`, and RoleNotAllowed."""
        headers = Headers(list(request.headers))
        if not write:
            # Image tags of other web applications and links in mails may read files: neither lets the other page see the bytes.
            headers.remove("Sec-Fetch-Site")
        request_info = self._authenticator.request_info(request.environ, changes=write)
        identity = self._authenticator.admit(headers, lambda: request.cookies, request_info=request_info).identity  # type: ignore[arg-type]
        if write and not identity.may_write:
            raise RoleNotAllowed(role=identity.role)
        return identity.company

    def owner(self, company: str, task: str) -> str | None:
        """The company of another company's public task, else None."""
        found = self._directory.resolve(company, [task]).get(task)
        return found.company if found is not None and found.company != company else None

    def was_deleted(self, company: str, task: str) -> bool:
        """Whether the task, with its files, was deleted within the last hour."""
        return bool(self._directory.was_deleted(company, [task]))

    def refusal(self, error: Exception) -> tuple[int, str, dict[str, str]]:
        """HTTP status, message and headers, as the API answers the same error."""
        id = uuid.uuid4().hex
        failure = failure_of(error, id)
        if failure.code == 500:
            log.error("file request %s: %s", id, error, exc_info=error)
        headers = {"Retry-After": str(failure.retry_after)} if failure.retry_after is not None else {}
        return failure.code, failure.message, headers
