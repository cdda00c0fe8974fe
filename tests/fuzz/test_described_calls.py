"""Calls that schemathesis makes from `/api/openapi.json`: no answer is a 5xx, and each answer is one that the description has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance, status_code_conformance

from tests.conftest import own_store
from tests.fuzz.costs import check_memory, costs_seconds
from tests.fuzz.test_broken_batches import numbers
from tests.process import Server

SAMPLE = 1
"""Calls of an operation and kind; `--fuzz 100000` makes fifty times as many, more than 5,000 in all."""
SHARE = {"sqlite": 1, "elastic": 5}
"""In `make test` every so many operations of the ClearML calls; those of the runs API always, four times."""
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
LINES = b'{"type":"metrics","data":{"global_step":%d,"loss":0.5,"phase":"a","bad":null}}\n{"type":"log","data":{"line":"x"}}\n'


@schemathesis.serializer("application/x-ndjson", "application/json-lines")
def as_lines(_: object, value: object) -> bytes:
    """A body of JSON lines is a text, as the description says."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")


@pytest.fixture(scope="module")
def own_server(engine_env: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that may be filled with rubbish; it counts no requests."""
    env = {**own_store(engine_env), "TIDEMARK__runs__requests_per_minute": "0"}
    server = Server(tmp_path_factory.mktemp("described"), env)
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
def test_calls_made_from_the_description_are_answered_as_it_says(
    own_server: Server, engine: str, request: pytest.FixtureRequest, mode: GenerationMode
) -> None:
    client = own_server.client()
    description = schemathesis.openapi.from_dict(client.send("GET", "/api/openapi.json").json)
    runs = ["run-a", "run b"]
    for run in runs:
        for step in range(3):
            assert client.send("POST", f"/api/runs/{run.replace(' ', '%20')}/events", LINES % step).status == 200
    client.send("GET", "/api/runs/run-a/export?format=parquet")  # loads pyarrow: 47 MB, once
    examples = len(numbers(request.config, SAMPLE))
    begin = int(request.config.getoption("--fuzz-from"))
    if examples == SAMPLE:
        made = make_calls(own_server, engine, description, mode, runs, examples, begin)
    else:
        made = make_calls(own_server, engine, description, mode, runs, examples // 2, begin)
        before = own_server.resident_bytes()
        made += make_calls(own_server, engine, description, mode, runs, examples - examples // 2, begin + 1)
        print(f"{made} {mode.value} calls, {before / 1e6:.0f} MB after half of them, {own_server.resident_bytes() / 1e6:.0f} MB at the end")
        check_memory(own_server, before)
    assert made >= examples * 40
    assert client.raw("/debug.ping").codes == (200, 0)


def make_calls(server: Server, engine: str, description: Any, mode: GenerationMode, runs: Sequence[str], examples: int, begin: int) -> int:
    """So many calls of each operation, of the runs API four times as many; how many there were."""
    made = 0
    for number, found in enumerate(description.get_all_operations()):
        operation = found.ok()
        if mode is GenerationMode.NEGATIVE and not (operation.query or operation.body or operation.path_parameters):
            continue  # nothing that could be wrong
        of_runs = operation.path.startswith("/api/")
        if examples == SAMPLE and not of_runs and number % SHARE[engine]:
            continue

        @seed(begin)
        @settings(
            max_examples=4 * examples if of_runs else examples,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode), run=st.sampled_from([None, *runs]))
        def call(case: schemathesis.Case, run: str | None) -> None:
            nonlocal made
            made += 1
            if run is not None and "run_id" in case.path_parameters:
                case.path_parameters["run_id"] = run
            with costs_seconds(server):
                response = case.call(base_url=server.url, timeout=30)
            case.validate_response(response, checks=CHECKS)

        call()
    return made
