"""`tidemark copy` from a running server into a store of the same or another engine: every answer is the same."""

from __future__ import annotations

import json
import math
import re
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

from tests.client import log, scalar
from tests.cluster.test_operations import run
from tests.conftest import StartServer, credentials, own_store
from tests.operations.test_backup import answers, fill


class Place(NamedTuple):
    """Where an installation is."""

    data: Path
    store: str
    state: str = "memory://"


def copy(source: Place, target: Place) -> subprocess.CompletedProcess[str]:
    given = ("--from", source.store, "--from-state", source.state, "--from-data", str(source.data))
    return run("copy", *given, "--to", target.store, "--to-state", target.state, "--to-data", str(target.data))


def comparable(found: dict[str, Any]) -> dict[str, Any]:
    """Without what is another in every store: the time of arrival, and bytes as received."""
    known = {name: answer for name, answer in found.items() if name != "events.get_task_storage"}
    return json.loads(re.sub('"(@timestamp": "[^"]*"|last_timestamp": [0-9]*)', '"then": ""', json.dumps(known)))  # type: ignore[no-any-return]


def test_an_installation_is_copied_from_sqlite_to_this_engine_and_back(
    start_server: StartServer, engine_env: dict[str, str], tmp_path: Path, task: str, engine: str
) -> None:
    server = start_server(TIDEMARK_AUTH="required", folder="first", TIDEMARK_STORE="", TIDEMARK_STATE="")
    fill(server, task)
    client = server.client(*credentials(server))
    odd = [scalar(task, "odd", iter=step, value=value) for step, value in enumerate((math.nan, math.inf, -math.inf, 1.5))]
    client.add_batch([*odd, scalar(task, "odd", iter=-(2**31), value=9.0), scalar(task, iter=400, value=4.0, note="kept", worker="mine")])
    client.call("events.rewind", task=task, iteration=399)
    place = Place(server.data, f"sqlite:///{server.data}/tidemark.db")
    for folder, env in (("second", own_store(engine_env)), ("third", {})):
        data = tmp_path / folder / "data"
        target = Place(data, env.get("TIDEMARK_STORE", f"sqlite:///{data}/tidemark.db"), env.get("TIDEMARK_STATE", "memory://"))
        done = copy(place, target)
        assert done.returncode == 0 and "Both sides are the same." in done.stdout, done.stderr + done.stdout
        if folder == "second":  # the source serves on: a second call brings what is new
            client.add_batch([log(task, "late", timestamp=1_800_000_000_000)])
            again = copy(place, target)
            assert again.returncode == 0 and "did not change)" in again.stdout and " 0 files" in again.stdout, again.stderr + again.stdout
            before = comparable(answers(server, task))
        place = target
        if folder == "third" and engine != "sqlite":
            continue  # that SQLite's copy answers the same is seen on SQLite; what is there was compared with Elasticsearch's by `copy`
        copied = start_server(
            TIDEMARK_AUTH="required",
            folder=folder,
            TIDEMARK_STORE=env.get("TIDEMARK_STORE", ""),
            TIDEMARK_STATE=env.get("TIDEMARK_STATE", ""),
        )
        after = comparable(answers(copied, task))
        for name, answer in before.items():
            assert after[name] == answer, name
        theirs = copied.client(*credentials(copied))
        (kept,) = theirs.call("events.get_task_events", task=task, rewound=True)["events"]
        assert (kept["iter"], kept["value"], kept["note"], kept["worker"]) == (400, 4.0, "kept", "mine")
        kinds = theirs.call("events.get_series", series=[{"task": task, "metric": "odd"}], buckets=10)["series"][0]
        assert [kinds[name] for name in ("nan", "pos_inf", "neg_inf")] == [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]
    assert place.store.startswith("sqlite:") and before


def test_a_store_is_not_copied_into_itself(start_embedded: StartServer) -> None:
    server = start_embedded()
    store = f"sqlite:///{server.data}/tidemark.db"
    done = run("copy", "--from", store, "--to", store, "--to-data", str(server.data))
    assert done.returncode == 2 and "both source and target" in done.stderr
