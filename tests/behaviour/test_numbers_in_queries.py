"""Filters and orders of `get_all` calls compare numbers exactly: open bounds, fractions, values of parameters."""

from __future__ import annotations

import hashlib
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from apiserver.bll.registry.query import milliseconds
from tests.client import Client, scalar

VALUES = (0.5, 5.0, 5.5, 6.0, -1.25, 2.0**53)


@pytest.fixture
def project(server: Client) -> str:
    return server.call("projects.create", name=f"n-{uuid.uuid4().hex}")["id"]  # type: ignore[no-any-return]


def found(server: Client, project: str, **query: Any) -> list[str]:
    return [task["name"] for task in server.call("tasks.get_all", {"project": [project], **query})["tasks"]]


def test_comparisons_of_statistics_are_exact(server: Client, project: str) -> None:
    for value in VALUES:
        server.add(scalar(server.new_task(str(value), project=project), "loss", "train", iter=3, value=value))
    path = "last_metrics." + ".".join(hashlib.md5(text.encode()).hexdigest() for text in ("loss", "train"))

    def those(*comparisons: Any, field: str = "value") -> set[float]:
        return {float(name) for name in found(server, project, **{f"{path}.{field}": list(comparisons)})}

    for field in ("value", "min_value", "max_value", "first_value", "mean_value"):
        assert those(">5", field=field) == {5.5, 6.0, 2.0**53} and those("<5.5", field=field) == {0.5, 5.0, -1.25}
    assert those(">0.5") == {5.0, 5.5, 6.0, 2.0**53} and those(">=0.5") == those(">0.5") | {0.5}
    assert those("<6") == {0.5, 5.0, 5.5, -1.25} and those("<=6") == those("<6") | {6.0}
    assert those(">-1.25", "<0.5") == set() and those(">=-1.25", "<=0.5") == {-1.25, 0.5}
    assert those(">1", ">5.5", "<1e9", "<7e9") == those("<1e9", ">5.5", "<7e9", ">1") == {6.0}
    assert those("=5.5") == those("==5.5") == {5.5}
    assert those(f">{2**53 - 1}") == {2.0**53} and those(f">{2**53}") == set() and those(f"<{2**53}") == {*VALUES[:-1]}
    for field, at in (("count", 1), ("value_iteration", 3), ("min_value_iteration", 3)):
        assert those(f">{at}", field=field) == those(f"<{at}", field=field) == those(f">{at + 0.5}", field=field) == set()
        assert those(f">{at - 0.5}", f"<{at + 0.5}", field=field) == set(VALUES)


def test_comparisons_of_integers_take_fractions(server: Client, project: str) -> None:
    for step in (5, 6):
        server.add(scalar(server.new_task(str(step), project=project), iter=step))
    wanted: dict[tuple[Any, ...], set[str]] = {
        (">5",): {"6"},
        (">5.5",): {"6"},
        (">=5.5",): {"6"},
        ("<6",): {"5"},
        ("<5.5",): {"5"},
        ("<=5.5",): {"5"},
        (">4.5", "<6.5"): {"5", "6"},
        ("=5.5",): set(),
        (5.5, None): {"6"},
        (None, 5.5): {"5"},
    }
    for comparisons, names in wanted.items():
        assert set(found(server, project, last_iteration=list(comparisons))) == names, comparisons


def test_comparisons_of_times_know_milliseconds_and_microseconds(server: Client, project: str) -> None:
    task = server.new_task("it", project=project)
    server.call("tasks.started", task=task)
    at = datetime.fromisoformat(server.task(task)["started"])
    before, after = at - timedelta(microseconds=500), at + timedelta(microseconds=500)
    wanted = {f">{at}": [], f">={at}": ["it"], f"<{at}": [], f"<={at}": ["it"], f"={at}": ["it"]}
    wanted |= {f">={after}": [], f">{after}": [], f"<{after}": ["it"], f"<={after}": ["it"], f">={before}": ["it"]}
    for comparison, names in wanted.items():
        assert found(server, project, started=[comparison]) == names, comparison
        assert found(server, project, _any_={"datetime": [comparison], "fields": ["started"]}) == names, comparison


def test_no_millisecond_of_a_filter_is_lost_in_rounding() -> None:
    for ms in range(1_000):
        moment = datetime(2026, 1, 31, 12, 0, 1, ms * 1_000, UTC)
        assert milliseconds(moment.isoformat(), "started") == 1_769_860_801_000 + ms == milliseconds(moment.timestamp(), "started")


def test_a_parameter_orders_by_its_value_also_without_value_in_the_path(server: Client, project: str) -> None:
    for value in ("2", "11", "1"):
        server.new_task(value, project=project, hyperparams={"Args": {"a.b": {"value": value, "type": f"t{9 - int(value[0])}"}}})
    for path in ("hyperparams.Args.a.b", "hyperparams.Args.a%2Eb", "hyperparams.Args.a.b.value"):
        assert found(server, project, order_by=[path]) == ["1", "2", "11"]
        assert found(server, project, order_by=[f"-{path}"], page=0, page_size=2) == ["11", "2"]


def test_values_of_a_parameter_that_are_numbers_come_in_their_order(server: Client, project: str) -> None:
    for value in ("10", "2", "1", "1e-3"):
        server.new_task(value, project=project, hyperparams={"Args": {"n": {"value": value}, "m": {"value": value}}})
    server.new_task("word", project=project, hyperparams={"Args": {"m": {"value": "auto"}}})

    def values(name: str) -> list[str]:
        query = {"projects": [project], "section": "Args", "name": name}
        return server.call("projects.get_hyperparam_values", query)["values"]  # type: ignore[no-any-return]

    assert values("n") == ["1e-3", "1", "2", "10"] and values("m") == ["1", "10", "1e-3", "2", "auto"]


def test_what_counts_as_a_number_is_the_same_in_orders_and_lists(server: Client, project: str) -> None:
    numbers = ["-1e400", " -3 ", ".5", "1.", "+7", "9007199254740993", "1000000000000000000", "1000000000000000001", "9223372036854775808"]
    texts = ["", "--1", "0x10", "1 000", "1_0", "1e", "Infinity", "inf", "nan", "٣"]
    ids = {
        value: server.new_task(f"[{value}]", project=project, hyperparams={"Args": {"n": {"value": value}}}) for value in numbers + texts
    }
    path = "hyperparams.Args.n.value"
    assert found(server, project, order_by=[path]) == [f"[{value}]" for value in numbers + texts]
    assert found(server, project, order_by=["-" + path]) == [f"[{value}]" for value in (numbers + texts)[::-1]]
    server.call("tasks.delete_many", ids=[ids[value] for value in texts])
    query = {"projects": [project], "section": "Args", "name": "n"}
    assert server.call("projects.get_hyperparam_values", query)["values"] == numbers
