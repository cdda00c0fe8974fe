"""`run.follow()`: points and lines as they arrive."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from tidemark_events.errors import NotFound, ServerUnavailable
from tidemark_events.logs import Line, line_of
from tidemark_events.series import WINDOW, Point, exact, metrics_of, values
from tidemark_events.wire import Wire

OVERLAP = 500
"""Lines before the last known one that are read again: another worker's lines may be older and arrive later."""
REMEMBERED = 20_000
"""Points of a series that are remembered, so that none is yielded twice."""
LONGEST_PAUSE = 15.0
ENDED = ("completed", "failed", "stopped", "closed", "published")


class Follower:
    """Reads the new points and lines of a run, and remembers how far it has read."""

    def __init__(self, wire: Wire, run: str, *, points: bool, lines: bool) -> None:
        self._wire, self._run = wire, run
        self._points, self._lines = points, lines
        self._seqs: dict[str, int] = {}
        self._given: dict[tuple[str, str], dict[int, tuple[float, str]]] = {}
        self._read = 0
        self._tail: Counter[Line] = Counter()
        self._change: Any = None

    def items(self, interval: float) -> Iterator[Point | Line]:
        """Everything from now on; ends when the run has ended and everything was yielded."""
        from tidemark_events.changes import Changes  # TLS and sockets, which `import tidemark_events` does not need

        pause = interval
        with closing(Changes(self._wire, self._run)) as changes:
            while True:
                try:
                    status, change = self._look()
                    if change != self._change:
                        yield from self.news()
                        self._change = change
                    pause = interval
                except ServerUnavailable:
                    pause = min(max(pause, 0.2) * 2, LONGEST_PAUSE)
                    time.sleep(pause)
                    continue
                except NotFound:
                    raise self._deleted() from None
                if status in ENDED:
                    return
                changes.wait(interval)

    def skip(self) -> None:
        """Skip the history."""
        _, self._change = self._look()
        if self._points:
            for metric in metrics_of(self._wire, self._run):
                self._seqs[metric] = int(self._columns(metric, 2)["seq"])
            # While any batch is being stored, `seq` stays below it, and points that are stored already would be yielded again.
            for _ in self._new_points():
                pass
        if self._lines:
            page = self._wire.call("events.get_task_log_lines", {"task": self._run, "position": 2**40, "count": OVERLAP})
            self._read, self._tail = page["total"], Counter(map(line_of, page["events"]))

    def _look(self) -> tuple[str, Any]:
        found = self._wire.call("tasks.get_by_id_ex", {"id": [self._run], "only_fields": ["status", "last_change"]})["tasks"]
        if not found:
            raise self._deleted()
        return str(found[0].get("status")), found[0].get("last_change")

    def _deleted(self) -> NotFound:
        return NotFound(f'run "{self._run}" is not on {self._wire.url} any more: it was deleted')

    def news(self) -> Iterator[Point | Line]:
        """Points and lines that were not yielded yet, points first."""
        if self._points:
            yield from self._new_points()
        if self._lines:
            yield from self._new_lines()

    def _new_points(self) -> Iterator[Point]:
        for metric in metrics_of(self._wire, self._run):
            since = self._seqs.get(metric)
            answer = self._columns(metric, WINDOW, since)
            # Everything is read before anything is yielded, so a connection that is lost in between repeats nothing.
            found = [
                (one, [one] if one["points"] == one["n"] else list(exact(self._wire, self._run, one, since))) for one in answer["series"]
            ]
            self._seqs[metric] = int(answer["seq"])
            for one, parts in found:
                key = one["metric"], one["variant"]
                # Points that arrive while the server reads may be in this answer and in the next one.
                before, now = self._given.get(key, {}), dict[int, tuple[float, str]]()
                self._given[key] = now
                for part in parts:
                    columns = part["columns"]
                    for step, when, value in zip(columns["iter"], columns["time"], values(columns), strict=True):
                        now[int(step)] = when, repr(value)  # NaN equals itself as text
                        if before.get(int(step)) != now[int(step)]:
                            yield Point(*key, int(step), value, when / 1000)
                for step in list(now)[:-REMEMBERED]:
                    del now[step]

    def _columns(self, metric: str, buckets: int, since: int | None = None) -> dict[str, Any]:
        body = {"series": [{"task": self._run, "metric": metric}], "buckets": buckets}
        return self._wire.columns("events.get_series", body if since is None else {**body, "since_seq": since})

    def _new_lines(self) -> Iterator[Line]:
        position = max(0, self._read - OVERLAP)
        known = Counter(self._tail)
        recent: list[Line] = []
        while True:
            page = self._wire.call("events.get_task_log_lines", {"task": self._run, "position": position, "count": 10_000})
            # The last page is filled with lines before the position.
            lines = [line_of(event) for event in page["events"][max(0, position - page["position"]) :]]
            position += len(lines)
            recent = [*recent, *lines][-OVERLAP:]
            self._read, self._tail = position, Counter(recent)
            for line in lines:
                if known[line]:
                    known[line] -= 1
                else:
                    yield line
            if not lines or position >= page["total"]:
                return
