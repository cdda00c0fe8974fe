"""Known callers: users of the configuration, keys of credentials.json, keys and users in the registry."""

from __future__ import annotations

import hmac
import logging
import time
from collections.abc import Callable

from apiserver.bll.registry.credentials import CredentialBook, matches
from apiserver.bll.registry.identity import Identity, KeyRecord
from apiserver.bll.registry.passwords import Passwords
from apiserver.bll.registry.revocations import Revocations
from apiserver.bll.registry.users import ConfiguredUser, Users
from apiserver.credentials import Credentials
from apiserver.engine import Engine
from apiserver.errors import NotAvailable
from apiserver.settings import Settings
from apiserver.stores.base import StoreError

USE_INTERVAL = 60.0
"""Seconds between two updates of a key's `last_used`, per worker process."""
MAX_NOTED = 10_000

MAX_ID = 256
"""Characters of a key or user id that is looked up; longer ones are unknown."""

log = logging.getLogger("tidemark.identity")


class Identities:
    """The `IdentityStore` of the application."""

    def __init__(self, settings: Settings, credentials: Credentials, engine: Engine) -> None:
        """Writes the configuration's companies and users to the registry."""
        self._settings = settings.auth
        self._credentials = credentials
        self.users = Users(engine.registry)
        self.book = CredentialBook(engine.registry)
        self.revocations = Revocations(engine.registry)
        self._passwords = Passwords(engine.state)
        company = next(company for company in self._settings.companies if company.name == self._settings.default_company)
        self._company = company.id
        self.users.configure(
            [
                ConfiguredUser(company.id, company.name, user.id, user.name, user.role)
                for company in self._settings.companies
                for user in company.users
            ]
        )
        self._default = self._identity(company.id, self._settings.default_user)
        self._stamp = -1
        self._records: dict[str, KeyRecord] = {}
        self._noted: dict[str, float] = {}

    # --- for the Authenticator

    def lookup(self, access_key: str) -> KeyRecord | None:
        """A key or login name of the configuration, the file, or the registry."""
        if self._stamp != self._credentials.stamp():
            self._stamp = self._credentials.stamp()
            self._records = self._load()
        record = self._records.get(access_key)
        if record is not None:
            # The registry knows of a role that was changed by a call.
            who = record.identity
            return KeyRecord(self._identity(who.company, who.user), record.check, record.open_only, record.access_key)
        found = self.book.find(access_key) if 0 < len(access_key) <= MAX_ID else None
        if found is None:
            return None
        who = self._identity(found["company"], found["user"])
        stored = found["secret"]
        return KeyRecord(who, lambda given: matches(given, stored), access_key=access_key)

    def user(self, id: str, company: str) -> Identity | None:
        """A user of this company."""
        return self.users.identity(company, id) if 0 < len(id) <= MAX_ID else None

    def default(self) -> Identity:
        """The default user of the default company."""
        return self._default

    def refuses(self, *, session: str, access_key: str, company: str, user: str, issued: int) -> bool:
        """Whether a session, key or user was revoked after the token was issued."""
        return self.revocations.refuses(session=session, access_key=access_key, company=company, user=user, issued=issued)

    def note_use(self, who: Identity, access_key: str, worker: str) -> None:
        """Store that a key was used, at most once a minute. A store that is unavailable is no error."""
        now = time.monotonic()
        if now - self._noted.get(access_key, -USE_INTERVAL) < USE_INTERVAL:
            return
        if len(self._noted) > MAX_NOTED:
            self._noted.clear()
        self._noted[access_key] = now
        record = self._records.get(access_key)
        try:
            if record is not None:
                self.users.note_key_use(record.identity.company, record.identity.user, access_key, worker)
            else:
                self.book.note_use(who.company, access_key, worker)
        except (StoreError, NotAvailable):
            self._noted.pop(access_key, None)

    # --- for the services

    def configured_keys(self, company: str, user: str) -> list[str]:
        """Access keys of a user that calls can't revoke: those of the configuration and of credentials.json."""
        self.lookup("")
        return [
            record.access_key
            for record in self._records.values()
            if record.access_key and not record.open_only and (record.identity.company, record.identity.user) == (company, user)
        ]

    # --- inside

    def _identity(self, company: str, user: str) -> Identity:
        found = self.users.identity(company, user)
        return found if found is not None else Identity(user, company, "user", user, self.users.company_name(company))

    def _load(self) -> dict[str, KeyRecord]:
        records: dict[str, KeyRecord] = {}
        for company in self._settings.companies:
            for user in company.users:
                who = Identity(user.id, company.id, user.role, user.name, company.name)
                if user.password:
                    records[user.name] = KeyRecord(who, self._passwords.checker(company.id, user.id, user.password))
                for key in user.keys:
                    records[key.access_key] = KeyRecord(who, _secret(key.secret_key), access_key=key.access_key)
        configured = {(company.id, user.id) for company in self._settings.companies for user in company.users}
        for made in self._credentials.more_keys():
            if (made["company"], made["user"]) not in configured:
                name = made.get("company_name") or made["company"]
                self.users.configure([ConfiguredUser(made["company"], name, made["user"], made["user"], "user")])
            who = Identity(made["user"], made["company"])
            records[made["access_key"]] = KeyRecord(who, _secret(made["secret_key"]), access_key=made["access_key"])
        first = self._credentials.access_key
        records[first] = KeyRecord(self._default, _secret(self._credentials.secret_key), access_key=first)
        if self._settings.web_access_key:
            # The key can be read in the web application's code: it may call as the default user, or as the user chosen on the login page.
            web = self._settings.web_access_key
            records[web] = KeyRecord(self._default, _secret(self._settings.web_secret_key), open_only=True, access_key=web)
        return records


def _secret(expected: str) -> Callable[[str], bool]:
    return lambda given: hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode("utf-8", "replace"))
