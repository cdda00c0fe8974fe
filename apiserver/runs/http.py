"""The REST face: paths, parameters, headers and errors of the runs API (`{"detail": ...}`)."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np
import orjson
from flask import Blueprint, Flask, Response, request
from werkzeug.exceptions import MethodNotAllowed

from apiserver import __version__
from apiserver.bll.answer_cache import AnswerCache
from apiserver.bll.events.retries import digest_of
from apiserver.bll.registry.directory import Owner
from apiserver.bll.runs.answers import RowCounts, RowsAnswer, RowSelection, RunAnswers
from apiserver.bll.runs.catalog import RunCatalog, UnknownRun, possible_id
from apiserver.bll.runs.export import FORMATS, MissingExtra, export_run
from apiserver.bll.runs.report_html import POLICY
from apiserver.bll.runs.run_lines import RefusedLine, RunLines
from apiserver.bll.runs.sampling import MetricValues, choose_rows
from apiserver.bll.runs.writer import RunWriter
from apiserver.common.addresses import without_password
from apiserver.common.attachment import attachment
from apiserver.common.fairness import paced
from apiserver.common.metrics import count_refused
from apiserver.errors import BodyTooLarge, RoleNotAllowed, TidemarkError
from apiserver.runs import parameters
from apiserver.runs.limits import Limiter, Verdict
from apiserver.runs.openapi import PAGE, PAGE_HEADERS
from apiserver.runs.parameters import BadParameter
from apiserver.service_repo import body as bodies
from apiserver.service_repo.auth import Authenticator
from apiserver.service_repo.call import Identity
from apiserver.service_repo.errors import failure_of
from apiserver.settings import Settings, is_loopback
from apiserver.stores.base import EventStore
from apiserver.stores.errors import StoreDamaged

log = logging.getLogger("tidemark.runs")

JSON = "application/json"
MAX_ERROR_LINES = 100
MAX_ERROR_BYTES = 1_000_000
"""Bytes of an answer's list of broken lines; `errors` counts all of them."""
MAX_OFFSET = 2**31
CACHE_BYTES = 96 * 1024 * 1024
PLAIN_FROM = 100_000
"""Size above which an answer to this machine is not compressed."""
SLICE = 5_000
"""Problems counted before yielding to other requests."""
SLICE_BYTES = 500_000
"""Bytes read before yielding to other requests; a line counts as LINE_BYTES more."""
LINE_BYTES = 1_000

EXPORT_TYPES = {
    "csv": ("text/csv; charset=utf-8", "csv"),
    "excel": ("text/csv; charset=utf-8", "csv"),
    "jsonl": ("application/x-ndjson", "jsonl"),
    "parquet": ("application/vnd.apache.parquet", "parquet"),
    "log": ("text/plain; charset=utf-8", "txt"),
    "html": ("text/html; charset=utf-8", "html"),
}
"""format -> (content type, ending of the file's name)."""

Handler = Callable[..., Response]


