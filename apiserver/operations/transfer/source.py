"""The source of `tidemark export`: the running server, or the store."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from urllib.parse import quote

from apiserver.bll.registry.directory import TaskDirectory
from apiserver.bll.registry.projects import Projects
from apiserver.bll.registry.records import Records
from apiserver.bll.runs.catalog import RunCatalog
from apiserver.bll.runs.export import MissingExtra, export_run
from apiserver.engine import open_engine
from apiserver.errors import StartupError
from apiserver.operations.http_calls import NoAnswer, blocks, opened
from apiserver.operations.transfer.sinks import company_ids, login
from apiserver.serving.serve import claim_data_folder, running_server
from apiserver.settings import Settings

_ADVICE = ". Give the run's id: the last part of its page's URL"


@contextmanager
def open_export(settings: Settings, company: str | None, run: str, form: str) -> Iterator[Iterable[bytes]]:
    """The chunks of an export. Raises StartupError for an unknown run, and for a format whose library is not installed."""
    address = running_server(settings.data)
    if address is not None and company is None:
        with _from_server(settings, address, run, form) as pieces:
            yield pieces
        return
    id, _ = company_ids(settings, company)
    lock = None if address is not None else claim_data_folder(settings)
    engine = open_engine(settings)
    try:
        directory, records = TaskDirectory(engine.registry), Records(engine.registry)
        found = directory.resolve(id, [run]).get(run)
        if found is None:
            raise StartupError(f"Run not found: {run}{_ADVICE}")
        try:
            pieces = export_run(engine.events, RunCatalog(records, directory, Projects(records), register_unknown=False), found, form)
        except MissingExtra as error:
            raise StartupError(str(error)) from None
        yield pieces
    finally:
        engine.close()
        if lock is not None:
            lock.close()


@contextmanager
def _from_server(settings: Settings, address: str, run: str, form: str) -> Iterator[Iterable[bytes]]:
    try:
        with opened(f"{address}/api/runs/{quote(run, safe='')}/export?format={form}", headers=login(settings), timeout=300) as response:
            if response.status == 200:
                yield blocks(response)
                return
            text, status = b"".join(blocks(response)), response.status
    except NoAnswer as error:
        raise StartupError(f"the server at {address} can't be reached: {error}") from None
    try:
        detail = json.loads(text).get("detail")
    except (ValueError, AttributeError):
        detail = f"the server at {address} answers {status}"
    raise StartupError(f"{detail}{_ADVICE if status == 404 else ''}")
