"""The runs API compared with Runicorn's own viewer on the same files; live logs; import."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import math
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from apiserver.stores.records import ATTRIBUTE, SCALAR
from tests.bench.measure import Report, in_ms, median, paired, percentile
from tests.process import Server, wait_until
from tests.runs.products import viewer

STEPS, MILLION = 100_000, 1_000_000
ROUNDS = 3
UNLIMITED = {"TIDEMARK__runs__requests_per_minute": "0", "TIDEMARK__runs__sockets": "0"}


def make_run(root: Path, run: str, steps: int) -> Path:
    """A run with four metrics, `time` and `stage` at every step."""
    folder = root / "runs" / "bench" / run
    folder.mkdir(parents=True)
    (folder / "meta.json").write_text(json.dumps({"id": run, "path": "bench", "created_at": 1.7e9, "pid": 1}))
    (folder / "status.json").write_text(json.dumps({"status": "finished", "started_at": 1.7e9}))
    with (folder / "events.jsonl").open("w") as file:
        for step in range(1, steps + 1):
            data = {
                "loss": math.exp(-step / steps) + step * 7919 % 1000 / 5000,
                "accuracy": step / steps,
                "learning_rate": 0.001 * (1 - step / steps),
                "grad_norm": step * 104729 % 997 / 100,
                "global_step": step,
                "time": 1.7e9 + step / 2,
                "stage": "train" if step > steps / 10 else "warmup",
            }
            file.write(json.dumps({"ts": data["time"], "type": "metrics", "data": data}) + "\n")
    return folder


def fetch(url: str) -> tuple[float, float, int]:
    """Seconds to the first byte and to the end of the answer, and its size in bytes; nothing is decoded."""
    host, path = url.removeprefix("http://").split("/", 1)
    begun = time.perf_counter()
    connection = http.client.HTTPConnection(host, timeout=300)
    connection.request("GET", f"/{path}")
    answer = connection.getresponse()
    assert answer.status == 200, answer.status
    first = time.perf_counter() - begun
    size = 0
    while piece := answer.read(1 << 20):
        size += len(piece)
    return first, time.perf_counter() - begun, size


def beside_the_viewer(report: Report, folder: Path) -> None:
    """Cold (fresh process) and warm reads of the same run, in turns with Runicorn's viewer."""
    report.heading("Runs API: 100,000 steps with 4 metrics, beside runicorn 0.7.2")
    root = folder / "storage"
    make_run(root, "bench", STEPS)
    server = Server(folder / "runs", UNLIMITED)
    imported(report, server, root, STEPS)
    for name, query, cold, warm in (("metrics_step", "", 3, 10), ("downsample=1000", "?downsample=1000", 10, 10)):
        path = f"/api/runs/bench/metrics_step{query}"
        seconds: dict[str, list[float]] = {"peer cold": [], "peer warm": [], "ours cold": [], "ours warm": []}
        for _ in range(ROUNDS):
            with viewer("0.7.2", root) as url:
                seconds["peer cold"].append(fetch(url + path)[1])
                seconds["peer warm"] += [fetch(url + path)[1] for _ in range(3)]
            server.start()
            seconds["ours cold"].append(fetch(server.url + path)[1])
            seconds["ours warm"] += [fetch(server.url + path)[1] for _ in range(3)]
            server.stop()
        for kind, least in (("cold", cold), ("warm", warm)):
            ours, peer = seconds[f"ours {kind}"], seconds[f"peer {kind}"]
            note = f"{median(ours) * 1000:.0f} ms, the viewer {median(peer) * 1000:.0f} ms"
            report.spread(f"{name}, {kind}: times faster", paired(peer, ours), "x", least=least, note=note)
    server.start()
    fetch(f"{server.url}/api/runs/bench/metrics_step?since_step=0")
    polls = [fetch(f"{server.url}/api/runs/bench/metrics_step?since_step={STEPS - 10 - number}")[1] for number in range(20)]
    report.spread("10 new steps of 100,000", in_ms(polls), "ms", most=10)
    server.stop()


