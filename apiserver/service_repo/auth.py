"""Authentication: Basic, Bearer and cookie credentials, and the tokens that a login gives (docs/protocol.md, "Authentication")."""

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
from apiserver.service_repo.security import Gate
from apiserver.service_repo.versions import MAXIMUM
from apiserver.service_repo.visit import Visit
from apiserver.settings import Settings
from apiserver.stores.errors import StoreError

SERVER_VERSION = "2.3.0"
"""The ClearML server version whose API this is; the SDK compares it."""

REMEMBERED_TOKENS = 2000
REMEMBERED_KEYS = 2000
SECURE_PREFIX = "__Host-"
"""Browsers take a cookie of such a name only from the host itself, over https."""
KEY_SECONDS = 60.0
"""For how long a secret that was checked need not be checked again."""
STANDING_SECONDS = 3.0
"""For how long a caller keeps rights that were looked up."""
REMEMBERED_STANDINGS = 2000


class IdentityStore(Protocol):
    """Where keys and users are looked up."""

    def verify(self, access_key: str, secret: str, address: str) -> KeyRecord | None:
        """The record of an access key or login name if this is its secret, else None. Raises TooManyRequests."""

    def user(self, id: str, company: str) -> Identity | None:
        """A user of this company."""

    def note_use(self, who: Identity, access_key: str, worker: str) -> None:
        """Store when and from where a key was last used."""

    def default(self) -> Identity:
        """To whom calls without credentials belong in `open` mode."""

    def proof(self, access_key: str) -> str:
        """A text that names this key or login and changes with its secret; empty for an unknown one. Tokens carry it."""

    def standing(self, company: str, user: str, proof: str, actor: str) -> Identity | None:
        """The user with the rights of now; None when the user, the key or login of `proof`, or the right of `actor` to act for the user is
        gone. `proof` and `actor` may be empty: there is none."""

    def refuses(self, *, session: str, access_key: str, company: str, user: str, issued: int) -> bool:
        """Whether what was issued (or checked) at `issued`, in ms, was revoked since."""


class Caller(NamedTuple):
    """`kind` is "basic", "bearer", "cookie", "open" or "web"; `issued` (ms) is when the secret was checked."""

    identity: Identity
    kind: str
    session_id: str = ""
    access_key: str = ""
    issued: int = 0
    expires: float = 0.0
    """Epoch seconds at which the token ends; 0 for callers without one."""
    proof: str = ""
    """The key or login with which the caller came in (see `IdentityStore.proof`)."""
    actor: str = ""
    """The user who acts for `identity`; empty: nobody else."""


class OutdatedToken(errors.InvalidToken):
    """A token that this server made, and that has ended."""

    def __init__(self, extra: str, caller: Caller) -> None:
        super().__init__(extra)
        self.owner = caller.identity.company, caller.identity.user


