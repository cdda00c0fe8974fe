"""The application factory: settings -> engine -> services -> Flask app. The only place where parts are connected.

A new service is one line in `_add_services`, another face (runs, files, page) one plain call in `_add_faces`.
"""

from __future__ import annotations

import contextvars
import logging
import re
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, cast

from flask import Flask, Request, Response, jsonify, request
from flask_compress import Compress
from gevent import get_hub
from werkzeug.exceptions import HTTPException, NotFound

from apiserver import __version__, hocon
from apiserver.bll.events.ingest import Ingest, IngestSettings
from apiserver.bll.registry.directory import TaskDirectory
from apiserver.common import draining, patience, tracing
from apiserver.common.addresses import without_password
from apiserver.context import Context
from apiserver.credentials import Credentials
from apiserver.engine import Engine, open_engine
from apiserver.errors import NotAvailable, StoreNotReady
from apiserver.files.storage import FileStorage, open_storage
from apiserver.files.wiring import StoredTaskFiles, register_files
from apiserver.identities import Identities
from apiserver.monitoring.call_log import CALL, CallLog, endpoint_of
from apiserver.monitoring.exporter import CONTENT_TYPE, Exporter
from apiserver.monitoring.health import WAIT_SECONDS, HealthWatch, Report, shown
from apiserver.monitoring.upkeep import Upkeep
from apiserver.runs.run_ids import RunId, keep_slashes
from apiserver.runs.wiring import register_runs
from apiserver.service_repo import ServiceRepo
from apiserver.service_repo.auth import Authenticator
from apiserver.service_repo.body import drain
from apiserver.service_repo.dispatch import Dispatcher
from apiserver.service_repo.errors import failure_of
from apiserver.service_repo.origins import OriginPolicy
from apiserver.service_repo.schema import SchemaSet
from apiserver.service_repo.unread import UnreadAnswers
from apiserver.services.auth import AuthService, LoginService
from apiserver.services.debug import DebugService
from apiserver.services.events import event_services
from apiserver.services.registry import registry_services
from apiserver.services.server import ServerService
from apiserver.settings import SCHEMA, Settings
from apiserver.stores.errors import StoreBusy
from apiserver.web.face import Page, open_page, register_web, wants_page

log = logging.getLogger("tidemark")

COMPRESS_FROM = 500
"""Bytes of an answer above which it is compressed."""
OFFLOAD = 128_000
"""Answers with more bytes are compressed in a thread: at 100 MB/s the event loop would stall."""


def create_app(settings: Settings, engine: Engine | None = None) -> Flask:
    """The application with an open engine. Raises StartupError if the installation can't be used, StoreNotReady if it is worth trying again."""
    settings.data.mkdir(parents=True, exist_ok=True)
    engine = engine or open_engine(settings)  # first, because it is retried every second while the store is unavailable
    # A container often has no home: then the data folder holds the compiled schemas, which take seconds to compile.
    cache = hocon.cache_folder() or hocon.cache_folder({"TIDEMARK_CACHE": str(settings.data / "cache")})
    schemas = SchemaSet(SCHEMA, cache)
    origins = OriginPolicy(settings)
    try:
        credentials = Credentials(settings, engine.registry if settings.shared_store else None)
        identities = Identities(settings, credentials, engine)
    except StoreBusy as error:
        engine.close()
        raise StoreNotReady(f"{without_password(settings.store_url)}: {error}") from error
    context = Context(
        settings=settings,
        engine=engine,
        schemas=schemas,
        repo=ServiceRepo(schemas),
        origins=origins,
        authenticator=Authenticator(settings, identities, origins, credentials.token_secret),
        identities=identities,
    )
    storage = open_storage(settings)
    page = open_page(settings.web)
    _add_services(context, storage, page.version)
    context.repo.check()

    app = TidemarkApp("tidemark", Dispatcher(context.repo, context.authenticator, settings.server), origins, UnreadAnswers(settings.server))
    app.url_map.converters["run_id"] = RunId
    app.url_map.merge_slashes = False  # `//x` is a malformed path, not a redirect
    app.extensions["tidemark"] = context
    app.extensions["tidemark.upkeep"] = Upkeep(settings, engine, identities)
    watch = HealthWatch(engine)
    _add_faces(app, context, storage, watch)
    register_web(app, page)
    _add_status(app, context, page, watch)
    _add_answer_headers(app, context)
    route = partial(_route_of, app)
    app.wsgi_app = CallLog(app.wsgi_app, settings.server, route)  # type: ignore[method-assign]
    if tracing.is_on():
        app.wsgi_app = tracing.traced(app.wsgi_app, lambda environ: endpoint_of(environ, route))  # type: ignore[method-assign, assignment]
    app.wsgi_app = Draining(app.wsgi_app, settings.server.max_body, settings.elastic.timeout)  # type: ignore[method-assign]
    return app


