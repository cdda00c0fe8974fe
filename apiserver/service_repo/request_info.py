"""What authentication needs to know of a request beside its headers: the client's address, and whether the call writes."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from apiserver.common.addresses import network_of
from apiserver.settings import is_loopback

FORWARDED = ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_VIA", "HTTP_X_REAL_IP", "HTTP_X_FORWARDED_HOST")


@dataclass(frozen=True, slots=True)
class RequestInfo:
    """One request. The defaults are the strictest: a cookie or open mode alone allows no write."""

    method: str = "GET"
    media_type: str = ""
    """Content-Type without parameters, lower case."""
    changes: bool = True
    """Whether the call writes."""
    address: str = ""
    """The client's address behind trusted proxies; for IPv6 its /64 network (`network_of`). Limits are counted by it."""
    is_local: bool = False
    """Whether a program on this machine calls a loopback name. Browsers send such servers the headers that tell which page calls."""
    admitted: Callable[[], None] = lambda: None
    """Called once the caller is authenticated."""


class TrustedProxies:
    """The configured proxies; finds out the client's address behind them."""

    def __init__(self, proxies: Sequence[str]) -> None:
        self._proxies = [ipaddress.ip_network(proxy, strict=False) for proxy in proxies]

    def request_info(self, environ: Mapping[str, Any], *, changes: bool) -> RequestInfo:
        """The request as authentication sees it."""
        sock = environ.get("gunicorn.socket")
        return RequestInfo(
            method=environ.get("REQUEST_METHOD", "GET"),
            media_type=str(environ.get("CONTENT_TYPE") or "").partition(";")[0].strip().lower(),
            changes=changes,
            address=network_of(self.address(environ)),
            is_local=self.is_local(environ),
            admitted=sock.admitted if sock is not None else _nothing,
        )

    def address(self, environ: Mapping[str, Any]) -> str:
        """The client's address: the right-most one in X-Forwarded-For that is not a trusted proxy. Clients can forge everything left of it."""
        address = str(environ.get("REMOTE_ADDR") or "")
        if not self._proxies:
            return address
        for hop in reversed(str(environ.get("HTTP_X_FORWARDED_FOR") or "").split(",")):
            if not self.is_proxy(address) or not hop.strip():
                break
            address = hop.strip()
        return address

    def is_local(self, environ: Mapping[str, Any]) -> bool:
        """Whether peer and Host header are this machine, without a proxy in between."""
        peer = str(environ.get("REMOTE_ADDR") or "")
        if not is_loopback(peer) or any(name in environ for name in FORWARDED) or self.is_proxy(peer):
            return False
        return is_loopback(host_name(environ.get("HTTP_HOST") or "localhost"))

    def is_proxy(self, address: str) -> bool:
        """Whether this is a trusted proxy's address."""
        if not self._proxies:
            return False
        try:
            ip = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(ip in network for network in self._proxies)


def _nothing() -> None:
    pass


def host_name(authority: str) -> str:
    """Host without port and brackets, lower case."""
    if authority.startswith("["):
        return authority[1:].partition("]")[0].lower()
    return authority.rpartition(":")[0].lower() if authority.count(":") == 1 else authority.lower()
