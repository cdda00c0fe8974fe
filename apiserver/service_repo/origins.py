"""Protection against CSRF and DNS rebinding, and CORS: which web pages may call the server (docs/protocol.md, "Authentication").

A server that needs no credentials on its own machine can be called by every page in that machine's browser: with a plain cross-origin
request, a form or an image tag, or through a DNS name that is rebound to 127.0.0.1. So in `open` mode, and for cookies, Host and Origin
are checked before a handler runs. Tokens and keys in headers need no check: a foreign page does not have them.

Browsers send `Sec-Fetch-Site` to https and loopback addresses only, and no Origin with a link or an image. So on other addresses a call
that writes must also be one that no form, link or image can make.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping

from apiserver.errors import OriginRefused
from apiserver.service_repo.request_info import RequestInfo, TrustedProxies, host_name
from apiserver.settings import Settings, is_loopback

ORIGIN = re.compile(r"(?P<scheme>https?)://(?P<authority>[^/?#@]+)", re.IGNORECASE)
FOREIGN_TYPES = (
    "",
    "application/x-www-form-urlencoded",
    "multipart/form-data",
    "text/plain",
    "text/ping",
    "application/csp-report",
    "application/expect-ct-report+json",
    "application/xss-auditor-report",
)
"""Content types that browsers send across origins without a CORS preflight: of forms, of pings of links, and of reports that a page's headers ask
for (their address may be any)."""
METHODS = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"


class OriginPolicy:
    """Checks Host, Origin and Sec-Fetch-Site, and makes the CORS headers."""

    def __init__(self, settings: Settings) -> None:
        self.open = settings.open
        self.proxies = TrustedProxies(settings.server.proxies)
        self._hosts = {host.lower() for host in (*settings.server.hosts, settings.server.host)}
        self._any_address = settings.server.allow_open
        self._origins = {origin.lower().rstrip("/") for origin in settings.cors.origins}
        self._loopback = settings.cors.loopback
        self._max_age = str(settings.cors.max_age)

    def check(self, headers: Mapping[str, str], *, cookie: bool = False) -> None:
        """Raise OriginRefused for a call from a foreign page. `cookie`: the caller is authenticated by a cookie."""
        host = headers.get("Host", "")
        if self.open and host and not self.is_ours(host):
            raise OriginRefused(f'Host "{host[:100]}" is not this server; name it in server.hosts if it should be')
        if not self.open and not cookie:
            return
        origin = headers.get("Origin")
        if origin is not None:
            if not self.allows(origin, host):
                raise OriginRefused(f'pages of "{origin[:100]}" may not call this server; name it in cors.origins if they should')
        elif headers.get("Sec-Fetch-Site", "").lower() in ("cross-site", "same-site"):  # image tags and links carry no Origin
            raise OriginRefused("a page of another site may not call this server")

    def check_change(self, headers: Mapping[str, str], request_info: RequestInfo) -> None:
        """Raise OriginRefused for a write without an Authorization header that a foreign page could have sent."""
        if not request_info.changes or headers.get("Origin") is not None or request_info.is_local:  # an Origin was checked
            return
        if request_info.method in ("GET", "HEAD", "OPTIONS"):
            raise OriginRefused(f"{request_info.method} may not change anything here without an Authorization header; send POST")
        if request_info.method == "POST" and request_info.media_type in FOREIGN_TYPES:
            raise OriginRefused(
                "a form, ping or report of a page may not change anything here: send Content-Type: application/json (or application/json-lines), or an Authorization header"
            )

    def is_ours(self, host: str) -> bool:
        """Whether a Host header names this machine or a configured host."""
        name = host_name(host)
        if is_loopback(name) or name in self._hosts:
            return True
        return self._any_address and _is_address(name)  # a rebound DNS name is never a plain address

    def allows(self, origin: str, host: str) -> bool:
        """Whether pages of `origin` may call: configured origins, loopback if allowed, and this server's own pages."""
        found = ORIGIN.fullmatch(origin)
        if found is None:
            return False
        if origin.lower() in self._origins or (self._loopback and is_loopback(host_name(found["authority"]))):
            return True
        return bool(host) and found["authority"].lower() == host.lower()

    def cors(self, headers: Mapping[str, str], *, preflight: bool) -> dict[str, str]:
        """The CORS headers of an answer; empty for a page that may not read it."""
        origin = headers.get("Origin")
        if origin is None or not self.allows(origin, headers.get("Host", "")):
            return {}
        answer = {"Access-Control-Allow-Origin": origin, "Access-Control-Allow-Credentials": "true"}
        if preflight:
            answer["Access-Control-Allow-Methods"] = METHODS
            answer["Access-Control-Max-Age"] = self._max_age
            if wanted := headers.get("Access-Control-Request-Headers"):
                answer["Access-Control-Allow-Headers"] = wanted
            if headers.get("Access-Control-Request-Private-Network") == "true":
                answer["Access-Control-Allow-Private-Network"] = "true"
        return answer


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
