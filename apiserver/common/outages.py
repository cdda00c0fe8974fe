"""Logs the beginning and the end of an outage once, not per failed call and not per worker process."""

from __future__ import annotations

import logging
import mmap
import struct
import time
import zlib

log = logging.getLogger("tidemark")

QUIET_SECONDS = 10.0
"""Seconds within which a message is logged once, by one of the worker processes."""
_SLOTS = 256
_TIME = struct.Struct("d")
_shared: mmap.mmap | None = None


def share_between_processes() -> None:
    """Call before the fork: worker processes then share the times of the last messages."""
    global _shared
    _shared = _shared or mmap.mmap(-1, _SLOTS * _TIME.size)


def is_first(sentence: str, quiet: float = QUIET_SECONDS) -> bool:
    """True if no process has logged this sentence within the last `quiet` seconds; the caller logs it then."""
    if _shared is None:
        return True
    place = zlib.crc32(sentence.encode()) % _SLOTS * _TIME.size
    now = time.monotonic()
    (said,) = _TIME.unpack_from(_shared, place)
    if said and now - said < quiet:
        return False
    _TIME.pack_into(_shared, place, now)
    return True


class Outages:
    """Current outages of one server that Tidemark depends on (Elasticsearch, Redis), by kind."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._since: dict[str, float] = {}

    def __bool__(self) -> bool:
        """True during an outage."""
        return bool(self._since)

    def began(self, kind: str, sentence: str) -> None:
        """A call failed; logged once until `ended`."""
        if kind in self._since:
            return
        self._since[kind] = time.monotonic()
        self._say(f"{self._name} {kind}", sentence)

    def ended(self, *kinds: str) -> None:
        """A call succeeded that would fail during outages of these kinds."""
        for kind in kinds:
            began = self._since.pop(kind, None)
            if began is not None:
                self._say(f"{self._name} {kind} ended", f"{self._name}: {kind} is over after {time.monotonic() - began:.0f} s")

    @staticmethod
    def _say(key: str, sentence: str) -> None:
        log.log(logging.WARNING if is_first(key) else logging.DEBUG, "%s", sentence)
