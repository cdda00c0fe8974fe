"""Writes to a store that may be busy."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from apiserver.stores.errors import StoreBusy

T = TypeVar("T")

ATTEMPTS = 8


def retried(work: Callable[[], T], longest: float = 5.0) -> T:
    """The result of `work`, which is repeated while the store is busy, after pauses of up to `longest` seconds. Raises StoreBusy after ATTEMPTS."""
    for _ in range(ATTEMPTS - 1):
        try:
            return work()
        except StoreBusy as error:
            time.sleep(min(error.retry_after, longest))
    return work()
