"""Words of messages."""

from __future__ import annotations


def many(count: int, noun: str, plural: str = "") -> str:
    """A count with its noun: "1 run", "2,000 runs", "0 companies"."""
    if count == 1:
        return f"1 {noun}"
    return f"{count:,} {plural or (noun[:-1] + 'ies' if noun.endswith('y') else noun + 's')}"
