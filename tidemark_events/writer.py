"""Writing in the background: `log` puts a row into a queue, a thread sends batches. Training never waits for the server."""

from __future__ import annotations

import atexit
import json
import math
import os
import sys
import threading
import time
import warnings
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from tidemark_events import arguments
from tidemark_events.errors import CallRefused, InvalidArgument, ServerUnavailable, TidemarkError
from tidemark_events.series import split_name
from tidemark_events.wire import TOO_LARGE, Wire

BATCH = 5_000
"""Events of one batch; when so many rows wait, the thread is woken."""
INTERVAL = 1.0
"""Seconds between two batches of a quiet run."""
QUEUE = 200_000
"""Most rows that wait; later ones are dropped and counted."""
EXIT_SECONDS = 30.0
"""Seconds that the end of a program waits for the server."""
LONGEST_PAUSE = 15.0
STEPS = 2**63
"""Steps are signed integers of 64 bits."""

T = TypeVar("T")
Row = tuple[int, int, dict[str, Any]]
"""Time in nanoseconds, step, name -> value."""


class Writer:
    """Sends the rows, lines and files of one run. The queue belongs to one process: after a fork the child has an empty one."""

    def __init__(self, wire: Wire, run: str, queue: int = QUEUE) -> None:
        self._wire, self._run, self._limit = wire, run, queue
        self._prefixes: dict[str, str] = {}
        self._names: set[str] = set()
        """Names of series that were checked."""
        self.next_step = 0
        self.dropped = 0
        """Rows that were not sent: the queue was full, or the program ended before the server answered."""
        self.refused = 0
        """Events that the server, or a proxy in front of it, refused."""
        self._begin()
        _writers.add(self)

    def _begin(self) -> None:
        """The state of this process."""
        self._queue: deque[Row] = deque()
        self._others: deque[Callable[[], bytes]] = deque()
        self._wake = threading.Event()
        self._lock = threading.Lock()
        self._sending = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._deadline = math.inf
        self._unsent: bytes | None = None
        self._warned: set[str] = set()

    # --- what training calls

    def row(self, data: Mapping[str, Any], step: int | None) -> None:
        """Keep a row for the next batch. Values that are not numbers are converted here, because a tensor may change afterwards."""
        if step is None:
            step = self.next_step
        elif type(step) is not int or not -STEPS <= step < STEPS:
            step = arguments.step(step)
        row = dict(arguments.mapping("data", data)) if type(data) is not dict else data.copy()
        if not self._names.issuperset(row):
            self._names.update(map(arguments.name_of_series, row))
        for name, value in row.items():
            if type(value) is not float and type(value) is not int:
                row[name] = number(name, value)
        self.next_step = step + 1
        queue = self._queue
        waiting = len(queue)
        if waiting >= self._limit:
            self._drop(step)
            return
        queue.append((time.time_ns(), step, row))
        if self._thread is None:
            self._start()
        elif waiting >= BATCH and not self._wake.is_set():
            self._wake.set()

    def other(self, make: Callable[[], bytes]) -> None:
        """Queue another event: `make` is called in the thread and returns it as JSON."""
        if len(self._others) >= self._limit:
            self._drop(None)
            return
        self._others.append(make)
        if self._thread is None:
            self._start()

    def flush(self, timeout: float = EXIT_SECONDS) -> bool:
        """Send all waiting rows; returns whether all were sent within `timeout` seconds. Raises nothing."""
        if self._pending and self._thread is None:
            self._start()
        deadline = time.monotonic() + timeout
        while self._pending and time.monotonic() < deadline:
            self._wake.set()
            if self._thread is None or not self._thread.is_alive():
                return False
            time.sleep(0.005)
        return not self._pending

    def close(self, timeout: float = EXIT_SECONDS) -> None:
        """Send the rest and end the thread. Rows that the server does not take within `timeout` seconds are dropped with a warning."""
        self._deadline = time.monotonic() + timeout
        self._stopping = True
        self._wake.set()
        if self._thread is not None and self._thread.is_alive():
            self._thread.join(timeout + 1.0)
        else:
            self._send_all()  # at the end of a program no thread can be started any more
        lost = len(self._queue) + len(self._others)
        if lost or self._unsent is not None:
            self.dropped += lost
            self._queue.clear()
            self._others.clear()
            self._unsent = None
            warn(f"the last rows of run {self._run} were not sent: {self._wire.url} did not answer for {timeout:g} s")
        elif self.dropped:
            warn(f"run {self._run} lacks {_many(self.dropped, 'row')}, which came while the queue of {self._limit:,} was full")
        if self.refused:
            warn(f"run {self._run} lacks {_many(self.refused, 'event')}, refused by the server or a proxy")
        _writers.discard(self)

    # --- the thread

    @property
    def _pending(self) -> bool:
        return bool(self._queue or self._others or self._unsent is not None or self._sending.locked())

    def _start(self) -> None:
        with self._lock:
            if self._thread is None and not self._stopping:
                self._thread = threading.Thread(target=self._work, name=f"tidemark {self._run[:20]}", daemon=True)
                self._thread.start()
                _end_with_multiprocessing()

    def _work(self) -> None:
        while not self._stopping:
            self._wake.wait(INTERVAL)
            self._wake.clear()
            self._send_all()
        self._send_all()

    def _send_all(self) -> None:
        while self._queue or self._others or self._unsent is not None:
            with self._sending:
                if self._unsent is None:
                    self._unsent = self._batch()
                if self._unsent is None or (self._unsent and not self._deliver(self._unsent)):
                    return
                self._unsent = None

    def _batch(self) -> bytes | None:
        """JSON lines of what waits, up to about BATCH events; None when there is no time left."""
        found: list[str] = []
        others: list[bytes] = []
        while self._others and len(others) < BATCH:
            try:
                event = self._patiently(self._others[0])
            except Exception as error:  # whatever it is, the thread goes on with the next
                self.refused += 1
                self._say("an image or plot was not sent", error)
            else:
                if event is None:
                    return None
                others.append(event)
            self._others.popleft()
        while self._queue and len(found) < BATCH:
            nanoseconds, step, row = self._queue.popleft()
            tail = f',"iter":{step},"timestamp":{nanoseconds // 1_000_000}}}'
            for name, value in row.items():
                prefix = self._prefixes.get(name)
                if prefix is None:
                    prefix = self._prefixes[name] = self._prefix(name)
                found.append(f"{prefix}{_json_number(value)}{tail}")
        return b"\n".join([*others, "\n".join(found).encode()] if found else others)

    def _prefix(self, name: str) -> str:
        metric, variant = split_name(name)
        event = {"type": "training_stats_scalar", "task": self._run, "metric": metric, "variant": variant}
        return json.dumps(event)[:-1] + ',"value":'

    def _deliver(self, body: bytes) -> bool:
        """Send a batch until the server has answered; returns whether it has. A repeated batch is stored once. A batch that is too large for the server,
        or for a proxy in front of it, is sent in halves."""
        try:
            answer = self._patiently(lambda: self._wire.lines(body))
        except TidemarkError as error:
            events = body.split(b"\n")
            if isinstance(error, CallRefused) and error.code == TOO_LARGE and len(events) > 1:
                half = len(events) // 2
                return self._deliver(b"\n".join(events[:half])) and self._deliver(b"\n".join(events[half:]))
            self.refused += len(events)
            self._say("a batch was refused and is lost" if len(events) > 1 else "an event was refused and is lost", error)
            return True
        if answer is None:
            return False
        if answer.get("errors"):
            self.refused += int(answer["errors"])
            self._say("the server refused some events", next(iter(answer.get("errors_info") or {"no reason given": 0})))
        return True

    def _patiently(self, work: Callable[[], T]) -> T | None:
        """Repeat `work` while the server is unavailable; None when there is no time left."""
        pause = 0.2
        while True:
            try:
                return work()
            except ServerUnavailable as error:
                self._say("the server is unavailable, rows wait", error)
                left = self._deadline - time.monotonic()
                if left <= 0:
                    return None
                # Not on `_wake`: `log` sets it whenever many rows wait.
                time.sleep(max(0.0, min(pause, left, 0.2 if self._stopping else LONGEST_PAUSE)))
                pause *= 1.6

    def _drop(self, step: int | None) -> None:
        self.dropped += 1
        self._say(
            "rows are dropped" + ("" if step is None else f" from step {step} on"),
            f"{self._limit:,} wait for {self._wire.url} already (queue= makes room for more)",
            key="drop",
        )
        self._wake.set()

    def _say(self, what: str, why: object, key: str | None = None) -> None:
        """Warn once of each kind of problem."""
        if (key or what) not in self._warned:
            self._warned.add(key or what)
            warn(f"run {self._run}: {what}: {why}")


