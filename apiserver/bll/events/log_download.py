"""The whole log of a task as a stream of bytes, with bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

from apiserver.bll.events.log_formats import LineWriter
from apiserver.bll.events.progress_bars import ProgressFold
from apiserver.bll.registry.directory import Owner
from apiserver.common.fairness import give_way
from apiserver.stores.base import LogReader
from apiserver.stores.records import LOG, Cursor, EventQuery, PagedEvent, events_of

LEAST, MOST = 100, 4_000
"""Lines read at a time: few at first because lines can be large, more when they are short."""
PIECE = 2_000_000
"""About how many bytes a piece has."""


class LogDownload:
    """Streams logs."""

    def __init__(self, events: LogReader) -> None:
        self._events = events

    def stream(self, owner: Owner, write: LineWriter, *, fold_progress: bool = False) -> Iterator[bytes]:
        """The log, oldest line first, in pieces of about 2 MB. `fold_progress`: of a progress bar only the last redraw.

        The first piece is read before returning, so that errors are raised and do not cut an answer short. Lines written during the
        download are included if they are later than those already read.
        """
        return self._pieces(owner, write, self._read(owner, None, LEAST), ProgressFold() if fold_progress else None)

    def _pieces(self, owner: Owner, write: LineWriter, page: list[PagedEvent], fold: ProgressFold | None) -> Iterator[bytes]:
        size = LEAST
        while page:
            after = page[-1].cursor
            events = events_of(page)
            piece = write(fold.take(events) if fold is not None else events)
            del page, events
            if piece:
                yield piece
            size = max(1, min(MOST, size * 4, size * PIECE // (len(piece) + 1)))
            give_way()  # a client that reads fast must not hold up the others
            page = self._read(owner, after, size)
        if fold is not None and (rest := fold.rest()):
            yield write(rest)

    def _read(self, owner: Owner, after: Cursor | None, size: int) -> list[PagedEvent]:
        with closing(self._events.scan_log(owner.company, EventQuery(owner.id, (LOG,)), after=after, chunk=size)) as stretches:
            return next((stretch.lines for stretch in stretches), [])
