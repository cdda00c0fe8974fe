"""Which generation of indices holds the events of a task.

A task is pinned to a generation by its first write, so that overwriting by id stays correct and a task is read from one index per type. The pin is a
document (in the statistics index, read without a refresh); Redis caches it for a day.
"""

from __future__ import annotations

import hashlib
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from elasticsearch import ApiError

from apiserver.settings import ElasticSettings
from apiserver.stores.elastic.bulk_actions import action
from apiserver.stores.elastic.client import ElasticClient, IndexGone, busy_reason, is_index_gone, reason
from apiserver.stores.elastic.layout import Layout, slug
from apiserver.stores.elastic.visibility import TaskView, Visibility
from apiserver.stores.errors import StoreBusy
from apiserver.stores.event_types import TYPES

LOOK_AGAIN_SECONDS = 30.0
"""Seconds for which a process caches the open generation before it checks its size again."""


def pin_id(task: str) -> str:
    return "pin-" + urlsafe_b64encode(hashlib.blake2b(task.encode(), digest_size=18).digest()).decode()


class Generations:
    """Pins of tasks, the open generation of a company, and the indices that exist."""

    def __init__(self, client: ElasticClient, layout: Layout, visibility: Visibility, settings: ElasticSettings) -> None:
        self._client = client
        self._layout = layout
        self._visibility = visibility
        self._settings = settings
        self._lock = threading.Lock()
        self._open: dict[str, tuple[int, float]] = {}
        self._indices: set[str] = set()

    # --- pins

    def for_reading(self, company: str, tasks: Sequence[str], view: TaskView) -> dict[str, int]:
        """The generation of every task that has one."""
        found = {task: view.generations[task] for task in tasks if task in view.generations}
        unknown = [task for task in dict.fromkeys(tasks) if task not in found]
        if unknown:
            pinned = self._read_pins(company, unknown)
            if pinned and view.known:
                self._visibility.remember_generations(company, dict(pinned))
            found |= pinned
        return found

    def for_writing(self, company: str, tasks: Sequence[str], known: Mapping[str, int]) -> dict[str, int]:
        """The generation of every task; new tasks are pinned to the open one. Tasks that Redis does not know are mostly new, so pinning them is tried
        first; those that are pinned already are then looked up."""
        found = dict(known)
        unknown = [task for task in tasks if task not in found]
        if unknown:
            pinned = self._pin(company, unknown)
            self._visibility.remember_generations(company, dict(pinned))
            found |= pinned
        return found

    def _read_pins(self, company: str, tasks: Sequence[str]) -> dict[str, int]:
        ids = {pin_id(task): task for task in tasks}
        found = self._client.get_many(self._layout.statistics(company), list(ids))
        return {ids[id]: int(document["_source"]["generation"]) for id, document in found.items()}

    def _pin(self, company: str, tasks: Sequence[str]) -> dict[str, int]:
        number = self.open(company)
        index = self._layout.statistics(company)
        self.ensure_statistics(company)
        pin = {"kind": "pin", "generation": number, "at": int(time.time() * 1000)}
        answer = self._client.bulk(b"".join(action("create", index, pin_id(task), pin | {"task": task}) for task in tasks))
        pinned: dict[str, int] = {}
        taken: list[str] = []
        for task, item in zip(tasks, answer.items, strict=True):
            if item["status"] == 201:
                pinned[task] = number
            elif item["status"] == 409:  # it is pinned already
                taken.append(task)
            elif is_index_gone(item):
                raise IndexGone(f"the index {index} was removed from Elasticsearch", 1.0)
            elif (passing := busy_reason(item["status"], item)) is not None:
                raise passing
            else:
                raise StoreBusy(f"Elasticsearch can't pin a task: {reason(item)}")
        return pinned | (self._read_pins(company, taken) if taken else {})

    # --- generations

    def open(self, company: str) -> int:
        """The generation that new tasks go to."""
        number, looked = self._open.get(company, (0, 0.0))
        if number and time.monotonic() - looked < LOOK_AGAIN_SECONDS:
            return number
        with self._lock:
            number, looked = self._open.get(company, (0, 0.0))
            if not number or time.monotonic() - looked >= LOOK_AGAIN_SECONDS:
                number = self._current(company)
                self._open[company] = (number, time.monotonic())
            return number

    def _current(self, company: str) -> int:
        listed = self.listed(company)
        newest = max(listed, default=0)
        if newest == 0:
            return self._start(company, 1)
        documents = size = 0
        names = ",".join(self._layout.events(type, company, newest) for type in TYPES)
        wanted = "filter_path=indices.*.primaries.docs.count,indices.*.primaries.store.size_in_bytes"
        stats = self._client.call("GET", f"/{names}/_stats/docs,store?ignore_unavailable=true&{wanted}")
        for index in stats.get("indices", {}).values():
            documents += index["primaries"]["docs"]["count"]
            size += index["primaries"]["store"]["size_in_bytes"]
        days = self._settings.generation_days
        # Without an age limit a small installation would keep one generation for ever, and retention could drop nothing.
        is_old = documents > 0 and days > 0 and time.time() * 1000 - listed[newest].get("started", 0) >= days * 86_400_000
        if documents >= self._settings.generation_documents or size >= self._settings.generation_bytes or is_old:
            return self._start(company, newest + 1)
        return newest

    def listed(self, company: str) -> dict[int, dict[str, Any]]:
        """The generations of a company: number -> its document (`state` is "open" or "dropped"; `compacted`: when it was)."""
        found: dict[int, dict[str, Any]] = {}
        number = 1
        while True:
            ids = [generation_id(company, n) for n in range(number, number + 100)]
            documents = self._client.get_many(self._layout.objects, ids)
            for offset, id in enumerate(ids):
                if id in documents:
                    found[number + offset] = orjson.loads(documents[id]["_source"]["body"])
            if len(documents) < len(ids):
                return found
            number += len(ids)

    def _start(self, company: str, number: int) -> int:
        body = {"id": f"{number:06d}", "state": "open", "started": int(time.time() * 1000)}
        try:
            self._put(company, number, body, "_create")
        except ApiError as error:
            if error.meta.status != 409:
                raise
        return number

    def note(self, company: str, number: int, **what: Any) -> None:
        """Store the state of a generation."""
        self._put(company, number, {**self.listed(company)[number], **what}, "_doc")

    def _put(self, company: str, number: int, body: Mapping[str, Any], action: str) -> None:
        path = f"/{self._layout.writing(self._layout.objects)}/{action}/{generation_id(company, number)}?require_alias=true"
        try:
            self._client.call("PUT", path, generation_document(company, body))
        except ApiError as error:
            if error.meta.status == 404:
                self._layout.lost = True
                raise IndexGone(f"the index {self._layout.objects} was removed from Elasticsearch", 1.0) from error
            raise
        self._visibility.record_writes(company, {}, (self._layout.objects,))  # a list of companies has to show it

    # --- indices

    def ensure_statistics(self, company: str) -> None:
        index = self._layout.statistics(company)
        if index not in self._indices:
            self._layout.create_statistics(company)
            self._indices.add(index)

    def ensure(self, type: str, company: str, generation: int) -> str:
        """The index of a type in a generation, created if missing. Raises StoreBusy for a dropped generation; the client's retry pins its tasks to the
        open one."""
        index = self._layout.events(type, company, generation)
        if index not in self._indices:
            self._refuse_dropped(company, generation)
            self._layout.create_events(type, company, generation)
            try:
                self._refuse_dropped(company, generation)  # it may have been dropped in between
            except StoreBusy:
                self._client.call("DELETE", f"/{index}?ignore_unavailable=true")
                raise
            self._indices.add(index)
        return index

    def _refuse_dropped(self, company: str, generation: int) -> None:
        document = self._client.get(self._layout.objects, generation_id(company, generation))
        if document is not None and orjson.loads(document["_source"]["body"])["state"] == "dropped":
            raise IndexGone(f"generation {generation} was just dropped", 1.0)

    def forget(self, company: str, tasks: Sequence[str]) -> None:
        """Call after a write found no index: drops what is cached, so that the retry looks everything up again and `Installation` checks the indices."""
        self._layout.lost = True
        with self._lock:
            self._indices.clear()
            self._open.pop(company, None)
        self._unpin(company, tasks)
        self._visibility.remember_generations(company, dict.fromkeys(tasks))

    def _unpin(self, company: str, tasks: Sequence[str]) -> None:
        """Remove pins to dropped generations. A process that had not heard of the drop may have made one after retention removed the others."""
        index = self._layout.statistics(company)
        pins = self._client.get_many(index, [pin_id(task) for task in tasks])
        dropped = {number for number, body in self.listed(company).items() if body["state"] == "dropped"}
        old = [(id, document) for id, document in pins.items() if int(document["_source"]["generation"]) in dropped]
        if old:
            self._client.bulk(b"".join(action("delete", index, id, seen=document) for id, document in old))


def generation_id(company: str, number: int) -> str:
    """The id of a generation's document in the registry."""
    return f"generation-{slug(company)}-{number:06d}"


def generation_document(company: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """The generation's document. `body`: id, state (open, dropped), and time of its start (ms)."""
    return {"kind": "generation", "company": company, "id": body["id"], "revision": 0, "body": orjson.dumps(body).decode(), "tokens": []}
