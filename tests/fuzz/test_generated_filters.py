"""Lists with generated filters: no answer is a 5xx, and no answer breaks its own schema."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from tests.answers import check_data
from tests.conftest import own_store
from tests.fuzz.filters import LISTS, Filters
from tests.fuzz.generated import Pool
from tests.fuzz.test_broken_batches import in_threads, numbers
from tests.fuzz.test_generated_calls import attempt, fill
from tests.process import Server

SAMPLE = 400
"""Calls in `make test`; `--fuzz 500000` makes 10,000 of each list."""


@pytest.fixture(scope="module")
def own_server(engine_env: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("filters"), own_store(engine_env), check=check_data)
    try:
        yield server.start()
    finally:
        server.stop()


def test_lists_with_generated_filters_never_crash(own_server: Server, request: pytest.FixtureRequest) -> None:
    client = own_server.client()
    projects = [client.call("projects.create", name=f"fuzz/project {number}", tags=["a"])["id"] for number in range(3)]
    tasks = [
        client.new_task(
            f"task {number}",
            project=projects[number % 3],
            tags=["a", "ä"][: number % 3],
            hyperparams={"General": {"lr": {"value": str(number)}}, "Args": {"a.b.c": {"value": "x"}}},
            comment="x" * number,
        )
        for number in range(12)
    ]
    models = [
        client.call("models.create", name=f"model {number}", uri=f"file:///{number}", project=projects[0])["id"] for number in range(4)
    ]
    for task in tasks[:4]:
        fill(client, task)
    pool = Pool(tasks, models, projects)
    filters = Filters(pool)
    crashed: dict[str, str] = {}
    codes: Counter[int] = Counter()

    def work(seed: int) -> None:
        status = attempt(client, pool, crashed, seed, *filters.call(seed))
        if status is not None:
            codes[status] += 1

    in_threads(work, numbers(request.config, SAMPLE))
    assert not crashed, f"{len(crashed)} endpoints:\n" + "\n".join(f"{name}: {what}" for name, what in sorted(crashed.items()))
    if request.config.getoption("--fuzz-seed") is None:  # otherwise the filters are refused before they are tried
        assert codes[200] > sum(codes.values()) / 4 and codes[400] > len(LISTS)
