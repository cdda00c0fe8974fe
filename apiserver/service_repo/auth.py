"""Authentication: Basic, Bearer and cookie credentials, and the tokens issued at login (docs/protocol.md, "Authentication")."""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple, Protocol

import jwt
from cachetools import LRUCache

from apiserver import errors
from apiserver.bll.registry.identity import ADMINISTRATORS, Identity, KeyRecord, ranks_at_least
from apiserver.bll.registry.new_documents import now_ms
from apiserver.service_repo.origins import OriginPolicy
from apiserver.service_repo.request_info import RequestInfo
from apiserver.service_repo.versions import MAXIMUM
from apiserver.settings import Settings
from apiserver.stores.errors import StoreError

SERVER_VERSION = "2.3.0"
"""The version of ClearML's server that we claim to be; the SDK compares it."""

REMEMBERED_TOKENS = 2000
REMEMBERED_KEYS = 2000
SECURE_PREFIX = "__Host-"
"""Browsers accept a cookie with this prefix only from the host itself, over https."""
KEY_SECONDS = 60.0
"""How long a verified secret is cached."""
IDENTITY_SECONDS = 3.0
"""How long a caller's identity and role are cached."""
REMEMBERED_IDENTITIES = 2000


class IdentityStore(Protocol):
    """Where keys and users are looked up."""

    def verify(self, access_key: str, secret: str, address: str) -> KeyRecord | None:
        """The record of an access key or login name, or None when the key is unknown or the secret is wrong. Raises TooManyRequests."""

    def user(self, id: str, company: str) -> Identity | None:
        """A user of this company; None when unknown."""

    def note_use(self, who: Identity, access_key: str, worker: str) -> None:
        """Record when and on which worker a key was last used."""

    def default(self) -> Identity:
        """The identity of calls without credentials in `open` mode."""

    def proof(self, access_key: str) -> str:
        """Fingerprint of a key or login: changes with its secret, empty for an unknown key. Every token carries it."""

    def current_identity(self, company: str, user: str, proof: str, actor: str) -> Identity | None:
        """The user with the present role. None when the user was deleted, the key or login of `proof` no longer exists, or `actor` may no
        longer act for the user. `proof` and `actor` may be empty."""

    def is_revoked(self, *, session: str, access_key: str, company: str, user: str, issued: int) -> bool:
        """Whether a credential issued (or verified) at `issued`, in ms, was revoked after that."""


class Caller(NamedTuple):
    """An authenticated caller. `kind` is "basic", "bearer", "cookie", "open" or "web"; `issued` (ms) is when the secret was verified."""

    identity: Identity
    kind: str
    session_id: str = ""
    access_key: str = ""
    issued: int = 0
    expires: float = 0.0
    """When the token expires, in epoch seconds; 0 for callers without a token."""
    proof: str = ""
    """Fingerprint of the key or login (see `IdentityStore.proof`)."""
    actor: str = ""
    """The user who impersonates `identity`; empty without impersonation."""


class OutdatedToken(errors.InvalidToken):
    """A token of this server that has expired or was revoked. `owner` is its (company, user)."""

    def __init__(self, extra: str, caller: Caller) -> None:
        super().__init__(extra)
        self.owner = caller.identity.company, caller.identity.user


