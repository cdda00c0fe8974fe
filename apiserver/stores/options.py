"""Options of stores and states, the same on every engine."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """How batches are stored."""

    compress_from: int = 100_000
    """Bytes of an event's own fields (a plot's `plot_str`) from which on they are compressed; 0 = never."""
    retry_window: int = 3_600
    """Seconds after which the log lines of a batch that comes again are new ones, and no retry."""
    max_task_series: int = 20_000
    """Series that a task or model may have; events of further ones are refused."""
    max_company_series: int = 10_000_000
    """Series of all tasks and models of a company."""


@dataclass(frozen=True, slots=True)
class StateLimits:
    """Bytes that states may take, each counted with STATE_OVERHEAD (see `base.State.create`)."""

    total: int = 128 << 20
    company: int = 16 << 20


STATE_OVERHEAD = 500
"""Overhead of a state in bytes, beside its value: names, times, accounts."""

DEFAULT_STATE_LIMITS = StateLimits()
