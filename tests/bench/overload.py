"""Latency of other clients' pings during each overload that audits have found, one after the other."""

from __future__ import annotations

import gzip
import http.client
import json
import os
import random
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import orjson
from argon2 import PasswordHasher

from tests.bench.load import AT, LINES, new_id, send, watching
from tests.bench.measure import Report, median, percentile
from tests.client import Client
from tests.process import Server

MOST = 50.0
"""Target for the p99 of the pings, in ms."""
SECONDS = 3.0
"""Each overload is repeated for this long."""
SLOW_CLIENTS = 300
SERIES = 20_000
"""The limit of series per task."""
HEAVY = "(?:a?b?){900}[cd]"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JSON = {"Content-Type": "application/json"}
GZIP = {"Content-Encoding": "gzip"}
ACCOUNT = """
auth.companies.one {{ id = "company-one", users {{ default {{ name = "Default" }}, ann {{ name = "Ann", password = "{}" }} }} }}
auth.default_company = "one"
"""

Work = Callable[[Client], object]


def settings(folder: Path) -> dict[str, str]:
    """Settings: an account with a password, no rate limits."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "auth.conf").write_text(ACCOUNT.format(PasswordHasher().hash("swordfish")))
    return {"TIDEMARK_CONFIG": str(folder / "auth.conf"), "TIDEMARK__runs__requests_per_minute": "0"}


def overloads(client: Client) -> Iterator[tuple[str, Work]]:
    """All overloads but slow senders. Each stores its data when it is its turn."""
    yield from _without_a_login()
    yield from _with_a_login(client)


def overload(report: Report, folder: Path, env: Mapping[str, str]) -> None:
    """Measure all overloads. `env`: the settings of the store."""
    server = Server(folder / "server", {**env, **settings(folder)})
    server.start()
    try:
        report.heading("Others' pings during an overload, p99")
        _watched(report, server, "nothing", lambda _: time.sleep(0.5))
        with _slow_clients(server):
            _watched(report, server, f"{SLOW_CLIENTS} slow senders", lambda _: time.sleep(0.5))
        for name, work in overloads(server.client(timeout=600)):
            _watched(report, server, name, work)
        report.add("worker memory at the end", server.worker_resident_bytes() / 1e6, "MB")
    finally:
        server.stop()


def _watched(report: Report, server: Server, name: str, work: Work) -> None:
    client = server.client(timeout=600)
    with watching(client, {"ping": ("/debug.ping", b"{}", {})}) as watchers:
        before, begun, times = server.cpu_seconds(), time.monotonic(), 0
        while times == 0 or time.monotonic() - begun < SECONDS:
            work(client)
            times += 1
        ended, cpu = time.monotonic(), server.cpu_seconds() - before
    pings = watchers["ping"].between(begun, ended)
    load = os.getloadavg()[0]
    note = (
        f"median {median(pings) * 1000:.1f}, worst {max(pings) * 1000:.0f} of {len(pings):,}; {times} times, {cpu / times:.2f} s CPU each; "
        f"load {load:.1f}"
    )
    report.add(name, percentile(pings, 99) * 1000, "ms", most=MOST, note=note)


# --- without a login


def _without_a_login() -> Iterator[tuple[str, Work]]:
    member = gzip.compress(b"", mtime=0)
    yield "4 MB of empty gzip members", _posting("/debug.ping", member * (4_000_000 // len(member)), {**JSON, **GZIP})
    yield "a form of 5 MB of % in 4 kB", _posting("/events.get_task_log", _packed(b"task=" + b"%" * 5_000_000), {**FORM, **GZIP})
    part = b'--B\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n'
    multipart = {"Content-Type": "multipart/form-data; boundary=B"}
    yield "a form of 80,000 parts", _posting("/events.get_task_log", part * 80_000 + b"--B--\r\n", multipart)
    dots = b"&".join(b"%d" % number + b"." * 3_000 + b"=1" for number in range(1_000))
    yield "1,000 form fields of 3,000 dots", _posting("/events.get_task_log", dots, FORM)
    lists = b'{"task": [' + b"[]," * 5_000_000 + b"[]]}"
    yield "15 MB of [], in JSON", _posting("/events.get_task_log", lists, JSON)
    yield "the same, packed", _posting("/events.get_task_log", _packed(lists), {**JSON, **GZIP})
    yield "12 passwords at once", _at_once(12, lambda client, number: _guess(client, number))


def _guess(client: Client, number: int) -> None:
    Client(f"http://{client.host}:{client.port}", "Ann", f"guess {number} {random.random()}").raw("/auth.login", {})


@contextmanager
def _slow_clients(server: Server) -> Iterator[None]:
    """Clients that send a byte of a head or body every 0.1 s, and reconnect when they are disconnected."""
    host, port = server.url.removeprefix("http://").rsplit(":", 1)
    stop = threading.Event()

    def slow() -> None:
        while not stop.is_set():
            with suppress(OSError), socket.create_connection((host, int(port)), timeout=5) as line:
                line.sendall(b"POST /events.add_batch HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
                while not stop.wait(0.1):
                    line.sendall(b"a")

    threads = [threading.Thread(target=slow) for _ in range(SLOW_CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


# --- with a login


def _with_a_login(client: Client) -> Iterator[tuple[str, Work]]:
    yield from _many_series(client)
    tasks = [new_id() for _ in range(100_000)]
    yield "a batch of 100,000 unknown tasks", _posting("/events.add_batch", _batch(tasks), LINES)
    yield "a batch of 1,000 unknown tasks", lambda client: send(client, _batch(new_id() for _ in range(1_000)))
    yield "delete_many of 100,000 ids", _posting("/tasks.delete_many", orjson.dumps({"ids": tasks}), JSON)
    yield "delete_many of 1,000 tasks", _delete_many
    lines = {**LINES, **GZIP}
    yield "runs API: 4,000,000 empty lines in 4 kB", _posting(f"/api/runs/{new_id()}/events", _packed(b"\n" * 4_000_000), lines)
    broken = _posting(f"/api/runs/{new_id()}/events?error_lines=1000000", _packed(b"{\n" * 199_000), lines)
    yield "runs API: 199,000 broken lines in 400 bytes", broken
    log_task = new_id()
    for number in range(40):
        line = {"type": "log", "task": log_task, "timestamp": AT + number, "msg": "ab" * 20_000}
        send(client, json.dumps(line).encode())
    body = {"task": log_task, "search": HEAVY, "search_regex": True, "batch_size": 100}
    yield "12 heavy searches at once", _at_once(12, lambda client, _: _post(client, "/events.get_task_log", orjson.dumps(body), JSON))
    gallery = new_id()
    for first in range(0, 5_000, 1_000):
        send(client, _images(gallery, range(first, first + 1_000)))
    request = orjson.dumps({"metrics": [{"task": gallery}], "iters": 1})
    yield "debug images of 5,000 variants", _posting("/v2.22/events.debug_images", request, JSON)
    for _ in range(30):
        send(client, _batch(new_id() for _ in range(1_000)))
    yield "a list of 10,000 runs of 30,000", _getting("/api/runs?limit=10000")
    yield "a list of 30,000 tasks, 500 a page", _pages


def _many_series(client: Client) -> Iterator[tuple[str, Work]]:
    """Overloads with a task of the most series allowed, 25 points each."""

    def fill(client: Client) -> None:
        send(client, _points(new_id(), range(SERIES), 1))

    yield "a batch of 20,000 series", fill
    task = new_id()
    for first in range(0, SERIES, 2_000):
        send(client, _points(task, range(first, first + 2_000), 25))
    chart = orjson.dumps({"task": task})
    yield "charts of 20,000 series", _posting("/events.scalar_metrics_iter_histogram", chart, JSON)
    yield "the document of a task with 20,000 series", _posting("/tasks.get_by_id", chart, JSON)
    yield "its last values", _posting("/events.get_task_latest_scalar_values", chart, JSON)
    yield "its columns, 20,000 × 25 rows", _getting(f"/api/runs/{task}/metrics_step")
    yield "the same, 100 rows chosen", _getting(f"/api/runs/{task}/metrics_step?downsample=100")
    for form in ("csv", "jsonl", "parquet"):
        yield f"the same as {form}", _getting(f"/api/runs/{task}/export?format={form}")
    sparse = new_id()
    for first in range(0, SERIES, 2_000):
        send(client, _points(sparse, range(first, first + 2_000), 1, spread=True))
    yield "20,000 columns of one row each", _getting(f"/api/runs/{sparse}/metrics_step")
    yield "the same as csv, 400 MB of commas", _getting(f"/api/runs/{sparse}/export?format=csv", most=100_000_000)

    def stop(client: Client) -> None:
        for name in ("tasks.reset", "tasks.started", "tasks.stopped"):
            _post(client, f"/{name}", orjson.dumps({"task": sparse, "force": True}), JSON)
        send(client, _points(sparse, range(SERIES), 1))

    yield "reset, start, stop and fill it", stop


def _delete_many(client: Client) -> None:
    tasks = [new_id() for _ in range(1_000)]
    send(client, _batch(tasks))
    answer = _post(client, "/tasks.delete_many", orjson.dumps({"ids": tasks, "force": True}), JSON)
    assert orjson.loads(answer)["data"]["failed"] == [], answer[:500]


def _pages(client: Client) -> None:
    for page in range(0, 60, 10):
        _post(client, "/tasks.get_all_ex", orjson.dumps({"page": page, "page_size": 500, "order_by": ["-last_update"]}), JSON)


# --- bodies and calls


def _packed(body: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return packer.compress(body) + packer.flush()


def _batch(tasks: Iterator[str] | list[str]) -> bytes:
    return b"\n".join(orjson.dumps(_scalar(task, "m", 0)) for task in tasks)


def _points(task: str, series: range, count: int, *, spread: bool = False) -> bytes:
    """`count` points for each series; `spread`: every point at a different iteration."""
    return b"\n".join(
        orjson.dumps(_scalar(task, f"m{number:05}", number if spread else iter)) for number in series for iter in range(count)
    )


def _scalar(task: str, metric: str, iter: int) -> dict[str, Any]:
    return {"type": "training_stats_scalar", "task": task, "metric": metric, "variant": "v", "iter": iter, "value": 0.123456 * iter}


def _images(task: str, variants: range) -> bytes:
    image = {"type": "training_debug_image", "task": task, "metric": "img", "iter": 1, "timestamp": AT}
    return b"\n".join(orjson.dumps({**image, "variant": f"v{number}", "url": f"http://files/{number}.png"}) for number in variants)


def _posting(path: str, body: bytes, headers: Mapping[str, str]) -> Work:
    return lambda client: _post(client, path, body, headers)


def _post(client: Client, path: str, body: bytes, headers: Mapping[str, str]) -> bytes:
    """Call and return any answer: most of these calls are refused, some while the body is still being sent."""
    try:
        return client.send("POST", path, body, headers).body
    except (BrokenPipeError, ConnectionResetError):
        return b""


def _getting(path: str, most: int = 1 << 40) -> Work:
    """Work: a GET whose answer is read as a stream, up to `most` bytes, so that the client is not the bottleneck."""

    def work(client: Client) -> None:
        connection = http.client.HTTPConnection(client.host, client.port, timeout=300)
        connection.request("GET", path)
        answer = connection.getresponse()
        assert answer.status == 200, answer.read(500)
        left = most
        while left > 0 and (piece := answer.read(1 << 20)):
            left -= len(piece)
        connection.close()

    return work


def _at_once(count: int, work: Callable[[Client, int], object]) -> Work:
    def all_of_them(client: Client) -> None:
        threads = [threading.Thread(target=work, args=(Client(f"http://{client.host}:{client.port}"), number)) for number in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    return all_of_them
