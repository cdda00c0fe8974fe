"""A limit for the time that one call waits for a store that does not answer.

A call makes many requests to the store, and waits for locks of other calls that do. The time since the store's last answer is limited, not the
total: a slow store gets the full limit for each answer; a store that hangs costs the limit once, and all further requests of the call fail
immediately.
"""

from __future__ import annotations

import threading
import time
from contextvars import ContextVar


class _Patience:
    __slots__ = ("limit", "spent")

    def __init__(self, limit: float) -> None:
        self.limit, self.spent = limit, 0.0


_current: ContextVar[_Patience | None] = ContextVar("patience", default=None)


def begin(seconds: float) -> None:
    """Start a call in this greenlet; it waits at most `seconds` for an answer of the store."""
    _current.set(_Patience(seconds))


def end() -> None:
    """End the call of this greenlet. Outside of calls each wait has only its own limit."""
    _current.set(None)


def left(most: float) -> float:
    """Seconds that the next wait may take, at most `most`; 0 or less when the call's limit is reached."""
    patience = _current.get()
    return most if patience is None else min(most, patience.limit - patience.spent)


def spend(seconds: float) -> None:
    """Add `seconds` of waiting without an answer."""
    if (patience := _current.get()) is not None:
        patience.spent += seconds


def renew() -> None:
    """Reset: the store has answered."""
    if (patience := _current.get()) is not None:
        patience.spent = 0.0


def acquire(lock: threading.Lock, most: float) -> bool:
    """Take a lock that others hold while they wait for the store. False: the limit was reached first."""
    if lock.acquire(blocking=False):
        return True
    started = time.monotonic()
    taken = lock.acquire(timeout=max(left(most), 0.001))
    spend(time.monotonic() - started)
    return taken


def wait(event: threading.Event, most: float) -> bool:
    """Wait until another greenlet or thread sets `event`. False: the limit was reached first."""
    if event.is_set():
        return True
    started = time.monotonic()
    came = event.wait(max(left(most), 0.001))
    spend(time.monotonic() - started)
    return came
