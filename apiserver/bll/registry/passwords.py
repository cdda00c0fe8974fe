"""Passwords that people choose can be guessed: slow hashes, and a limit on attempts."""

from __future__ import annotations

import hmac
from collections.abc import Callable

from gevent import get_hub

from apiserver.errors import TooManyRequests
from apiserver.stores.base import State, StateUnavailable

ATTEMPTS = 20
WINDOW = 60.0
"""At most so many checks of one user's password in so many seconds; correct ones that are cached don't count."""
BCRYPT = ("$2a$", "$2b$", "$2y$")


class Passwords:
    """Checks passwords against argon2 or bcrypt hashes (`docs/operations.md` says how to make one), or plain text."""

    def __init__(self, state: State) -> None:
        self._state = state

    def checker(self, company: str, user: str, stored: str) -> Callable[[str], bool]:
        """A function that compares a password with the stored form. It raises TooManyRequests."""

        def check(given: str) -> bool:
            self._count(company, user)
            # 50 ms or more of computing, with the interpreter lock released: other requests continue.
            return bool(get_hub().threadpool.apply(_verify, (stored, given)))

        return check

    def _count(self, company: str, user: str) -> None:
        try:
            limit = self._state.hit(f"password:{company}:{user}", ATTEMPTS, WINDOW)
        except StateUnavailable:
            return
        if not limit.allowed:
            raise TooManyRequests("too many attempts with this user's password", limit.reset_after)


def _verify(stored: str, given: str) -> bool:
    secret = given.encode("utf-8", "replace")
    if stored.startswith("$argon2"):
        from argon2 import PasswordHasher
        from argon2.exceptions import Argon2Error, InvalidHashError

        try:
            return PasswordHasher().verify(stored, secret)
        except (Argon2Error, InvalidHashError):
            return False
    if stored.startswith(BCRYPT):
        import bcrypt

        try:
            return bcrypt.checkpw(secret[:72], stored.encode())  # bcrypt itself never looked further
        except ValueError:
            return False
    return hmac.compare_digest(secret, stored.encode())
