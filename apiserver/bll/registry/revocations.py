"""What was taken back: sessions, keys, and everything a user held before his rights changed.

Kept in the registry. Asking it on every call would cost a round trip each, so a worker keeps a copy and renews it, in the background while
calls come in: what one worker takes back is refused there at once, and by all others within four seconds (2 x `RENEW`).
"""

from __future__ import annotations

import logging
import time
from typing import Any

import gevent

from apiserver.bll.registry.document_changes import put
from apiserver.bll.registry.identity import SYSTEM
from apiserver.bll.registry.new_documents import now_ms
from apiserver.stores.base import Registry, StoreError

log = logging.getLogger("tidemark.identity")

RENEW = 2.0
CLEAN_UP = 100
"""Outdated entries removed at a time."""


class Revocations:
    """A copy of the documents of kind `revoked`: `{id, at, until}` (ms; `until` None: for good)."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._at: dict[str, int] = {}
        self._renewed = float("-inf")
        self._renewing = False

    def refuses(self, *, session: str, access_key: str, company: str, user: str, issued: int) -> bool:
        """Whether a token that was issued at `issued` (ms), or a key that was checked then, counts no longer."""
        self._keep_fresh()
        at = self._at
        if session and f"session:{session}" in at:
            return True
        if access_key and f"key:{access_key}" in at:
            return True
        return issued <= at.get(f"user:{company}:{user}", -1)

    def end_session(self, session: str, until: float) -> None:
        """Refuse the tokens of a session; `until` (epoch seconds) they would have lived."""
        self._add(f"session:{session}", int(until * 1000) + 1000)

    def end_key(self, access_key: str) -> None:
        """Refuse a key that was deleted, and the tokens that it gave."""
        self._add(f"key:{access_key}", None)

    def end_user(self, company: str, user: str) -> None:
        """Refuse all tokens that a user got until now; a new login gets one with the present rights."""
        self._add(f"user:{company}:{user}", None)

    def _add(self, id: str, until: int | None) -> None:
        now = now_ms()
        put(self._registry, "revoked", SYSTEM, id, {"id": id, "at": now, "until": until})
        self._at[id] = now

    def _keep_fresh(self) -> None:
        age = time.monotonic() - self._renewed
        if age < RENEW or self._renewing:
            return
        if age == float("inf"):
            self._renew()  # before the first answer, nobody knows what was taken back
            return
        self._renewing = True
        if age < 2 * RENEW:
            gevent.spawn(self._renew_or_stay)
        else:
            self._renew_or_stay()  # nobody called for a while

    def _renew_or_stay(self) -> None:
        try:
            self._renew()
        except StoreError as error:  # the copy stays; it can't be wrong about what it holds
            self._renewed = time.monotonic()
            log.warning("revoked tokens could not be read again: %s", error)
        finally:
            self._renewing = False

    def _renew(self) -> None:
        started = now_ms()
        documents = self._registry.find("revoked", [SYSTEM])
        found: dict[str, Any] = {}
        outdated = []
        for document in documents:
            until = document.body.get("until")
            if until is not None and until < started:
                outdated.append(document.id)
            else:
                found[document.id] = document.body["at"]
        # What this worker took back while it was reading may not be in the answer yet.
        found.update({id: at for id, at in self._at.items() if at >= started - 1000 and id not in found})
        self._at = found
        self._renewed = time.monotonic()
        for id in outdated[:CLEAN_UP]:
            self._registry.delete("revoked", SYSTEM, id)