def _route_of(app: Flask, environ: dict[str, Any]) -> str:
    """The route rule of a path outside of the RPC API, without converters: a metrics label with few values, whatever paths are requested."""
    try:
        rule, _ = app.url_map.bind_to_environ(environ).match(return_rule=True)
    except HTTPException:
        return "unknown"
    return re.sub(r"<\w+:", "<", str(rule.rule))


def _add_services(context: Context, storage: FileStorage, page_version: str) -> None:
    """One line per service."""
    add = context.repo.add_service
    add(DebugService())
    add(ServerService(context.settings.files, context.settings.web, page_version))
    add(AuthService(context.authenticator, context.identities))
    add(LoginService(context.authenticator, context.identities, open_mode=context.settings.open))
    engine = context.engine
    tasks = TaskDirectory(engine.registry, deleted_for=context.settings.events.tombstone_expiration)
    for service in event_services(engine.events, tasks, engine.state, _ingest(context, tasks), context.settings.events):
        add(service)
    users, files = context.identities.users, StoredTaskFiles(storage)
    for service in registry_services(engine.registry, engine.events, engine.state, tasks, users, files, context.settings.events):
        add(service)


def _ingest(context: Context, tasks: TaskDirectory) -> Ingest:
    settings = IngestSettings.of(context.settings.events)
    return Ingest(context.engine.events, tasks, context.engine.bus, context.schemas.definitions("events"), settings)


def _add_faces(app: Flask, context: Context, storage: FileStorage, watch: HealthWatch) -> None:
    """Add the parts that are not RPC services; each registers its own blueprint. Their routes take precedence over the RPC layer."""
    register_runs(app, context, lambda: watch.report().parts["store"].ok)
    register_files(app, context, storage)


def _add_status(app: Flask, context: Context, page: Page, watch: HealthWatch) -> None:
    @app.get("/")
    def status() -> Response:
        if wants_page():
            response = page.shell()
        else:
            response = jsonify(name="tidemark", version=__version__, status="running", health="/healthz", ready="/readyz")
        response.vary.add("Accept")
        return response

    def health() -> tuple[Report, Response]:
        report = watch.report()
        patience.begin(WAIT_SECONDS)  # looking up the caller must not take longer than the health check itself
        details = context.authenticator.may_see_details(request.headers, lambda: request.cookies, request.environ)  # type: ignore[arg-type]
        return report, jsonify(shown(report, details=details))

    @app.get("/healthz")
    @app.get("/api/healthz")
    def healthz() -> Response:
        """Liveness. 200 also while the store is unavailable: restarting this server would not help."""
        return health()[1]

    @app.get("/readyz")
    def readyz() -> tuple[Response, int]:
        """Readiness: 200 if this server can answer calls; 503 while it drains or the store is unavailable."""
        if draining.has_begun():
            return jsonify(status="draining"), 503
        report, response = health()
        return response, 200 if report.is_ready else 503

    exporter = Exporter(watch, context.engine.events)

    @app.get("/metrics")
    def metrics() -> Response:
        """For Prometheus. Needs a login, except from this machine."""
        if not context.authenticator.may_see_details(request.headers, lambda: request.cookies, request.environ):  # type: ignore[arg-type]
            return Response(
                # No challenge of Basic: a browser would keep the answer and add it to what other sites make it send.
                "a login is needed: an access key and its secret as Basic\n",
                401,
                {"WWW-Authenticate": 'Bearer realm="tidemark"'},
            )
        return Response(exporter.text(), content_type=CONTENT_TYPE)


def _add_answer_headers(app: TidemarkApp, context: Context) -> None:
    """CORS and compression, for every face."""

    @app.after_request
    def cors(response: Response) -> Response:
        response.vary.add("Origin")
        response.headers.extend(context.origins.cors(request.headers, preflight=request.method == "OPTIONS"))  # type: ignore[arg-type]
        return response

    @app.after_request  # Flask calls the last one first: after compression
    def unread(response: Response) -> Response:
        return app.kept(response, request.environ)

    app.config.update(
        COMPRESS_STREAMS=False,
        COMPRESS_EVALUATE_CONDITIONAL_REQUEST=False,
        COMPRESS_LEVEL=4,
        COMPRESS_MIN_SIZE=COMPRESS_FROM,
        COMPRESS_CACHE_BACKEND=FixedAnswers,
        COMPRESS_CACHE_KEY=lambda request: request.path,
    )
    OffloadedCompress(app)


