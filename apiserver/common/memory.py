"""Returns free heap memory to the operating system.

malloc returns only the free end of its heap: a few live objects there keep hundreds of megabytes of free memory below them until the process ends.
`malloc_trim` returns all of it, but other threads that allocate wait some milliseconds for it; so it is called after each STEP of growth.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

from apiserver.common.fairness import in_thread

STEP = 64_000_000
"""Bytes of growth between two calls of `malloc_trim`, which take 5 ms each."""

_STATM = Path("/proc/self/statm")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class FreeMemory:
    """Does nothing if the C library has no `malloc_trim` (musl, macOS)."""

    def __init__(self) -> None:
        self._trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        self._least = 0

    def give_back(self, freed: float = 0) -> None:
        """Return free memory to the system if the process has grown by STEP since the last time, or the caller just freed much (`freed`, in bytes).
        Cheap; to be called regularly."""
        if self._trim is None:
            return
        now = resident_bytes()
        if not self._least or now < self._least:
            self._least = now
        if now >= self._least + STEP or freed >= STEP / 4:
            in_thread(self._trim, 0)
            self._least = resident_bytes()


def resident_bytes() -> int:
    """Resident memory of this process in bytes; 0 if the system has no /proc."""
    try:
        return int(_STATM.read_text().split()[1]) * _PAGE
    except OSError:
        return 0
