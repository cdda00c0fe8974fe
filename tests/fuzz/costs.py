"""What calls may cost a server: seconds of a call, and memory of a run."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.process import Server

SECONDS = 5.0
GROWTH = 1.2


@contextmanager
def costs_seconds(server: Server) -> Iterator[None]:
    """A call takes less than SECONDS. On a machine that has others to serve the server's CPU time counts, whichever calls it was for."""
    began, used = time.monotonic(), server.cpu_seconds()
    yield
    took = time.monotonic() - began
    if took >= SECONDS:
        used = server.cpu_seconds() - used
        assert used < SECONDS, f"the call took {took:.1f} s, and the server's processors {used:.1f} s meanwhile"


def check_memory(server: Server, before: int) -> None:
    """After as before, within a fifth: `before` with caches filled."""
    after = server.resident_bytes()
    assert after < before * GROWTH, f"{before / 1e6:.0f} MB before, {after / 1e6:.0f} MB after"
