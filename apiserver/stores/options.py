"""What the settings of the events service ask of a store; the same on every engine."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """How batches are stored."""

    compress_from: int = 100_000
    """Bytes of an event's own fields (a plot's `plot_str`) from which on they are compressed; 0 = never."""
    retry_window: int = 3_600
    """Seconds after which the log lines of a batch that comes again are new ones, and no retry."""
