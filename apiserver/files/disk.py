"""Blocking disk work beside the event loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import gevent
from gevent.threadpool import ThreadPool

Result = TypeVar("Result")


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
