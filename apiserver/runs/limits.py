"""Rate limits, and the address of a client behind proxies."""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from apiserver.stores.base import State, StateUnavailable

WINDOW = 60.0


class Verdict(NamedTuple):
    """`headers` are for every answer. `retry_after` in whole seconds when the request is refused, else None."""

    headers: dict[str, str]
    retry_after: int | None = None


class Limiter:
    """Requests per minute of one client, endpoint and run, counted for all workers together. A limit of 0 counts nothing."""

    def __init__(self, state: State, limit: int) -> None:
        self._state, self._limit = state, limit

    def check(self, key: str, *, count: bool = True) -> Verdict:
        """Count a request (or, without `count`, only look). When the state can't be reached nothing is refused."""
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


class Clients:
    """The address of a client: the peer's, or what a configured proxy forwarded."""

    def __init__(self, proxies: Sequence[str]) -> None:
        self._proxies = [ipaddress.ip_network(proxy, strict=False) for proxy in proxies]

    def address(self, environ: Mapping[str, Any]) -> str:
        """The right-most address that is no proxy of ours: a client can write anything to the left of it."""
        address = str(environ.get("REMOTE_ADDR") or "")
        for hop in reversed(str(environ.get("HTTP_X_FORWARDED_FOR") or "").split(",")):
            if not self._is_proxy(address) or not hop.strip():
                break
            address = hop.strip()
        return address

    def _is_proxy(self, address: str) -> bool:
        try:
            ip = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(ip in network for network in self._proxies)
