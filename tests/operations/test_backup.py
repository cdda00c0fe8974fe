"""`tidemark backup` while the server works, `tidemark restore` into an empty installation: every answer is the same."""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import sqlite3
import stat
import threading
from pathlib import Path
from typing import Any

import pytest
import requests

from apiserver.operations.backup import copy_file
from apiserver.stores.sqlite.backup import copy as sqlite_copy
from tests.client import Client, image, log, plot, scalar, vector
from tests.cluster.test_operations import run
from tests.conftest import StartServer, credentials, own_store
from tests.process import Server

RUN = "run-of-the-backup"


def fill(server: Server, task: str) -> None:
    client = server.client(*credentials(server))
    client.call("tasks.create", name="made", type="training")
    events = [scalar(task, iter=step, value=step / 7, timestamp=1_700_000_000_000 + step) for step in range(300)]
    events += [log(task, f"line {n}", timestamp=1_700_000_000_000 + n) for n in range(50)]
    events += [vector(task, [1.0, 2.0]), plot(task), image(task, url=f"http://files/p/t.{task}/a.png")]
    client.add_batch(events)
    requests.post(f"{server.url}/files", files={f"p/t.{task}/a.png": b"picture" * 1000}, auth=credentials(server), timeout=30)
    rows = b"".join(b'{"ts":%d,"type":"metrics","data":{"global_step":%d,"loss":0.5}}\n' % (n, n) for n in range(20))
    requests.post(f"{server.url}/api/runs/{RUN}/events", data=rows, auth=credentials(server), timeout=30)


def answers(server: Server, task: str) -> dict[str, Any]:
    """What readers see, by call."""
    client: Client = server.client(*credentials(server))
    calls: dict[str, dict[str, Any]] = {
        "events.scalar_metrics_iter_histogram": {"task": task, "samples": 0},
        "events.get_task_log": {"task": task, "batch_size": 100},
        "events.get_task_plots": {"task": task},
        "events.get_task_metrics": {"tasks": [task], "event_type": "log"},
        "events.get_task_latest_scalar_values": {"task": task},
        "events.get_vector_metrics_and_variants": {"task": task},
        "events.get_task_storage": {"task": task},
        "tasks.get_all_ex": {"only_fields": ["id", "name", "last_metrics", "last_iteration", "created"], "order_by": ["id"]},
        "projects.get_all": {"order_by": ["id"]},
        "users.get_all": {},
    }
    seen = {name: client.call(name, **request) for name, request in calls.items()}
    seen["events"] = client.events(task)
    seen["files"] = requests.get(f"{server.url}/files/p/t.{task}/a.png", auth=credentials(server), timeout=30).content.decode()
    seen["run"] = requests.get(f"{server.url}/api/runs/{RUN}/metrics_step", auth=credentials(server), timeout=30).json()
    for plots in seen["events.get_task_plots"].get("plots", []):
        plots.pop("scroll_id", None)
    for name in ("scroll_id",):
        for answer in seen.values():
            if isinstance(answer, dict):
                answer.pop(name, None)
    return json.loads(json.dumps(seen).replace(server.url, ""))  # type: ignore[no-any-return]


def test_a_backup_of_a_running_server_restores_every_answer(
    start_server: StartServer, engine_env: dict[str, str], tmp_path: Path, task: str
) -> None:
    store = own_store(engine_env)
    server = start_server(TIDEMARK_AUTH="required", **store)
    fill(server, task)
    before = answers(server, task)
    stop = threading.Event()
    writer = threading.Thread(target=_write_on, args=(server, stop))
    writer.start()  # to other tasks: a backup holds up nobody
    folder = tmp_path / "backup"
    try:
        made = run("backup", str(folder), "--json", **store, TIDEMARK_DATA=str(server.data))
    finally:
        stop.set()
        writer.join()
    assert made.returncode == 0 and json.loads(made.stdout)["documents"] > 0, made.stderr
    again = run("backup", str(folder), **store, TIDEMARK_DATA=str(server.data))
    assert again.returncode == 2 and "not empty" in again.stderr
    refused = run("restore", str(folder), **store, TIDEMARK_DATA=str(server.data))
    assert refused.returncode == 2 and len(refused.stderr.splitlines()) == 1, refused.stderr
    server.stop()

    other = own_store(engine_env)
    data = tmp_path / "restored" / "data"
    done = run("restore", str(folder), **other, TIDEMARK_DATA=str(data))
    assert done.returncode == 0, done.stderr
    restored = start_server(TIDEMARK_AUTH="required", folder="restored", **other)
    assert restored.data == data
    after = answers(restored, task)
    for name, answer in before.items():
        if name == "tasks.get_all_ex":  # tasks that the writer made meanwhile are there too
            mine = {one["id"]: one for one in after[name]["tasks"]}
            assert [mine[one["id"]] for one in answer["tasks"] if "writer" not in one["id"]]
            assert all(mine[one["id"]] == one for one in answer["tasks"] if "writer" not in one["id"])
        elif name != "projects.get_all":
            assert after[name] == answer, name


