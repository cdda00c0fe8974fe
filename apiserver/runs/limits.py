"""Rate limits of the runs API."""

from __future__ import annotations

import math
from typing import NamedTuple

from apiserver.stores.errors import StateUnavailable
from apiserver.stores.state import State

WINDOW = 60.0


class Verdict(NamedTuple):
    """`headers` belong into the answer in any case. `retry_after`: whole seconds if the request is refused, else None."""

    headers: dict[str, str]
    retry_after: int | None = None


class Limiter:
    """Limits requests per minute, for each client, endpoint and run, over all worker processes. 0: no limit."""

    def __init__(self, state: State, limit: int) -> None:
        self._state, self._limit = state, limit

    def check(self, key: str, *, count: bool = True) -> Verdict:
        """Count a request, or, with `count=False`, only read the counter. Nothing is refused while the state can't be reached."""
        if not self._limit:
            return Verdict({})
        try:
            hit = self._state.hit(f"runs:{key}", self._limit, WINDOW, 1 if count else 0)
        except StateUnavailable:
            return Verdict({})
        reset = min(max(math.ceil(hit.reset_after), 1), int(WINDOW))
        headers = {"X-RateLimit-Limit": str(self._limit), "X-RateLimit-Remaining": str(hit.remaining), "X-RateLimit-Reset": str(reset)}
        if hit.allowed or not count:
            return Verdict(headers)
        return Verdict({**headers, "X-RateLimit-Remaining": "0", "Retry-After": str(reset)}, reset)
