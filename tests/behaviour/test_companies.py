"""Two companies on one server: nobody sees anything of the other, whatever ids are guessed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.answers import check_data
from tests.client import ApiError, Client, image, log, plot, scalar, vector
from tests.process import Server

COMPANIES = """{
  clearml { id: d1bd92a3b039400cbafc60a7a5b1e52b, users { default { name: First, role: admin, keys: [{access_key: KEYONE, secret_key: secret-one}] } } }
  other { id: aaaabbbbccccddddeeeeffff00001111, users { second { name: Second, role: admin, keys: [{access_key: KEYTWO, secret_key: secret-two}] } } }
}"""


@pytest.fixture(scope="module")
def two(engine_env: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Client, Client]]:
    """A client of each company, on one server."""
    env = {**engine_env, "TIDEMARK_AUTH": "required", "TIDEMARK__auth__companies": COMPANIES}
    server = Server(tmp_path_factory.mktemp("companies"), env, check=check_data)
    try:
        server.start()
        yield server.client("KEYONE", "secret-one"), server.client("KEYTWO", "secret-two")
    finally:
        server.stop()


def everything(task: str) -> list[dict[str, Any]]:
    return [
        scalar(task, iter=1),
        scalar(task, "Summary", "x", iter=-(2**31)),
        vector(task, [1.0]),
        image(task, iter=1),
        plot(task, iter=1),
        log(task, "mine"),
    ]


READS: list[tuple[str, dict[str, Any]]] = [
    ("events.get_task_log", {"task": "T"}),
    ("events.get_task_events", {"task": "T"}),
    ("events.scalar_metrics_iter_histogram", {"task": "T"}),
    ("events.multi_task_scalar_metrics_iter_histogram", {"tasks": ["T"]}),
    ("events.scalar_metrics_iter_raw", {"task": "T", "metric": {"metric": "loss"}}),
    ("events.get_task_latest_scalar_values", {"task": "T"}),
    ("events.get_task_single_value_metrics", {"tasks": ["T"]}),
    ("events.get_scalar_metrics_and_variants", {"task": "T"}),
    ("events.get_scalar_metric_data", {"task": "T", "metric": "loss"}),
    ("events.get_vector_metrics_and_variants", {"task": "T"}),
    ("events.vector_metrics_iter_histogram", {"task": "T", "metric": "vec", "variant": "v"}),
    ("events.get_task_metrics", {"tasks": ["T"], "event_type": "*"}),
    ("events.get_multi_task_metrics", {"tasks": ["T"]}),
    ("events.get_task_plots", {"task": "T"}),
    ("events.get_multi_task_plots", {"tasks": ["T"]}),
    ("events.plots", {"metrics": [{"task": "T"}]}),
    ("events.debug_images", {"metrics": [{"task": "T"}]}),
    ("events.get_plot_sample", {"task": "T", "metric": "roc"}),
    ("events.get_debug_image_sample", {"task": "T", "metric": "img", "variant": "v"}),
    ("events.download_task_log", {"task": "T"}),
    ("events.get_task_storage", {"task": "T"}),
    ("events.delete_for_task", {"task": "T"}),
    ("events.clear_task_log", {"task": "T"}),
    ("tasks.get_by_id", {"task": "T"}),
]


def _for(task: str, body: dict[str, Any]) -> dict[str, Any]:
    def put(node: Any) -> Any:
        if isinstance(node, dict):
            return {name: put(value) for name, value in node.items()}
        if isinstance(node, list):
            return [put(value) for value in node]
        return task if node == "T" else node

    return put(body)  # type: ignore[no-any-return]


@pytest.mark.parametrize(("endpoint", "body"), READS, ids=[name for name, _ in READS])
def test_a_task_of_another_company_is_an_unknown_task(two: tuple[Client, Client], task: str, endpoint: str, body: dict[str, Any]) -> None:
    mine, theirs = two
    mine.add_batch(everything(task))
    assert theirs.refused(endpoint, _for(task, body)).codes == (400, 101)
    assert mine.log(task) == ["mine"]


def test_the_same_task_id_is_another_task_in_another_company(two: tuple[Client, Client], task: str) -> None:
    mine, theirs = two
    mine.add_batch([scalar(task, iter=1, value=1.0), log(task, "mine", timestamp=1)])
    theirs.add_batch([scalar(task, iter=2, value=2.0), log(task, "mine", timestamp=1)])
    assert mine.histogram(task)["loss"]["train"]["x"] == [1]
    assert theirs.histogram(task)["loss"]["train"]["x"] == [2]
    assert (mine.log(task), theirs.log(task)) == (["mine"], ["mine"])
    theirs.call("events.delete_for_task", task=task)
    assert mine.histogram(task)["loss"]["train"]["x"] == [1]
    assert mine.log(task) == ["mine"]


def test_scroll_and_navigation_ids_of_another_company_are_unknown(two: tuple[Client, Client], task: str) -> None:
    mine, theirs = two
    for client in two:
        client.add_batch(everything(task) + [log(task, f"line {i}", timestamp=i + 1) for i in range(5)])
    scrolls: list[tuple[str, dict[str, Any], str]] = [
        ("events.get_task_log", {"task": task, "batch_size": 2}, "1.5"),
        ("events.get_task_events", {"task": task, "batch_size": 2}, "2.22"),
        ("events.scalar_metrics_iter_raw", {"task": task, "metric": {"metric": "loss"}, "batch_size": 1}, "2.22"),
    ]
    for endpoint, body, version in scrolls:
        scroll = mine.call(endpoint, body, version=version)["scroll_id"]
        assert theirs.refused(endpoint, {**body, "scroll_id": scroll}, version=version).codes == (400, 1104)
        mine.call(endpoint, {**body, "scroll_id": scroll}, version=version)
    shown = mine.call("events.get_debug_image_sample", task=task, metric="img", variant="v")["scroll_id"]
    assert theirs.refused("events.next_debug_image_sample", task=task, scroll_id=shown).codes == (400, 1104)
    shown = mine.call("events.get_plot_sample", task=task, metric="roc")["scroll_id"]
    assert theirs.refused("events.next_plot_sample", task=task, scroll_id=shown).codes == (400, 1104)


def test_listings_show_only_the_own_company(two: tuple[Client, Client], task: str) -> None:
    mine, theirs = two
    mine.add_batch([log(task, "x")])
    assert [found["id"] for found in mine.call("tasks.get_all", id=[task])["tasks"]] == [task]
    assert theirs.call("tasks.get_all", id=[task])["tasks"] == []


def test_a_public_task_is_readable_but_not_writable_by_others(two: tuple[Client, Client]) -> None:
    mine, theirs = two
    task = mine.new_task("for everybody")
    mine.add_batch(everything(task))
    mine.call("tasks.make_public", ids=[task])
    assert theirs.log(task) == ["mine"]
    assert theirs.histogram(task)["loss"]["train"]["x"] == [1]
    assert theirs.call("events.multi_task_scalar_metrics_iter_histogram", tasks=[task])["metrics"]["loss"]["train"][task]["x"] == [1]
    assert theirs.refused("events.delete_for_task", task=task).codes == (403, 21)
    assert theirs.refused("events.clear_task_log", task=task).codes == (403, 21)
    with pytest.raises(ApiError):
        theirs.add(log(task, "theirs"))
    assert mine.log(task) == ["mine"]


def test_a_public_run_of_another_company_takes_no_name_away(two: tuple[Client, Client], task: str) -> None:
    """Own things win: writes go to the own run, and reads and lists show it. (Names of runs are chosen by people.)"""
    mine, theirs = two
    path = f"/api/runs/{task}"
    assert theirs.send("POST", f"{path}/events", b'{"ts": 1, "type": "metrics", "data": {"global_step": 1, "loss": 7}}').status == 200
    theirs.call("tasks.make_public", ids=[task])
    assert mine.send("GET", f"{path}/metrics_step").json["rows"][0]["loss"] == 7
    assert mine.send("POST", f"{path}/events", b'{"ts": 1, "type": "metrics", "data": {"global_step": 1, "loss": 5}}').status == 200
    assert mine.send("GET", f"{path}/metrics_step").json["rows"][0]["loss"] == 5
    assert mine.histogram(task)["loss"]["loss"]["y"] == [5]
    for endpoint in ("tasks.get_all", "tasks.get_all_ex"):
        (found,) = mine.call(endpoint, id=[task])["tasks"]
        values = [entry["value"] for variants in found["last_metrics"].values() for entry in variants.values()]
        assert values == [5], endpoint
    assert theirs.send("GET", f"{path}/metrics_step").json["rows"][0]["loss"] == 7
    mine.call("tasks.delete", task=task, force=True)
    theirs.call("tasks.make_private", ids=[task])
