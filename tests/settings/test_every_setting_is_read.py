"""No setting is decoration: each is read by a server at work, or by a command."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import get_type_hints

import requests
from websockets.sync.client import connect

from apiserver.settings import Settings
from tests.client import Client, plot, scalar
from tests.process import ROOT, Server, free_port
from tests.servers import elasticsearch_url, redis_url

RECORDER = Path(__file__).with_name("recorder.py")
ALL = {f"{section}.{field.name}" for section, kind in get_type_hints(Settings).items() for field in dataclasses.fields(kind)}


def program(notes: Path) -> list[str]:
    return [sys.executable, str(RECORDER), str(notes)]


def use(server: Server) -> None:
    """One call of each kind that has settings of its own."""
    client = server.client()
    task = uuid.uuid4().hex  # a new one at each start: it is given a generation
    client.add_batch([scalar(task, iter=step) for step in range(3)] + [plot(task, plot_str="no json")])
    token = client.call("auth.login")["token"]
    Client(server.url, token=token).call("events.get_task_events", task=task)
    answer = client.send("POST", "/auth.login", b"{}", {"Content-Type": "application/json", "Origin": "http://localhost:1"})
    assert answer.headers["access-control-allow-origin"] == "http://localhost:1"
    client.send("OPTIONS", "/auth.login", None, {"Origin": "http://localhost:1", "Access-Control-Request-Method": "POST"})
    client.send("GET", "/debug.ping", None, {"Cookie": "clearml_token_basic=x"})
    assert requests.post(f"{server.url}/files", files={"a.txt": b"x"}, timeout=30).ok
    rows = requests.post(f"{server.url}/api/runs/r/events", data=b'{"type":"metrics","data":{"global_step":1,"loss":2}}\n', timeout=30)
    assert rows.ok and requests.get(f"{server.url}/api/runs/r/metrics_step", timeout=30).ok
    for path in ("/api/runs/r/logs/ws", "/api/live"):
        with connect(server.url.replace("http", "ws", 1) + path):
            pass
    if "TIDEMARK__auth__web_access_key" in server.env:
        server.client("web", "public").call("auth.login")


def read_on(folder: Path, env: dict[str, str], *, command: str = "serve") -> set[str]:
    """The settings that a server at work reads, or that a command reads. The server is started twice: the second time it finds its data."""
    notes = folder / "notes"
    folder.mkdir()
    if command == "serve":
        server = Server(folder, env, program=program(notes))
        server.env |= {"PYTHONPATH": str(ROOT)}
        for _ in range(2):
            try:
                use(server.start())
            finally:
                server.stop()
    else:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("TIDEMARK_")}
        more = {"TIDEMARK_DATA": str(folder / "data"), "PYTHONPATH": str(ROOT)}
        subprocess.run([*program(notes), command], env=clean | more | env, cwd=folder, capture_output=True, timeout=120, check=False)
    return set(notes.read_text().split())


def test_every_setting_is_read(tmp_path: Path) -> None:
    web_key = {"TIDEMARK__auth__web_access_key": "web", "TIDEMARK__auth__web_secret_key": "public"}
    login = {"TIDEMARK_STORE_USER": "elastic", "TIDEMARK_STORE_PASSWORD": "not needed here"}
    tls = {"TIDEMARK_STORE": f"https://127.0.0.1:{free_port()}", "TIDEMARK_STATE": f"rediss://127.0.0.1:{free_port()}"}
    read = (
        read_on(tmp_path / "embedded", web_key)
        | read_on(tmp_path / "cluster", {**login, "TIDEMARK_STORE": elasticsearch_url(), "TIDEMARK_STATE": redis_url()})
        | read_on(tmp_path / "tls", tls, command="doctor")
    )
    assert sorted(ALL - read) == []
