"""Files of the other server's file server: copied once, and their addresses rewritten; other addresses (S3 and the like) are kept."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Sequence
from contextlib import closing
from urllib.parse import unquote

from apiserver.files.problems import FileProblem, NoSuchFile
from apiserver.files.storage import FileStorage
from apiserver.operations.migrate.remote import FileGone, Remote, RemoteFailed


class FileMoves:
    """Copies files into the storage of a company. May be used by several threads."""

    def __init__(self, remote: Remote, storage: FileStorage, company: str, prefixes: Sequence[str], own: str) -> None:
        """`prefixes`: addresses of the other file server; `own`: that of ours."""
        self._remote, self._storage, self._company = remote, storage, company
        self._own = own.rstrip("/").encode()
        known = "|".join(re.escape(prefix.rstrip("/")) for prefix in sorted(prefixes, key=len, reverse=True))
        self._url = re.compile(rf'({known})(/[^"\'\\\s<>]*)'.encode()) if known else None
        self._lock = threading.Lock()
        self.copied = self.bytes = 0
        self.problems: list[str] = []

    def rewritten(self, data: bytes, missed: list[str]) -> bytes:
        """JSON with the addresses of files that are here now. `missed` gets the addresses of those that could not be copied, but exist."""
        return self._url.sub(lambda found: self._moved(found, missed), data) if self._url is not None else data

    def _moved(self, found: re.Match[bytes], missed: list[str]) -> bytes:
        tail = found[2].decode("utf-8", "replace")
        name = unquote(tail.partition("?")[0]).lstrip("/")
        if not name or self._is_there(name):
            return self._own + found[2]
        try:
            self._copy(found[0].decode("utf-8", "replace"), name)
        except (RemoteFailed, FileProblem, OSError) as error:
            if not isinstance(error, FileGone):
                missed.append(found[0].decode("utf-8", "replace"))
            with self._lock:
                self.problems.append(f"a file was not copied, its address stays: {error}")
            return found[0]
        return self._own + found[2]

    def _is_there(self, name: str) -> bool:
        try:
            os.close(self._storage.open(self._company, name).fd)
        except (NoSuchFile, FileProblem):
            return False
        return True

    def _copy(self, url: str, name: str) -> None:
        incoming, size = self._storage.begin(), 0
        try:
            with closing(self._remote.file(url)) as source:
                for block in source:
                    incoming.write(block)
                    size += len(block)
            incoming.commit(self._company, name)
        finally:
            incoming.abort()
        with self._lock:
            self.copied += 1
            self.bytes += size