def test_an_embedded_installation_moves_to_a_cluster(
    start_embedded: StartServer, engine_env: dict[str, str], tmp_path: Path, task: str, engine: str
) -> None:
    if engine == "sqlite":
        return
    server = start_embedded(TIDEMARK_AUTH="required")
    fill(server, task)
    client = server.client(*credentials(server))
    odd = [
        scalar(task, iter=step, value=value, worker=f"host{step}", unit={"of": "m"}) for step, value in ((5, float("nan")), (6, math.inf))
    ]
    odd += [scalar(task, "single", iter=-(2**31), value=4.5), {**scalar(task, "late"), "iter": None}, log(task, "l" * 9000, level="error")]
    client.add_batch([*odd, scalar("deleted", iter=1)])
    client.call("events.delete_for_task", task="deleted")
    client.call("tasks.edit", task=task, tags=["kept"])
    before = answers(server, task)
    folder = tmp_path / "backup"
    assert run("backup", str(folder), TIDEMARK_DATA=str(server.data)).returncode == 0
    digests = json.loads((folder / "backup.json").read_text())["digests"]

    store = own_store(engine_env)
    done = run("restore", str(folder), **store, TIDEMARK_DATA=str(tmp_path / "cluster" / "data"))
    assert done.returncode == 0 and "nothing is missing" in done.stdout, done.stderr
    again = run("restore", str(folder), **store, TIDEMARK_DATA=str(tmp_path / "another"))
    assert again.returncode == 2 and "not empty" in again.stderr and len(again.stderr.splitlines()) == 1
    assert digests == {
        str(path.relative_to(folder)): _sha256(path) for path in folder.rglob("*") if path.is_file() and path.name != "backup.json"
    }
    cluster = start_embedded(TIDEMARK_AUTH="required", folder="cluster", **store)
    assert credentials(cluster) == credentials(server)
    after = answers(cluster, task)
    for name, answer in before.items():
        assert after[name] == answer, name
    for each in (server, cluster):  # the tasks go on where they were
        each.client(*credentials(each)).add_batch(
            [scalar(task, iter=step, value=step / 9, timestamp=1_700_000_009_000) for step in (5, 1000)]
        )
    now, then = answers(cluster, task), answers(server, task)
    for each in (now, then):  # the time of the batch
        del each["events.get_task_latest_scalar_values"]["last_timestamp"]
    assert now["events.scalar_metrics_iter_histogram"] == then["events.scalar_metrics_iter_histogram"]
    assert now["events.get_task_latest_scalar_values"] == then["events.get_task_latest_scalar_values"]
    doctor = run("doctor", **store, TIDEMARK_DATA=str(cluster.data))
    assert doctor.returncode == 0, doctor.stdout


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _write_on(server: Server, stop: threading.Event) -> None:
    client = server.client(*credentials(server))
    number = 0
    while not stop.is_set():
        client.add_batch([scalar("writer", iter=number + step) for step in range(50)])
        number += 50


def test_a_backup_that_was_changed_is_not_restored(
    start_server: StartServer, engine_env: dict[str, str], tmp_path: Path, engine: str
) -> None:
    if engine != "sqlite":
        return
    server = start_server()
    server.client().add_batch([scalar("t", iter=1)])
    folder = tmp_path / "backup"
    assert run("backup", str(folder), TIDEMARK_DATA=str(server.data)).returncode == 0
    with (folder / "tidemark.db").open("r+b") as file:
        file.seek(5000)
        file.write(b"x")
    done = run("restore", str(folder), TIDEMARK_DATA=str(tmp_path / "new"))
    assert done.returncode == 2 and "changed since the backup" in done.stderr
    assert not (tmp_path / "new" / "tidemark.db").exists()


def test_copies_of_keys_and_databases_are_at_no_moment_readable_by_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    modes = []

    def copied(given: Any, made: Any, length: int) -> None:
        modes.append(stat.S_IMODE(os.fstat(made.fileno()).st_mode))
        made.write(given.read())

    monkeypatch.setattr(shutil, "copyfileobj", copied)
    source = tmp_path / "source"
    source.write_bytes(b"secret")
    source.chmod(0o644)
    before = os.umask(0)
    try:
        copy_file(source, tmp_path / "secret", is_secret=True)
        copy_file(source, tmp_path / "plain")
        with sqlite3.connect(tmp_path / "given.db") as database:
            database.execute("CREATE TABLE t (x)")
        sqlite_copy(tmp_path / "given.db", tmp_path / "made.db")
    finally:
        os.umask(before)
    assert modes == [0o600, 0o600]
    kept = {name: stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("secret", "plain", "made.db")}
    assert kept == {"secret": 0o600, "plain": 0o644, "made.db": 0o600}
    with pytest.raises(FileExistsError):
        copy_file(source, tmp_path / "secret")
