"""Large answers that clients have not read yet: they wait in memory, so all of them together are bounded."""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Mapping
from typing import Any

from flask import Response

from apiserver.common.addresses import network_of
from apiserver.errors import NotAvailable
from apiserver.service_repo.visit import Visitors
from apiserver.settings import ServerSettings

LARGE = 1_000_000
"""Bytes from which on an answer is counted."""


class UnreadAnswers:
    """Counts the bytes of large answers of a worker, from when they are made until they are sent or given up. Files and streams hold no memory."""

    def __init__(self, settings: ServerSettings) -> None:
        self._most = settings.unread_bytes
        self._address = Visitors(settings.proxies).address
        self._held: Counter[str] = Counter()

    def take(self, response: Response, environ: Mapping[str, Any]) -> None:
        """Count an answer. Raises NotAvailable when there are too many bytes already, of its client (half of them at most) or of all."""
        size = response.content_length or 0
        if size < LARGE or response.is_streamed or response.direct_passthrough:
            return
        address = network_of(self._address(environ))
        total, own = self._held.total(), self._held[address]
        if (total and total + size > self._most) or (own and own + size > self._most // 2):  # a single one is sent however large it is
            raise NotAvailable("too many large answers wait for clients that read slowly (server.unread_bytes)")
        self._held[address] += size
        # When the object goes, its bytes go: also after an error, or when the client leaves.
        weakref.finalize(response, self._give_back, address, size).atexit = False

    def _give_back(self, address: str, size: int) -> None:
        self._held[address] -= size
        if not self._held[address]:
            del self._held[address]
