"""Thumbnails of charts: every series of many tasks in a few dozen cells of one byte, so that a page shows two thousand of them from one call."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import orjson

from apiserver.bll.answer_cache import AnswerCache
from apiserver.bll.events.charts import ids_by_company, revision_of
from apiserver.bll.events.columns import Record, encode_columns
from apiserver.bll.events.ladder import ladder_width
from apiserver.bll.registry.directory import Owner
from apiserver.common.fairness import give_way
from apiserver.errors import ValidationFailed
from apiserver.stores.base import SeriesReader
from apiserver.stores.records import SCALAR, BucketRequest, Buckets, Floats, Series

CACHE_BYTES = 16 * 1024 * 1024
MAX_CELLS = 1_000_000
SERIES_AT_ONCE = 500
"""Series processed before yielding to other requests."""
EMPTY = 255
"""A cell without a finite value."""
TOP = 254

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class ThumbnailQuery:
    """`metrics`: (metric, variants), None: all. `width`: at most so many cells."""

    metrics: tuple[tuple[str, tuple[str, ...]], ...] | None
    width: int


class _Cells(NamedTuple):
    """The cells of a series, and the values of cells 0 and 254; None if no value is finite."""

    low: float | None
    high: float | None
    min: Bytes
    mean: Bytes
    max: Bytes


class ChartThumbnails:
    """Answers of get_thumbnails."""

    def __init__(self, events: SeriesReader, cache_bytes: int = CACHE_BYTES) -> None:
        self._events = events
        self._cache: AnswerCache[bytes] = AnswerCache(cache_bytes, len)

    def as_json(self, owners: Mapping[str, Owner], query: ThumbnailQuery) -> bytes:
        """{series: [...]}: cells as lists of integers."""

        def build() -> bytes:
            series = [{**fields, **columns} for fields, columns in self._records(owners, query)]
            return orjson.dumps({"series": series}, option=orjson.OPT_SERIALIZE_NUMPY)

        return self._cached("json", owners, query, build)

    def as_columns(self, owners: Mapping[str, Owner], query: ThumbnailQuery) -> bytes:
        """The same as `application/vnd.tidemark.columns`."""
        return self._cached("columns", owners, query, lambda: encode_columns(self._records(owners, query), {}))

    def _cached(self, form: str, owners: Mapping[str, Owner], query: ThumbnailQuery, build: Callable[[], bytes]) -> bytes:
        key = (form, tuple((owner.company, owner.id) for owner in owners.values()), query)
        return self._cache.get(key, revision_of(self._events, owners.values()), build)

    def _records(self, owners: Mapping[str, Owner], query: ThumbnailQuery) -> Iterator[Record]:
        metrics = None if query.metrics is None else dict(query.metrics)
        chosen: list[tuple[str, Series]] = []
        for company, ids in ids_by_company(owners.values()).items():
            chosen += ((company, one) for one in self._events.series(company, ids, [SCALAR], metrics) if one.chart_count)
        if len(chosen) * query.width > MAX_CELLS:
            raise ValidationFailed("width", f"lower: {len(chosen):,} series may have {MAX_CELLS:,} cells together", query.width)
        for start in range(0, len(chosen), SERIES_AT_ONCE):
            part = chosen[start : start + SERIES_AT_ONCE]
            for company in dict.fromkeys(company for company, _ in part):
                requests = [_request(one, query.width) for whose, one in part if whose == company]
                for request, buckets in zip(requests, self._events.buckets(company, requests), strict=True):
                    if len(buckets.x):
                        yield _record(request, buckets)
            give_way()


def _request(series: Series, width: int) -> BucketRequest:
    assert series.chart_min_iter is not None and series.chart_max_iter is not None
    return BucketRequest(series, "iter", ladder_width(series.chart_min_iter, series.chart_max_iter, width, "iter"))


def _record(request: BucketRequest, buckets: Buckets) -> Record:
    series, cells = request.series, _cells(buckets, request.interval)
    last = series.statistics.value if series.statistics else None
    fields: dict[str, Any] = {
        "task": series.key.task,
        "metric": series.key.metric,
        "variant": series.key.variant,
        "interval": request.interval,
        "first_x": buckets.first_x,
        "last_x": buckets.last_x,
        "points": int(buckets.count.sum()),
        "low": cells.low,
        "high": cells.high,
        "last": last if last is not None and np.isfinite(last) else None,
    }
    return fields, {"min": cells.min, "mean": cells.mean, "max": cells.max}


def _cells(buckets: Buckets, interval: int) -> _Cells:
    starts = buckets.x.tolist()
    first = starts[0] // interval
    places = [start // interval - first for start in starts]
    n = places[-1] + 1
    finite = np.isfinite(buckets.mean)
    if not finite.any():
        none = np.full(n, EMPTY, np.uint8)
        return _Cells(None, None, none, none, none)
    low, high = float(buckets.min[finite].min()), float(buckets.max[finite].max())
    where = np.array(places)[finite]
    mean, least, most = (_scaled(column[finite], low, high, where, n) for column in (buckets.mean, buckets.min, buckets.max))
    return _Cells(low, high, least, mean, most)


def _scaled(values: Floats, low: float, high: float, where: Sequence[int] | npt.NDArray[Any], n: int) -> Bytes:
    cells = np.full(n, EMPTY, np.uint8)
    # Halves, because the distance of two finite numbers may overflow.
    span = high / 2 - low / 2
    level = (values / 2 - low / 2) / span if span > 0 else np.full(len(values), 0.5)
    cells[where] = np.rint(np.clip(level, 0.0, 1.0) * TOP).astype(np.uint8)
    return cells
