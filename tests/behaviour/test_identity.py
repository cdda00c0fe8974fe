"""When one event replaces another, and when it must not."""

from __future__ import annotations

import itertools
import uuid
from typing import Any

import pytest
from hypothesis import strategies as st

from tests.client import IMAGE, LOG, SCALAR, VECTOR, Client, image, json_lines, log, plot, scalar, vector
from tests.properties import prove


def test_a_second_report_of_a_step_replaces_the_first(server: Client, task: str) -> None:
    server.add_batch([scalar(task, iter=3, value=1.0)])
    server.add_batch([scalar(task, iter=3, value=0.5)])
    assert server.histogram(task)["loss"]["train"] == {"name": "train", "x": [3], "y": [0.5]}


def test_inside_one_batch_the_later_line_wins(server: Client, task: str) -> None:
    server.add_batch([scalar(task, iter=3, value=1.0, timestamp=9), scalar(task, iter=3, value=2.0, timestamp=5)])
    [event] = server.events(task, SCALAR)
    assert (event["value"], event["timestamp"]) == (2.0, 5)


def test_names_that_join_alike_stay_apart(server: Client, task: str) -> None:
    pairs = [
        ("a-b", "c"),
        ("a", "b-c"),
        ("a-b-c", ""),
        ("", "a-b-c"),
        ("a/b", "c"),
        ("a", "b/c"),
        ("a\x00b", "c"),
        ("a", "\x00bc"),
        ("ab", "c"),
        ("a", "bc"),
    ]
    server.add_batch([scalar(task, metric, variant, iter=1, value=float(i)) for i, (metric, variant) in enumerate(pairs)])
    found = {(event["metric"], event["variant"]): event["value"] for event in server.events(task, SCALAR)}
    assert found == {pair: float(i) for i, pair in enumerate(pairs)}


def test_the_key_belongs_to_the_identity_of_an_image_and_the_url_does_not(server: Client, task: str) -> None:
    server.add_batch(
        [
            image(task, iter=1, url="http://f/a", key="k1"),
            image(task, iter=1, url="http://f/b", key="k1"),
            image(task, iter=1, url="http://f/c", key="k2"),
        ]
    )
    assert sorted(event["url"] for event in server.events(task, IMAGE)) == ["http://f/b", "http://f/c"]


def test_event_types_do_not_replace_each_other(server: Client, task: str) -> None:
    server.add_batch(
        [scalar(task, "m", "v", iter=1), vector(task, [1.0], "m", "v", iter=1), image(task, "m", "v", iter=1), plot(task, "m", "v", iter=1)]
    )
    assert len(server.events(task)) == 4


def test_plots_and_vectors_are_replaced_too(server: Client, task: str) -> None:
    for number in range(2):
        server.add_batch([plot(task, iter=1, plot_str=str(number)), vector(task, [number], iter=1)])
    found = {event["type"]: event for event in server.events(task)}
    assert len(server.events(task)) == 2
    assert (found["plot"]["plot_str"], found["training_stats_vector"]["value"]) == ("1", [1])


def test_a_key_tells_plots_and_vectors_of_one_iteration_apart(server: Client, task: str) -> None:
    server.add_batch(
        [plot(task, key="a"), plot(task, key="b"), vector(task, [1.0], key="a"), vector(task, [2.0], key="b"), plot(task, key="b")]
    )
    kinds = [event["type"] for event in server.call("events.get_task_events", task=task)["events"]]
    assert sorted(kinds) == ["plot", "plot", VECTOR, VECTOR]


def test_a_scalar_without_iteration_has_an_identity_of_its_own(server: Client, task: str) -> None:
    server.add_batch([scalar(task, iter=None, value=1.0), scalar(task, iter=0, value=2.0)])
    server.add_batch([scalar(task, iter=None, value=3.0)])
    assert sorted((event.get("iter"), event["value"]) for event in server.events(task, SCALAR) if "iter" in event) == [(0, 2.0)]
    assert [event["value"] for event in server.events(task, SCALAR) if "iter" not in event] == [3.0]


def test_neighbouring_iterations_beyond_double_precision_stay_apart(server: Client, task: str) -> None:
    iters = [2**53, 2**53 + 1, 2**53 + 2, 2**63 - 2, 2**63 - 1, -(2**63), -(2**63) + 1, -(2**31) - 1, -(2**31) + 1]
    server.add_batch([scalar(task, iter=iter, value=float(i)) for i, iter in enumerate(iters)])
    assert [event["iter"] for event in server.events(task, SCALAR)] == sorted(iters)
    assert server.task(task)["last_iteration"] == 2**63 - 1


def test_identical_log_lines_are_all_stored(server: Client, task: str) -> None:
    server.add_batch([log(task, "again", timestamp=5)] * 3)
    assert server.log(task) == ["again"] * 3


