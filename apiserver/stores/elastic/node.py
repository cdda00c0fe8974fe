"""A node of the Elasticsearch client with time limits of its own: for connecting, and for all requests of a call (`apiserver.patience`)."""

from __future__ import annotations

import time
from functools import cache
from typing import Any

import gevent
import urllib3
from elastic_transport import BaseNode, ConnectionTimeout, Urllib3HttpNode
from elastic_transport import ConnectionError as NoConnection

from apiserver.common import patience, tracing
from apiserver.common.metrics import STORE_SECONDS
from apiserver.stores.elastic.plain_node import PlainNode

_seconds = cache(STORE_SECONDS.labels)
_KINDS = {"_bulk": "bulk", "_msearch": "search", "_search": "search", "_mget": "get", "_refresh": "refresh"}
LONGEST = 3600.0
"""Seconds of a request without a limit of its own."""


def _kind(target: str) -> str:
    """What a request does, by the last word of its path."""
    word = target.partition("?")[0].rpartition("/")[2]
    return _KINDS.get(word, "other")


def connecting_within(seconds: float, *, tls: bool) -> type[BaseNode]:
    """A node class whose connections are made within `seconds`, or count as refused: nothing was sent, so another node may be asked.

    The client's own time limit covers a whole request. A host that is switched off answers nothing, and would take all of it.
    """
    base: Any = Urllib3HttpNode if tls else PlainNode

    class Node(base):  # type: ignore[misc]
        def perform_request(self, method: str, target: str, body: Any = None, headers: Any = None, request_timeout: Any = None) -> Any:
            given = request_timeout if isinstance(request_timeout, (int, float)) else self.config.request_timeout
            whole = patience.left(given or LONGEST)
            if whole <= 0:
                raise ConnectionTimeout("the call has waited long enough")
            limit: Any = urllib3.Timeout(total=whole, connect=min(seconds, whole))
            started = time.monotonic()
            kind = _kind(target)
            about = {"db.system": "elasticsearch", "server.address": self.config.host, "url.path": target.partition("?")[0][:500]}
            try:
                # urllib3 limits each read of an answer: one that stops in its middle would take the time again.
                with (
                    tracing.span(f"elasticsearch {kind}", **about),
                    gevent.Timeout(whole + 0.1, ConnectionTimeout("no whole answer in time")),
                ):
                    answer = super().perform_request(method, target, body, headers, limit)
            except ConnectionTimeout as error:
                patience.spend(time.monotonic() - started)
                if any(isinstance(cause, urllib3.exceptions.ConnectTimeoutError) for cause in error.errors):
                    raise NoConnection(
                        f"no connection to {self.base_url} within {limit.connect_timeout:g} s", errors=error.errors
                    ) from error
                raise
            finally:
                _seconds(kind).observe(time.monotonic() - started)
            patience.renew()
            return answer

    return Node
