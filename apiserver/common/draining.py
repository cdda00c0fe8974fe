"""Draining before shutdown: calls are still answered, but `/readyz` fails, so that load balancers send no new ones."""

from __future__ import annotations

import mmap

_flag = mmap.mmap(-1, 1)
"""Shared with the worker processes, which are forked after this was imported."""


def begin() -> None:
    """Start draining, in all processes of this server."""
    _flag[0] = 1


def has_begun() -> bool:
    """Whether the server is draining."""
    return bool(_flag[0])