def test_a_retried_batch_adds_nothing_log_lines_included(server: Client, task: str) -> None:
    lines = [log(task, f"line {i % 3}", timestamp=1000 + i // 2) for i in range(20)] + [
        scalar(task, iter=i, value=1.0, timestamp=i) for i in range(20)
    ]
    first = server.add_batch(lines)
    second = server.add_batch(lines)
    assert first == second
    assert server.log(task) == [f"line {i % 3}" for i in range(20)]
    [[statistics]] = [list(variants.values()) for variants in server.task(task)["last_metrics"].values()]
    assert statistics["count"] == 20


def test_the_same_line_in_another_batch_is_another_line(server: Client, task: str) -> None:
    server.add_batch([log(task, "a", timestamp=1), log(task, "b", timestamp=2)])
    server.add_batch([log(task, "a", timestamp=1)])
    assert server.log(task) == ["a", "a", "b"]


def test_log_lines_without_timestamp_are_stored_every_time(server: Client, task: str) -> None:
    for _ in range(2):
        server.add_batch([log(task, "tick")])
    assert server.log(task) == ["tick", "tick"]


MODEL = {"model_event": True, "allow_locked": True}
UNTIMED: dict[str, list[dict[str, Any]]] = {
    "a log line": [{"type": LOG, "msg": "without"}],
    "a scalar": [scalar("", iter=1, value=1.0)],
    "a scalar with fields of its own": [scalar("", iter=1, value=1.0, worker="other", more=1)],
    "a scalar without iteration": [scalar("", iter=None, value=1.0)],
    "a single value": [scalar("", iter=-(2**31), value=1.0)],
    "a vector": [vector("", [1.0, 2.0], iter=1)],
    "an image": [image("", iter=1)],
    "an image without iteration": [{name: value for name, value in image("").items() if name != "iter"}],
    "a plot": [plot("", iter=1)],
    "an event of a model": [{**scalar("", iter=1, value=1.0), **MODEL}],
    "a line that is refused": [{"type": "nonsense"}],
    "a blank line and a broken one": [],
}


@pytest.mark.parametrize("kind", list(UNTIMED))
def test_a_retry_is_known_by_its_bytes_whatever_else_is_in_the_batch(server: Client, task: str, kind: str) -> None:
    """Events without a timestamp get the time of each arrival: that must not make the log lines beside them new ones."""
    others = [{**event, "task": f"{task}-model" if event.get("model_event") else task} for event in UNTIMED[kind]]
    body = json_lines([log(task, "with", timestamp=1), *others, log(task, "with", timestamp=2)]) + (b"" if others else b"\n \n{broken\n")
    answers = [server.send("POST", "/v2.23/events.add_batch", body, {"Content-Type": "application/json-lines"}).data for _ in range(3)]
    assert answers[0] == answers[1] == answers[2]
    assert answers[0]["added"] == len(others) - (kind == "a line that is refused") + 2
    assert sorted(server.log(task)) == ["with", "with"] + ["without"] * (kind == "a log line")
    if kind.startswith(("a scalar", "a single")):
        assert len(server.events(task, SCALAR)) == 1


def test_log_lines_beside_a_timed_event_are_retried_once(server: Client, task: str) -> None:
    for _ in range(3):
        server.add_batch([log(task, "tick"), scalar(task, iter=1, value=1.0, timestamp=5)])
    assert server.log(task) == ["tick"]


names = st.text(alphabet="ab-/.\u00e9 ", max_size=4)
keys = st.tuples(names, names, st.sampled_from([-(2**63), -1, 0, 1, 2, 2**62, 2**63 - 1]))


def test_scalars_behave_like_a_dictionary(server: Client, engine: str) -> None:
    @prove(engine, st.lists(st.lists(st.tuples(keys, st.floats(-1e6, 1e6)), min_size=1, max_size=12), min_size=1, max_size=4))
    def holds(batches: list[list[tuple[tuple[str, str, int], float]]]) -> None:
        task = uuid.uuid4().hex
        model: dict[tuple[str, str, int], float] = {}
        for batch in batches:
            server.add_batch([scalar(task, metric, variant, iter=iter, value=value) for (metric, variant, iter), value in batch])
            model.update(batch)
        found = [((event["metric"], event["variant"], event["iter"]), event["value"]) for event in server.events(task, SCALAR)]
        assert len(found) == len(model)
        assert dict(found) == model


def test_images_behave_like_a_dictionary_with_their_key(server: Client, engine: str) -> None:
    @prove(engine, st.lists(st.tuples(names, names, st.integers(0, 2), names, names), min_size=1, max_size=15))
    def holds(images: list[tuple[str, str, int, str, str]]) -> None:
        task = uuid.uuid4().hex
        server.add_batch(
            [image(task, metric, variant, iter=iter, key=key, url=f"http://f/{url}") for metric, variant, iter, key, url in images]
        )
        model = {(metric, variant, iter, key): f"http://f/{url}" for metric, variant, iter, key, url in images}
        found = [((event["metric"], event["variant"], event["iter"], event["key"]), event["url"]) for event in server.events(task, IMAGE)]
        assert len(found) == len(model)
        assert dict(found) == model


def test_the_log_is_every_line_in_order_of_arrival(server: Client, engine: str) -> None:
    @prove(engine, st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=6), min_size=1, max_size=4))
    def holds(batches: list[list[str]]) -> None:
        task = uuid.uuid4().hex
        number = itertools.count()
        for batch in batches:
            # a field of its own makes each body different, so that equal texts are no retries
            server.add_batch([log(task, text, timestamp=7, number=next(number)) for text in batch])
        found = server.call("events.get_task_log", task=task, navigate_earlier=False, order="asc", batch_size=100)["events"]
        assert [event["msg"] for event in found] == [text for batch in batches for text in batch]
        assert {event["type"] for event in found} == {LOG}
