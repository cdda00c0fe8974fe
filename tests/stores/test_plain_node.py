"""HTTP as the node of the Elasticsearch client speaks it: kept connections, answers in chunks, lines that break."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import urllib3
from elastic_transport import ConnectionError as NoConnection
from elastic_transport import ConnectionTimeout, NodeConfig

from apiserver.stores.elastic.plain_node import PlainNode
from tests.process import wait_until

ANSWERS = {
    b"/whole": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    b"/chunks": b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
    b"/last": b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
    b"/cut": b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nhello",
    b"/none": b"",
    b"/other": b"SSH-2.0-OpenSSH\r\n\r\n",
}
LIMIT = urllib3.Timeout(total=5, connect=5)


class Peer:
    """Answers by path; all but `/whole`, `/chunks` and `/silent` end their connection."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.connections: list[socket.socket] = []
        self.bodies: list[bytes] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def node(self, places: int = 2) -> PlainNode:
        return PlainNode(NodeConfig("http", "127.0.0.1", self.listener.getsockname()[1], connections_per_node=places))

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as lines:
            while request := lines.readline():
                length = 0
                while (header := lines.readline()) not in (b"\r\n", b""):
                    name, _, value = header.partition(b":")
                    length = int(value) if name.lower() == b"content-length" else length
                self.bodies.append(lines.read(length))
                path = request.split()[1]
                if path == b"/silent":
                    continue
                connection.sendall(ANSWERS[path])
                if path not in (b"/whole", b"/chunks"):
                    return


@pytest.fixture
def peer() -> Iterator[Peer]:
    made = Peer()
    yield made
    made.listener.close()
    for connection in made.connections:
        connection.close()


def test_a_connection_is_kept_for_the_next_request(peer: Peer) -> None:
    node = peer.node()
    large = b"x" * 300_000
    assert node.perform_request("GET", "/whole", request_timeout=LIMIT).body == b"hello"
    answered = node.perform_request("POST", "/chunks", large, request_timeout=LIMIT)
    assert (answered.meta.status, answered.body) == (404, b"hello")
    assert peer.bodies == [b"", large] and len(peer.connections) == 1


def test_a_connection_that_the_other_side_ends_is_not_used_again(peer: Peer) -> None:
    node = peer.node()
    assert node.perform_request("GET", "/last", request_timeout=LIMIT).body == b"hello"
    assert node.perform_request("GET", "/whole", request_timeout=LIMIT).body == b"hello"
    peer.connections[-1].shutdown(socket.SHUT_RDWR)  # while nobody uses it
    assert node.perform_request("GET", "/whole", request_timeout=LIMIT).body == b"hello"
    assert len(peer.connections) == 3


@pytest.mark.parametrize("path", ["/cut", "/none", "/other"])
def test_a_line_that_breaks_is_no_connection(peer: Peer, path: str) -> None:
    node = peer.node()
    with pytest.raises(NoConnection):
        node.perform_request("GET", path, request_timeout=LIMIT)
    assert node.perform_request("GET", "/whole", request_timeout=LIMIT).body == b"hello"


def test_no_answer_in_time_is_a_timeout_and_gives_the_place_back(peer: Peer) -> None:
    node = peer.node(places=1)
    with pytest.raises(ConnectionTimeout):
        node.perform_request("GET", "/silent", request_timeout=urllib3.Timeout(total=0.1, connect=5))
    assert node.perform_request("GET", "/whole", request_timeout=LIMIT).body == b"hello"


def test_no_more_requests_at_a_time_than_places(peer: Peer) -> None:
    node = peer.node(places=2)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: node.perform_request("GET", "/whole", request_timeout=LIMIT).body, range(40)))
    assert answers == [b"hello"] * 40 and len(peer.connections) <= 2
    node.close()
    wait_until(lambda: all(connection.fileno() == -1 for connection in peer.connections), 10, "connections stayed open")


def test_what_does_not_listen_is_no_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(NoConnection):
        PlainNode(NodeConfig("http", "127.0.0.1", port, connections_per_node=1)).perform_request("GET", "/", request_timeout=LIMIT)
