"""Parses `Retry-After`: how long a busy server asks clients to wait."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_SECONDS = re.compile(r"\s*\d+\s*", re.ASCII)


def retry_after(text: str | None, otherwise: float) -> float:
    """The pause in seconds that a `Retry-After` header asks for, as seconds or as a date (RFC 9110, section 10.2.3); `otherwise` if it is missing or
    invalid."""
    if text is None:
        return otherwise
    if _SECONDS.fullmatch(text):
        return float(text)
    from email.utils import parsedate_to_datetime

    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return otherwise
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
