"""Fairness between the greenlets of a worker: yielding during long work, blocking work in threads, mutual exclusion per key."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import gevent
from gevent.lock import RLock
from gevent.threadpool import ThreadPool

_MOMENT = 1e-6

Item = TypeVar("Item")
Result = TypeVar("Result")


def give_way() -> None:
    """Yield to every runnable greenlet, new requests included.

    `gevent.sleep(0)` is not enough: it only queues behind the callbacks that are ready, and gevent runs up to fifty of them before it polls sockets
    and timers again. With slices of 1 ms a new request waited 50 ms (measured). The shortest non-zero sleep goes through the event loop every time
    and costs 4 µs.
    """
    gevent.sleep(_MOMENT)


def paced(items: Iterable[Item], every: int, cost: Callable[[Item], int] | None = None) -> Iterator[Item]:
    """Iterate over `items`, yielding to other greenlets after every `every` items, or, with `cost` (the cost of one item), whenever the costs since
    the last yield reach `every`."""
    work = 0
    for item in items:
        yield item
        work += 1 if cost is None else cost(item)
        if work >= every:
            work = 0
            give_way()


def drained(items: list[Item]) -> Iterator[Item]:
    """Iterate over a list and empty it, so that its items are freed one by one: to free 100,000 objects at once blocks other greenlets for 50 ms."""
    items.reverse()
    while items:
        yield items.pop()


def let_go(*containers: list[Any] | dict[Any, Any], every: int = 1_000) -> None:
    """Empty lists and dictionaries, yielding to other greenlets after every `every` items (see `drained`)."""
    for container in containers:
        freed = 0
        while container:
            container.popitem() if isinstance(container, dict) else container.pop()
            freed += 1
            if freed % every == 0:
                give_way()


def in_thread(work: Callable[..., Result], *args: object, pool: ThreadPool | None = None) -> Result:
    """Run `work(*args)` in a thread of `pool` (gevent's own if there is none); other greenlets continue. Raises the exceptions of `work`."""
    result, error = (pool or gevent.get_hub().threadpool).apply(_outcome, (work, args))
    if error is not None:
        raise error
    return result  # type: ignore[no-any-return]


def _outcome(work: Callable[..., Result], args: tuple[object, ...]) -> tuple[Result | None, Exception | None]:
    """Result or exception, as values: gevent would print every exception that leaves a pool thread."""
    try:
        return work(*args), None
    except Exception as error:
        return None, error


class KeyedLocks:
    """One lock per key. A key that nobody holds or waits for takes no memory."""

    def __init__(self) -> None:
        self._locks: dict[Hashable, tuple[RLock, int]] = {}

    @contextmanager
    def hold(self, key: Hashable) -> Iterator[None]:
        """Hold the lock of `key`; the same greenlet may take it again."""
        lock, users = self._locks.get(key, (None, 0))
        lock = lock or RLock()
        self._locks[key] = lock, users + 1
        try:
            with lock:
                yield
        finally:
            lock, users = self._locks[key]
            if users == 1:
                del self._locks[key]
            else:
                self._locks[key] = lock, users - 1