class Authenticator:
    """Authenticates requests and issues tokens. `secret` signs the tokens."""

    def __init__(self, settings: Settings, store: IdentityStore, origins: OriginPolicy, secret: str) -> None:
        self._settings = settings.auth
        self._open = settings.open
        self._store = store
        self._origins = origins
        # Hashed: HS256 wants 32 bytes, and a configured secret may be shorter.
        self._key = hashlib.sha256(b"tidemark token " + secret.encode()).digest()
        self._tokens: LRUCache[str, Caller] = LRUCache(REMEMBERED_TOKENS)
        # Verified pairs by a keyed digest (the key never leaves this process): clients that send Basic with every call pay for the look-up
        # (or 50 ms of password hashing) once a minute, and no secret stays in memory.
        self._digest_key = secrets.token_bytes(32)
        self._pairs: LRUCache[bytes, tuple[Caller, float]] = LRUCache(REMEMBERED_KEYS)
        self._identities: LRUCache[tuple[str, str, str, str], tuple[Identity | None, float]] = LRUCache(REMEMBERED_IDENTITIES)

    def admit(
        self, headers: Mapping[str, str], cookies: Callable[[], Mapping[str, str]], token: str | None = None, *, request_info: RequestInfo
    ) -> Caller:
        """Authenticate a request. Raises the errors that become 401 and 403.

        `cookies` is called only when no header has credentials; `token` comes from the query string (sockets). Credentials that are sent
        are checked in `open` mode too.
        """
        caller = self._admitted(headers, cookies, token, request_info)
        request_info.admitted()
        return caller

    def request_info(self, environ: Mapping[str, Any], *, changes: bool) -> RequestInfo:
        """What `admit` needs of a WSGI request; `changes`: whether the call writes."""
        return self._origins.proxies.request_info(environ, changes=changes)

    def _admitted(
        self, headers: Mapping[str, str], cookies: Callable[[], Mapping[str, str]], token: str | None, request_info: RequestInfo
    ) -> Caller:
        self._origins.check(headers)
        header = headers.get("Authorization", "")
        if header:
            try:
                caller = self._by_header(header, request_info.address)
            except OutdatedToken as outdated:
                caller = self._renewed(outdated, headers, cookies)
            return self._impersonated(caller, headers)
        if token:
            return self._impersonated(self._by_token(token, "bearer"), headers)
        cookie = self._cookie(headers, cookies)
        if cookie:
            self._origins.check(headers, cookie=True)
            self._origins.check_change(headers, request_info)
            return self._impersonated(self._by_token(cookie, "cookie"), headers)
        if not self._open:
            raise errors.NoCredentials
        self._origins.check_change(headers, request_info)
        return self._impersonated(self._current(Caller(self._store.default(), "open")), headers)

    def _renewed(self, outdated: OutdatedToken, headers: Mapping[str, str], cookies: Callable[[], Mapping[str, str]]) -> Caller:
        """The same user, authenticated by the cookie of a newer login. Raises `outdated` when there is no such cookie.

        A header wins over a cookie, with one exception: after a 401 ClearML's SDK logs in and repeats the call with the old token in the
        header and the new one in the cookie. A second 401 would make it drop the batch.
        """
        cookie = self._cookie(headers, cookies)
        if not cookie:
            raise outdated
        self._origins.check(headers, cookie=True)
        caller = self._by_token(cookie, "cookie")
        if (caller.identity.company, caller.identity.user) != outdated.owner:
            raise outdated
        return caller

    def note_use(self, caller: Identity, access_key: str, worker: str) -> None:
        """Record that a key, or a token issued for it, was used by a worker."""
        self._store.note_use(caller, access_key, worker)

    def _cookie(self, headers: Mapping[str, str], cookies: Callable[[], Mapping[str, str]]) -> str | None:
        """The login cookie. With `secure_cookie` only the `__Host-` name counts: no other host can set it."""
        if not headers.get("Cookie"):
            return None
        found = cookies()
        return found.get(SECURE_PREFIX + self._settings.cookie) or (
            None if self._settings.secure_cookie else found.get(self._settings.cookie)
        )

    def check_origin(self, headers: Mapping[str, str]) -> None:
        """For endpoints without authentication: only the Host and Origin rules of `open` mode."""
        self._origins.check(headers)

    def is_still_valid(self, caller: Caller) -> bool:
        """Whether a caller who was admitted earlier would still be admitted. For sockets, which stay open for hours."""
        try:
            self._current(caller)
        except errors.InvalidToken:
            return False
        return not (caller.expires and time.time() >= caller.expires) and not self._refused(caller)

    def may_see_details(self, headers: Mapping[str, str], cookies: Callable[[], Mapping[str, str]], environ: Mapping[str, Any]) -> bool:
        """Whether health checks may tell the caller where the store is: local programs and authenticated callers."""
        request_info = self.request_info(environ, changes=False)
        if request_info.is_local:
            return True
        try:
            return self.admit(headers, cookies, request_info=request_info).kind != "open"
        except (errors.TidemarkError, StoreError):
            return False

    def check_token(self, token: str) -> Caller:
        """The caller of a token. Raises InvalidToken."""
        return self._by_token(token, "bearer")

    # --- Basic

    def _by_header(self, header: str, address: str) -> Caller:
        scheme, _, value = header.partition(" ")
        if scheme.lower() == "bearer":
            return self._by_token(value.strip(), "bearer")
        if scheme.lower() != "basic":
            raise errors.BadAuthType("Basic and Bearer are known")
        try:
            pair = base64.b64decode(value.strip().encode("latin-1"), validate=True)
        except (binascii.Error, UnicodeEncodeError):
            raise errors.BadCredentials("the Basic payload is not base64") from None
        digest = hashlib.blake2b(pair, key=self._digest_key, digest_size=32).digest()
        known = self._pairs.get(digest)
        if known is not None and time.monotonic() < known[1] and not self._refused(known[0]):
            with suppress(OutdatedToken):  # key or user deleted: `_by_pair` raises the right error
                return self._current(known[0])
        caller = self._by_pair(pair, address)
        self._pairs[digest] = caller, time.monotonic() + KEY_SECONDS
        return caller

    def _by_pair(self, pair: bytes, address: str) -> Caller:
        try:
            access_key, separator, secret = pair.decode("utf-8").partition(":")
        except UnicodeDecodeError:
            access_key, separator, secret = pair.decode("latin-1").partition(":")
        checked = now_ms()
        record = self._store.verify(access_key, secret, address) if separator else None
        if record is None or (record.open_only and not self._open):
            raise errors.InvalidCredentials("unknown access key or wrong secret")
        kind, proof = "web" if record.open_only else "basic", self._store.proof(access_key)
        caller = Caller(record.identity, kind, access_key=record.access_key, issued=checked, proof=proof)
        self._remember(caller, record.identity)
        return caller

    # --- tokens

    def _by_token(self, token: str, kind: str) -> Caller:
        caller = self._tokens.get(token)
        if caller is None:
            caller = self._decoded(token)
            if time.time() < caller.expires:
                self._tokens[token] = caller
        if time.time() >= caller.expires:
            raise OutdatedToken("expired", caller)
        if self._refused(caller):
            raise OutdatedToken("revoked, or the user's role has changed; log in again", caller)
        return self._current(caller)._replace(kind=kind)

    def _current(self, caller: Caller) -> Caller:
        """The caller with the present role, looked up every three seconds. Raises OutdatedToken when user or key no longer exist."""
        key = (caller.identity.company, caller.identity.user, caller.proof, caller.actor)
        known = self._identities.get(key)
        if known is None or time.monotonic() >= known[1]:
            try:
                known = self._remember(caller, self._store.current_identity(*key))
            except StoreError:
                if known is None:
                    raise  # otherwise the last known identity holds until the store answers again
        if known[0] is None:
            raise OutdatedToken("its user or key is gone; log in again", caller)
        return caller if known[0] == caller.identity else caller._replace(identity=known[0])

    def _remember(self, caller: Caller, identity: Identity | None) -> tuple[Identity | None, float]:
        key = (caller.identity.company, caller.identity.user, caller.proof, caller.actor)
        self._identities[key] = known = identity, time.monotonic() + IDENTITY_SECONDS
        return known

    def _refused(self, caller: Caller) -> bool:
        who = caller.identity
        return self._store.is_revoked(
            session=caller.session_id, access_key=caller.access_key, company=who.company, user=who.user, issued=caller.issued
        ) or (
            bool(caller.actor)
            and self._store.is_revoked(session="", access_key="", company=who.company, user=caller.actor, issued=caller.issued)
        )

    def _decoded(self, token: str) -> Caller:
        try:
            claims = jwt.decode(token, self._key, algorithms=["HS256"], options={"require": ["exp"], "verify_exp": False})
        except (jwt.InvalidTokenError, ValueError):
            raise errors.InvalidToken("not a token of this server") from None
        found = claims.get("identity")
        if not isinstance(found, dict) or not all(isinstance(found.get(name), str) and found[name] for name in ("user", "company")):
            raise errors.InvalidToken("it names no user")
        if claims.get("open") and not self._open:
            raise errors.InvalidToken("it was given without credentials, which this server needs now")
        texts = {name: str(found.get(name) or "") for name in ("user", "company", "role", "user_name", "company_name")}
        return Caller(
            Identity(**texts),
            "bearer",
            session_id=str(claims.get("session_id") or ""),
            access_key=str(claims.get("access_key") or ""),
            issued=int(_number(claims.get("issued_ms") or _number(claims.get("iat")) * 1000)),
            expires=_number(claims["exp"]),
            proof=str(claims.get("proof") or ""),
            actor=str(claims.get("actor") or ""),
        )

    def make_token(self, identity: Identity, expiration: int | None = None, *, caller: Caller | None = None) -> tuple[str, int]:
        """A signed JWT for `identity` and its lifetime in seconds (the default, or `expiration` up to the configured maximum).

        `caller` is the one who asks. A token made with a token stays in its session and expires with it at the latest; it also stops
        working when the caller's key, login or right to impersonate is removed. Raises ValidationFailed for an `expiration` below 1.
        """
        if expiration is not None and expiration <= 0:
            raise errors.ValidationFailed("expiration_sec", "at least 1", expiration)
        caller = caller or Caller(identity, "")
        life = min(expiration or self._settings.token_expiration, self._settings.max_token_expiration)
        now = now_ms()
        if caller.expires:
            life = max(1, min(life, int(caller.expires) - now // 1000))
        claims: dict[str, Any] = {
            "auth_type": "Bearer",
            "identity": {
                "user": identity.user,
                "company": identity.company,
                "role": identity.role,
                "user_name": identity.user_name,
                "company_name": identity.company_name,
            },
            "iat": now // 1000,
            "issued_ms": now,
            "exp": now // 1000 + life,
            "session_id": caller.session_id or secrets.token_hex(16),
            "access_key": caller.access_key,
            "proof": caller.proof,
            "actor": caller.actor,
            "open": caller.kind == "open",
            "env": "<unknown>",
            "api_version": str(MAXIMUM),
            "server_version": SERVER_VERSION,
            "server_build": "tidemark",
            "feature_set": "basic",
        }
        return jwt.encode(claims, self._key, algorithm="HS256"), life

    @property
    def cookie_name(self) -> str:
        """Name of the login cookie."""
        return self._settings.cookie

    @property
    def secure_cookie(self) -> bool:
        """Whether the cookie is marked Secure although this server itself speaks http (TLS ends at a proxy)."""
        return self._settings.secure_cookie

    def longest_life(self) -> float:
        """When the last token issued until now will have expired, in epoch seconds."""
        return time.time() + self._settings.max_token_expiration

    # --- impersonation

    def _impersonated(self, caller: Caller, headers: Mapping[str, str]) -> Caller:
        as_user, act_as = _either(headers, "Impersonate-As"), _either(headers, "Act-As")
        if not as_user and not act_as:
            return caller
        if as_user and act_as:
            raise errors.InvalidHeaders("Impersonate-As and Act-As exclude each other")
        if caller.identity.role not in ADMINISTRATORS and caller.kind != "web":
            raise errors.ImpersonationError(f'not for the role "{caller.identity.role}"')
        user = self._store.user(as_user or act_as, caller.identity.company)
        if user is None:
            raise errors.ImpersonationError("unknown user")
        if not ranks_at_least(caller.identity.role, user.role) and not (caller.kind == "web" and user.role not in ADMINISTRATORS):
            raise errors.ImpersonationError(f'the user has a higher role, "{user.role}"')
        actor = "" if caller.kind == "web" else caller.actor or caller.identity.user
        return caller._replace(identity=user, actor=actor)


def _either(headers: Mapping[str, str], name: str) -> str:
    """`X-Clearml-<name>`, else `X-Trains-<name>`, else empty."""
    return headers.get(f"X-Clearml-{name}") or headers.get(f"X-Trains-{name}") or ""


def _number(claim: Any) -> float:
    return float(claim) if isinstance(claim, (int, float)) and not isinstance(claim, bool) else 0.0
