"""A node of the Elasticsearch client with a time limit of its own for connecting."""

from __future__ import annotations

from typing import Any

import urllib3
from elastic_transport import ConnectionError as NoConnection
from elastic_transport import ConnectionTimeout, Urllib3HttpNode


def connecting_within(seconds: float) -> type[Urllib3HttpNode]:
    """A node class whose connections are made within `seconds`, or count as refused: nothing was sent, so another node may be asked.

    The client's own time limit covers a whole request. A host that is switched off answers nothing, and would take all of it.
    """

    class Node(Urllib3HttpNode):
        def perform_request(self, method: str, target: str, body: Any = None, headers: Any = None, request_timeout: Any = None) -> Any:
            whole = request_timeout if isinstance(request_timeout, (int, float)) else self.config.request_timeout
            limit: Any = urllib3.Timeout(total=whole, connect=seconds if whole is None else min(seconds, whole))
            try:
                return super().perform_request(method, target, body, headers, limit)
            except ConnectionTimeout as error:
                if any(isinstance(cause, urllib3.exceptions.ConnectTimeoutError) for cause in error.errors):
                    raise NoConnection(
                        f"no connection to {self.base_url} within {limit.connect_timeout:g} s", errors=error.errors
                    ) from error
                raise

    return Node
