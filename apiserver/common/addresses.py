"""URLs of stores: `scheme://[user:password@]address`, with unescaped passwords accepted, and never printed. And addresses of clients."""

from __future__ import annotations

import ipaddress
from typing import NamedTuple
from urllib.parse import quote, unquote


class StoreUrl(NamedTuple):
    """`address` is the URL without the login. `login`: user and password, None when there is none."""

    address: str
    login: tuple[str, str] | None


def split_login(url: str) -> StoreUrl:
    """Cut the login out of a URL. A password may hold `/`, `#`, `?` and `@` as they are, or percent codes."""
    scheme, separator, rest = url.partition("://")
    login, at, address = rest.rpartition("@")
    if not at or scheme == "sqlite":
        return StoreUrl(url, None)
    user, _, password = login.partition(":")
    return StoreUrl(f"{scheme}{separator}{address}", (unquote(user), unquote(password)))


def with_login(url: str, user: str, password: str) -> str:
    """The URL with this login instead of its own, so that every parser of URLs takes it."""
    address = split_login(url).address
    scheme, separator, rest = address.partition("://")
    return f"{scheme}{separator}{quote(user, safe='')}:{quote(password, safe='')}@{rest}"


def quoted(url: str) -> str:
    """The same URL, its login in percent codes."""
    login = split_login(url).login
    return url if login is None else with_login(url, *login)


def without_password(url: str) -> str:
    """A URL as it may be printed."""
    address, login = split_login(url)
    if login is None:
        return url
    scheme, separator, rest = address.partition("://")
    return f"{scheme}{separator}…@{rest}"


def network_of(address: str) -> str:
    """The unit of limits per client: an IPv4 address, or the /64 network of an IPv6 address, in which one client can take any number of
    addresses."""
    if ":" not in address:
        return address
    try:
        ip = ipaddress.IPv6Address(address)
    except ValueError:  # a proxy may forward any text
        return address
    if ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(ip) >> 64 << 64, 64)))