def beside_paging(report: Report, folder: Path, env: dict[str, str], bare: Any) -> None:
    """On Elasticsearch: the same reads, in turns with bare `search_after` paging of the same documents (`bare`: `bare.Bare`)."""
    report.heading("Runs API: 100,000 steps with 4 metrics, beside bare search_after of the same points")
    root = folder / "storage"
    make_run(root, "bench", STEPS)
    server = Server(folder / "runs", env | UNLIMITED)
    imported(report, server, root, STEPS, least=None)
    server.start()
    index = bare.index_of("bench")
    indices = [index, index.replace(SCALAR, ATTRIBUTE)]
    path = "/api/runs/bench/metrics_step"
    paging: list[float] = []
    cold: list[float] = []
    warm: list[float] = []
    sampled: list[float] = []
    for number in range(ROUNDS + 1):
        server.stop()
        server.start()
        ours = fetch(server.url + path)[1]
        begun = time.perf_counter()
        points = sum(_paged(bare, index) for index in indices)
        if number:  # the first round warms Elasticsearch up
            paging.append(time.perf_counter() - begun)
            cold.append(ours)
        warm += [fetch(server.url + path)[1] for _ in range(3)]
        sampled.append(fetch(f"{server.url}{path}?downsample=1000")[1])
    report.spread(f"bare paging of {points:,} points, 10,000 a page", in_ms(paging), "ms")
    report.spread("metrics_step, nothing remembered", in_ms(cold), "ms")
    report.spread("ratio to the bare paging", paired(cold, paging), "", most=1.3)
    with viewer("0.7.2", root) as url:
        fetch(url + path)
        peer = median([fetch(url + path)[1] for _ in range(3)])
    note = f"{median(warm) * 1000:.0f} ms, the viewer {peer * 1000:.0f} ms"
    report.spread("metrics_step, warm: times faster", [peer / ours for ours in warm], "x", least=10, note=note)
    report.spread("downsample=1000", in_ms(sampled), "ms")
    polls = [fetch(f"{server.url}{path}?since_step={STEPS - 10 - number}")[1] for number in range(20)]
    report.spread("10 new steps of 100,000", in_ms(polls), "ms")
    server.stop()
    shutil.rmtree(root)


def _paged(bare: Any, index: str) -> int:
    """Read the run's documents of one index in the index' own order; returns their number.

    Fetches only what the answer needs: doc values, and stored fields for texts.
    """
    query: dict[str, Any] = {"size": 10_000, "track_total_hits": False, "sort": ["task", "metric", "variant", "iter"]}
    numbers = {"_source": False, "stored_fields": "_none_", "docvalue_fields": ["value"]}
    run: dict[str, Any] = {"term": {"task": "bench"}}
    texts: dict[str, Any] = {"term": {"more": 1}}
    found = 0
    for fetched, which in (
        (numbers, {"bool": {"filter": [run], "must_not": [texts]}}),
        ({"stored_fields": ["extra"]}, {"bool": {"filter": [run, texts]}}),
    ):
        after: dict[str, Any] = {}
        while True:
            hits = bare.call("POST", f"/{index}/_search", query | fetched | {"query": which} | after)["hits"]["hits"]
            found += len(hits)
            if len(hits) < query["size"]:
                break
            after = {"search_after": hits[-1]["sort"]}
    return found


def imported(report: Report, server: Server, root: Path, events: int, least: float | None = 40_000) -> None:
    """`tidemark import` without a server; reports the rate that it prints, which excludes the start of the command."""
    command = [sys.executable, "-m", "apiserver", "import", str(root), "--data", str(server.data)]
    done = subprocess.run(command, env={**os.environ, **server.env}, check=True, capture_output=True, text=True, timeout=600)
    rate = float(done.stdout.rpartition("(")[2].partition("/s")[0].replace(",", ""))
    report.add(f"import of {events:,} events", rate, "events/s", least=least)


def a_million_steps(report: Report, folder: Path) -> None:
    """Streaming of long answers: time to the first byte, and the worker's memory."""
    report.heading("Runs API: 1,000,000 steps with 4 metrics")
    root = folder / "million"
    make_run(root, "million", MILLION)
    server = Server(folder / "runs-million", UNLIMITED)
    imported(report, server, root, MILLION)
    shutil.rmtree(root)
    server.start()
    for path in ("metrics_step", "metrics", "metrics_step?downsample=1000"):
        first, whole, size = fetch(f"{server.url}/api/runs/million/{path}")
        report.add(f"{path}: first byte", first, "s", most=None if "?" in path else 1, note=f"all {size / 1e6:,.1f} MB in {whole:.1f} s")
    report.add("worker memory", server.worker_resident_bytes() / 1e6, "MB", most=500)
    server.stop()


