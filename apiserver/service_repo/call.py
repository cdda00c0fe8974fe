"""One API call, as handlers see it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from apiserver.bll.registry.identity import NOBODY, Identity
from apiserver.service_repo.versions import MAXIMUM, Version

if TYPE_CHECKING:
    from apiserver.service_repo.auth import Caller

__all__ = ["NOBODY", "Answer", "Call", "Cookie", "Encoded", "Identity", "RawResponse"]


@dataclass(slots=True)
class Cookie:
    """A cookie that the answer sets; `max_age` in seconds, 0 removes it."""

    name: str
    value: str
    max_age: int


@dataclass(slots=True)
class Call:
    """A call on its way to a handler.

    `body` is the body after unpacking gzip; with `is_batch` it holds JSON lines that are not parsed yet.
    `requested_version` is the path's version, or the newest; `actual_version` is the one whose handler answers.
    """

    id: str
    trx: str
    endpoint: str
    requested_version: Version = MAXIMUM
    actual_version: Version | None = None
    identity: Identity = NOBODY
    body: bytes = b""
    is_batch: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    worker: str = "<unknown>"
    client: str = ""
    credential: str = ""
    """How the caller was authenticated: "basic", "bearer", "cookie", "open", "web" (a web application's public key) or "" (not at all)."""
    access_key: str = ""
    """The access key of the call or of its token; empty without one."""
    session: str = ""
    """Session id of the token; empty without one."""
    caller: Caller | None = None
    """The result of authentication; None without credentials."""
    cookies: list[Cookie] = field(default_factory=list)
    is_gone: Callable[[], bool] = lambda: False
    """Whether the client has closed its connection, so that a long computation may stop."""

    @property
    def company(self) -> str:
        """The caller's company id."""
        return self.identity.company

    @property
    def user(self) -> str:
        """The caller's user id."""
        return self.identity.user

    def set_cookie(self, name: str, value: str, max_age: int) -> None:
        """Set a cookie with the answer (HttpOnly, SameSite=Strict, Path=/; over https also Secure, under a name with the prefix __Host-)."""
        self.cookies.append(Cookie(name, value, max_age))


@dataclass(slots=True)
class RawResponse:
    """An answer without the envelope. The chunks of a stream are sent as they are made."""

    stream: Iterable[bytes] | bytes
    content_type: str
    headers: Mapping[str, str] = field(default_factory=dict)
    status: int = 200


@dataclass(frozen=True, slots=True)
class Encoded:
    """`data` that is a JSON object already, in UTF-8; it goes into the envelope as it is."""

    data: bytes


Answer = dict[str, Any] | RawResponse | Encoded
