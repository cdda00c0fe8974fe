"""`server.drain`: between SIGTERM and the end, proxies are asked to send no more, and what comes all the same is answered."""

from __future__ import annotations

import signal
import time

import pytest

from tests.client import scalar
from tests.conftest import StartServer
from tests.process import Server, wait_until

pytestmark = pytest.mark.one_engine


def terminate(server: Server) -> None:
    assert server.process is not None
    server.process.signal(signal.SIGTERM)


def is_draining(server: Server) -> bool:
    answer = server.client().send("GET", "/readyz")
    return answer.status == 503 and answer.json == {"status": "draining"}


def test_a_server_that_drains_is_not_ready_and_answers_calls_until_it_ends(start_server: StartServer, task: str) -> None:
    server = start_server(TIDEMARK__server__drain="2")
    assert server.process is not None and server.client().send("GET", "/readyz").status == 200
    began = time.monotonic()
    terminate(server)
    wait_until(lambda: is_draining(server), 10, "the server does not say that it is about to end")
    assert server.client().send("GET", "/healthz").status == 200
    assert server.client().add_batch([scalar(task, iter=1)])["added"] == 1
    process = server.process
    wait_until(lambda: process.poll() is not None, 20, "the server did not end")
    assert process.poll() == 0 and time.monotonic() - began >= 2


def test_a_second_signal_ends_a_server_that_drains(start_server: StartServer) -> None:
    server = start_server(TIDEMARK__server__drain="600")
    assert server.process is not None
    process = server.process
    terminate(server)
    wait_until(lambda: is_draining(server), 10, "the server does not say that it is about to end")
    terminate(server)
    wait_until(lambda: process.poll() is not None, 20, "the server did not end")
