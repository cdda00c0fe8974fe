"""gevent's patches of the standard library. Must run before other imports: modules imported earlier keep the blocking versions."""

from __future__ import annotations

from importlib import metadata
from typing import Any

from gevent import monkey


def patch_all() -> None:
    """`gevent.monkey.patch_all` without its search for plugins, which reads the metadata of every installed package 25 times (0.1 s)."""
    search: Any = metadata.entry_points
    metadata.entry_points = lambda **_: ()  # type: ignore[assignment, misc]
    try:
        monkey.patch_all()
    finally:
        metadata.entry_points = search
