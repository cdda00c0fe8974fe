"""Access keys that users create, stored in the registry for all worker processes.

A secret has 297 random bits, so a salted SHA-256 is enough against guessing. It is returned once, when the key is created.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import string
from typing import Any

from apiserver.bll.registry.document_changes import change
from apiserver.bll.registry.new_documents import now_ms
from apiserver.stores.registry import Condition, Registry, Sort

LETTERS = string.ascii_uppercase + string.digits
SECRET_LETTERS = string.ascii_letters + string.digits


def new_access_key() -> str:
    """A random access key: 20 upper-case letters and digits."""
    return "".join(secrets.choice(LETTERS) for _ in range(20))


def new_secret() -> str:
    """A random secret: 50 letters and digits, about 297 bits."""
    return "".join(secrets.choice(SECRET_LETTERS) for _ in range(50))


def hashed(secret: str) -> str:
    """The stored form of a secret: `sha256$<salt>$<digest>`."""
    salt = secrets.token_hex(16)
    return f"sha256${salt}${_digest(salt, secret)}"


def matches(secret: str, stored: str) -> bool:
    """Whether `stored` is the hash of `secret`."""
    _, salt, digest = stored.split("$")
    return hmac.compare_digest(_digest(salt, secret), digest)


def _digest(salt: str, secret: str) -> str:
    return hashlib.sha256(f"{salt}:{secret}".encode("utf-8", "surrogatepass")).hexdigest()


class CredentialBook:
    """The keys in the registry: documents of kind `credential`, id = access key, in their company."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def find(self, access_key: str) -> dict[str, Any] | None:
        """`{company, user, secret, label, created, last_used, last_used_from, maker}` of a key."""
        found = self._registry.find_anywhere("credential", [access_key])
        return found[0].body if found else None

    def create(self, company: str, user: str, label: str | None = None, maker: str = "") -> dict[str, Any]:
        """Create a key: `{access_key, secret_key, label}`. The secret can't be read again. `maker`: who makes it for the user; "": the user."""
        access_key, secret = new_access_key(), new_secret()
        body = {"id": access_key, "company": company, "user": user, "secret": hashed(secret), "label": label, "created": now_ms()}
        if maker:
            body["maker"] = maker
        self._registry.create("credential", company, access_key, body)  # a collision of two keys: 1 in 10^31
        return {"access_key": access_key, "secret_key": secret, "label": label}

    def of_user(self, company: str, user: str) -> list[dict[str, Any]]:
        """A user's keys, oldest first."""
        return [
            document.body
            for document in self._registry.find("credential", [company], [Condition("user", "in", [user])], order=[Sort("created")])
        ]

    def rename(self, company: str, user: str, access_key: str, label: str | None) -> bool:
        """Give a key another label; False when the user has no such key."""

        def edit(body: dict[str, Any]) -> bool:
            if body["user"] != user:
                return False
            body["label"] = label
            return True

        document = change(self._registry, "credential", company, access_key, edit)
        return document is not None and document.body["user"] == user

    def delete(self, company: str, user: str, access_key: str) -> bool:
        """Delete a key; False when the user has no such key."""
        document = self._registry.get("credential", company, access_key)
        return document is not None and document.body["user"] == user and self._registry.delete("credential", company, access_key)

    def note_use(self, company: str, access_key: str, worker: str) -> None:
        """Record when and by which worker a key was last used."""

        def edit(body: dict[str, Any]) -> bool:
            body["last_used"], body["last_used_from"] = now_ms(), worker
            return True

        change(self._registry, "credential", company, access_key, edit)
