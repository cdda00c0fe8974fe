"""The keys and the signing secret that are generated at the first start, in `<data>/credentials.json`.

On one machine the file has them. In a cluster the registry has them, created by the host that starts first, and the file is a copy for `tidemark keys`. The
file has mode 0600, and its content is never logged.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from apiserver.bll.registry.credentials import new_access_key, new_secret
from apiserver.bll.registry.document_changes import create_or_get
from apiserver.bll.registry.identity import SYSTEM
from apiserver.errors import StartupError
from apiserver.settings import Settings
from apiserver.stores.registry import Registry

SHARED = ("access_key", "secret_key", "token_secret")


class Credentials:
    """The content of credentials.json; keys in the settings take precedence."""

    def __init__(self, settings: Settings, registry: Registry | None = None) -> None:
        """Read the file, or create it. With a shared registry, its keys are authoritative: created there once, never overwritten, and copied to the
        file. Raises StartupError when the file can't be read or written."""
        self.path = settings.data / "credentials.json"
        found = self._read()
        content = found or {"access_key": new_access_key(), "secret_key": new_secret(), "token_secret": secrets.token_hex(32), "keys": []}
        if registry is not None:
            shared = create_or_get(registry, "secret", SYSTEM, "first", {"id": "first", **{name: content[name] for name in SHARED}}).body
            content = {**content, **{name: shared[name] for name in SHARED}}
            if found is not None and found != content:
                self._draft(content).replace(self.path)
        self._content: dict[str, Any] = content if found is not None else self._create(content)
        self.access_key: str = settings.auth.access_key or self._content["access_key"]
        self.secret_key: str = settings.auth.secret_key or self._content["secret_key"]
        self.token_secret: str = settings.auth.token_secret or self._content["token_secret"]

    def more_keys(self) -> list[dict[str, str]]:
        """Keys made by `tidemark keys --company`: `{company, company_name, user, access_key, secret_key}`. Reads the file at each call, so that a running
        server sees new keys."""
        content = self._read()
        return list(content.get("keys", [])) if content else []

    def add_key(self, company: str, company_name: str, user: str) -> tuple[str, str]:
        """Add a key for a user of a company (both ids) to the file; returns (access key, secret key)."""
        pair = new_access_key(), new_secret()
        entry = {"company": company, "company_name": company_name, "user": user, "access_key": pair[0], "secret_key": pair[1]}
        with self._alone():
            content = self._read() or self._content
            content.setdefault("keys", []).append(entry)
            self._draft(content).replace(self.path)
        return pair

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Lock the file against other processes."""
        handle = os.open(self.path.with_name(f".{self.path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def stamp(self) -> int:
        """A revision of the file."""
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
        """Create the file; if another process creates it at the same time, its content wins."""
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
