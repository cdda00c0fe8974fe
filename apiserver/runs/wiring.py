"""The runs API as a part of the application."""

from __future__ import annotations

from collections.abc import Callable

from flask import Flask

from apiserver.bll.registry.directory import TaskDirectory
from apiserver.bll.registry.projects import Projects
from apiserver.bll.registry.records import Records
from apiserver.bll.runs.catalog import RunCatalog
from apiserver.bll.runs.writer import RunWriter
from apiserver.context import Context
from apiserver.runs import openapi
from apiserver.runs.http import RunsApi, refuse_methods
from apiserver.runs.limits import Limiter
from apiserver.runs.sockets import LogSockets
from apiserver.service_repo.openapi import describe


def register_runs(app: Flask, context: Context, store_works: Callable[[], bool]) -> None:
    """Add the REST routes and the log sockets."""
    settings, engine = context.settings, context.engine
    directory = TaskDirectory(engine.registry, deleted_for=settings.events.tombstone_expiration)
    records = Records(engine.registry)
    catalog = RunCatalog(records, directory, Projects(records), register_unknown=settings.events.unknown_tasks == "register")
    api = RunsApi(
        store=engine.events,
        catalog=catalog,
        writer=RunWriter(engine.events, engine.bus),
        limiter=Limiter(engine.state, settings.runs.requests_per_minute),
        authenticator=context.authenticator,
        settings=settings,
        description=lambda: openapi.whole(describe(context.schemas)),
        store_works=store_works,
    )
    sockets = LogSockets(
        store=engine.events,
        bus=engine.bus,
        registry=engine.registry,
        state=engine.state,
        catalog=catalog,
        authenticator=context.authenticator,
        settings=settings.runs,
    )
    sockets.register(app)
    app.extensions.setdefault("tidemark.stopping", []).append(sockets.stop)
    app.register_blueprint(api.blueprint)
    refuse_methods(app)
