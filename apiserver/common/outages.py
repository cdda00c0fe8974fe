"""One line in the log when something fails, one when it works again; not one per failed call, nor one per worker process."""

from __future__ import annotations

import logging
import mmap
import struct
import time
import zlib

log = logging.getLogger("tidemark")

QUIET_SECONDS = 10.0
"""What one worker process has said, the others do not repeat for so long."""
_SLOTS = 256
_TIME = struct.Struct("d")
_shared: mmap.mmap | None = None


def share_between_processes() -> None:
    """Called before the fork: the processes that come know what the others have said."""
    global _shared
    _shared = _shared or mmap.mmap(-1, _SLOTS * _TIME.size)


def is_first(sentence: str, quiet: float = QUIET_SECONDS) -> bool:
    """Whether no process has said this within the last `quiet` seconds; the caller says it now."""
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
    """The troubles of one server that the program depends on, each by its kind."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._since: dict[str, float] = {}

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self._since)

    def began(self, kind: str, sentence: str) -> None:
        """A call failed; said once until `ended`."""
        if kind in self._since:
            return
        self._since[kind] = time.monotonic()
        self._say(f"{self._name} {kind}", sentence)

    def ended(self, *kinds: str) -> None:
        """A call succeeded that such troubles would have stopped."""
        for kind in kinds:
            began = self._since.pop(kind, None)
            if began is not None:
                self._say(f"{self._name} {kind} ended", f"{self._name}: {kind} is over after {time.monotonic() - began:.0f} s")

    @staticmethod
    def _say(key: str, sentence: str) -> None:
        log.log(logging.WARNING if is_first(key) else logging.DEBUG, "%s", sentence)
