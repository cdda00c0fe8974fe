"""A call from HTTP request to HTTP response, in the order of docs/protocol.md, "Paths and versions"."""

from __future__ import annotations

import logging
import re
import select
import uuid
from collections.abc import Mapping
from functools import partial
from typing import Any

from flask import Request, Response
from gevent.monkey import get_original

from apiserver.bll.events import answer_size
from apiserver.bll.registry.identity import WEB
from apiserver.common import tracing
from apiserver.errors import BadBody, InternalEndpoint, InvalidVersion, MalformedPath, RoleNotAllowed, UnknownEndpoint
from apiserver.service_repo import body as bodies
from apiserver.service_repo import forms
from apiserver.service_repo.auth import SECURE_PREFIX, Authenticator
from apiserver.service_repo.call import Answer, Call, Encoded, RawResponse
from apiserver.service_repo.envelope import CONTENT_TYPE, CallMeta, wrap
from apiserver.service_repo.errors import Failure, failure_of
from apiserver.service_repo.repo import Entry, Handler, ServiceRepo
from apiserver.service_repo.versions import NUMBERS_END, Version, parse
from apiserver.settings import ServerSettings

CAUSES = {1: "state", 2: "store", 3: "busy"}
"""The `cause` label in /metrics, by sub-code of a 503."""
_poll = get_original("select", "poll")
"""gevent's `poll` has no POLLRDHUP."""

log = logging.getLogger("tidemark.calls")

PATH = re.compile(r"/?(?:api/)?(?:v(?P<version>[0-9]+\.[0-9]+|[0-9]{2,})/)?(?P<name>[A-Za-z_]\w+\.[A-Za-z_]\w+)/?", re.ASCII)


class Dispatcher:
    """Answers every request that no other route matches."""

    def __init__(self, repo: ServiceRepo, authenticator: Authenticator, settings: ServerSettings) -> None:
        self._repo = repo
        self._auth = authenticator
        self._settings = settings
        self._newest = repo.maximum

    def knows(self, path: str) -> bool:
        """Whether the path names an endpoint."""
        found = PATH.fullmatch(path)
        return found is not None and found["name"] in self._repo.entries

    def __call__(self, request: Request) -> Response:
        """Answer a request. Never raises: every exception becomes an error envelope."""
        if request.method == "OPTIONS":
            return Response(b"", 200)
        headers = request.headers
        id = uuid.uuid4().hex
        trx = headers.get("X-Clearml-Trx") or headers.get("X-Trains-Trx") or id
        answer_size.begin()
        call = Call(id=id, trx=trx, endpoint="", headers=headers)  # type: ignore[arg-type]  # werkzeug's Headers is a mapping in all but name
        shown: float | str = 1.0
        request.environ["tidemark.call"] = call
        try:
            path = PATH.fullmatch(request.environ.get("PATH_INFO", ""))  # werkzeug's `path` merges leading slashes
            if path is None:
                raise MalformedPath("expected [/api][/v<version>]/service.action")
            version = parse(path["version"]) if path["version"] else self._newest
            if version is None:
                raise InvalidVersion(path["version"][:40])
            call.endpoint, call.requested_version = path["name"], version
            shown = _shown(path["version"], version)
            answer = self._answer(call, request)
        except Exception as error:
            return self._failed(call, shown, failure_of(error, id), error, request.environ)
        if isinstance(answer, RawResponse):
            response = Response(answer.stream, answer.status, dict(answer.headers), content_type=answer.content_type)  # type: ignore[arg-type]
        else:
            try:
                response = Response(_envelope(call, shown, answer), 200, content_type=CONTENT_TYPE)
            except Exception as error:
                return self._failed(call, shown, failure_of(error, id), error, request.environ)
        secure = request.is_secure or self._auth.secure_cookie
        for cookie in call.cookies:
            name = SECURE_PREFIX + cookie.name if secure else cookie.name
            response.set_cookie(name, cookie.value, max_age=cookie.max_age, path="/", httponly=True, samesite="Strict", secure=secure)
        return response

    def refused(self, environ: dict[str, Any], error: Exception) -> Response:
        """The error envelope for a call whose answer was made but can't be sent."""
        call: Call = environ["tidemark.call"]
        path = PATH.fullmatch(environ.get("PATH_INFO", ""))
        shown = _shown(path["version"], call.requested_version) if path is not None else 1.0
        return self._failed(call, shown, failure_of(error, call.id), error, environ)

    def _answer(self, call: Call, request: Request) -> Answer:
        entry, handler = self._find(call)
        self._authorize(call, entry, request)
        call.client = _either(request, "Client")
        call.worker = _either(request, "Worker") or "<unknown>"
        if call.access_key and call.credential != "web":
            self._auth.note_use(call.identity, call.access_key, call.worker)
        environ = request.environ
        call.is_gone = partial(_is_gone, environ)
        if call.credential or entry.schema.takes_fields(call.requested_version):
            call.body = bodies.read(environ, self._settings.max_body, self._settings.max_unpacked)
        else:
            bodies.check_announced(environ, self._settings.max_body)  # anonymous callers can't make us read a body that means nothing
        wanted = self._request(call, entry, environ)
        _check_fields(call, entry, wanted)
        with tracing.span(call.endpoint):
            return handler(call, wanted)

    def _find(self, call: Call) -> tuple[Entry, Handler]:
        entry = self._repo.entries.get(call.endpoint)
        found = entry.find(call.requested_version) if entry is not None else None
        if entry is None or found is None:
            raise UnknownEndpoint(f"{call.endpoint} v{call.requested_version}")
        call.actual_version, handler = found
        return entry, handler

    def _authorize(self, call: Call, entry: Entry, request: Request) -> None:
        attributes = entry.schema.attributes
        if attributes.internal:
            raise InternalEndpoint
        if attributes.authorize is False:
            self._auth.check_origin(call.headers)
            return
        try:
            request_info = self._auth.request_info(request.environ, changes=attributes.changes)
            caller = self._auth.admit(call.headers, lambda: request.cookies, request_info=request_info)
        except Exception as error:
            if attributes.authorize is None and failure_of(error, call.id).code == 401:
                return  # credentials are optional here
            raise
        call.identity, call.credential = caller.identity, caller.kind
        call.access_key, call.session, call.caller = caller.access_key, caller.session_id, caller
        if not attributes.allows(caller.identity.role) and not (caller.kind == WEB and WEB in attributes.allow_roles):
            raise RoleNotAllowed(role=caller.identity.role)

    def _request(self, call: Call, entry: Entry, environ: dict[str, Any]) -> dict[str, Any]:
        content_type = environ.get("CONTENT_TYPE", "")
        mimetype = content_type.partition(";")[0].strip().lower()
        batch = entry.schema.is_batch(call.requested_version)
        query = forms.pairs(environ["QUERY_STRING"]) if environ.get("QUERY_STRING") else []
        found: dict[str, Any] = {}
        if mimetype in bodies.JSON_LINES:
            call.is_batch = True  # an endpoint that takes no batch sees {}
        elif mimetype in (forms.FORM, forms.MULTIPART) and not call.body.lstrip().startswith(b"{"):  # `curl -d '{...}'` calls JSON a form
            query = [*forms.form_pairs(mimetype, content_type, call.body), *query]
        else:
            found = bodies.as_object(call.body)
        if batch and not query:
            return found  # the handler validates the lines, or the single object, itself
        reader = entry.schema.reader(call.requested_version)
        if query:
            forms.merge(found, query, reader.schema)
        return found if batch else reader.read(found)

    def _failed(self, call: Call, shown: float | str, failure: Failure, error: Exception, environ: dict[str, Any]) -> Response:
        if failure.code == 503:  # the store logs its outage once, not once a call
            environ["tidemark.cause"] = CAUSES.get(failure.subcode, "other")
            log.debug("call %s %s: %s", call.id, call.endpoint, error)
        elif failure.code >= 500:
            # Clients see no internals; operators find the error in the log by the call's id.
            log.error("call %s %s: %s", call.id, call.endpoint, error, exc_info=error)
        elif isinstance(error, BadBody):
            log.debug("call %s %s: %s", call.id, call.endpoint, error)
        response = Response(_envelope(call, shown, failure.data, failure), failure.code, content_type=CONTENT_TYPE)
        if failure.retry_after is not None:
            response.headers["Retry-After"] = str(failure.retry_after)
        return response