class TidemarkApp(Flask):
    """A Flask application in which the RPC layer answers paths without a route, whatever the method."""

    def __init__(self, name: str, rpc: Dispatcher, origins: OriginPolicy, unread: UnreadAnswers) -> None:
        super().__init__(name, static_folder=None)
        self.rpc, self.origins, self.unread = rpc, origins, unread

    def wsgi_app(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Calls of known endpoints go to the RPC layer without Flask's request context, which takes as long as a small call itself."""
        if environ["REQUEST_METHOD"] != "POST" or not self.rpc.knows(environ.get("PATH_INFO", "")):
            keep_slashes(environ)
            answer: Iterable[bytes] = super().wsgi_app(environ, start_response)
            return answer
        call = self.request_class(environ)
        response = self.rpc(call)
        if "Vary" in response.headers or ("HTTP_ACCEPT_ENCODING" in environ and (response.content_length or OFFLOAD) >= COMPRESS_FROM):
            with self.request_context(environ) as context:
                _let_go(context.request.routing_exception)
                response = self.process_response(response)
        else:
            response = self.kept(response, environ)
            response.headers["Vary"] = "Accept-Encoding, Origin"
            response.headers.extend(self.origins.cors(call.headers, preflight=False))  # type: ignore[arg-type]
        answer = response(environ, start_response)
        return answer

    def kept(self, response: Response, environ: dict[str, Any]) -> Response:
        """The answer, or a refusal when too many large ones wait for their readers."""
        try:
            self.unread.take(response, environ)
        except NotAvailable as error:
            if CALL in environ:
                return self.rpc.refused(environ, error)
            failure = failure_of(error, "")
            refusal = jsonify(detail=failure.message)
            refusal.status_code = failure.code
            refusal.headers["Retry-After"] = str(failure.retry_after)
            return refusal
        return response

    def dispatch_request(self, *args: Any) -> Any:
        # Through the exception, not a catch-all route: routes would add methods, redirects and slashes, which the RPC layer does not have.
        missed = request.routing_exception
        if isinstance(missed, NotFound):
            _let_go(missed)
            return self.rpc(cast(Request, request._get_current_object()))  # type: ignore[attr-defined]
        return super().dispatch_request(*args)


def _let_go(missed: BaseException | None) -> None:
    """Drop the traceback of the routing exception: it refers to the frames of the call with body and answer, megabytes that only the
    garbage collector would free."""
    if missed is not None:
        missed.__traceback__ = missed.__context__ = missed.__cause__ = None


class FixedAnswers:
    """A cache for Flask-Compress that keeps only answers that never change while the server runs."""

    PATHS = frozenset({"/api/openapi.json"})

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}

    def get(self, key: str) -> bytes | None:
        """`key`: `algorithm;path`."""
        return self._kept.get(key)

    def set(self, key: str, body: bytes) -> None:
        """Keep a compressed answer."""
        if key.partition(";")[2] in self.PATHS:
            self._kept[key] = body


class OffloadedCompress(Compress):  # type: ignore[misc]  # untyped package
    """Compresses big answers in a thread (compressors release the interpreter lock)."""

    def after_request(self, response: Response | None) -> Response:
        if response is None or response.is_streamed or (response.content_length or 0) < OFFLOAD:
            plain: Response = super().after_request(response)
            return plain
        run = contextvars.copy_context().run
        answer: Response = get_hub().threadpool.apply(run, (super().after_request, response))
        return answer


class Draining:
    """WSGI middleware around every call: its patience with the store, and the unread rest of its body, read before the answer is sent."""

    def __init__(self, app: Callable[..., Iterable[bytes]], limit: int, patience: float) -> None:
        """`limit`: bytes of a refused body that are still read; `patience`: seconds that a call waits for a store that does not answer."""
        self._app = app
        self._limit = limit
        self._patience = patience

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        patience.begin(self._patience)
        answer = self._app(environ, start_response)
        patience.end()  # a stream goes on by itself, at the pace of its reader
        if environ.get("tidemark.upgraded"):
            return answer
        if "gunicorn.socket" in environ:
            environ["gunicorn.socket"].refuse_body()
        drain(environ, self._limit)
        return answer
