"""Rewinds of one task at the same time."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import gevent

from apiserver.bll.events.rewinding import Rewinding
from apiserver.bll.registry.directory import Owner
from apiserver.stores.records import SCALAR, SeriesKey


class Events:
    """One series of which only the last step is known. Reading it is slow when the step is `slow`."""

    def __init__(self, last: int, slow: int) -> None:
        self.last, self.slow = last, slow

    def series(self, *_: Any) -> list[Any]:
        found = SimpleNamespace(
            key=SeriesKey("t", SCALAR, "m", "v"), max_iter=self.last, chart_max_iter=self.last, last_written=1, statistics=None
        )
        gevent.sleep(0.01 if self.last == self.slow else 0)
        return [found]

    def page(self, *_: Any, **__: Any) -> list[Any]:
        return []

    def cut(self, *_: Any, after: int, **__: Any) -> int:
        removed, self.last = max(0, self.last - after), min(self.last, after)
        return removed


def test_the_progress_is_that_of_the_earliest_step_however_calls_overlap() -> None:
    """A call that read the series before another one had cut it set its progress last."""
    events = Events(last=1000, slow=100)
    progress: list[int] = []
    directory = SimpleNamespace(set_progress=lambda owner, value: progress.append(value))
    rewinding = Rewinding(cast(Any, events), cast(Any, directory))
    owner = cast(Owner, SimpleNamespace(company="c", id="t", kind="task"))
    calls = [gevent.spawn(rewinding.rewind, owner, step) for step in (100, 10)]
    gevent.joinall(calls, raise_error=True)
    assert sum(call.value for call in calls) == 990
    assert progress[-1] == 10, progress
