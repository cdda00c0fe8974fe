"""A server that is about to end: it still answers calls, and `/readyz` asks proxies to send it no more."""

from __future__ import annotations

import mmap

_flag = mmap.mmap(-1, 1)
"""Shared with the worker processes, which are forked after this was imported."""


def begin() -> None:
    """From now on this server, all of its processes, is about to end."""
    _flag[0] = 1


def has_begun() -> bool:
    """Whether it is."""
    return bool(_flag[0])
