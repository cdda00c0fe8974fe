"""Password checks that resist guessing: slow hashes, the same work for unknown names, and limits on attempts.

The server never writes the configuration: a plain-text password in it is hashed in memory, and `tidemark doctor` reports its user.

Attempts are counted by address and name together, so nobody can lock a user out from another address.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import gevent
from gevent.threadpool import ThreadPool

from apiserver.common.fairness import KeyedLocks
from apiserver.errors import TooManyRequests
from apiserver.stores.errors import StateUnavailable
from apiserver.stores.state import State

WINDOW = 60.0
"""Seconds for which a wrong password is counted."""
FREE = 5
"""Wrong passwords without a delay; each further one doubles the delay of the next check, up to LONGEST_DELAY."""
SHORTEST_DELAY = 0.125
LONGEST_DELAY = 4.0
ATTEMPTS = 20
"""Wrong passwords for a name from one address after which checks are refused. An address that has sent the right one before is only delayed."""
ADDRESS_ATTEMPTS = 100
"""Wrong passwords from one address, for any names."""
KNOWN = 30 * 86400.0
"""Seconds for which an address that sent the right password is remembered."""
WAITING = 8
"""Most checks of one address that wait, delayed ones included."""
ALL_CHECKING = 64
"""Most checks of all addresses that run or wait for a thread."""
THREADS = max(1, min(4, (os.cpu_count() or 1) // 2))
"""A check takes 64 MB and a whole core for tens of milliseconds: never use all cores."""
BCRYPT = ("$2a$", "$2b$", "$2y$")


class Passwords:
    """Checks passwords against argon2 or bcrypt hashes (`docs/operations.md` says how to make one), or plain text."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._pool = ThreadPool(THREADS)
        self._one_at_a_time = KeyedLocks()
        self._waiting: Counter[str] = Counter()
        self._checking = 0
        self._decoys: list[str] = []
        self._hashes: dict[str, str] = {}  # of passwords that the configuration has as plain text
        self._decoy_key = secrets.token_bytes(16)

    def configure(self, stored: Iterable[str]) -> None:
        """Register the stored forms of all passwords: an unknown name is checked against one of them."""
        self._decoys = sorted(set(stored))
        self._hashes = {plain: hashed for plain, hashed in self._hashes.items() if plain in self._decoys}

    def verify(self, name: str, stored: str | None, given: str, address: str) -> bool:
        """Whether a password is right. `stored` None: an unknown name, for which the check takes as long. Raises TooManyRequests."""
        if stored is None and not self._decoys:
            return False
        who = hashlib.blake2b(f"{len(address)}:{address}{name}".encode("utf-8", "replace"), digest_size=16).hexdigest()
        is_known = self._is_known(who)
        # A known address has its own limit for this name: guesses at other names from the same address don't use it up.
        with self._place(who if is_known else address), self._one_at_a_time.hold((name, address)):
            self._slow_down(who, address, is_known=is_known)
            return self._verify(who, name, stored, given, address, is_known=is_known)

    @contextmanager
    def _place(self, who: str) -> Iterator[None]:
        if self._waiting[who] >= WAITING:
            raise TooManyRequests("too many passwords are being checked", 2.0)
        self._waiting[who] += 1
        try:
            yield
        finally:
            self._waiting[who] -= 1
            if not self._waiting[who]:
                del self._waiting[who]

    def _verify(self, who: str, name: str, stored: str | None, given: str, address: str, *, is_known: bool) -> bool:
        # Delayed checks don't count, and a known address is never refused: otherwise guesses from other addresses would lock the owner out.
        if self._checking >= ALL_CHECKING and not is_known:
            raise TooManyRequests("too many passwords are being checked", 2.0)
        self._checking += 1
        try:
            # 50 ms or more of CPU, with the GIL released: other requests continue.
            right = bool(self._pool.apply(self._matches, (stored or self._decoy(name), given))) and stored is not None
        finally:
            self._checking -= 1
        if right:
            self._count(f"password-known:{who}", 1, KNOWN)
        else:
            self._count(f"password:{who}", ATTEMPTS, WINDOW)
            self._count(f"password-address:{address}", ADDRESS_ATTEMPTS, WINDOW)
        return right

    def _is_known(self, who: str) -> bool:
        """Whether this address has sent the right password for this name before."""
        try:
            return not self._state.hit(f"password-known:{who}", 1, KNOWN, 0).remaining
        except StateUnavailable:
            return False

    def _slow_down(self, who: str, address: str, *, is_known: bool) -> None:
        try:
            wrong = self._state.hit(f"password:{who}", ATTEMPTS, WINDOW, 0)
            everywhere = self._state.hit(f"password-address:{address}", ADDRESS_ATTEMPTS, WINDOW, 0)
            if not ((wrong.remaining and everywhere.remaining) or is_known):
                limit = everywhere if wrong.remaining else wrong
                raise TooManyRequests("too many wrong passwords from this address", limit.reset_after)
        except StateUnavailable:
            return
        exponent = ATTEMPTS - wrong.remaining - FREE
        if exponent >= 0:
            gevent.sleep(min(SHORTEST_DELAY * 2.0**exponent, LONGEST_DELAY))

    def _count(self, key: str, limit: int, window: float) -> None:
        try:
            self._state.hit(key, limit, window)
        except StateUnavailable:
            return

    def _decoy(self, name: str) -> str:
        """A stored hash for an unknown name, always the same one, so that timing reveals nothing."""
        digest = hmac.digest(self._decoy_key, name.encode("utf-8", "replace"), "sha256")
        return self._decoys[int.from_bytes(digest[:8], "big") % len(self._decoys)]

    def _matches(self, stored: str, given: str) -> bool:
        """Runs in a thread. Plain text is hashed at first use, so that its check takes as long as that of a hash and timing reveals nothing."""
        from argon2 import PasswordHasher
        from argon2.exceptions import Argon2Error, InvalidHashError

        secret = given.encode("utf-8", "replace")
        if stored.startswith(BCRYPT):
            import bcrypt

            try:
                return bcrypt.checkpw(secret[:72], stored.encode())  # bcrypt uses 72 bytes only
            except ValueError:
                return False
        if is_plain_text(stored):
            if stored not in self._hashes:
                self._hashes[stored] = PasswordHasher().hash(stored.encode("utf-8", "replace"))
            stored = self._hashes[stored]
        try:
            return PasswordHasher().verify(stored, secret)
        except (Argon2Error, InvalidHashError):
            return False


def is_plain_text(stored: str) -> bool:
    """Whether a password is in the configuration as plain text."""
    return not stored.startswith(("$argon2", *BCRYPT))
