"""gevent's patches of the standard library. Imported before everything else: what is imported earlier keeps the blocking versions."""

from __future__ import annotations

from importlib import metadata
from typing import Any

from gevent import monkey


def patch_all() -> None:
    """`gevent.monkey.patch_all`, without its search for plugins: it would read the metadata of every installed package 25 times, a tenth of a second."""
    search: Any = metadata.entry_points
    metadata.entry_points = lambda **_: ()  # type: ignore[assignment, misc]
    try:
        monkey.patch_all()
    finally:
        metadata.entry_points = search
