"""The target of a migration: the store of this installation, with the data folder locked."""

from __future__ import annotations

import base64
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson

from apiserver import hocon
from apiserver.bll.events.ingest import Ingest, IngestSettings
from apiserver.bll.registry.directory import TaskDirectory
from apiserver.engine import open_engine
from apiserver.errors import EventsNotAdded, TidemarkError
from apiserver.files.storage import FileStorage, open_storage
from apiserver.operations.busy import retried
from apiserver.operations.transfer.sinks import company_ids
from apiserver.service_repo.schema import SchemaSet
from apiserver.serving.serve import address_of, claim_data_folder
from apiserver.settings import SCHEMA, Settings
from apiserver.stores.errors import Conflict, StoreBusy
from apiserver.stores.records import EventQuery
from apiserver.stores.registry import Kind

WORKER = "migration"
_COMPUTED = frozenset(("_id", "@timestamp", "company_id", "plot_len", "valid_plot", "source_urls"))
"""Fields of stored events that storing computes. A line with an unknown field takes the slow way through ingest, and the field is kept."""


class Target:
    """The store. Raises StartupError when it can't be opened."""

    def __init__(self, settings: Settings, company: str | None) -> None:
        self.company, self.user = company_ids(settings, company)
        self._lock = claim_data_folder(settings)
        self._engine = open_engine(settings)
        self.registry = self._engine.registry
        self.events = self._engine.events
        cache = hocon.cache_folder() or hocon.cache_folder({"TIDEMARK_CACHE": str(settings.data / "cache")})
        directory = TaskDirectory(self.registry)
        ingest = replace(IngestSettings.of(settings.events), reject_unknown=False)
        self._ingest = Ingest(self.events, directory, self._engine.bus, SchemaSet(SCHEMA, cache).definitions("events"), ingest)
        self.storage: FileStorage = open_storage(settings)
        self.files = settings.files.public_url or address_of(settings.server.host, settings.server.port) + "/files"

    def put(self, kind: Kind, body: Mapping[str, Any]) -> bool:
        """Store a document under its id, replacing an older one. True if that changed anything."""
        id = str(body["id"])
        known = self.registry.get(kind, self.company, id)
        if known is None:
            try:
                self.registry.create(kind, self.company, id, body)
            except Conflict:
                known = self.registry.get(kind, self.company, id)
        if known is not None:
            merged = {**known.body, **body}
            if merged == known.body:
                return False
            known.body = merged
            self.registry.replace(known)
        return True

    def add(self, lines: bytes, worker: str) -> list[str]:
        """Store events, given as JSON lines; returns the reasons of refusals. `worker`: the worker of events that name none."""
        try:
            answer = retried(lambda: self._ingest.add_lines(self.company, self.user, lines, worker or WORKER, again=True))
        except EventsNotAdded as error:
            return [str(line["reason"]) for line in (error.data or {}).get("error_lines", ())] or [str(error)]
        except (TidemarkError, StoreBusy) as error:
            return [str(error)]
        return [str(line["reason"]) for line in answer.get("error_lines", ())]

    def clear_log(self, task: str) -> None:
        """Remove the log of a task: its lines have no identity by which they could be replaced."""
        self.events.delete_logs(self.company, task, before=None, include=None, exclude=None)

    def count(self, owner: str, type: str) -> int:
        """How many events of a type a task or model has."""
        return self.events.count(self.company, EventQuery(owner, (type,)))

    def close(self) -> None:
        """Close the store and unlock the data folder."""
        self._engine.close()
        self._lock.close()


def line_of(fields: dict[str, Any], worker: str, *, model: bool) -> bytes:
    """An event of an answer (`fields`, changed in place) as a line to report it again, also for published tasks. The worker is left out if it is
    `worker`."""
    for name in _COMPUTED & fields.keys():
        del fields[name]
    if "plot_str" not in fields and isinstance(fields.get("plot_data"), str):  # ClearML compresses large plots
        try:
            fields["plot_str"] = zlib.decompress(base64.b64decode(fields["plot_data"])).decode()
            del fields["plot_data"]
        except (ValueError, zlib.error):
            pass  # stored as it came
    if worker and fields.get("worker") == worker:
        del fields["worker"]
    fields["allow_locked"] = True
    if model:
        fields["model_event"] = True
    else:
        fields.pop("model_event", None)
    return orjson.dumps(fields)


def worker_of(events: Sequence[Mapping[str, Any]]) -> str:
    """The worker that reported most of these events."""
    found = Counter(event["worker"] for event in events if isinstance(event.get("worker"), str))
    return found.most_common(1)[0][0] if found else ""