class Readers:
    """Log sockets that record the arrival time of each line."""

    def __init__(self, url: str, runs: list[str], count: int) -> None:
        self.seen: list[tuple[str, float]] = []
        self._sockets = [_open(url, runs[number % len(runs)]) for number in range(count)]
        for reader in self._sockets:
            threading.Thread(target=self._read, args=(reader,), daemon=True).start()

    def _read(self, reader: socket.socket) -> None:
        data = b""
        with contextlib.suppress(OSError):
            while piece := reader.recv(65536):
                now = time.perf_counter()
                data += piece
                while len(data) >= 2 and len(data) >= 2 + (data[1] & 127):
                    size = data[1] & 127
                    self.seen.append((data[2 : 2 + size].decode(), now))
                    data = data[2 + size :]

    def close(self) -> None:
        for reader in self._sockets:
            with contextlib.suppress(OSError):
                reader.shutdown(socket.SHUT_RDWR)
            reader.close()


def _open(url: str, run: str) -> socket.socket:
    host, port = url.removeprefix("http://").split(":")
    reader = socket.create_connection((host, int(port)), timeout=60)
    key = base64.b64encode(os.urandom(16)).decode()
    reader.sendall(
        f"GET /api/runs/{run}/logs/ws?tail=1 HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += reader.recv(1)
    return reader


def _post(url: str, run: str, texts: list[str]) -> None:
    host = url.removeprefix("http://")
    connection = http.client.HTTPConnection(host, timeout=60)
    body = "\n".join(json.dumps({"type": "log", "data": {"text": text}}) for text in texts)
    connection.request("POST", f"/api/runs/{run}/events", body=body)
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 200


def live_logs(report: Report, server: Server, writer: Server | None = None) -> None:
    """Latency from the acknowledgement of a line to its WebSocket frame. `writer`: the server that receives the lines (the same, or another of the cluster)."""
    report.heading("Live logs: acknowledgement to frame" + (", written by one server, read from another" if writer else ""))
    for sockets, tasks, rate, batch in ((200, 200, 2_000, 20), (50, 1, 100, 2)):
        runs = [f"bench-{sockets}-{number}" for number in range(tasks)]
        for run in runs:
            _post((writer or server).url, run, ["begin"])
        readers = Readers(server.url, runs, sockets)
        # Wait until every socket has its history: lines that arrive before are part of it.
        wait_until(lambda found=readers.seen, count=sockets: len(found) >= count, 30, "every reader has had its history")  # type: ignore[misc]
        readers.seen.clear()
        acknowledged: dict[str, float] = {}
        begun = time.perf_counter()
        for number in range(5 * rate // batch):
            texts = [f"{number}.{line}" for line in range(batch)]
            _post((writer or server).url, runs[number % tasks], texts)
            acknowledged |= dict.fromkeys(texts, time.perf_counter())
            time.sleep(max(0.0, begun + (number + 1) * batch / rate - time.perf_counter()))
        expected = len(acknowledged) * (sockets // tasks)
        wait_until(lambda wanted=expected, found=readers.seen: len(found) >= wanted, 30, "every line has come")
        late = [max(0.0, at - acknowledged[text]) * 1000 for text, at in readers.seen if text in acknowledged]
        name = f"{sockets} sockets on {tasks} tasks, {rate:,} lines/s, p99"
        report.add(name, percentile(late, 99), "ms", most=100, note=f"median {median(late):.1f} ms")
        readers.close()


def idle_sockets(report: Report, server: Server, count: int = 1_000) -> None:
    """Memory of an idle socket."""
    _post(server.url, "bench-idle", ["x"])
    Readers(server.url, ["bench-idle"], 50).close()
    before = server.worker_resident_bytes()
    readers = [_open(server.url, "bench-idle") for _ in range(count)]
    time.sleep(1)
    report.add(f"{count:,} idle sockets, each", (server.worker_resident_bytes() - before) / count / 1000, "kB", most=60)
    for reader in readers:
        reader.close()


def sockets_of_a_cluster(report: Report, folder: Path, env: dict[str, str]) -> None:
    """Live logs of two servers that share Elasticsearch and Redis: one receives the lines, the other has the sockets."""
    reader, writer = (Server(folder / name, env | UNLIMITED) for name in ("reader", "writer"))
    try:
        live_logs(report, reader.start(), writer.start())
    finally:
        reader.stop()
        writer.stop()


def sockets(report: Report, folder: Path) -> None:
    """Live logs of one server with its embedded store."""
    server = Server(folder / "sockets", UNLIMITED)
    server.start()
    try:
        live_logs(report, server)
        idle_sockets(report, server)
    finally:
        server.stop()
