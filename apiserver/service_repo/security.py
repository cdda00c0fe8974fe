"""Which web pages may talk to the server (docs/protocol.md, "Authentication").

A server that lets its own machine in without credentials is reachable for every page that the machine's browser shows: by a plain
cross-origin call, a form or an image tag, or through a DNS name that suddenly leads to 127.0.0.1. So in `open` mode, and wherever a
cookie is the credential, Host and Origin are looked at before a handler runs. Tokens and keys in headers need none of that: no foreign
page has them.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping

from apiserver.errors import OriginRefused
from apiserver.settings import Settings, is_loopback

ORIGIN = re.compile(r"(?P<scheme>https?)://(?P<authority>[^/?#@]+)", re.IGNORECASE)
METHODS = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"


class Gate:
    """Checks Host, Origin and Sec-Fetch-Site, and makes the CORS headers."""

    def __init__(self, settings: Settings) -> None:
        self.open = settings.open
        self._hosts = {host.lower() for host in (*settings.server.hosts, settings.server.host)}
        self._any_address = settings.server.allow_open
        self._origins = {origin.lower().rstrip("/") for origin in settings.cors.origins}
        self._loopback = settings.cors.loopback
        self._max_age = str(settings.cors.max_age)

    def check(self, headers: Mapping[str, str], *, cookie: bool = False) -> None:
        """Raise OriginRefused for a foreign page's call. `cookie`: the caller was recognised by a cookie."""
        host = headers.get("Host", "")
        if self.open and host and not self.is_ours(host):
            raise OriginRefused(f'Host "{host[:100]}" is not this server; name it in server.hosts if it should be')
        if not self.open and not cookie:
            return
        origin = headers.get("Origin")
        if origin is not None:
            if not self.allows(origin, host):
                raise OriginRefused(f'pages of "{origin[:100]}" may not call this server; name it in cors.origins if they should')
        elif headers.get("Sec-Fetch-Site", "").lower() == "cross-site":  # image tags, forms and links carry no Origin
            raise OriginRefused("a page of another site may not call this server")

    def is_ours(self, host: str) -> bool:
        """Whether a Host header names this machine, or a name from the configuration."""
        name = host_name(host)
        if is_loopback(name) or name in self._hosts:
            return True
        return self._any_address and _is_address(name)  # a rebound DNS name is never a plain address

    def allows(self, origin: str, host: str) -> bool:
        """Whether a page of `origin` may call: a configured or loopback origin, or the page came from this server itself."""
        found = ORIGIN.fullmatch(origin)
        if found is None:
            return False
        if origin.lower() in self._origins or (self._loopback and is_loopback(host_name(found["authority"]))):
            return True
        return bool(host) and found["authority"].lower() == host.lower()

    def cors(self, headers: Mapping[str, str], *, preflight: bool) -> dict[str, str]:
        """The CORS headers of an answer; none for a page that may not read it."""
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


def host_name(authority: str) -> str:
    """Host without port and brackets, lower case."""
    if authority.startswith("["):
        return authority[1:].partition("]")[0].lower()
    return authority.rpartition(":")[0].lower() if authority.count(":") == 1 else authority.lower()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
