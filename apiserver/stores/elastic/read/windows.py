"""Time windows for searches of the last lines of a long log."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from apiserver.stores.elastic.client import ElasticClient
from apiserver.stores.elastic.layout import Layout
from apiserver.stores.elastic.queries import Query
from apiserver.stores.elastic.series.row import row_of, series_id
from apiserver.stores.records import LOG, Cursor, EventQuery, SeriesKey

SORTED_LINES = 20_000
"""Lines that Elasticsearch sorts within some milliseconds."""
SPARE = 2
WIDER = 8
"""A window should hold SPARE times the lines that are wanted. If it holds too few, the next one is WIDER times as long."""


class Windows(NamedTuple):
    """The index holds the lines of a task in order of time, which is the worst order for a search for the last ones: each line replaces those found
    before (200 ms for a million lines). A search within a window sorts few lines. Its length is an estimate: if a page is not full, it is searched again
    in a longer window.

    Times in ms.
    """

    first: int
    last: int
    length: int

    def before(self, place: Cursor | None) -> Iterator[list[Query]]:
        """Filters for windows that end at `place`, from short to long; the last one matches all lines."""
        end, length = self.last if place is None else place.timestamp, self.length
        while end - length > self.first:
            yield [{"range": {"timestamp": {"gte": end - length}}}]
            length *= WIDER
        yield []


def windows_of(client: ElasticClient, layout: Layout, company: str, query: EventQuery, size: int) -> Windows | None:
    """The windows for pages of `size` lines, estimated from the statistics of the lines without metric and variant, which nearly all lines are. None if
    the log is short."""
    id = series_id(company, SeriesKey(query.task, LOG, "", ""))
    document = client.get(layout.statistics(company), id)
    row = row_of(document["_source"]) if document is not None else None
    if row is None or row.count < SORTED_LINES or row.min_timestamp is None or row.max_timestamp is None:
        return None
    first = row.min_timestamp if query.min_timestamp is None else max(query.min_timestamp, row.min_timestamp)
    last = row.max_timestamp if query.max_timestamp is None else min(query.max_timestamp, row.max_timestamp)
    return Windows(first, last, (row.max_timestamp - row.min_timestamp) * size * SPARE // row.count + 1)
