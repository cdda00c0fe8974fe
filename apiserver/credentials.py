"""Keys made at the first start, in `<data>/credentials.json`, and the users of the configuration.

This is the embedded form of `IdentityStore`; the file holds secrets, so its mode is 0600 and nothing here is ever logged.
"""

from __future__ import annotations

import hmac
import json
import os
import secrets
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

from apiserver.errors import StartupError
from apiserver.service_repo.auth import KeyRecord
from apiserver.service_repo.call import Identity
from apiserver.settings import Company, Settings, User

LETTERS = string.ascii_uppercase + string.digits
SECRET_LETTERS = string.ascii_letters + string.digits


class Credentials:
    """The contents of credentials.json, with the settings' own keys over them."""

    def __init__(self, settings: Settings) -> None:
        """Read the file, or make it. Raises StartupError when it can't be read or made."""
        self.path = settings.data / "credentials.json"
        made = {"access_key": new_access_key(), "secret_key": new_secret(), "token_secret": secrets.token_hex(32), "keys": []}
        self._content: dict[str, Any] = self._read() or self._create(made)
        self.access_key: str = settings.auth.access_key or self._content["access_key"]
        self.secret_key: str = settings.auth.secret_key or self._content["secret_key"]
        self.token_secret: str = settings.auth.token_secret or self._content["token_secret"]

    def more_keys(self) -> list[dict[str, str]]:
        """Keys that `tidemark keys --company` made: `{company, user, access_key, secret_key}`. Read anew: a running server sees them."""
        content = self._read()
        return list(content.get("keys", [])) if content else []

    def add_key(self, company: str, user: str) -> tuple[str, str]:
        """Make a key for a user of a company (both ids) and keep it."""
        content = self._read() or self._content
        pair = new_access_key(), new_secret()
        content.setdefault("keys", []).append({"company": company, "user": user, "access_key": pair[0], "secret_key": pair[1]})
        draft = self._draft(content)
        draft.replace(self.path)
        return pair

    def stamp(self) -> int:
        """Changes when the file does."""
        try:
            return self.path.stat().st_mtime_ns
        except OSError:
            return 0

    def _read(self) -> dict[str, Any] | None:
        try:
            content = json.loads(self.path.read_text())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StartupError(f"{self.path}: can't be read: {error.strerror}") from error
        except ValueError as error:
            raise StartupError(f"{self.path}: damaged; restore it, or move it away to get new keys") from error
        if not isinstance(content, dict) or not all(
            isinstance(content.get(key), str) for key in ("access_key", "secret_key", "token_secret")
        ):
            raise StartupError(f"{self.path}: access_key, secret_key or token_secret is missing; move it away to get new keys")
        return content

    def _create(self, content: dict[str, Any]) -> dict[str, Any]:
        """Make the file; another process that was faster wins."""
        draft = self._draft(content)
        try:
            os.link(draft, self.path)
        except FileExistsError:
            pass
        except OSError:  # a file system without links
            draft.replace(self.path)
        finally:
            draft.unlink(missing_ok=True)
        found = self._read()
        assert found is not None
        return found

    def _draft(self, content: dict[str, Any]) -> Path:
        draft = self.path.with_name(f".{self.path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        try:
            handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w") as file:
                json.dump(content, file, indent=2)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise StartupError(f"{self.path.parent}: the data folder can't be written: {error.strerror}") from error
        return draft


class ConfiguredIdentities:
    """The users of `auth.companies`, their keys and passwords, and the keys of credentials.json."""

    def __init__(self, settings: Settings, credentials: Credentials) -> None:
        self._settings = settings
        self._credentials = credentials
        self._users = {(company.id, user.id): identity(company, user) for company in settings.auth.companies for user in company.users}
        company = next(company for company in settings.auth.companies if company.name == settings.auth.default_company)
        self._default = self._users[company.id, settings.auth.default_user]
        self._revoked: dict[str, float] = {}
        self._stamp = -1
        self._records: dict[str, KeyRecord] = {}

    def lookup(self, access_key: str) -> KeyRecord | None:
        if self._stamp != self._credentials.stamp():
            self._stamp = self._credentials.stamp()
            self._records = self._load()
        return self._records.get(access_key)

    def user(self, id: str, company: str) -> Identity | None:
        return self._users.get((company, id))

    def default(self) -> Identity:
        return self._default

    def is_revoked(self, session_id: str) -> bool:
        return session_id in self._revoked

    def revoke(self, session_id: str, until: float) -> None:
        self._revoked[session_id] = until

    def _load(self) -> dict[str, KeyRecord]:
        records: dict[str, KeyRecord] = {}
        for company in self._settings.auth.companies:
            for user in company.users:
                who = self._users[company.id, user.id]
                if user.password:
                    records[user.name] = KeyRecord(who, _password(user.password))
                for key in user.keys:
                    records[key.access_key] = KeyRecord(who, _secret(key.secret_key))
        for made in self._credentials.more_keys():
            known = self._users.get((made["company"], made["user"]))
            if known is not None:
                records[made["access_key"]] = KeyRecord(known, _secret(made["secret_key"]))
        records[self._credentials.access_key] = KeyRecord(self._default, _secret(self._credentials.secret_key))
        if self._settings.auth.web_access_key:
            web = Identity("__webserver__", self._default.company, "system", "webserver", self._default.company_name)
            records[self._settings.auth.web_access_key] = KeyRecord(web, _secret(self._settings.auth.web_secret_key), open_only=True)
        return records


def identity(company: Company, user: User) -> Identity:
    """A configured user as the caller of a call."""
    return Identity(user.id, company.id, user.role, user.name, company.name)


def new_access_key() -> str:
    """20 letters and digits."""
    return "".join(secrets.choice(LETTERS) for _ in range(20))


def new_secret() -> str:
    """50 letters and digits, about 297 bits."""
    return "".join(secrets.choice(SECRET_LETTERS) for _ in range(50))


def _secret(expected: str) -> Callable[[str], bool]:
    return lambda given: hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode("utf-8", "replace"))


def _password(stored: str) -> Callable[[str], bool]:
    """Checks an argon2 hash, or plain text."""
    if not stored.startswith("$argon2"):
        return _secret(stored)

    def check(given: str) -> bool:
        from argon2 import PasswordHasher
        from argon2.exceptions import Argon2Error, InvalidHashError
        from gevent import get_hub

        def verify() -> bool:
            try:
                return PasswordHasher().verify(stored, given)
            except (Argon2Error, InvalidHashError):
                return False

        return bool(get_hub().threadpool.apply(verify))  # 50 ms of computing that other clients need not wait for

    return check
