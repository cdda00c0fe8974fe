"""How long one call may wait for a store that does not answer.

A call makes many requests, and waits for others that make them. What counts is the time it has waited since the store last answered it: a
slow store gets time for each answer; a frozen one is waited for once, and all further requests of the call fail immediately.
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
    """This greenlet now works for a call that waits at most so many seconds."""
    _current.set(_Patience(seconds))


def end() -> None:
    """Work outside of a call: each wait has its own limit."""
    _current.set(None)


def left(most: float) -> float:
    """Seconds that a wait may take, `most` at most; 0 or less when the call has waited long enough."""
    patience = _current.get()
    return most if patience is None else min(most, patience.limit - patience.spent)


def spend(seconds: float) -> None:
    """Count a wait without an answer, in seconds."""
    if (patience := _current.get()) is not None:
        patience.spent += seconds


def renew() -> None:
    """The store has answered."""
    if (patience := _current.get()) is not None:
        patience.spent = 0.0


def acquire(lock: threading.Lock, most: float) -> bool:
    """Take a lock that others hold while they wait for the store; False when the patience ends before."""
    if lock.acquire(blocking=False):
        return True
    started = time.monotonic()
    taken = lock.acquire(timeout=max(left(most), 0.001))
    spend(time.monotonic() - started)
    return taken


def wait(event: threading.Event, most: float) -> bool:
    """The same for an event that others set."""
    if event.is_set():
        return True
    started = time.monotonic()
    came = event.wait(max(left(most), 0.001))
    spend(time.monotonic() - started)
    return came
