"""Revoked sessions and keys, and revoked tokens of users whose rights have changed.

Revocations are documents of the registry. Each worker process keeps a copy, because a look-up per call would cost a round trip, and renews it in the
background: a revocation takes effect at once in the process that made it, and within four seconds (2 x `RENEW`) in all others.
"""

from __future__ import annotations

import logging
import time
from typing import Any

import gevent

from apiserver.bll.registry.document_changes import put
from apiserver.bll.registry.identity import SYSTEM
from apiserver.bll.registry.new_documents import now_ms
from apiserver.stores.errors import StoreError
from apiserver.stores.registry import Registry

log = logging.getLogger("tidemark.identity")

RENEW = 2.0
CLEAN_UP = 100
"""Outdated entries removed at a time."""


class Revocations:
    """A copy of the documents of kind `revoked`: `{id, at, until}` (epoch ms; `until` None: for ever)."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._at: dict[str, int] = {}
        self._renewed = float("-inf")
        self._renewing = False

    def is_revoked(self, *, session: str, access_key: str, company: str, user: str, issued: int) -> bool:
        """Whether a token issued at `issued` (epoch ms), or a key verified then, is revoked."""
        self._keep_fresh()
        at = self._at
        if session and f"session:{session}" in at:
            return True
        if access_key and f"key:{access_key}" in at:
            return True
        return issued <= at.get(f"user:{company}:{user}", -1)

    def end_session(self, session: str, until: float) -> None:
        """Refuse the tokens of a session; `until`: when they would have expired (epoch seconds)."""
        self._add(f"session:{session}", int(until * 1000) + 1000)

    def end_key(self, access_key: str) -> None:
        """Refuse a deleted key, and the tokens that were made with it."""
        self._add(f"key:{access_key}", None)

    def end_user(self, company: str, user: str) -> None:
        """Refuse all tokens issued to a user until now; a new login gets the present rights."""
        self._add(f"user:{company}:{user}", None)

    def _add(self, id: str, until: int | None) -> None:
        now = now_ms()
        put(self._registry, "revoked", SYSTEM, {id: {"id": id, "at": now, "until": until}})
        self._at[id] = now

    def _keep_fresh(self) -> None:
        age = time.monotonic() - self._renewed
        if age < RENEW or self._renewing:
            return
        if age == float("inf"):
            self._renew()  # nothing is known before the first read
            return
        self._renewing = True
        if age < 2 * RENEW:
            gevent.spawn(self._renew_or_stay)
        else:
            self._renew_or_stay()  # there was no call for a while: the copy is too old

    def _renew_or_stay(self) -> None:
        try:
            self._renew()
        except StoreError as error:  # keep the copy: its entries stay revoked
            self._renewed = time.monotonic()
            log.warning("revocations could not be read: %s", error)
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
        # Revocations that this process made during the read may not be in its result yet.
        found.update({id: at for id, at in self._at.items() if at >= started - 1000 and id not in found})
        self._at = found
        self._renewed = time.monotonic()
        try:
            self._registry.delete_many("revoked", SYSTEM, outdated[:CLEAN_UP])
        except StoreError as error:  # they do no harm
            log.debug("outdated revocations stay: %s", error)
