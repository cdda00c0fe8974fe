"""Live logs of a cluster: lines are accepted by one server, the sockets are on another, and Redis between them goes away."""

from __future__ import annotations

import threading
import time

import pytest
from websockets.exceptions import ConnectionClosed

from tests.cluster.conftest import StartWorker
from tests.process import wait_until
from tests.runs.conftest import UNLIMITED, Runs
from tests.servers import RedisServer, elasticsearch_address

AWAY = 3.0


class Collector:
    """A log socket that is read all the time."""

    def __init__(self, runs: Runs, run: str) -> None:
        self.lines: list[str] = []
        self.ends: list[str] = []
        self._runs, self._run = runs, run
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with self._runs.socket(self._run, ping_interval=None) as socket:
            while not self._done.is_set():
                try:
                    self.lines.append(str(socket.recv(timeout=0.2)))
                except TimeoutError:
                    continue
                except ConnectionClosed as error:
                    self.ends.append(repr(error))
                    return

    def close(self) -> None:
        self._done.set()
        self._thread.join(10)


@pytest.mark.parametrize("fault", ["killed", "frozen"])
def test_a_log_socket_survives_an_outage_of_redis(start_worker: StartWorker, own_redis: RedisServer, prefix: str, fault: str) -> None:
    store, state = f"{elasticsearch_address()}?prefix={prefix}", f"{own_redis.url}?prefix={prefix}"
    reader, writer = (Runs(start_worker(store, state, **UNLIMITED)) for _ in range(2))
    run = "live"
    writer.log(run, "begin")
    collectors = [Collector(runs, run) for runs in (reader, reader, writer)]
    sent = ["begin"]
    stop = threading.Event()
    problems: list[str] = []

    def write() -> None:
        began = time.time()
        while not stop.is_set():
            line = f"line {len(sent)}"
            body = b'{"ts": %f, "type": "log", "data": {"text": "%s"}}' % (began + len(sent) / 1000, line.encode())
            # The same body again, as clients do: it is stored once.
            while (answer := writer.post(run, body)).status_code == 503:
                time.sleep(0.05)
            if answer.status_code != 200:
                problems.append(answer.text)
                return
            sent.append(line)
            time.sleep(0.01)

    def caught_up(count: int) -> bool:
        return bool(problems) or all(len(collector.lines) >= count or collector.ends for collector in collectors)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        wait_until(lambda: caught_up(50), 30, "no frames before the outage")
        for _ in range(2):
            if fault == "killed":
                own_redis.kill()
            else:
                own_redis.freeze()
            before, gone = len(sent), time.monotonic()
            wait_until(lambda gone=gone: time.monotonic() - gone > AWAY, AWAY + 5, "")
            if fault == "killed":
                own_redis.start()
            else:
                own_redis.thaw()
            wait_until(lambda before=before: len(sent) > before + 50 or problems, 60, "lines are not accepted")
            after = len(sent)
            wait_until(lambda after=after: caught_up(after), 30, "frames do not go on after the outage")
    finally:
        if fault == "frozen":
            own_redis.thaw()
        stop.set()
        thread.join()
    wait_until(lambda: caught_up(len(sent)), 30, "the last lines do not come")
    for collector in collectors:
        collector.close()
        assert collector.lines == sent and not collector.ends
    assert not problems
