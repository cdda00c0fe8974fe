"""`tidemark migrate clearml` from ClearML's own server: its documents as recorded, its answers as seen (`clearml_server.py`)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from apiserver.files.storage import FileStorage
from apiserver.operations.migrate.documents import milliseconds
from apiserver.operations.migrate.file_moves import FileMoves
from apiserver.operations.migrate.remote import Remote
from tests.client import Client
from tests.process import Server
from tests.runs.conftest import tidemark
from tests.transfer.clearml_server import FILES, ClearML, recorded
from tests.transfer.raw import RawAnswers

FULL, SMALL, WIDE, EXAMPLE = "8a2cc413bb774a5290d290fe1e84dc6a", "1b274d91b70f4ea98b51b1678f2bf313", "a" * 32, "e" * 32
PROJECT, PUBLIC, USED = "116208bc55584d63b97414415c895624", "b" * 32, "c" * 32
TYPES = ("training_stats_scalar", "training_stats_vector", "training_debug_image", "plot", "log")
SERIES, LINES = 9_960, 12_500
CREATED = "2026-11-21T19:35:38.636763+00:00"


def lines() -> Iterator[dict[str, Any]]:
    """What was reported: recordings of the SDK, and a task whose first page ends at iteration 0, with more than a page of lines."""
    for name in ("mixed_all_kinds", "logs"):
        yield from (line for line in recorded(f"events.add_batch.{name}") if line["task"] == FULL)
    yield {"type": "training_stats_vector", "task": FULL, "metric": "vec", "variant": "v", "iter": 1, "values": [1, 2.5], "timestamp": 5}
    yield from recorded("events.add_batch.model_events")
    yield from (line for line in recorded("events.get_task_events")["events"])
    yield from (line for line in recorded("events.get_task_log")["events"])
    for number in range(-60, SERIES + 20):
        iteration = min(number, 0) if number < SERIES else number - SERIES + 1
        yield {
            "type": "training_stats_scalar",
            "task": WIDE,
            "metric": "m",
            "variant": f"v{number if 0 <= number < SERIES else 0}",
            "iter": iteration,
            "value": number / 7,
            "timestamp": 1_700_000_000_000 + number,
        }
    for number in range(LINES):
        yield {"type": "log", "task": WIDE, "level": "info", "msg": f"line {number}", "timestamp": 1_700_000_000_000 + number // 7}


def documents() -> dict[str, list[dict[str, Any]]]:
    full = recorded("tasks.get_by_id.full")["task"]
    small = {**full, "id": SMALL, "name": "small", "project": USED, "status": "completed", "execution": {}}
    project = recorded("projects.get_by_id")["project"]
    other = {"description": "", "user": "u1", "created": CREATED, "system_tags": [], "tags": []}
    return {
        "users": [{"id": "u1", "name": "Ann"}, {"id": "u2", "name": "Bo", "company": "c1", "created": CREATED, "given_name": "B."}],
        "projects": [
            project,
            {**other, "id": "d" * 32, "name": "proj", "company": "c1", "basename": "proj"},
            {**other, "id": PUBLIC, "name": "ClearML Examples", "company": "", "basename": "ClearML Examples"},
            {**other, "id": USED, "name": "ClearML Examples/Ours", "company": {"id": ""}, "basename": "Ours"},
            *({**other, "id": f"p{number}", "name": f"many/{number}", "company": "c1", "basename": str(number)} for number in range(205)),
        ],
        "tasks": [
            full,
            small,
            {**small, "id": WIDE, "name": "wide", "project": PROJECT, "last_update": "2025-06-01T00:00:00"},
            {**small, "id": EXAMPLE, "name": "an example", "company": "", "company_origin": "c2", "project": PUBLIC},
        ],
        "models": [recorded("models.get_by_id")["model"] | {"uri": f"{FILES}/proj/net.pt"}],
    }


@pytest.fixture
def clearml() -> Iterator[ClearML]:
    urls = {line["url"].removeprefix(FILES) for line in lines() if line.get("url", "").startswith(FILES)}
    files = {url: url.encode() for url in urls if "mplfigimg" not in url}
    with ClearML(lines(), documents(), {**files, "/proj/net.pt": b"weights"}) as server:
        yield server


@pytest.fixture
def new(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path / "new", {}, (), None)
    yield server
    server.stop()


def migrate(clearml: ClearML, new: Server, *args: str, code: int = 0) -> tuple[dict[str, Any], str]:
    command = ("migrate", "clearml", clearml.url, "--key", "k", "--secret", "s", "--files", clearml.url, "--data", str(new.data), "--json")
    done = tidemark(*command, *args, code=code)
    return json.loads(done.stdout), done.stderr


def told(event: dict[str, Any]) -> dict[str, Any]:
    """What was reported of an event: not what a server computes of it, nor how it keeps it."""
    left = ("@timestamp", "plot_len", "plot_data", "plot_str", "url", "method", "allow_locked", "source_urls")
    return {name: found for name, found in event.items() if name not in left}


def in_order(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted((told(event) for event in events), key=lambda event: json.dumps(event, sort_keys=True))


def test_a_clearml_server_is_copied_whole(clearml: ClearML, new: Server) -> None:
    counted, _ = migrate(clearml, new, "--dry-run")
    assert [counted[name] for name in ("users", "projects", "tasks", "models")] == [2, 208, 3, 1]
    assert counted["counts"]["logs of 10,000 lines or more"] == 1 and not new.data.joinpath("migrate").exists()
    clearml.expired = 1
    report, _ = migrate(clearml, new, code=1)
    assert (report["differences"], report["projects"], report["users"]) == ([], 208, 2)
    (problem,) = report["problems"]
    assert "a file was not copied, its address stays" in problem and "mplfigimg" in problem
    counts = {kind: sum(event["type"] == kind and event["task"] != EXAMPLE for event in clearml.events) for kind in TYPES}
    assert report["counts"] == counts and clearml.calls.count("events.get_task_log") >= 4
    again, _ = migrate(clearml, new)
    assert (again["unchanged"], again["public"], again["events"], again["problems"]) == (4, 1, 0, [])

    new.start()
    client = new.client()
    for task in (FULL, SMALL, WIDE):
        for kind in TYPES:
            assert in_order(client.events(task, kind)) == in_order(clearml.of(task, kind)), (task, kind)
    same_documents(clearml, client)
    same_plots_and_files(client, new.url)
    (model,) = clearml.documents["models"]
    found = client.call("events.get_task_events", task=model["id"], model_events=True, batch_size=1000)["events"]
    assert in_order(found) == in_order([event for event in clearml.events if event["task"] == model["id"]])
    uri = client.call("models.get_by_id", model=model["id"])["model"]["uri"]
    assert clearml.url not in uri and uri.endswith("/files/proj/net.pt")


def same_documents(clearml: ClearML, client: Client) -> None:
    """Fields of tasks as they were; last_metrics are our own, of the same values."""
    old = clearml.documents["tasks"][0]
    task = client.task(FULL)
    for name, value in old.items():
        if name == "script":
            assert task[name] | value == task[name]
        elif name in ("started", "created", "last_update", "last_change", "status_changed"):
            assert milliseconds(task[name]) == milliseconds(value), name
        elif name not in ("company", "execution", "last_metrics"):
            assert task[name] == value, name
    for one, other in ((old, task), (task, old)):
        for metric, variants in one["last_metrics"].items():
            for variant, found in variants.items():
                assert other["last_metrics"][metric][variant]["value"] == found["value"], (found["metric"], found["variant"])
    projects = {one["id"]: one for one in client.call("projects.get_all", page_size=500, search_hidden=True)["projects"]}
    assert (task["user"], projects[task["project"]]["name"]) == ("u1", "proj/sub")
    assert USED in projects and PUBLIC not in projects, "a public project comes with the first of our tasks in it"
    assert client.refused("tasks.get_by_id", task=EXAMPLE).codes == (400, 101)
    users = {user["id"]: user["name"] for user in client.call("users.get_all")["users"]}
    assert (users["u1"], users["u2"]) == ("Ann", "Bo")


def same_plots_and_files(client: Client, url: str) -> None:
    reported = {(line["metric"], line["iter"]): line for line in lines() if line["task"] == FULL and line["type"] == "plot"}
    for event in client.events(FULL, "plot"):
        assert event["plot_str"] == reported[event["metric"], event["iter"]]["plot_str"] and "plot_data" not in event
    ours = [event for event in client.events(FULL, "training_debug_image") if "/files/" in event["url"]]
    assert len(ours) > 5
    for event in ours:
        path = event["url"].partition("/files")[2]
        assert requests.get(f"{url}/files{path}", timeout=30).text == path


def test_since_and_project_choose_what_is_copied(clearml: ClearML, new: Server) -> None:
    report, _ = migrate(clearml, new, "--since", "2025-06-01T00:00:01", "--project", "ClearML Examples")
    assert (report["tasks"], report["models"], report["counts"]["training_stats_scalar"], report["differences"]) == (1, 0, 6, [])
    for since, tasks in (("2025-06-01T00:00:01", 2), ("2025-05-31", 3), ("2027-01-01", 0)):
        assert migrate(clearml, new, "--dry-run", "--since", since)[0]["tasks"] == tasks


def test_what_a_key_may_not_see_is_said(clearml: ClearML, new: Server) -> None:
    clearml.refused = {"users.get_all"}
    report, _ = migrate(clearml, new, "--dry-run", "--project", "ClearML Examples")
    assert report["problems"] == ["users can't be copied: users.get_all: Forbidden (role not allowed) (403)"]
    assert (report["tasks"], report["projects"]) == (1, 1)


def test_a_file_that_breaks_off_is_not_taken_for_whole(tmp_path: Path) -> None:
    """By its length, or in the middle of a chunk."""
    answers = (
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\nConnection: close\r\n\r\nten bytes.",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n64\r\nten bytes.",
    )
    storage = FileStorage(tmp_path, max_size=1 << 20, reserve=0)
    storage.prepare()
    with RawAnswers(*answers) as server:
        files, missed = FileMoves(Remote(server.url, "k", "s"), storage, "c1", [server.url], "http://new/files"), list[str]()
        urls = [f"{server.url}/a", f"{server.url}/b"]
        data = json.dumps(urls).encode()
        assert files.rewritten(data, missed) == data
    assert missed == urls and len(files.problems) == 2 and files.copied == 0
