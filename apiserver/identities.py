"""Users and access keys from all sources: the configuration, credentials.json, and the registry."""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from apiserver.bll.registry.credentials import CredentialBook, matches
from apiserver.bll.registry.identity import Identity, KeyRecord, may_act_for
from apiserver.bll.registry.passwords import Passwords
from apiserver.bll.registry.revocations import Revocations
from apiserver.bll.registry.users import ConfiguredUser, Users
from apiserver.credentials import Credentials
from apiserver.engine import Engine
from apiserver.errors import NotAvailable
from apiserver.settings import Settings
from apiserver.stores.errors import StoreBusy, StoreError, StoreUnavailable

USE_INTERVAL = 60.0
"""Seconds between two updates of a key's `last_used`, per worker process."""
MAX_NOTED = 10_000

MAX_ID = 256
"""Keys and user ids with more characters are not looked up."""

LOOKS_LIKE_A_KEY = re.compile("[A-Z0-9]{20}").fullmatch
"""Recognizes access keys: an unknown key is refused without a password check, which only user names need."""

log = logging.getLogger("tidemark.identity")


class Identities:
    """The `IdentityStore` of the application."""

    def __init__(self, settings: Settings, credentials: Credentials, engine: Engine) -> None:
        """Writes the configuration's companies and users to the registry, now or (on a full disk) later."""
        self._settings = settings.auth
        self._is_open = settings.open
        self._listed = {(company.id, user.id) for company in settings.auth.companies for user in company.users}
        self._credentials = credentials
        self.users = Users(engine.registry)
        self.book = CredentialBook(engine.registry)
        self.revocations = Revocations(engine.registry)
        self._passwords = Passwords(engine.state)
        company = next(company for company in self._settings.companies if company.name == self._settings.default_company)
        self._company = company.id
        self.is_configured = False
        """Whether the registry has the companies and users of the configuration."""
        try:
            self.configure()
        except StoreUnavailable:
            raise
        except StoreBusy as error:  # a full disk: calls can be answered with the users of the configuration
            log.warning("companies and users of the configuration are written to the registry later: %s", error)
        self._default = self._identity(company.id, self._settings.default_user)
        self._secrets: tuple[int, dict[str, str]] | None = None
        self._proof_key = hashlib.sha256(b"tidemark proof " + credentials.token_secret.encode()).digest()
        self._stamp = -1
        self._records: dict[str, KeyRecord] = {}
        self._noted: dict[str, float] = {}
        self._stored_passwords: dict[str, str] = {}

    def configure(self) -> None:
        """Write companies and users of the configuration to the registry. Raises StoreBusy when it can't be written now."""
        self.users.configure(
            [
                ConfiguredUser(company.id, company.name, user.id, user.name, user.role)
                for company in self._settings.companies
                for user in company.users
            ]
        )
        self.is_configured = True

    # --- for the Authenticator

    def verify(self, access_key: str, secret: str, address: str) -> KeyRecord | None:
        """The record of a key or login name, or None when it is unknown or the secret is wrong. Raises TooManyRequests."""
        record = self._lookup(access_key)
        password = self._stored_passwords.get(access_key)
        if password is not None or (record is None and not LOOKS_LIKE_A_KEY(access_key)):
            return record if self._passwords.verify(access_key, password, secret, address) else None
        return record if record is not None and record.check(secret) else None

    def user(self, id: str, company: str) -> Identity | None:
        """A user of this company, or None."""
        return self._present(company, id) if 0 < len(id) <= MAX_ID else None

    def proof(self, access_key: str) -> str:
        """`<digest>:<key or login>`; the digest changes with the secret."""
        stamp = self._credentials.stamp()
        if self._secrets is None or self._secrets[0] != stamp:
            self._secrets = stamp, self._configured_secrets()
        secret = self._secrets[1].get(access_key)
        if secret is None:
            found = self._made_key(access_key)
            secret = None if found is None else str(found["secret"])
        if secret is None:
            return ""
        digest = hashlib.blake2b(secret.encode("utf-8", "replace"), key=self._proof_key, digest_size=12).hexdigest()
        return f"{digest}:{access_key}"

    def current_identity(self, company: str, user: str, proof: str, actor: str) -> Identity | None:
        """The user with the present role; None when the user or the key or login of `proof` no longer exists, or `actor` may no longer act for the user."""
        if proof and self.proof(proof.partition(":")[2]) != proof:
            return None
        found = self._present(company, user)
        if found is None or not actor:
            return found
        return found if self._may_act(company, actor, found) else None

    def default(self) -> Identity:
        """The default user of the default company."""
        return self._default

    def is_revoked(self, *, session: str, access_key: str, company: str, user: str, issued: int) -> bool:
        """Whether a session, key or user was revoked after the token was issued."""
        return self.revocations.is_revoked(session=session, access_key=access_key, company=company, user=user, issued=issued)

    def note_use(self, who: Identity, access_key: str, worker: str) -> None:
        """Record the use of a key, at most once a minute. Does nothing while the store is unavailable."""
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
        """Access keys of a user that can't be revoked by a call: those in the configuration and in credentials.json."""
        self._lookup("")
        return [
            record.access_key
            for record in self._records.values()
            if record.access_key and not record.open_only and (record.identity.company, record.identity.user) == (company, user)
        ]

    # --- inside

    def _lookup(self, access_key: str) -> KeyRecord | None:
        """A key or login name of the configuration, the file, or the registry."""
        if self._stamp != self._credentials.stamp():
            self._stamp = self._credentials.stamp()
            self._records = self._load()
        record = self._records.get(access_key)
        if record is not None:
            # The role may have been changed by a call since: the registry has the present one.
            who = record.identity
            return KeyRecord(self._identity(who.company, who.user), record.check, record.open_only, record.access_key)
        found = self._made_key(access_key)
        owner = self._present(found["company"], found["user"]) if found is not None else None
        if found is None or owner is None:
            return None
        stored = found["secret"]
        return KeyRecord(owner, lambda given: matches(given, stored), access_key=access_key)

    def _made_key(self, access_key: str) -> dict[str, Any] | None:
        """A key that a call made; None for one that was made for another user by somebody who may not act for that user any more."""
        found = self.book.find(access_key) if 0 < len(access_key) <= MAX_ID else None
        if found is None or not found.get("maker"):
            return found
        owner = self._present(found["company"], found["user"])
        return found if owner is not None and self._may_act(found["company"], found["maker"], owner) else None

    def _may_act(self, company: str, actor: str, user: Identity) -> bool:
        by = self._present(company, actor)
        return by is not None and may_act_for(by.role, user.role)

    def _identity(self, company: str, user: str) -> Identity:
        found = self.users.identity(company, user)
        return found if found is not None else Identity(user, company, "user", user, self.users.company_name(company))

    def _present(self, company: str, user: str) -> Identity | None:
        """A user of the registry or the configuration; None for a configured user that was removed from the configuration."""
        found = self.users.identity(company, user, listed=self._listed)
        if found is None and (company, user) in self._listed:
            return self._as_configured(company, user)
        return found

    def _as_configured(self, company: str, user: str) -> Identity:
        owner = next(one for one in self._settings.companies if one.id == company)
        listed = next(one for one in owner.users if one.id == user)
        return Identity(listed.id, owner.id, listed.role, listed.name, owner.name)

    def _configured_secrets(self) -> dict[str, str]:
        """Key or login name -> secret or stored password, from the configuration and credentials.json."""
        users = [user for company in self._settings.companies for user in company.users]
        found = {login: user.password for user in users if user.password for login in (user.id, user.name)}
        found |= {key.access_key: key.secret_key for user in users for key in user.keys}
        found |= {made["access_key"]: made["secret_key"] for made in self._credentials.more_keys()}
        found[self._credentials.access_key] = self._credentials.secret_key
        if self._settings.web_access_key and self._is_open:
            found[self._settings.web_access_key] = self._settings.web_secret_key
        return found

    def _load(self) -> dict[str, KeyRecord]:
        records: dict[str, KeyRecord] = {}
        stored: dict[str, str] = {}
        logins = Counter(
            login for company in self._settings.companies for user in company.users if user.password for login in {user.name, user.id}
        )
        for company in self._settings.companies:
            for user in company.users:
                who = Identity(user.id, company.id, user.role, user.name, company.name)
                if user.password:
                    for login in (user.name, user.id) if logins[user.id] == 1 else (user.name,):
                        records[login] = KeyRecord(who, _never)  # Passwords checks it
                        stored[login] = user.password
                for key in user.keys:
                    records[key.access_key] = KeyRecord(who, _secret(key.secret_key), access_key=key.access_key)
        for made in self._credentials.more_keys():
            if (made["company"], made["user"]) not in self._listed:
                name = made.get("company_name") or made["company"]
                self.users.configure([ConfiguredUser(made["company"], name, made["user"], made["user"], "user", listed=False)])
            who = Identity(made["user"], made["company"])
            records[made["access_key"]] = KeyRecord(who, _secret(made["secret_key"]), access_key=made["access_key"])
        first = self._credentials.access_key
        records[first] = KeyRecord(self._default, _secret(self._credentials.secret_key), access_key=first)
        if self._settings.web_access_key:
            # A public key, readable in the web application's code: it acts as the default user, or as the one chosen on the login page.
            web = self._settings.web_access_key
            records[web] = KeyRecord(self._default, _secret(self._settings.web_secret_key), open_only=True, access_key=web)
        self._stored_passwords = stored
        self._passwords.configure(stored.values())
        return records


def _never(given: str) -> bool:
    return False


def _secret(expected: str) -> Callable[[str], bool]:
    return lambda given: hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode("utf-8", "replace"))
