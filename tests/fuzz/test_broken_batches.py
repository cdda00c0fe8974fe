"""Thousands of broken bodies: never a 5xx, the server lives, the good lines of each batch are stored.

`make test` sends a sample, `make fuzz` all of them; `--fuzz-seed` repeats one.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable

import pytest

from tests.client import Answer, Client, json_lines, log
from tests.fuzz.broken import Case, batch, whole_body

LINES = {"Content-Type": "application/json-lines"}


SAMPLE = 2000
"""Calls of the greatest tests in `make test`."""


def numbers(config: pytest.Config, sample: int = SAMPLE, everyday: int | None = None) -> list[int]:
    """The seeds of this run; a campaign sends as many times more of everything as `--fuzz` is greater than the sample. `everyday`: fewer than the
    sample where there is no campaign."""
    one = config.getoption("--fuzz-seed")
    if one is not None:
        return [int(one)]
    campaign, start = int(config.getoption("--fuzz")), int(config.getoption("--fuzz-from"))
    if not campaign:
        return list(range(everyday or sample))
    return list(range(sample * start // SAMPLE, sample * (start + campaign) // SAMPLE))


def send(client: Client, case: Case, path: str) -> Answer:
    return client.raw(path, case.body, headers={**LINES, **case.headers})


def in_threads(work: Callable[[int], None], seeds: list[int], count: int = 4) -> None:
    """Run over the seeds on a few threads; raise the first failure, with its seed."""
    failures: list[tuple[int, BaseException]] = []
    queue = iter(seeds)
    lock = threading.Lock()

    def run() -> None:
        while not failures:
            with lock:
                seed = next(queue, None)
            if seed is None:
                return
            try:
                work(seed)
            except BaseException as error:
                failures.append((seed, error))

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed, error in failures:
        raise AssertionError(f"seed {seed}: {error}") from error


def test_broken_lines_cost_nobody_else_anything(server: Client, engine: str, request: pytest.FixtureRequest) -> None:
    def work(seed: int) -> None:
        case = batch(seed)
        answer = send(server, case, "/events.add_batch")
        assert answer.status in (200, 400), (answer.status, answer.body[:300])
        if case.good:
            assert answer.status == 200 or answer.codes == (400, 12), answer.meta
        if answer.status == 200:
            assert answer.data["errors"] == sum(answer.data["errors_info"].values())
            if case.good:
                assert [text for text in server.log(case.task) if text in set(case.good)] == case.good
        elif answer.codes == (400, 131):
            assert answer.data["added"] == 0 < answer.data["errors"]

    in_threads(work, numbers(request.config, everyday=SAMPLE if engine == "sqlite" else SAMPLE // 8))
    assert server.raw("/debug.ping").codes == (200, 0)


@pytest.mark.parametrize(
    "path", ["/events.add_batch", "/events.add", "/v2.1/events.add_batch", "/events.get_task_log", "/debug.ping", "/tasks.create"]
)
def test_bodies_that_are_broken_as_a_whole_are_refused(server: Client, request: pytest.FixtureRequest, path: str) -> None:
    def work(seed: int) -> None:
        case = whole_body(seed)
        answer = send(server, case, path)
        assert answer.status in (200, 400, 413), (answer.status, answer.body[:300])

    in_threads(work, numbers(request.config, 100))
    assert server.raw("/debug.ping").codes == (200, 0)


PATHS = [
    "/",
    "/%00",
    "/v2.1/",
    "/events.add_batch%00",
    "/" + "a" * 5000,
    "/..%2f..%2fetc.passwd",
    "/v999999999999.9/debug.ping",
    "/v2.1/events.add/x",
    "/%c3%a9",
    "/%ff",
    "/?%ff=%fe&a[=1&[]=2&.=3",
]


@pytest.mark.parametrize("path", PATHS)
def test_odd_paths_are_answered_below_500(server: Client, path: str) -> None:
    assert server.send("GET", path).status < 500


def test_odd_headers_are_answered_below_500(server: Client) -> None:
    rng = random.Random(1)
    names = [
        "Authorization",
        "Cookie",
        "X-Clearml-Worker",
        "X-Clearml-Trx",
        "Content-Type",
        "Content-Encoding",
        "Accept-Encoding",
        "Origin",
        "Host",
    ]
    values = [
        "",
        "\xff\xfe",
        "a" * 4000,
        "Basic ====",
        "Basic " + "A" * 1000,
        "Bearer " + "." * 50,
        "clearml_token_basic=x",
        "%00",
        "gzip;q=x",
        "null",
        "\t",
    ]
    for _ in range(300):
        headers = {rng.choice(names): rng.choice(values) for _ in range(rng.randrange(1, 4))}
        assert server.send("POST", "/events.get_task_log", b'{"task": "t"}', headers).status < 500, headers


def test_a_good_batch_is_stored_after_all_of_this(server: Client, task: str) -> None:
    server.add_batch(json_lines([log(task, "still here")]))
    assert server.log(task) == ["still here"]
