"""Clients that send as the SDK does: the same body again after a 503, until it is accepted."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.client import ApiError, Client, json_lines

T0 = 1_700_000_000_000
PATIENCE = 180.0


@dataclass
class Sender:
    """One client with one task: batches of scalars and log lines, each sent until it is acknowledged."""

    clients: Sequence[Client]
    task: str = field(default_factory=lambda: uuid.uuid4().hex)
    scalars: int = 40
    logs: int = 10
    acknowledged: int = 0
    refused: int = 0
    longest: float = 0.0
    """Seconds until the slowest answer."""
    problems: list[str] = field(default_factory=list)

    def body(self, number: int) -> bytes:
        steps = range(number * self.scalars, (number + 1) * self.scalars)
        scalar = {"type": "training_stats_scalar", "task": self.task, "metric": "loss", "variant": "train"}
        log = {"type": "log", "task": self.task, "level": "info"}
        events: list[dict[str, object]] = [{**scalar, "iter": step, "value": step / 8, "timestamp": T0 + step} for step in steps]
        events += [{**log, "msg": f"batch {number} line {n}", "timestamp": T0 + number * 1000 + n} for n in range(self.logs)]
        return json_lines(events)

    def send(self, number: int) -> None:
        body = self.body(number)
        deadline = time.monotonic() + PATIENCE
        turn = number
        while True:
            client = self.clients[turn % len(self.clients)]
            began = time.monotonic()
            answer = client.send("POST", "/v2.23/events.add_batch", body, {"Content-Type": "application/json-lines"})
            self.longest = max(self.longest, time.monotonic() - began)
            if answer.status == 200:
                if answer.data["errors"]:
                    self.problems.append(f"batch {number}: {answer.data}")
                self.acknowledged += 1
                return
            if answer.status != 503 or float(answer.headers.get("retry-after", "0")) <= 0:
                self.problems.append(f"batch {number}: {answer.status} {answer.headers} {answer.body[:300]!r}")
                return
            self.refused += 1
            if time.monotonic() > deadline:
                self.problems.append(f"batch {number} was refused for {PATIENCE:g} s: {answer.body[:300]!r}")
                return
            time.sleep(0.3)
            turn += 1

    def check(self, client: Client) -> None:
        """Everything that was acknowledged is there, once, and the statistics say so."""
        assert not self.problems, self.problems
        seen: list[int] = []
        lines: list[str] = []
        scroll: dict[str, str] = {}
        while True:
            page = patiently(client, "events.get_task_events", task=self.task, batch_size=5000, **scroll)
            for event in page["events"]:
                if event["type"] == "log":
                    lines.append(event["msg"])
                else:
                    assert event["value"] == event["iter"] / 8
                    seen.append(event["iter"])
            if page["returned"] < 5000:
                break
            scroll = {"scroll_id": page["scroll_id"]}
        assert sorted(seen) == list(range(self.acknowledged * self.scalars))
        assert sorted(lines) == sorted(f"batch {number} line {line}" for number in range(self.acknowledged) for line in range(self.logs))
        task = patiently(client, "tasks.get_by_id", task=self.task)["task"]
        (variant,) = next(iter(task["last_metrics"].values())).values()
        said = {"count": variant["count"], "max_value": variant["max_value"], "last_iteration": task["last_iteration"]}
        true = {"count": len(seen), "max_value": max(seen) / 8, "last_iteration": max(seen)}
        assert said == true, f"task {self.task}, refused {self.refused} times: the statistics say {said}, the events {true}"


@dataclass
class Reader:
    """Reads a task again and again as a page does: its chart, never from a cache, and its log."""

    client: Client
    task: str
    reads: int = 0
    refused: int = 0
    longest: float = 0.0
    """Seconds until the slowest answer."""
    problems: list[str] = field(default_factory=list)

    def read(self) -> None:
        for endpoint, request in (
            ("events.scalar_metrics_iter_histogram", {"samples": 1000 + self.reads}),
            ("events.get_task_log", {"batch_size": 10}),
        ):
            began = time.monotonic()
            answer = self.client.raw(f"/{endpoint}", {"task": self.task, **request})
            self.longest = max(self.longest, time.monotonic() - began)
            if answer.status == 503:
                self.refused += 1
            elif answer.status != 200:
                self.problems.append(f"{endpoint}: {answer.status} {answer.body[:300]!r}")
        self.reads += 1


def keep_reading(readers: Sequence[Reader], stop: threading.Event) -> list[threading.Thread]:
    """A thread per reader, which reads until it is told to stop."""

    def run(reader: Reader) -> None:
        while not stop.is_set() and not reader.problems:
            reader.read()
            stop.wait(0.1)

    threads = [threading.Thread(target=run, args=(reader,)) for reader in readers]
    for thread in threads:
        thread.start()
    return threads


def patiently(client: Client, endpoint: str, **request: Any) -> dict[str, Any]:
    """A call that is made again after a 503, as clients do."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return client.call(endpoint, **request)
        except ApiError as error:
            if error.status != 503 or time.monotonic() > deadline:
                raise
        time.sleep(0.3)


def keep_sending(senders: Sequence[Sender], stop: threading.Event) -> list[threading.Thread]:
    """A thread per sender, which sends batch after batch until it is told to stop."""

    def run(sender: Sender) -> None:
        while not stop.is_set() and not sender.problems:
            sender.send(sender.acknowledged)

    threads = [threading.Thread(target=run, args=(sender,)) for sender in senders]
    for thread in threads:
        thread.start()
    return threads
