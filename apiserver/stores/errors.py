"""The exceptions of the stores. `service_repo/errors.py` maps them to answers."""

from __future__ import annotations


class StoreError(Exception):
    """Base of the exceptions that stores raise."""


class StoreBusy(StoreError):
    """The store is overloaded or takes no writes for now (queue full, disk full, index read-only); retry later. `retry_after` in seconds,
    `kind` as the log names the outage (empty: not an outage of the whole store)."""

    def __init__(self, reason: str, retry_after: float = 5.0, kind: str = "") -> None:
        super().__init__(reason)
        self.retry_after, self.kind = retry_after, kind


DISK_TROUBLE = "a full disk"


class StoreReadOnly(StoreBusy):
    """The store takes no writes, usually because its disk is full. It can be read."""

    def __init__(self, reason: str, retry_after: float = 30.0) -> None:
        super().__init__(reason, retry_after, DISK_TROUBLE)


class StoreUnavailable(StoreBusy):
    """The store cannot be reached or did not answer in time."""


class StateUnavailable(StoreBusy):
    """The state (navigation, scrolls, rate limits) cannot be reached."""


class StateTooLarge(StoreError):
    """A single state is larger than all states of a company may be. `limit`: these bytes."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        super().__init__(f"the states of a company may take {limit} bytes")


class StoreDamaged(StoreError):
    """The store can't be opened: damaged, newer than this program, or with a conflicting layout. The text is for the operator."""


class Conflict(StoreError):
    """A document was changed by someone else, or one with this id exists already."""


class PatternTooSlow(StoreError):
    """The patterns of one call exceeded their time budget."""


class BusLost(StoreError):
    """Messages may have been missed."""
