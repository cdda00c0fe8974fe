"""Batches for store tests: built as ingest builds them."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from apiserver.stores.batch import Event, EventBatch, LogLine, Points, Touch
from apiserver.stores.records import SCALAR, SeriesKey

T0 = 1_700_000_000_000


class Builder:
    """Collects events; `build` gives the batch. Times default to T0 + iteration seconds."""

    def __init__(self, worker: str = "host:1", digest: bytes | None = None, now: int | None = None) -> None:
        self.batch = EventBatch(int(time.time() * 1000) if now is None else now, worker, digest=digest)

    def scalar(
        self,
        task: str,
        metric: str,
        variant: str,
        iteration: int,
        value: float,
        timestamp: int | None = None,
        *,
        type: str = SCALAR,
        **extra: Any,
    ) -> Builder:
        points = self.batch.points.setdefault(SeriesKey(task, type, metric, variant), Points())
        if extra:
            points.extra[len(points.iters)] = extra
        points.iters.append(iteration)
        points.values.append(float(value))
        points.timestamps.append(T0 + iteration % 10**6 * 1000 if timestamp is None else timestamp)
        points.sizes.append(200)
        points.lines.append(self._line(task, iteration))
        return self

    def scalars(self, task: str, metric: str, variant: str, points: Iterable[tuple[int, float]]) -> Builder:
        for iteration, value in points:
            self.scalar(task, metric, variant, iteration, value)
        return self

    def event(
        self,
        type: str,
        task: str,
        metric: str,
        variant: str,
        iteration: int | None,
        key: str | None = None,
        timestamp: int = T0,
        **body: Any,
    ) -> Builder:
        line = self._line(task, iteration)
        self.batch.events.append(Event(type, task, metric, variant, iteration, key, timestamp, self.batch.worker, line, 300, body))
        return self

    def log(self, task: str, msg: str | None, timestamp: int = T0, level: str | None = "info", metric: str = "", **extra: Any) -> Builder:
        line = self._line(task, None)
        self.batch.logs.append(LogLine(task, timestamp, level, self.batch.worker, msg, metric, "", None, line, 100, extra or None))
        return self

    def build(self) -> EventBatch:
        return self.batch

    def _line(self, task: str, iteration: int | None) -> int:
        touch = self.batch.touches.setdefault(task, Touch())
        if iteration is not None:
            touch.raise_to(iteration)
        self.batch.lines += 1
        return self.batch.lines - 1
