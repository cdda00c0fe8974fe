"""Identities of callers, and the record of an access key."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

SYSTEM = "tidemark"
"""In place of a company id: documents of the installation itself (secrets, revocations)."""

ROLES = ("system", "root", "admin", "superuser", "user", "annotator", "guest")
ADMINISTRATORS = ("system", "root", "admin")
"""Roles that may act for others of their company and manage its users."""


@dataclass(frozen=True, slots=True)
class Identity:
    """The caller. `company` (an id) limits what the call may see."""

    user: str
    company: str
    role: str = "user"
    user_name: str = ""
    company_name: str = ""


NOBODY = Identity(user="", company="", role="guest")
"""The identity of calls to endpoints without authentication."""


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """An access key (or a user name that logs in with a password). `check` compares the secret."""

    identity: Identity
    check: Callable[[str], bool]
    open_only: bool = False
    """Public keys of web applications, accepted in `open` mode only."""
    access_key: str = ""
    """Empty for passwords."""