class Authenticator:
    """Recognises callers and makes tokens. `secret` signs them."""

    def __init__(self, settings: Settings, store: IdentityStore, gate: Gate, secret: str) -> None:
        self._settings = settings.auth
        self._open = settings.open
        self._store = store
        self._gate = gate
        # Hashed, so that any secret of the configuration is a key of full length.
        self._key = hashlib.sha256(b"tidemark token " + secret.encode()).digest()
        self._tokens: LRUCache[str, Caller] = LRUCache(REMEMBERED_TOKENS)
        # Checked pairs by a keyed digest (the key never leaves this process): clients that send Basic with every call pay for the look-up
        # (or 50 ms of password hashing) once a minute, and no secret is kept in memory.
        self._digest_key = secrets.token_bytes(32)
        self._pairs: LRUCache[bytes, tuple[Caller, float]] = LRUCache(REMEMBERED_KEYS)
        self._standings: LRUCache[tuple[str, str, str, str], tuple[Identity | None, float]] = LRUCache(REMEMBERED_STANDINGS)

    def admit(
        self, headers: Mapping[str, str], cookies: Callable[[], Mapping[str, str]], token: str | None = None, *, visit: Visit
    ) -> Caller:
        """The caller of a request, or the 401 or 403 that it deserves as an exception.

        `cookies` is called only when no header tells; `token` is one from the query string (sockets).
        Credentials that are sent are checked in `open` mode too.
        """
        caller = self._admitted(headers, cookies, token, visit)
        visit.admitted()
        return caller

    def visit(self, environ: Mapping[str, Any], *, changes: bool) -> Visit:
        """What `admit` must know of a WSGI request; `changes`: whether the call changes what is stored."""
        return self._gate.visitors.visit(environ, changes=changes)

    def _admitted(self, headers: Mapping[str, str], cookies: Callable[[], Mapping[str, str]], token: str | None, visit: Visit) -> Caller:
        self._gate.check(headers)
        header = headers.get("Authorization", "")
        if header:
            try:
                caller = self._by_header(header, visit.address)
            except OutdatedToken as outdated:
                caller = self._renewed(outdated, headers, cookies)
            return self._impersonated(caller, headers)
        if token:
            return self._impersonated(self._by_token(token, "bearer"), headers)
        cookie = self._cookie(headers, cookies)
        if cookie:
            self._gate.check(headers, cookie=True)
            self._gate.check_change(headers, visit)
            return self._impersonated(self._by_token(cookie, "cookie"), headers)
        if not self._open:
            raise errors.NoCredentials
        self._gate.check_change(headers, visit)
        return self._impersonated(self._standing(Caller(self._store.default(), "open")), headers)

    def _renewed(self, outdated: OutdatedToken, headers: Mapping[str, str], cookies: Callable[[], Mapping[str, str]]) -> Caller:
        """The caller, by the cookie of a newer login.

        A header wins over a cookie, with one exception: ClearML's SDK answers a 401 with a login, and then repeats the call with its old
        token in the header and the new one in the cookie. Refused again, it would drop the batch.
        """
        cookie = self._cookie(headers, cookies)
        if not cookie:
            raise outdated
        self._gate.check(headers, cookie=True)
        caller = self._by_token(cookie, "cookie")
        if (caller.identity.company, caller.identity.user) != outdated.owner:
            raise outdated
        return caller

    def note_use(self, caller: Identity, access_key: str, worker: str) -> None:
        """A key, or a token that was made with it, is used from a host."""
        self._store.note_use(caller, access_key, worker)

    def _cookie(self, headers: Mapping[str, str], cookies: Callable[[], Mapping[str, str]]) -> str | None:
        """The login cookie. Where it is sent over https only, its name is one that no other host can set a cookie by."""
        if not headers.get("Cookie"):
            return None
        found = cookies()
        return found.get(SECURE_PREFIX + self._settings.cookie) or (
            None if self._settings.secure_cookie else found.get(self._settings.cookie)
        )

    def check_gate(self, headers: Mapping[str, str]) -> None:
        """For endpoints without credentials: only the Host and Origin rules of `open` mode."""
        self._gate.check(headers)

    def stands(self, caller: Caller) -> bool:
        """Whether a caller who was admitted earlier would be admitted now: for sockets, which outlive a call."""
        try:
            self._standing(caller)
        except errors.InvalidToken:
            return False
        return not (caller.expires and time.time() >= caller.expires) and not self._refused(caller)

    def may_see_details(self, headers: Mapping[str, str], cookies: Callable[[], Mapping[str, str]], environ: Mapping[str, Any]) -> bool:
        """Whether the caller may know where the store is: a program of this machine, or somebody with a login."""
        visit = self.visit(environ, changes=False)
        if visit.is_local:
            return True
        try:
            return self.admit(headers, cookies, visit=visit).kind != "open"
        except (errors.TidemarkError, StoreError):
            return False

    def check_token(self, token: str) -> Caller:
        """Whose token this is. Raises InvalidToken."""
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
            with suppress(OutdatedToken):  # the key or its user is gone: the look-up below says so
                return self._standing(known[0])
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
        return self._standing(caller)._replace(kind=kind)

    def _standing(self, caller: Caller) -> Caller:
        """The caller with the rights of now, looked up every three seconds. Raises OutdatedToken when they are gone."""
        key = (caller.identity.company, caller.identity.user, caller.proof, caller.actor)
        known = self._standings.get(key)
        if known is None or time.monotonic() >= known[1]:
            try:
                known = self._remember(caller, self._store.standing(*key))
            except StoreError:
                if known is None:
                    raise  # else: what was true last, until the store answers again
        if known[0] is None:
            raise OutdatedToken("its user or key is gone; log in again", caller)
        return caller if known[0] == caller.identity else caller._replace(identity=known[0])

    def _remember(self, caller: Caller, identity: Identity | None) -> tuple[Identity | None, float]:
        key = (caller.identity.company, caller.identity.user, caller.proof, caller.actor)
        self._standings[key] = known = identity, time.monotonic() + STANDING_SECONDS
        return known

    def _refused(self, caller: Caller) -> bool:
        who = caller.identity
        return self._store.refuses(
            session=caller.session_id, access_key=caller.access_key, company=who.company, user=who.user, issued=caller.issued
        ) or (
            bool(caller.actor)
            and self._store.refuses(session="", access_key="", company=who.company, user=caller.actor, issued=caller.issued)
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
        """A signed token for `identity` and its life in seconds (the default, or `expiration` up to the configured maximum).

        `caller` is who asks for it. A token for a caller with a token belongs to the same session and does not live longer; when the
        caller's key, login or right to act for others goes, so does the token.
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
        """The login cookie."""
        return self._settings.cookie

    @property
    def secure_cookie(self) -> bool:
        """Whether the cookie is for https although the server itself is called by http."""
        return self._settings.secure_cookie

    def longest_life(self) -> float:
        """The time (epoch seconds) by which every token that exists now has ended."""
        return time.time() + self._settings.max_token_expiration

    # --- acting for others

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
