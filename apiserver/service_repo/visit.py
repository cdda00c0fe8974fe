"""Facts of a request that authentication needs beside its headers: the client's address, and whether the call changes something."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from apiserver.common.addresses import network_of
from apiserver.settings import is_loopback

FORWARDED = ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_VIA", "HTTP_X_REAL_IP", "HTTP_X_FORWARDED_HOST")


@dataclass(frozen=True, slots=True)
class Visit:
    """One request. The defaults are those of a call that may change nothing by a cookie or open mode alone."""

    method: str = "GET"
    media_type: str = ""
    """Content-Type without parameters, lower case."""
    changes: bool = True
    """Whether the call changes what is stored."""
    address: str = ""
    """The client's address, as a trusted proxy forwards it; of IPv6 its network (`network_of`): limits are counted by it."""
    is_local: bool = False
    """Whether a program of this machine calls by a loopback name: browsers tell such a server the truth about the page that calls."""
    admitted: Callable[[], None] = lambda: None
    """Called when the caller has shown a login."""


class Visitors:
    """Makes a Visit of a WSGI request."""

    def __init__(self, proxies: Sequence[str]) -> None:
        self._proxies = [ipaddress.ip_network(proxy, strict=False) for proxy in proxies]

    def visit(self, environ: Mapping[str, Any], *, changes: bool) -> Visit:
        """The request as authentication sees it."""
        sock = environ.get("gunicorn.socket")
        return Visit(
            method=environ.get("REQUEST_METHOD", "GET"),
            media_type=str(environ.get("CONTENT_TYPE") or "").partition(";")[0].strip().lower(),
            changes=changes,
            address=network_of(self.address(environ)),
            is_local=self.is_local(environ),
            admitted=sock.admitted if sock is not None else _nothing,
        )

    def address(self, environ: Mapping[str, Any]) -> str:
        """The client's address: the right-most one that is no proxy of ours. A client can write anything to the left of it."""
        address = str(environ.get("REMOTE_ADDR") or "")
        if not self._proxies:
            return address
        for hop in reversed(str(environ.get("HTTP_X_FORWARDED_FOR") or "").split(",")):
            if not self.is_proxy(address) or not hop.strip():
                break
            address = hop.strip()
        return address

    def is_local(self, environ: Mapping[str, Any]) -> bool:
        """Whether the peer and the Host header are this machine, and no proxy is between."""
        peer = str(environ.get("REMOTE_ADDR") or "")
        if not is_loopback(peer) or any(name in environ for name in FORWARDED) or self.is_proxy(peer):
            return False
        return is_loopback(host_name(environ.get("HTTP_HOST") or "localhost"))

    def is_proxy(self, address: str) -> bool:
        """Whether this is the address of a trusted proxy."""
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
