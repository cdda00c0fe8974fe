"""URLs of stores, `scheme://[user:password@]address`: passwords may be unescaped and are never printed. Networks of client addresses."""

from __future__ import annotations

import ipaddress
from typing import NamedTuple
from urllib.parse import quote, unquote


class StoreUrl(NamedTuple):
    """`address`: the URL without user and password. `login`: (user, password), or None."""

    address: str
    login: tuple[str, str] | None


def split_login(url: str) -> StoreUrl:
    """Separate user and password from a URL. A password may contain `/`, `#`, `?` and `@` unescaped, or percent-encoded characters."""
    scheme, separator, rest = url.partition("://")
    login, at, address = rest.rpartition("@")
    if not at or scheme == "sqlite":
        return StoreUrl(url, None)
    user, _, password = login.partition(":")
    return StoreUrl(f"{scheme}{separator}{address}", (unquote(user), unquote(password)))


def with_login(url: str, user: str, password: str) -> str:
    """The URL with this user and password, percent-encoded, in place of its own."""
    address = split_login(url).address
    scheme, separator, rest = address.partition("://")
    return f"{scheme}{separator}{quote(user, safe='')}:{quote(password, safe='')}@{rest}"


def quoted(url: str) -> str:
    """The same URL with user and password percent-encoded."""
    login = split_login(url).login
    return url if login is None else with_login(url, *login)


def without_password(url: str) -> str:
    """The URL with `…` for user and password, for logs and messages."""
    address, login = split_login(url)
    if login is None:
        return url
    scheme, separator, rest = address.partition("://")
    return f"{scheme}{separator}…@{rest}"


def network_of(address: str) -> str:
    """What limits per client count: an IPv4 address, or the /64 network of an IPv6 address, because one client can use any address of its /64.
    Other text is returned unchanged."""
    if ":" not in address:
        return address
    try:
        ip = ipaddress.IPv6Address(address)
    except ValueError:  # a proxy may forward any text
        return address
    if ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(ip) >> 64 << 64, 64)))
