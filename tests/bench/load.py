"""Request bodies as ClearML's SDK makes them, and clients that send them."""

from __future__ import annotations

import json
import multiprocessing
import multiprocessing.synchronize
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import orjson

from tests.client import Client

LINES = {"Content-Type": "application/json-lines"}
SERIES = [(metric, variant) for metric in ("loss", "accuracy", "lr", "grad_norm") for variant in ("train", "validation")]
AT = 1_700_000_000_000


def scalars(task: str, first: int, count: int, series: Sequence[tuple[str, str]] = SERIES) -> bytes:
    """`count` scalar lines of about 200 bytes, in turns over the series, iterations from `first` on."""
    lines = []
    for number in range(count):
        metric, variant = series[number % len(series)]
        iter = first + number // len(series)
        lines.append(
            f'{{"timestamp": {AT + iter}, "type": "training_stats_scalar", "task": "{task}", "iter": {iter}, "metric": "{metric}",'
            f' "variant": "{variant}", "value": {(number * 0.618033988749895) % 1}, "allow_locked": false, "model_event": false, "method": "get"}}'
        )
    return "\n".join(lines).encode()


def rows(first: int, count: int, series: Sequence[tuple[str, str]] = SERIES) -> list[tuple[int, int, int, float]]:
    """The same points as rows (series, iter, timestamp, value), for the SQLite baseline."""
    width = len(series)
    return [
        (number % width, first + number // width, AT + first + number // width, (number * 0.618033988749895) % 1) for number in range(count)
    ]


def logs(task: str, first: int, count: int) -> bytes:
    """`count` log lines of about 200 bytes; every thousandth says "checkpoint", one in 100,000 "anomaly"."""
    lines = []
    for number in range(first, first + count):
        word = "anomaly" if number % 100_000 == 77_777 else "checkpoint" if number % 1000 == 7 else "step"
        msg = f"epoch {number // 1000} {word} {number}: loss=0.{number * 7919 % 100_000:05d} lr=0.001 throughput={number % 977}/s"
        lines.append(
            f'{{"timestamp": {AT + number}, "type": "log", "task": "{task}", "level": "info", "worker": "host-1", "msg": "{msg}",'
            ' "allow_locked": false, "model_event": false, "method": "get"}'
        )
    return "\n".join(lines).encode()


def images(task: str, first: int, count: int) -> bytes:
    """`count` debug images: ten variants per iteration, each with its own URL."""
    lines = []
    for number in range(first, first + count):
        iter, variant = divmod(number, 10)
        path = f"img/v{variant}/{iter:08d}.jpeg"
        event = {
            "type": "training_debug_image",
            "task": task,
            "metric": "img",
            "variant": f"v{variant}",
            "iter": iter,
            "timestamp": AT + iter,
        }
        lines.append(json.dumps({**event, "key": path, "url": f"http://files/{path}"}))
    return "\n".join(lines).encode()


def step_of(number: int, size: int) -> int:
    """The first iteration of batch `number` of `size` scalars. As in a training loop, no two batches share a point."""
    return number * -(-size // len(SERIES))


def new_id() -> str:
    return uuid.uuid4().hex


def send(client: Client, body: bytes) -> None:
    """Send a batch; fails unless every line is stored."""
    answer = client.send("POST", "/v2.23/events.add_batch", body, LINES)
    assert answer.status == 200, answer.body[:500]
    assert answer.json["data"]["errors"] == 0, answer.body[:500]


def ask(client: Client, endpoint: str, **request: Any) -> bytes:
    """Call an endpoint; returns the raw body."""
    answer = client.send("POST", f"/v999.0/{endpoint}", orjson.dumps(request), {"Content-Type": "application/json"})
    assert answer.status == 200, answer.body[:500]
    return answer.body


def data(client: Client, endpoint: str, **request: Any) -> dict[str, Any]:
    """Call an endpoint; returns the parsed `data`."""
    return orjson.loads(ask(client, endpoint, **request))["data"]  # type: ignore[no-any-return]


# --- latency of other clients


@dataclass
class Watcher:
    """Calls measured in another process: (start on the monotonic clock, seconds) of each."""

    samples: list[tuple[float, float]]

    def between(self, begin: float, end: float) -> list[float]:
        """Durations of the calls that overlap the time from `begin` to `end`."""
        return [seconds for at, seconds in self.samples if at < end and at + seconds > begin]


@contextmanager
def watching(client: Client, calls: dict[str, tuple[str, bytes, dict[str, str]]]) -> Iterator[dict[str, Watcher]]:
    """Repeat each call (path, body, headers) in its own process until the block ends, which fills the watchers."""
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    watchers = {name: Watcher([]) for name in calls}
    running = []
    for name, (path, body, headers) in calls.items():
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=_repeat, args=(f"http://{client.host}:{client.port}", path, body, headers, stop, sender))
        process.start()
        running.append((name, process, receiver))
    for _, _, receiver in running:
        receiver.recv()  # the first call is done
    try:
        yield watchers
    finally:
        stop.set()
        for name, process, receiver in running:
            watchers[name].samples = receiver.recv()
            process.join()


def _repeat(url: str, path: str, body: bytes, headers: dict[str, str], stop: multiprocessing.synchronize.Event, results: Any) -> None:
    client = Client(url)
    samples: list[tuple[float, float]] = []
    number = 0
    while not stop.is_set():
        number += 1
        begun = time.monotonic()
        answer = client.send("POST", path, body.replace(b"%NUMBER%", str(number).encode()), headers)
        samples.append((begun, time.monotonic() - begun))
        assert answer.status == 200, answer.body[:300]
        if number == 1:
            results.send("ready")
        time.sleep(0.004)
    results.send(samples)
