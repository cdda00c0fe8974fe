"""Long work gives way: what holds the event loop of a worker at a stretch, in CPU time of its thread, which other load hardly changes.

`python -m tests.bench.holds` names every such stretch of every known overload.
"""

from __future__ import annotations

import re
import sys
import time
import uuid
from pathlib import Path

import pytest

from apiserver.common.json_shape import check_shape
from apiserver.errors import BadBody
from tests.bench import holds
from tests.client import json_lines, scalar
from tests.conftest import dismiss, own_store
from tests.process import ROOT, Server

SERIES = 4_000


def test_a_batch_of_many_series_is_stored_in_short_stretches(engine_env: dict[str, str], tmp_path: Path) -> None:
    """On Elasticsearch 20,000 series took 760 ms at a stretch, 4,000 a fifth of that."""
    stretches = tmp_path / "holds"
    stretches.write_text("")
    env = {**own_store(engine_env), "TIDEMARK_HOLDS": str(stretches), "PYTHONPATH": str(ROOT)}
    server = Server(tmp_path / "server", env, program=[sys.executable, holds.__file__]).start()
    try:
        client = server.client()
        task = uuid.uuid4().hex
        client.add_batch([scalar(task, f"m{number}") for number in range(100)])  # loads what is loaded on first use
        before = len(stretches.read_text())
        client.add_batch([scalar(task, f"n{number}") for number in range(SERIES)])
        client.call("tasks.get_by_id", task=task)
        held = [float(found) for found in re.findall(r"(\d+) ms", stretches.read_text()[before:])]
    finally:
        dismiss(server)
    assert max(held, default=0) < 70


def test_a_body_of_too_many_lists_is_refused_at_its_beginning() -> None:
    """15 MB took 50 ms before the first turn for others; refused after the first quarter of a megabyte or two it is 2."""
    body = b'{"task": [' + b"[]," * 5_000_000 + b"[]]}"
    began = time.thread_time()
    with pytest.raises(BadBody, match="250000"):
        check_shape(body)
    assert time.thread_time() - began < 0.012


def test_tasks_of_a_batch_are_counted_while_it_is_read(shared_server: Server) -> None:
    """20,000 of 100,000 were grouped before their number was looked at."""
    body = json_lines([scalar(f"{number:x}" * 8, "m") for number in range(100_000)])
    answer = shared_server.client().raw("/events.add_batch", body, headers={"Content-Type": "application/json-lines"})
    assert answer.codes == (400, 12) and "max_batch_tasks" in answer.meta["result_msg"]
    assert int(answer.meta["result_msg"].rpartition("got ")[2].rstrip(")")) < 5_000
