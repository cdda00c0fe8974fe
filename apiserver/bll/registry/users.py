"""Companies, their users, and the preferences of users.

The users of the configuration are written to the registry at start; calls create further ones. A role or name that a call changed stays until the
configuration itself changes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from apiserver.bll.registry.document_changes import change, create_or_get
from apiserver.bll.registry.identity import ROLES, Identity
from apiserver.bll.registry.new_documents import new_id, now_ms
from apiserver.bll.registry.records import checked
from apiserver.errors import ExpectedUnique, FieldsValueError, InvalidUser
from apiserver.stores.registry import Condition, Registry, Sort

DOT = "--DOT--"
"""How the web application writes a dot inside a preference's name."""
MAX_LEVELS = 100
"""Levels of nesting of a user's preferences; a dot in a name is one too."""
MAX_PREFERENCES = 1_000_000
"""Characters of all preferences of a user, as a guard."""

PREFERENCES_VERSION = 1


class ConfiguredUser(NamedTuple):
    """A user as the configuration lists it."""

    company: str
    company_name: str
    id: str
    name: str
    role: str
    listed: bool = True
    """False: `tidemark keys` made it; only the file credentials.json names it."""


class Users:
    """Documents of kind `company`, `user` and `preference`."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    # --- creating

    def configure(self, users: Sequence[ConfiguredUser]) -> None:
        """Write the configuration's companies and users to the registry; safe to do on every worker at once."""
        for company, name in {(user.company, user.company_name) for user in users}:
            self.add_company(company, name)
        for user in users:
            configured: dict[str, Any] = {"name": user.name, "role": user.role, "listed": user.listed}
            body = {**_new_user(user.company, user.id, user.name, user.role), "configured": configured}
            found = create_or_get(self._registry, "user", user.company, user.id, body)
            if found.body.get("configured") != configured:

                def edit(body: dict[str, Any], configured: dict[str, Any] = configured) -> bool:
                    body.update(name=configured["name"], role=configured["role"])
                    body["configured"] = configured
                    return True

                change(self._registry, "user", user.company, user.id, edit)

    def add_company(self, id: str, name: str) -> None:
        """Create a company, or update its name."""
        found = create_or_get(self._registry, "company", id, id, {"id": id, "name": name, "created": now_ms()})
        if found.body.get("name") != name:

            def edit(body: dict[str, Any]) -> bool:
                body["name"] = name
                return True

            change(self._registry, "company", id, id, edit)

    def create(self, company: str, name: str, fields: Mapping[str, Any], role: str = "user") -> str:
        """A new user's id. Raises ExpectedUnique when the company has a user of that name."""
        if self._registry.count("user", [company], [Condition("name", "in", [name])]):
            raise ExpectedUnique("a user of this name is there already", name=name)
        id = new_id()
        self._registry.create("user", company, id, {**_new_user(company, id, name, role), **fields})
        return id

    # --- reading

    def company_name(self, company: str) -> str:
        """Empty for an unknown company."""
        document = self._registry.get("company", company, company)
        return str(document.body.get("name", "")) if document else ""

    def get(self, company: str, id: str) -> dict[str, Any]:
        """Raises InvalidUser."""
        document = self._registry.get("user", company, id)
        if document is None:
            raise InvalidUser("there is no such user in this company", id=id)
        return document.body

    def identity(self, company: str, id: str, listed: Collection[tuple[str, str]] | None = None) -> Identity | None:
        """A user as the caller of a call. `listed`: the users (company, id) of the configuration; one that came from there and is no
        longer listed is None."""
        document = self._registry.get("user", company, id)
        if document is None:
            return None
        body = document.body
        if listed is not None and (body.get("configured") or {}).get("listed") and (company, id) not in listed:
            return None
        return Identity(id, company, str(body.get("role") or "user"), str(body.get("name") or id), self.company_name(company))

    def all(self, company: str, ids: Sequence[str] | None = None) -> list[dict[str, Any]]:
        """The users of a company, or those with these ids, by name."""
        where = [Condition("id", "in", ids)] if ids else []
        return [document.body for document in self._registry.find("user", [company], where, order=[Sort("name")])]

    # --- changing

    def set_role(self, company: str, id: str, role: str) -> bool:
        """Whether the role changed. Raises InvalidUser, FieldsValueError."""
        if role not in ROLES:
            raise FieldsValueError(f"role must be one of {', '.join(ROLES)}", role=role)
        before = self.get(company, id).get("role")

        def edit(body: dict[str, Any]) -> bool:
            body["role"] = role
            return before != role

        change(self._registry, "user", company, id, edit)
        return bool(before != role)

    def note_key_use(self, company: str, id: str, access_key: str, worker: str) -> None:
        """Store when and from where a key of the configuration was last used; keys that calls made have documents of their own."""

        def edit(body: dict[str, Any]) -> bool:
            body.setdefault("keys", {})[access_key] = {"last_used": now_ms(), "last_used_from": worker}
            return True

        change(self._registry, "user", company, id, edit)

    def key_uses(self, company: str, id: str) -> dict[str, dict[str, Any]]:
        """`{last_used, last_used_from}` by access key, for keys of the configuration that were used."""
        document = self._registry.get("user", company, id)
        return dict(document.body.get("keys") or {}) if document else {}

    def preferences(self, company: str, id: str) -> dict[str, Any]:
        """The preferences that the web application stores for the user. Without a `version` it shows its first-time greeting on every
        page."""
        document = self._registry.get("preference", company, id)
        return {"version": PREFERENCES_VERSION, **(document.body["preferences"] if document else {})}

    def set_preferences(self, company: str, id: str, updates: Mapping[str, Any]) -> dict[str, Any]:
        """Replace the values at dotted names, whatever they were; returns all preferences. Raises FieldsValueError, ValidationFailed."""
        for name, value in updates.items():
            if name.count(".") + depth(value, MAX_LEVELS) >= MAX_LEVELS:
                raise FieldsValueError(f"preferences may not be nested deeper than {MAX_LEVELS} levels", name=name[:100])
        create_or_get(self._registry, "preference", company, id, {"id": id, "preferences": {}})

        def edit(body: dict[str, Any]) -> bool:
            for name, value in updates.items():
                _put(body["preferences"], name.split("."), value)
            if _size(body["preferences"]) > MAX_PREFERENCES:
                raise FieldsValueError(f"preferences may not be larger than {MAX_PREFERENCES} characters")
            checked(body)
            return True

        document = change(self._registry, "preference", company, id, edit)
        assert document is not None
        return document.body["preferences"]  # type: ignore[no-any-return]