class RunsApi:
    """The handlers; `blueprint` has their routes."""

    def __init__(
        self,
        *,
        store: EventStore,
        catalog: RunCatalog,
        writer: RunWriter,
        limiter: Limiter,
        authenticator: Authenticator,
        settings: Settings,
        description: Callable[[], Any],
        store_works: Callable[[], bool],
    ) -> None:
        """`description`: makes the OpenAPI description of the whole server. `store_works`: as of the last second; strangers may ask."""
        self._description, self._described = description, b""
        self._store_works = store_works
        self._max_lines, self._max_runs = settings.runs.max_lines, settings.runs.max_runs
        self._store, self._catalog, self._writer = store, catalog, writer
        self._limiter, self._authenticator = limiter, authenticator
        self._server, self._storage = settings.server, without_password(settings.store_url)
        self._rows = RunAnswers(store, settings.runs.max_points)
        self._cache: AnswerCache[RowsAnswer] = AnswerCache(CACHE_BYTES, _size)
        choose_rows(100, [MetricValues(np.arange(100), np.arange(100.0))], 10)  # numpy loads modules on first use
        self.blueprint = Blueprint("runs", __name__)
        self._add_routes()

    def _add_routes(self) -> None:
        def route(path: str, handler: Handler, *methods: str) -> None:
            name = handler.__name__ + path.replace("/", "_").replace(".", "_")
            self.blueprint.add_url_rule(path, name, self._guarded(handler), methods=methods or ("GET",))

        route("/api/runs", self.runs)
        route("/api/runs/<run_id:run>", self.run)
        route("/api/runs/<run_id:run>/metrics", self.metrics)
        route("/api/runs/<run_id:run>/metrics_step", self.metrics_step)
        route("/api/runs/<run_id:run>/progress", self.progress)
        route("/api/runs/<run_id:run>/export", self.export)
        route("/api/runs/<run_id:run>/events", self.add_events, "POST")
        route("/api/runs/<run_id:run>/imported", self.imported)
        route("/api/runs/<run_id:run>/meta", self.describe, "PUT")
        route("/api/v2/experiments/<run_id:run>/metrics/fast", self.fast)
        route("/api/health", self.health)
        route("/api/openapi.json", self.openapi)
        route("/api/docs", self.page)
        route("/api/runs/<path:rest>", self.nothing)
        route("/api/v2/experiments/<path:rest>", self.nothing)

    # --- reading

    def runs(self) -> Response:
        company = self._identity().company
        limit = parameters.whole(request.args, "limit", 1, self._max_runs) or self._max_runs
        return _json(self._catalog.runs(company, parameters.whole(request.args, "offset", 0, MAX_OFFSET) or 0, limit))

    def run(self, run: str) -> Response:
        return self._detail(self._catalog.find(self._identity().company, run))

    def metrics(self, run: str) -> Response:
        return self._limited("metrics", run, self._rows.metrics)

    def metrics_step(self, run: str) -> Response:
        return self._limited("metrics_step", run, self._rows.metrics_step)

    def progress(self, run: str) -> Response:
        """Deprecated in Runicorn: a constant."""
        self._identity()
        return _json({"available": False, "status": "unknown"})

    def fast(self, run: str) -> Response:
        owner = self._catalog.find(self._identity().company, run)
        names = request.args.get("metric_names")
        only = [name for name in names.split(",") if name] if names else None
        try:
            between = parameters.step_range(request.args)
        except BadParameter:
            return _problem(400, "Invalid step_range format, use 'min:max'")
        lo, hi = between if between is not None else (None, None)
        wanted = RowSelection(lo, hi, parameters.whole(request.args, "downsample", 0))
        key = ("fast", owner.company, run, wanted, tuple(only) if only is not None else None)
        answer, tag = self._answer(key, owner, lambda: self._rows.fast(owner, wanted, only))
        return self._unchanged(tag, Verdict({})) or _response(answer, tag)

    def export(self, run: str) -> Response:
        """All points, or the log, as a file."""
        owner = self._catalog.find(self._identity().company, run)
        form = parameters.choice(request.args, "format", FORMATS) or "csv"
        kind, ending = EXPORT_TYPES[form]
        try:
            pieces = export_run(self._store, self._catalog, owner, form)
        except MissingExtra as error:
            return _problem(501, str(error))
        headers = {
            "Content-Disposition": attachment(f"{run}.{ending}"),
            "Content-Security-Policy": f"sandbox; {POLICY}",
            "X-Content-Type-Options": "nosniff",
        }
        return Response(pieces, content_type=kind, headers=headers)

    def _limited(self, endpoint: str, run: str, read: Callable[[Owner, RowSelection], RowsAnswer]) -> Response:
        """An answer under the rate limit. A 304 does not count, so it is checked first."""
        identity = self._identity()
        who = f"{len(identity.company)}:{identity.company}:{self._authenticator.request_info(request.environ, changes=False).address}:{endpoint}:{run}"
        if request.headers.get("If-None-Match"):
            owner, wanted = self._wanted(identity, run, Verdict({}))
            unchanged = self._unchanged(self._tag((endpoint, owner.company, run, wanted), owner), self._limiter.check(who, count=False))
            if unchanged is not None:
                return unchanged
        verdict = self._limiter.check(who)
        if verdict.retry_after is not None:
            return _problem(429, "Rate limit exceeded", verdict.headers, retry_after=verdict.retry_after)
        owner, wanted = self._wanted(identity, run, verdict)
        answer, tag = self._answer((endpoint, owner.company, run, wanted), owner, lambda: read(owner, wanted))
        return _response(answer, tag, verdict.headers)

    def _wanted(self, identity: Identity, run: str, verdict: Verdict) -> tuple[Owner, RowSelection]:
        request.environ["tidemark.limit_headers"] = verdict.headers
        owner = self._catalog.find(identity.company, run)
        lo, hi = parameters.steps(request.args)
        return owner, RowSelection(lo, hi, parameters.whole(request.args, "downsample", parameters.MIN_ROWS, parameters.MAX_ROWS))

    def _answer(self, key: tuple[Any, ...], owner: Owner, make: Callable[[], RowsAnswer]) -> tuple[RowsAnswer, str | None]:
        revision = self._store.revision(owner.company, [owner.id])
        return self._cache.get(key, revision, make), _tag(key, revision)

    def _tag(self, key: tuple[Any, ...], owner: Owner) -> str | None:
        return _tag(key, self._store.revision(owner.company, [owner.id]))

    def _unchanged(self, tag: str | None, verdict: Verdict) -> Response | None:
        if tag is None or tag.strip('"') not in request.if_none_match:
            return None
        return Response(status=304, headers={"ETag": tag, "Cache-Control": "no-cache", **verdict.headers})

    # --- writing

    def add_events(self, run: str) -> Response:
        """JSON lines as events.jsonl holds them; unreadable lines are reported by number, the rest is stored."""
        identity = self._writing_identity()
        shown = parameters.whole(request.args, "error_lines", 0)
        body = bodies.read(request.environ, self._server.max_body, self._server.max_unpacked)
        lines = RunLines(run, time.time_ns() // 1_000_000, request.headers.get("X-Clearml-Worker", ""))
        if body.count(b"\n") > self._max_lines:
            raise BodyTooLarge(self._max_lines, "lines (runs.max_lines)")
        parts = body.split(b"\n")
        digest = digest_of(identity.company, body, run) if b'"log"' in body else None
        del body
        for number, part in enumerate(paced(parts, SLICE_BYTES, lambda part: LINE_BYTES + len(part)), 1):
            lines.add(number, part)
        problems, refused = lines.errors, lines.refused
        if refused:
            count_refused({"not json": lines.broken, "other": refused - lines.broken})
        if lines.added:
            owner = self._catalog.writable(identity.company, identity.user, run)
            if lines.timed:
                lines.batch.digest = digest
            refusals = lines.refuse(self._writer.store(owner, lines))
            problems, refused = problems + refusals, refused + len(refusals)
        elif not possible_id(run):
            raise UnknownRun(run)
        answer = {
            "added": lines.added,
            "errors": refused,
            "passed_over": lines.skipped,
            "error_lines": _bounded(problems, MAX_ERROR_LINES if shown is None else shown),
        }
        if not lines.added:
            reason = "No line could be stored" if problems else "The body has no lines to store"
            return _json({"detail": reason, **answer}, 400)
        return _json(answer)

    def imported(self, run: str) -> Response:
        """How far the log of a run was imported: where an importer resumes."""
        owner = self._catalog.find(self._identity().company, run)
        return _json({"log_lines": self._writer.last_ordinal(owner)})

    def describe(self, run: str) -> Response:
        """Store meta.json, status.json and summary.json, given as one object."""
        identity = self._writing_identity()
        facts = bodies.as_object(bodies.read(request.environ, self._server.max_body, self._server.max_unpacked))
        return self._detail(self._catalog.describe(identity.company, identity.user, run, facts))

    def _detail(self, owner: Owner) -> Response:
        """A run as the catalogue describes it, with its addresses."""
        address = f"/api/runs/{owner.id}"
        addresses = {"logs": f"{address}/logs/ws", "metrics": f"{address}/metrics", "metrics_step": f"{address}/metrics_step"}
        return _json({**self._catalog.detail(owner), **addresses})

    # --- about the server

    def health(self) -> Response:
        self._authenticator.check_origin(request.headers)  # type: ignore[arg-type]  # werkzeug's Headers is a mapping in all but name
        works = self._store_works()
        answer = {"status": "ok" if works else "unavailable", "version": __version__}
        if self._authenticator.may_see_details(request.headers, lambda: request.cookies, request.environ):  # type: ignore[arg-type]
            answer["storage"] = self._storage
        return _json(answer, 200 if works else 503)

    def openapi(self) -> Response:
        self._described = self._described or orjson.dumps(self._description())  # built on the first request: it is 1 MB
        return Response(self._described, content_type=JSON)

    def page(self) -> Response:
        return Response(PAGE, content_type="text/html; charset=utf-8", headers=PAGE_HEADERS)

    def nothing(self, rest: str) -> Response:
        return _problem(404, "Not Found")

    # --- around every handler

    def _identity(self) -> Identity:
        """The caller. Raises errors that become 401 or 403."""
        request_info = self._authenticator.request_info(request.environ, changes=request.method not in ("GET", "HEAD"))
        return self._authenticator.admit(request.headers, lambda: request.cookies, request_info=request_info).identity  # type: ignore[arg-type]

    def _writing_identity(self) -> Identity:
        """The caller of a call that changes something."""
        identity = self._identity()
        if not identity.may_write:
            raise RoleNotAllowed(role=identity.role)
        return identity

    def _guarded(self, handler: Handler) -> Handler:
        @wraps(handler)
        def guarded(**path: str) -> Response:
            try:
                return handler(**path)
            except Exception as error:
                return _failed(error, request.environ.get("tidemark.limit_headers") or {})

        return guarded


def _bounded(problems: list[RefusedLine], most: int) -> list[dict[str, Any]]:
    """The first problems, as many as were asked for and fit into MAX_ERROR_BYTES."""
    size, shown = 0, []
    for problem in paced(problems[:most], SLICE):
        size += 60 + len(problem.reason)
        if size > MAX_ERROR_BYTES:
            break
        shown.append({"line": problem.line, "reason": problem.reason})
    return shown


def refuse_methods(app: Flask) -> None:
    """405 below /api/runs and /api/v2 in Runicorn's form."""

    def not_allowed(error: MethodNotAllowed) -> Any:
        if not request.path.startswith(("/api/runs", "/api/v2/", "/api/health")):
            return error
        allow = {"Allow": ", ".join(sorted(error.valid_methods))} if error.valid_methods else {}
        return _problem(405, "Method Not Allowed", allow)

    app.register_error_handler(MethodNotAllowed, not_allowed)


def _failed(error: Exception, headers: dict[str, str]) -> Response:
    if isinstance(error, UnknownRun):
        return _problem(404, f"Run not found: {_printable(str(error))}", headers)
    if isinstance(error, BadParameter):
        return _json({"detail": [error.problem]}, 422, headers)
    if isinstance(error, StoreDamaged):
        log.error("a run can't be read: %s", error)
        return _problem(500, "Failed to parse metrics file", headers)
    failure = failure_of(error, "")
    if not isinstance(error, TidemarkError) and failure.code == 500:
        log.exception("%s %s failed", request.method, request.path, exc_info=error)
        return _problem(500, "Internal Server Error", headers)
    retry = {"Retry-After": str(failure.retry_after)} if failure.retry_after is not None else {}
    return _problem(failure.code, failure.message, {**headers, **retry})


def _printable(run: str) -> str:
    return run.encode("utf-8", "replace").decode()[:300]


def _tag(key: tuple[Any, ...], revision: tuple[int, ...] | None) -> str | None:
    if revision is None:
        return None
    return f'"{hashlib.sha256(repr((key, revision)).encode("utf-8", "replace")).hexdigest()[:32]}"'


def _response(answer: RowsAnswer, tag: str | None, headers: dict[str, str] | None = None) -> Response:
    body = answer.body
    response = Response(body, content_type=JSON, headers={**_counted(answer.counts), **(headers or {})})
    if isinstance(body, bytes) and len(body) >= PLAIN_FROM and is_loopback(request.remote_addr or ""):
        # Sent as a stream, which is not compressed: compression would cost more than the answer itself on this machine.
        response.response = iter((body,))
        response.headers["Content-Length"] = str(len(body))
    response.headers["Cache-Control"] = "no-cache"
    if tag is not None:
        response.headers["ETag"] = tag
    return response


def _counted(counts: RowCounts | None) -> dict[str, str]:
    if counts is None:
        return {}
    headers = {"X-Row-Count": str(counts.sampled), "X-Total-Count": str(counts.total)}
    return headers if counts.last_step is None else {**headers, "X-Last-Step": str(counts.last_step)}


def _json(data: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(data), status, headers=headers, content_type=JSON)


def _problem(status: int, detail: str, headers: dict[str, str] | None = None, **more: Any) -> Response:
    return _json({"detail": detail, **more}, status, headers)


def _size(answer: RowsAnswer) -> int | None:
    """Bytes in the cache; a stream is not kept."""
    return len(answer.body) if isinstance(answer.body, bytes) else None
