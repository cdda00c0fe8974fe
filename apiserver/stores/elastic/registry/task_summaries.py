"""The few fields of a task that every batch and every read asks for, cached until the document changes.

A batch moves the activity of its task, and a document that was just written is read only after a refresh of its shard: asking for it with
every batch cost Elasticsearch more than storing the batch. Redis counts the changes of every document (not the moves of its activity); a
summary is valid as long as that count has not changed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from cachetools import LRUCache

from apiserver.stores.elastic.visibility import Visibility
from apiserver.stores.registry import Document, Kind

SUMMARY = frozenset({"name", "status", "ready", "public"})
REMEMBERED = 20_000

Read = Callable[[Kind, str, Collection[str], Collection[str] | None], dict[str, Document]]


class TaskSummaries:
    """Documents of tasks and models that hold `SUMMARY` and nothing else."""

    def __init__(self, visibility: Visibility) -> None:
        self._visibility = visibility
        self._lock = threading.Lock()
        self._known: LRUCache[tuple[Kind, str, str], tuple[tuple[str, int], Document]] = LRUCache(REMEMBERED)

    def get_many(self, kind: Kind, company: str, ids: Sequence[str], read: Read) -> dict[str, Document]:
        """The documents that exist, in the order of `ids`. `read` asks Elasticsearch."""
        revisions = self._visibility.revisions(company, ids)
        if revisions is None:
            return read(kind, company, ids, SUMMARY)
        found: dict[str, Document] = {}
        missing: dict[str, int] = {}
        with self._lock:
            for id, revision in zip(ids, revisions.documents, strict=True):
                known = self._known.get((kind, company, id))
                if known is not None and known[0] == (revisions.run, revision):
                    found[id] = known[1]
                else:
                    missing[id] = revision
        if missing:
            # The revisions were read before the documents: a change in between only makes the next call read again.
            for id, document in read(kind, company, list(missing), SUMMARY).items():
                body = {name: value for name, value in document.body.items() if name in SUMMARY or name == "id"}
                found[id] = Document(document.id, document.company, body, document.version)
            with self._lock:
                for id in missing.keys() & found.keys():
                    self._known[kind, company, id] = ((revisions.run, missing[id]), found[id])
        # Copies: a caller may change the body that it gets.
        return {id: replace(found[id], body=dict(found[id].body)) for id in ids if id in found}