def company_id(name: str) -> str:
    """The id of a company that is known by its name only: the same on every host."""
    return hashlib.md5(f"company:{name}".encode(), usedforsecurity=False).hexdigest()


def _new_user(company: str, id: str, name: str, role: str) -> dict[str, Any]:
    given, _, family = name.partition(" ")
    return {"id": id, "company": company, "name": name, "given_name": given, "family_name": family, "role": role, "created": now_ms()}


def _put(tree: dict[str, Any], path: list[str], value: Any) -> None:
    *folders, last = path
    for folder in folders:
        inner = tree.get(folder)
        if not isinstance(inner, dict):
            inner = tree[folder] = {}
        tree = inner
    tree[last] = value


def depth(value: Any, most: int) -> int:
    """How deep a value is nested (0: not at all), counted up to `most`."""
    level, inner = 0, [value]
    while level < most:
        inner = [
            below for item in inner if isinstance(item, (Mapping, list)) for below in (item.values() if isinstance(item, Mapping) else item)
        ]
        if not inner:
            break
        level += 1
    return level


def _size(value: Any) -> int:
    if isinstance(value, Mapping):
        return sum(len(name) + _size(inner) for name, inner in value.items())
    if isinstance(value, list):
        return sum(map(_size, value))
    return len(value) if isinstance(value, str) else 8
