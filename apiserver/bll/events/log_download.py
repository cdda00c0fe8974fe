"""The whole log of a task as a stream of bytes, with bounded memory."""

from __future__ import annotations

from collections.abc import Iterator

import gevent

from apiserver.bll.events.log_formats import LineWriter
from apiserver.bll.registry.directory import TaskDirectory
from apiserver.stores.base import EventStore
from apiserver.stores.records import StoredEvent

CHUNK = 2_000


class LogDownload:
    """Streams logs. InvalidTask for unknown and foreign tasks."""

    def __init__(self, store: EventStore, directory: TaskDirectory) -> None:
        self._store = store
        self._directory = directory

    def stream(self, company: str, task: str, write: LineWriter) -> Iterator[bytes]:
        """The log, oldest line first, in pieces of up to 2,000 lines.

        The first piece is read at once, so that what is wrong comes as an exception and not in the middle of an answer. Closing the
        iterator (the client has gone) ends the reading.
        """
        owner = self._directory.readable(company, [task])[task].company
        chunks = self._store.log_chunks(owner, task, chunk=CHUNK)
        first = next(chunks, None)
        return _pieces(first, chunks, write)


def _pieces(first: list[StoredEvent] | None, chunks: Iterator[list[StoredEvent]], write: LineWriter) -> Iterator[bytes]:
    try:
        events = first
        while events is not None:
            if events:
                yield write(events)
            gevent.sleep(0)  # a client that reads fast must not hold up the others
            events = next(chunks, None)
    finally:
        close = getattr(chunks, "close", None)
        if close is not None:
            close()
