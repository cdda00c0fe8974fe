"""Stretches of time in which the last lines of a long log are looked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from apiserver.stores.elastic.client import ElasticClient
from apiserver.stores.elastic.layout import Layout
from apiserver.stores.elastic.queries import Query
from apiserver.stores.elastic.series.row import row_of, series_id
from apiserver.stores.records import LOG, Cursor, EventQuery, SeriesKey

SORTED_LINES = 20_000
"""Lines that are sorted in some milliseconds."""
SPARE = 2
WIDER = 8
"""A window is made for so many times the lines that are wanted, and so many times as long when it holds too few."""


class Windows(NamedTuple):
    """The lines of a task lie in the index by rising time, so a search for the last ones finds every line better than those before: with a million
    lines 200 ms. In a window there are few. How long it is, is only guessed: a page that is not full is looked for in a longer one.

    Times in ms.
    """

    first: int
    last: int
    length: int

    def before(self, place: Cursor | None) -> Iterator[list[Query]]:
        """Filters, each lets more through; the last one all."""
        end, length = self.last if place is None else place.timestamp, self.length
        while end - length > self.first:
            yield [{"range": {"timestamp": {"gte": end - length}}}]
            length *= WIDER
        yield []


def windows_of(client: ElasticClient, layout: Layout, company: str, query: EventQuery, size: int) -> Windows | None:
    """For pages of so many lines, by what is known of those without metric and variant, which nearly all are; None where sorting all costs little."""
    id = series_id(company, SeriesKey(query.task, LOG, "", ""))
    document = client.get(layout.statistics(company), id)
    row = row_of(document["_source"]) if document is not None else None
    if row is None or row.count < SORTED_LINES or row.min_timestamp is None or row.max_timestamp is None:
        return None
    first = row.min_timestamp if query.min_timestamp is None else max(query.min_timestamp, row.min_timestamp)
    last = row.max_timestamp if query.max_timestamp is None else min(query.max_timestamp, row.max_timestamp)
    return Windows(first, last, (row.max_timestamp - row.min_timestamp) * size * SPARE // row.count + 1)
