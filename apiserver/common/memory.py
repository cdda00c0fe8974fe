"""Memory that is free inside this process goes back to the system.

malloc gives back what lies at the end of its heap only: a few objects that stay hold hundreds of megabytes of free ones below them, until the process
ends. Asking for it costs some milliseconds, in which others who need memory wait; so it is asked for after each STEP of growth.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

from apiserver.common.fairness import in_thread

STEP = 64_000_000
"""Bytes of growth: 5 ms of work."""

_STATM = Path("/proc/self/statm")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class FreeMemory:
    """`give_back` is called now and then. Does nothing where the C library has no `malloc_trim`."""

    def __init__(self) -> None:
        self._trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        self._least = 0

    def give_back(self, freed: float = 0) -> None:
        """Give free memory back if the process has grown since the last time, or if so many bytes were freed just now."""
        if self._trim is None:
            return
        now = resident_bytes()
        if not self._least or now < self._least:
            self._least = now
        if now >= self._least + STEP or freed >= STEP / 4:
            in_thread(self._trim, 0)
            self._least = resident_bytes()


def resident_bytes() -> int:
    """Resident memory of this process; 0 where the system doesn't tell."""
    try:
        return int(_STATM.read_text().split()[1]) * _PAGE
    except OSError:
        return 0
