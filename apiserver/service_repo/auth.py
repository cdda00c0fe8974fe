"""Who calls: Basic, Bearer and cookie credentials, and the tokens that a login gives (spec A.7)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import jwt

from apiserver import errors
from apiserver.service_repo.call import Identity
from apiserver.service_repo.security import Gate
from apiserver.service_repo.versions import MAXIMUM
from apiserver.settings import Settings

SERVER_VERSION = "2.3.0"
"""The ClearML server version whose API this is; the SDK compares it."""

IMPERSONATORS = ("system", "root", "admin")
REMEMBERED_TOKENS = 2000


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """An access key (or a user name that logs in with a password). `check` compares the secret."""

    identity: Identity
    check: Callable[[str], bool]
    open_only: bool = False
    """Public keys of web applications: good in `open` mode only."""


class IdentityStore(Protocol):
    """Where keys and users are looked up."""

    def lookup(self, access_key: str) -> KeyRecord | None:
        """The record of an access key or login name."""

    def user(self, id: str, company: str) -> Identity | None:
        """A user of this company."""

    def default(self) -> Identity:
        """To whom calls without credentials belong in `open` mode."""

    def is_revoked(self, session_id: str) -> bool:
        """Whether the tokens of this session have been taken back."""

    def revoke(self, session_id: str, until: float) -> None:
        """Take the tokens of a session back; `until` (epoch seconds) they would have lived."""


class Caller(NamedTuple):
    """`kind` is "basic", "bearer", "cookie" or "open"."""

    identity: Identity
    kind: str
    session_id: str = ""


class Authenticator:
    """Recognises callers and makes tokens. `secret` signs them."""

    def __init__(self, settings: Settings, store: IdentityStore, gate: Gate, secret: str) -> None:
        self._settings = settings.auth
        self._open = settings.open
        self._store = store
        self._gate = gate
        # Hashed, so that any secret of the configuration is a key of full length.
        self._key = hashlib.sha256(b"tidemark token " + secret.encode()).digest()
        self._known: OrderedDict[str, tuple[Caller, float]] = OrderedDict()

    def admit(self, headers: Mapping[str, str], cookies: Callable[[], Mapping[str, str]], token: str | None = None) -> Caller:
        """The caller of a request, or the 401 or 403 that it deserves as an exception.

        `cookies` is called only when no header tells; `token` is one from the query string (sockets).
        Credentials that are sent are checked in `open` mode too.
        """
        self._gate.check(headers)
        header = headers.get("Authorization", "")
        if header:
            return self._impersonated(self._by_header(header), headers)
        if token:
            return self._impersonated(self._by_token(token, "bearer"), headers)
        cookie = cookies().get(self._settings.cookie) if headers.get("Cookie") else None
        if cookie:
            self._gate.check(headers, cookie=True)
            return self._impersonated(self._by_token(cookie, "cookie"), headers)
        if not self._open:
            raise errors.NoCredentials
        return self._impersonated(Caller(self._store.default(), "open"), headers)

    def check_gate(self, headers: Mapping[str, str]) -> None:
        """For endpoints without credentials: only the Host and Origin rules of `open` mode."""
        self._gate.check(headers)

    def _by_header(self, header: str) -> Caller:
        scheme, _, value = header.partition(" ")
        if scheme.lower() == "bearer":
            return self._by_token(value.strip(), "bearer")
        if scheme.lower() != "basic":
            raise errors.BadAuthType("Basic and Bearer are known")
        try:
            pair = base64.b64decode(value.strip().encode("latin-1"), validate=True)
        except (binascii.Error, UnicodeEncodeError):
            raise errors.BadCredentials("the Basic payload is not base64") from None
        try:
            access_key, separator, secret = pair.decode("utf-8").partition(":")
        except UnicodeDecodeError:
            access_key, separator, secret = pair.decode("latin-1").partition(":")
        record = self._store.lookup(access_key) if separator else None
        if record is None or not record.check(secret) or (record.open_only and not self._open):
            raise errors.InvalidCredentials("unknown access key, or the secret doesn't match")
        return Caller(record.identity, "basic")

    def _by_token(self, token: str, kind: str) -> Caller:
        known = self._known.get(token)
        if known is not None:
            caller, expires = known
            if time.time() >= expires:
                raise errors.InvalidToken("expired")
            caller = caller._replace(kind=kind)
        else:
            caller, expires = self._decoded(token, kind)
            self._known[token] = caller, expires
            if len(self._known) > REMEMBERED_TOKENS:
                self._known.popitem(last=False)
        if self._store.is_revoked(caller.session_id):
            raise errors.InvalidToken("revoked")
        return caller

    def _decoded(self, token: str, kind: str) -> tuple[Caller, float]:
        try:
            claims = jwt.decode(token, self._key, algorithms=["HS256"], options={"require": ["exp"]})
        except jwt.ExpiredSignatureError:
            raise errors.InvalidToken("expired") from None
        except (jwt.InvalidTokenError, ValueError):
            raise errors.InvalidToken("not a token of this server") from None
        found = claims.get("identity")
        if not isinstance(found, dict) or not all(isinstance(found.get(name), str) and found[name] for name in ("user", "company")):
            raise errors.InvalidToken("it names no user")
        texts = {name: str(found.get(name) or "") for name in ("user", "company", "role", "user_name", "company_name")}
        return Caller(Identity(**texts), kind, str(claims.get("session_id") or "")), float(claims["exp"])

    def _impersonated(self, caller: Caller, headers: Mapping[str, str]) -> Caller:
        as_user, act_as = _either(headers, "Impersonate-As"), _either(headers, "Act-As")
        if not as_user and not act_as:
            return caller
        if as_user and act_as:
            raise errors.InvalidHeaders("Impersonate-As and Act-As exclude each other")
        if caller.identity.role not in IMPERSONATORS:
            raise errors.ImpersonationError(f'not for the role "{caller.identity.role}"')
        user = self._store.user(as_user or act_as, caller.identity.company)
        if user is None:
            raise errors.ImpersonationError("unknown user")
        return caller._replace(identity=user)

    def make_token(self, identity: Identity, expiration: int | None = None) -> tuple[str, int]:
        """A signed token for `identity` and its life in seconds (the default, or `expiration` up to the configured maximum)."""
        if expiration is not None and expiration <= 0:
            raise errors.ValidationFailed("expiration_sec", "at least 1", expiration)
        life = min(expiration or self._settings.token_expiration, self._settings.max_token_expiration)
        now = int(time.time())
        claims: dict[str, Any] = {
            "auth_type": "Bearer",
            "identity": {
                "user": identity.user,
                "company": identity.company,
                "role": identity.role,
                "user_name": identity.user_name,
                "company_name": identity.company_name,
            },
            "iat": now,
            "exp": now + life,
            "session_id": secrets.token_hex(16),
            "env": "<unknown>",
            "api_version": str(MAXIMUM),
            "server_version": SERVER_VERSION,
            "server_build": "tidemark",
            "feature_set": "basic",
        }
        return jwt.encode(claims, self._key, algorithm="HS256"), life

    @property
    def cookie_name(self) -> str:
        """The login cookie."""
        return self._settings.cookie


def _either(headers: Mapping[str, str], name: str) -> str:
    """`X-Clearml-<name>`, else `X-Trains-<name>`, else empty."""
    return headers.get(f"X-Clearml-{name}") or headers.get(f"X-Trains-{name}") or ""
