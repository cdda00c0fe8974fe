"""A limit on the memory of large answers that clients read slowly."""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Mapping
from typing import Any

from flask import Response

from apiserver.common.addresses import network_of
from apiserver.errors import NotAvailable
from apiserver.service_repo.request_info import TrustedProxies
from apiserver.settings import ServerSettings

LARGE = 1_000_000
"""Answers of fewer bytes are not counted."""


class UnreadAnswers:
    """Counts the bytes of a worker's large answers until they are sent or dropped. Files and streams hold no memory and don't count."""

    def __init__(self, settings: ServerSettings) -> None:
        self._most = settings.unread_bytes
        self._address = TrustedProxies(settings.proxies).address
        self._held: Counter[str] = Counter()

    def take(self, response: Response, environ: Mapping[str, Any]) -> None:
        """Count an answer. Raises NotAvailable when all clients together would hold more than `server.unread_bytes`, or this one more than half."""
        size = response.content_length or 0
        if size < LARGE or response.is_streamed or response.direct_passthrough:
            return
        address = network_of(self._address(environ))
        total, own = self._held.total(), self._held[address]
        if (total and total + size > self._most) or (own and own + size > self._most // 2):  # a single answer of any size is sent
            raise NotAvailable("too many large answers wait for clients that read slowly (server.unread_bytes)")
        self._held[address] += size
        # The bytes are given back with the object: also after an error, or when the client disconnects.
        weakref.finalize(response, self._give_back, address, size).atexit = False

    def _give_back(self, address: str, size: int) -> None:
        self._held[address] -= size
        if not self._held[address]:
            del self._held[address]
