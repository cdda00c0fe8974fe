"""Identities of callers, and the record of an access key."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

SYSTEM = "tidemark"
"""The company id of the installation's own documents (secrets, revocations)."""

ROLES = ("system", "root", "admin", "superuser", "user", "annotator", "guest")
"""From the highest rank to the lowest."""
WRITERS = ("system", "root", "admin", "superuser", "user")
"""Roles that may write; the others may read only (annotators may also comment)."""
WEB = "web"
"""The role of callers with the public key of a web application."""
ADMINISTRATORS = ("system", "root", "admin")
"""Roles that may act for others of their company."""


@dataclass(frozen=True, slots=True)
class Identity:
    """An authenticated user. `company` is the id of the tenant whose data the call may see."""

    user: str
    company: str
    role: str = "user"
    user_name: str = ""
    company_name: str = ""

    @property
    def may_write(self) -> bool:
        """Whether the role may write."""
        return self.role in WRITERS


def ranks_at_least(role: str, other: str) -> bool:
    """Whether `role` ranks at least as high as `other`. System equals root; an unknown role ranks below all."""
    return _rank(role) <= _rank(other)


def may_act_for(role: str, other: str) -> bool:
    """Whether users with `role` may impersonate users with `other`."""
    return role in ADMINISTRATORS and ranks_at_least(role, other)


def _rank(role: str) -> int:
    return max(ROLES.index(role), ROLES.index("root")) if role in ROLES else len(ROLES)


NOBODY = Identity(user="", company="", role="guest")
"""The identity of calls to endpoints without authentication."""


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """An access key, or a login name with a password. `check(secret)`: whether the secret is right."""

    identity: Identity
    check: Callable[[str], bool]
    open_only: bool = False
    """Public keys of web applications, accepted in `open` mode only."""
    access_key: str = ""
    """Empty for passwords."""
