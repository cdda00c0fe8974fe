"""What the suites of `tests/contract` need of an engine."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import gevent
import pytest

from apiserver.stores.base import EventStore
from apiserver.stores.records import SCALAR, Series, SeriesKey
from apiserver.stores.registry import Registry


class Stores(NamedTuple):
    """An engine's two stores, and a company that no other test uses."""

    events: EventStore
    registry: Registry
    company: str


class StoreContract:
    """Base of the suites that an engine inherits. Its test module defines a fixture `opened` (scope "module"): the engine's event store and registry."""

    @pytest.fixture
    def stores(self, opened: tuple[EventStore, Registry]) -> Stores:
        return Stores(*opened, uuid.uuid4().hex)

    def at_once(self, work: Sequence[Callable[[], None]]) -> None:
        """Run functions side by side, as the engine's callers do; the first failure is raised. An engine whose calls block in gevent's own threads
        overrides it with `in_greenlets`."""
        in_threads(work)


def in_threads(work: Sequence[Callable[[], None]]) -> None:
    with ThreadPoolExecutor(len(work)) as pool:
        for done in [pool.submit(function) for function in work]:
            done.result()


def in_greenlets(work: Sequence[Callable[[], None]]) -> None:
    gevent.joinall([gevent.spawn(function) for function in work], raise_error=True)


def key(task: str, metric: str = "loss", variant: str = "train") -> SeriesKey:
    return SeriesKey(task, SCALAR, metric, variant)


def known(stores: Stores, task: str, metric: str = "loss", variant: str = "train") -> Series:
    """A scalar series as the store knows it; an empty one if it does not."""
    found = stores.events.series(stores.company, [task], [SCALAR], {metric: [variant]})
    return found[0] if found else Series(key(task, metric, variant), 0, None, None, 0, 0)
