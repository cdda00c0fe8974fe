"""`tidemark migrate clearml`, with another Tidemark as the old server."""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from apiserver import hocon
from apiserver.bll.events.event_decoder import EventDecoder
from apiserver.operations.migrate.target import line_of
from apiserver.service_repo.schema import SchemaSet
from apiserver.settings import SCHEMA
from tests.client import Client, image, log, plot, scalar, vector
from tests.process import Server
from tests.runs.conftest import tidemark

Migrate = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def new(tmp_path: Path) -> Iterator[Server]:
    """The server that is migrated to; it does not run yet."""
    server = Server(tmp_path / "new", {}, (), None)
    yield server
    server.stop()


@pytest.fixture
def migrate(shared_server: Server, shared_credentials: tuple[str, str], new: Server) -> Migrate:
    """Run the command from the shared server to the new one."""
    key, secret = shared_credentials

    def run(*args: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        where = ("--data", str(new.data), "--files", f"{shared_server.url}/files")
        return tidemark("migrate", "clearml", shared_server.url, "--key", key, "--secret", secret, *where, *args, code=code)

    return run


def filled(server: Client, url: str) -> tuple[str, str, str]:
    """A project with a published task that has everything, and a model; their ids."""
    project = f"old/{uuid.uuid4().hex}"
    id = server.call("projects.create", name=project)["id"]
    params = {"General": {"lr": {"section": "General", "name": "lr", "value": "0.1"}}}
    task = server.new_task("trained", project=id, hyperparams=params, tags=["blue"])
    name = f"{task}/img.png"
    answer = requests.post(f"{url}/files/", files={name: (name, b"\x89PNG image")}, timeout=30)
    assert answer.status_code == 200
    artifact = {"key": "weights", "type": "custom", "uri": f"{url}/files/{name}", "content_size": 10}
    server.call("tasks.add_or_update_artifacts", task=task, artifacts=[artifact, {**artifact, "key": "kept", "uri": "s3://bucket/kept"}])
    model = server.call("models.create", name="net", uri=f"{url}/files/{name}", task=task, project=id)["id"]
    server.add_batch(
        [
            *(scalar(task, iter=step, value=step / 3, timestamp=1_600_000_000_000 + step) for step in range(300)),
            scalar(task, iter=300, value=1.0, worker="another", note="kept"),
            scalar(task, "single", "value", iter=-(2**31), value=7.0),
            vector(task, [1.0, 2.0], iter=1),
            plot(task, iter=2, plot_str='{"data": [{"source": "' + f"{url}/files/{name}" + '"}]}'),
            image(task, iter=3, url=f"{url}/files/{name}", key="k"),
            image(task, iter=4, url="https://elsewhere/1.png", key="k"),
            *(log(task, f"line {number}", timestamp=1_600_000_000_000 + number // 2) for number in range(50)),
        ]
    )
    server.add_batch([scalar(model, iter=5, value=5.0, model_event=True, allow_locked=True)])
    server.call("tasks.started", task=task)
    server.call("tasks.completed", task=task)
    server.call("tasks.publish", task=task)
    return project, task, model


def known(client: Client, task: str, model: str) -> dict[str, Any]:
    """What both sides must say alike."""
    body = client.call("tasks.get_by_id", task=task)["task"]
    return {
        "task": {name: value for name, value in body.items() if name not in ("company", "user", "last_changed_by", "execution")},
        "artifacts": [item["key"] for item in body["execution"]["artifacts"]],
        "project": client.call("projects.get_by_id", project=body["project"])["project"]["name"],
        "model": {
            name: client.call("models.get_by_id", model=model)["model"].get(name) for name in ("name", "task", "created", "last_iteration")
        },
        "scalars": [
            {name: value for name, value in e.items() if name != "@timestamp"} for e in client.events(task, "training_stats_scalar")
        ],
        "vectors": [(e["iter"], e.get("value") or e.get("values")) for e in client.events(task, "training_stats_vector")],
        "log": [(e["timestamp"], e["msg"]) for e in client.events(task, "log")],
        "images": [(e["iter"], e["key"]) for e in client.events(task, "training_debug_image")],
    }


def test_a_server_is_copied_whole_and_again_without_change(server: Client, shared_server: Server, migrate: Migrate, new: Server) -> None:
    project, task, model = filled(server, shared_server.url)
    counted = migrate("--project", project, "--dry-run").stdout
    assert "1 task and 1 model" in counted and f"{303:>15,}  training_stats_scalar" in counted and not (new.data / "migrate").exists()
    report = json.loads(migrate("--project", project, "--dry-run", "--json").stdout)
    assert (report["tasks"], report["counts"]["training_stats_scalar"], report["dry_run"]) == (1, 303, True)
    first = migrate("--project", project).stdout
    assert "Both sides hold the same events." in first and "1 file (" in first
    again = migrate("--project", project).stdout
    assert "(2 did not change)" in again and "0 events and 0 files" in again
    server.add_batch([log(task, "late", allow_locked=True), scalar(task, iter=301, value=1.0, allow_locked=True)])
    late = json.loads(migrate("--project", project, "--json").stdout)
    assert (late["differences"], late["problems"], late["dry_run"]) == ([], [], False) and late["events"] > 0
    new.start()
    client = new.client()
    assert known(client, task, model) == known(server, task, model)
    urls = [event["url"] for event in client.events(task, "training_debug_image")]
    assert urls[1] == "https://elsewhere/1.png" and shared_server.url not in urls[0]
    path = urls[0].split("/files/", 1)[1]
    assert requests.get(f"{new.url}/files/{path}", timeout=30).content == b"\x89PNG image"
    artifacts = {item["key"]: item["uri"] for item in client.task(task)["execution"]["artifacts"]}
    assert artifacts["kept"] == "s3://bucket/kept" and artifacts["weights"] == urls[0]
    (drawn,) = client.events(task, "plot")
    assert urls[0] in drawn["plot_str"]


def test_what_was_interrupted_is_copied_again_without_repeating_the_log(
    server: Client, shared_server: Server, migrate: Migrate, new: Server
) -> None:
    project, _, _ = filled(server, shared_server.url)
    migrate("--project", project)
    for notes in (new.data / "migrate").glob("*.json"):
        notes.unlink()  # as if it had been killed before it noted the end
    done = migrate("--project", project).stdout
    assert "Both sides hold the same events." in done and f"{50:>15,}  log" in done


def test_wrong_credentials_and_projects_are_said(shared_server: Server, migrate: Migrate, new: Server) -> None:
    where = ("--data", str(new.data))
    assert "can't log in" in tidemark("migrate", "clearml", shared_server.url, "--key", "no", "--secret", "no", *where, code=2).stderr
    assert "there is no project" in migrate("--project", "never made", code=2).stderr


def test_events_take_the_fast_way_through_ingest() -> None:
    """One unknown field sends a line through the careful reader, which is ten times slower."""
    event = {
        "type": "training_stats_scalar", "task": "t", "metric": "m", "variant": "v", "timestamp": 1, "worker": "w", "model_event": False,
        "@timestamp": "2026-01-01T00:00:00.000Z", "iter": 1, "value": 0.5,
    }  # fmt: skip
    decoder = EventDecoder(SchemaSet(SCHEMA, hocon.cache_folder()).definitions("events"))
    found = decoder.fast(line_of(dict(event), "w", model=False))
    assert (found.iter, found.value, found.worker) == (1, 0.5, None)
    log = {**event, "type": "log", "msg": "text", "level": "info", "metric": "", "variant": ""}
    assert decoder.fast(line_of({name: value for name, value in log.items() if name != "value"}, "other", model=False)).worker == "w"