def warn(text: str) -> None:
    """Warn the user; Python shows each text once per place."""
    warnings.warn(f"tidemark_events: {text}", RuntimeWarning, stacklevel=2)


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def number(name: str, value: Any) -> float:
    """A value as a float. Raises InvalidArgument for other values."""
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError):  # RuntimeError: a tensor of several numbers
        raise InvalidArgument(
            f'"{name}" must be a number (or what float() takes), got {type(value).__name__}: texts go to run.print(), parameters to params='
        ) from None


def _json_number(value: float) -> str:
    text = repr(value)
    if text in ("nan", "inf", "-inf"):
        return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[text]
    return text


# --- the end of a process, and its children

_writers: weakref.WeakSet[Writer] = weakref.WeakSet()
_ends_with = 0
creating = threading.Lock()
"""Held while a run gets its writer."""
_closers: dict[int, Callable[[], None]] = {}
"""What runs at the end of this process, before the writers are closed: marks of runs that were not finished."""


def at_exit(key: int, closer: Callable[[], None] | None) -> None:
    """Run `closer` when this process ends; None forgets it."""
    if closer is None:
        _closers.pop(key, None)
    else:
        _closers[key] = closer


def close_all() -> None:
    """Close every run of this process."""
    for closer in list(_closers.values()):
        closer()
    _closers.clear()
    for writer in list(_writers):
        writer.close()


def _end_with_multiprocessing() -> None:
    """Children of multiprocessing end without atexit."""
    global _ends_with
    if _ends_with != os.getpid() and "multiprocessing.util" in sys.modules:
        from multiprocessing import util

        util.Finalize(None, close_all, exitpriority=10)
        _ends_with = os.getpid()


def _in_child() -> None:
    """After a fork: rows that wait belong to the parent, which sends them; the marks of runs too."""
    global creating
    creating = threading.Lock()
    _closers.clear()
    for writer in list(_writers):
        writer._begin()


atexit.register(close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