def _is_gone(environ: Mapping[str, Any]) -> bool:
    """Whether the client of a WSGI request has closed its connection. Never waits."""
    connection = environ.get("gunicorn.socket")
    if connection is None or connection.fileno() < 0:
        return False
    poll = _poll()
    poll.register(connection.fileno(), select.POLLRDHUP | select.POLLHUP)
    return bool(poll.poll(0))


def _check_fields(call: Call, entry: Entry, wanted: dict[str, Any]) -> None:
    """Raise RoleNotAllowed for a field that the caller's role may not send: an annotator may set the comment of a task and nothing else."""
    attributes, role = entry.schema.attributes, call.identity.role
    if not attributes.fields_of_roles or role not in attributes.fields_of_roles or attributes.allows_everything(role):
        return
    further = sorted(set(wanted) - attributes.fields_of_roles[role])
    if further:
        allowed = ", ".join(sorted(attributes.fields_of_roles[role]))
        raise RoleNotAllowed(f'it may send {allowed} here, not "{further[0][:100]}"', role=role)


def _envelope(call: Call, shown: float | str, data: dict[str, Any] | Encoded | None, failure: Failure | None = None) -> bytes:
    meta = CallMeta(call.id, call.trx, call.endpoint, shown, _actual(call, shown))
    code, subcode, message = (200, 0, "OK") if failure is None else (failure.code, failure.subcode, failure.message)
    return wrap(meta, code, subcode, message, {} if data is None else data)


def _actual(call: Call, shown: float | str) -> float | str | None:
    """The handler's min-version, as a number or a text like the requested version; None when no handler was found."""
    if call.actual_version is None:
        return None
    return float(str(call.actual_version)) if isinstance(shown, float) else str(call.actual_version)


def _shown(text: str | None, version: Version) -> float | str:
    """The requested version as the envelope echoes it: a number below 2.1, verbatim text from there on."""
    return float(str(version)) if version < NUMBERS_END else text or str(version)


def _either(request: Request, name: str) -> str:
    return request.headers.get(f"X-Clearml-{name}") or request.headers.get(f"X-Trains-{name}") or ""
