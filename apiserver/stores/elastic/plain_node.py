"""A node of the Elasticsearch client for plain HTTP over the standard library's connections, at less CPU time than the one that comes with the client:
docs/benchmarks/elasticsearch.md."""

from __future__ import annotations

import re
import select
import string
import threading
import time
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Any, NamedTuple
from urllib.parse import quote

import urllib3
from elastic_transport import ApiResponseMeta, BaseNode, ConnectionTimeout, HttpHeaders, NodeConfig
from elastic_transport import ConnectionError as NoConnection
from gevent.monkey import get_original

_PLAIN = re.compile(r"[\x21-\x7e]+")
_poll = get_original("select", "poll")


class Answered(NamedTuple):
    """What the client expects of a node."""

    meta: ApiResponseMeta
    body: bytes


class PlainNode(BaseNode):
    """Keeps connections. At most `connections_per_node` requests at a time; others wait."""

    def __init__(self, config: NodeConfig) -> None:
        super().__init__(config)
        self._idle: list[HTTPConnection] = []
        self._places = threading.BoundedSemaphore(config.connections_per_node)

    def perform_request(
        self, method: str, target: str, body: bytes | None = None, headers: HttpHeaders | None = None, request_timeout: Any = None
    ) -> Any:
        """As the client asks for it, but `request_timeout` is a `urllib3.Timeout`."""
        started = time.monotonic()
        target = self.path_prefix + target
        if not _PLAIN.fullmatch(target):
            target = quote(target, safe=string.punctuation)
        with self._places:
            connection = self._connected(request_timeout)
            try:
                connection.request(method, target, body, {**self.headers, **(headers or {})})
                response: HTTPResponse = connection.getresponse()
                data = response.read()
            except TimeoutError as error:
                connection.close()
                raise ConnectionTimeout("no answer in time", errors=(error,)) from error
            except (OSError, HTTPException, ValueError) as error:
                connection.close()
                raise NoConnection(f"the connection broke: {str(error) or type(error).__name__}", errors=(error,)) from error
            except BaseException:  # such as a time-out of the whole request
                connection.close()
                raise
            if connection.sock is not None:  # it closes itself when the other side will
                self._idle.append(connection)
        answered = HttpHeaders(response.headers.items())
        return Answered(ApiResponseMeta(response.status, "1.1", answered, time.monotonic() - started, self.config), data)

    def close(self) -> None:
        """Close the connections that are kept."""
        while self._idle:
            self._idle.pop().close()

    def _connected(self, limit: urllib3.Timeout) -> HTTPConnection:
        """A connection that was kept and that the other side has not closed meanwhile, or a new one."""
        while self._idle:
            connection = self._idle.pop()
            poll = _poll()
            poll.register(connection.sock.fileno(), select.POLLIN)
            if not poll.poll(0):
                connection.sock.settimeout(limit.total)  # type: ignore[arg-type]
                return connection
            connection.close()
        connection = HTTPConnection(self.host, self.port, timeout=limit.connect_timeout)  # type: ignore[arg-type]
        try:
            connection.connect()
        except TimeoutError as error:  # as urllib3's node says it
            raise ConnectionTimeout(
                "no connection in time", errors=(urllib3.exceptions.ConnectTimeoutError("no connection in time"),)
            ) from error
        except OSError as error:
            raise NoConnection(f"no connection to {self.base_url}: {str(error) or type(error).__name__}", errors=(error,)) from error
        connection.sock.settimeout(limit.total)  # type: ignore[arg-type]
        return connection
