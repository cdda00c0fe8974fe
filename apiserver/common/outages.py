"""Logs the beginning and the end of an outage once, not per failed call and not per worker process."""

from __future__ import annotations

import logging
import mmap
import struct
import time
import zlib

log = logging.getLogger("tidemark")

QUIET_SECONDS = 10.0
"""Seconds for which other worker processes do not repeat a message."""
_SLOTS = 256
_TIME = struct.Struct("d")
_shared: mmap.mmap | None = None


def share_between_processes() -> None:
    """Called before the fork: worker processes share the times of messages."""
    global _shared
    _shared = _shared or mmap.mmap(-1, _SLOTS * _TIME.size)


def is_first(sentence: str, quiet: float = QUIET_SECONDS) -> bool:
    """Whether no process has logged this within the last `quiet` seconds; if so the caller logs it now."""
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
    """Outages of one server that the program depends on, by kind."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._since: dict[str, float] = {}

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self._since)

    def began(self, kind: str, sentence: str) -> None:
        """A call failed; logged once until `ended`."""
        if kind in self._since:
            return
        self._since[kind] = time.monotonic()
        self._say(f"{self._name} {kind}", sentence)

    def ended(self, *kinds: str) -> None:
        """A call succeeded that such an outage would have failed."""
        for kind in kinds:
            began = self._since.pop(kind, None)
            if began is not None:
                self._say(f"{self._name} {kind} ended", f"{self._name}: {kind} is over after {time.monotonic() - began:.0f} s")

    @staticmethod
    def _say(key: str, sentence: str) -> None:
        log.log(logging.WARNING if is_first(key) else logging.DEBUG, "%s", sentence)
