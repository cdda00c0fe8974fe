"""The server is killed in the middle of ingest, again and again: what was acknowledged is there once, and nothing is half there.

`make test` kills three times, `make soak` a hundred times (`--kills`).
"""

from __future__ import annotations

import hashlib
import random
import threading
from collections import Counter
from collections.abc import Callable
from http.client import HTTPException
from typing import Any

import pytest

from tests.client import IMAGE, LOG, PLOT, SCALAR, Client, Event, image, json_lines, log, plot, scalar
from tests.conftest import StartServer, own_store
from tests.process import wait_until

POINTS, AGAIN, LINES = 40, 20, 40
WRITERS = 4
ACKNOWLEDGED_PER_KILL = 25


def lines_of(task: str, batch: int) -> list[Event]:
    """One batch: points of its own, points that replace those of the batch before, log lines, an image and a plot."""
    first = batch * POINTS
    lines = [scalar(task, "step", f"v{batch % 3}", iter=first + i, value=float(i), timestamp=first + i) for i in range(POINTS)]
    lines += [scalar(task, "again", "v", iter=i, value=float(batch), timestamp=batch) for i in range(AGAIN)]
    lines += [log(task, f"{batch}:{i}", timestamp=batch * LINES + i) for i in range(LINES)]
    return [
        *lines,
        image(task, iter=batch, url=f"http://f/{batch}", timestamp=batch),
        plot(task, iter=batch, plot_str=str(batch), timestamp=batch),
    ]


class Writer(threading.Thread):
    """Sends numbered batches of one task until told to stop. A batch that got no answer is sent again, or given up (`retries` False)."""

    def __init__(self, client: Client, task: str, seed: int, *, retries: bool, is_up: Callable[[], bool]) -> None:
        super().__init__()
        self.client, self.task, self.retries, self.is_up = client, task, retries, is_up
        self.rng = random.Random(seed)
        self.stopping = threading.Event()
        self.acknowledged: set[int] = set()
        self.sent = 0
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            while not self.stopping.is_set():
                self._send(self.sent)
                self.sent += 1
        except BaseException as error:
            self.failure = error

    def _send(self, batch: int) -> None:
        body = json_lines(lines_of(self.task, batch))
        while True:
            try:
                answer = self.client.send_batch(body)
            except (OSError, HTTPException):
                if not self.retries:
                    wait_until(lambda: self.is_up() or self.stopping.is_set(), 120, "the server is not back")
                    return
                wait_until(self.is_up, 120, "the server is not back")
                continue
            if answer.status == 503:  # starting, stopping or busy: as the SDK does, the batch is sent again
                continue
            assert answer.status == 200 and answer.data["errors"] == 0, (answer.status, answer.body[:300])
            self.acknowledged.add(batch)
            if self.rng.random() < 0.2:  # a client that lost the answer sends an acknowledged batch once more
                try:
                    self.client.send_batch(body)
                except (OSError, HTTPException):
                    wait_until(lambda: self.is_up() or self.stopping.is_set(), 120, "the server is not back")
            return


@pytest.mark.parametrize("retries", [True, False], ids=["with retries", "without retries"])
def test_what_was_acknowledged_survives_kill_9_once(
    engine: str, engine_env: dict[str, str], start_server: StartServer, request: pytest.FixtureRequest, retries: bool
) -> None:
    if engine == "elastic" and not retries:
        return  # on Elasticsearch an unacknowledged batch may be partly visible until its retry
    kills = int(request.config.getoption("--kills"))
    server = start_server(**own_store(engine_env))
    up = threading.Event()
    up.set()
    writers = [Writer(server.client(), f"soak-{retries}-{number}", number, retries=retries, is_up=up.is_set) for number in range(WRITERS)]
    for writer in writers:
        writer.start()

    def acknowledged() -> int:
        for writer in writers:
            if writer.failure:
                raise AssertionError(f"a writer failed: {writer.failure!r}") from writer.failure
        return sum(len(writer.acknowledged) for writer in writers)

    try:
        for _ in range(kills):
            goal = acknowledged() + ACKNOWLEDGED_PER_KILL
            wait_until(lambda goal=goal: acknowledged() >= goal, 120, "nothing is acknowledged any more")  # type: ignore[misc]
            up.clear()
            server.kill()
            server.start()
            up.set()
        goal = acknowledged() + WRITERS
        wait_until(lambda: acknowledged() >= goal, 120, "nothing is acknowledged any more")
    finally:
        for writer in writers:
            writer.stopping.set()
        up.set()
        for writer in writers:
            writer.join()
    assert acknowledged() > 0
    for writer in writers:
        check(server.client(), writer)


def check(client: Client, writer: Writer) -> None:
    task = writer.task
    events = client.events(task, batch_size=5000)
    logs = Counter(event["msg"] for event in events if event["type"] == LOG)
    twice = [msg for msg, count in logs.items() if count > 1]
    assert not twice, f"{len(twice)} log lines are there twice, such as {twice[:3]}"
    there = {int(msg.partition(":")[0]) for msg in logs}
    lost = writer.acknowledged - there
    assert not lost, f"acknowledged batches are gone: {sorted(lost)[:5]}"
    if writer.retries:
        assert there >= set(range(writer.sent))
    expected = [f"{batch}:{i}" for batch in sorted(there) for i in range(LINES)]
    in_order = sorted((event for event in events if event["type"] == LOG), key=lambda event: int(event["timestamp"]))
    assert [event["msg"] for event in in_order] == expected
    steps = sorted(event["iter"] for event in events if event["type"] == SCALAR and event["metric"] == "step")
    assert steps == [batch * POINTS + i for batch in sorted(there) for i in range(POINTS)]
    for kind in (IMAGE, PLOT):
        assert sorted(event["iter"] for event in events if event["type"] == kind) == sorted(there)
    last = float(max(there))
    again = {event["iter"]: event["value"] for event in events if event["metric"] == "again"}
    assert again == dict.fromkeys(range(AGAIN), last)
    assert len(events) == len(there) * (POINTS + LINES + 2) + AGAIN
    check_statistics(client.task(task), there, last)


def check_statistics(task: dict[str, Any], there: set[int], last: float) -> None:
    def md5(text: str) -> str:
        return hashlib.md5(text.encode()).hexdigest()

    assert task["last_iteration"] == max(there) * POINTS + POINTS - 1
    again = task["last_metrics"][md5("again")][md5("v")]
    assert (again["count"], again["value"], again["min_value"], again["mean_value"]) == (AGAIN, last, last, last)
    counts = Counter(batch % 3 for batch in there)
    for variant, count in counts.items():
        assert task["last_metrics"][md5("step")][md5(f"v{variant}")]["count"] == count * POINTS
