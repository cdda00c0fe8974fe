"""`tasks.get_all_ex`: totals and facets of everything that matches, whatever page is shown."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.client import Client


@pytest.fixture
def project(server: Client) -> str:
    """A project with 12 tasks."""
    id = server.call("projects.create", name=f"f-{uuid.uuid4().hex}")["id"]
    for number in range(12):
        lr = {"section": "General", "name": "lr", "value": "0.1" if number % 3 else "0.01"}
        more = {"hyperparams": {"General": {"lr": lr}}} if number < 9 else {}
        server.new_task(f"t{number}", project=id, tags=["a", "b"] if number < 2 else ["b"] if number < 5 else [], **more)
    return str(id)


def asked(server: Client, project: str, **fields: Any) -> dict[str, Any]:
    return server.call("tasks.get_all_ex", project=[project], only_fields=["id"], **fields)


def test_a_page_comes_with_the_total_of_all_pages(server: Client, project: str) -> None:
    found = asked(server, project, page=1, page_size=5, count_total=True)
    assert (len(found["tasks"]), found["total"]) == (5, 12)
    assert asked(server, project, tags=["b"], page=0, page_size=1, count_total=True)["total"] == 5
    assert asked(server, project, name="nothing", count_total=True)["total"] == 0
    assert "total" not in asked(server, project)


def test_facets_count_values_of_all_that_match(server: Client, project: str) -> None:
    facets = asked(server, project, page=0, page_size=1, facets=["status", "tags", "hyperparams.General.lr"])["facets"]
    assert facets["status"] == {"values": [{"value": "created", "count": 12}], "distinct": 1}
    assert facets["tags"] == {
        "values": [{"value": None, "count": 7}, {"value": "b", "count": 5}, {"value": "a", "count": 2}],
        "distinct": 3,
    }
    expected = [{"value": "0.1", "count": 6}, {"value": "0.01", "count": 3}, {"value": None, "count": 3}]
    assert facets["hyperparams.General.lr"]["values"] == expected


def test_facets_follow_the_filter_patterns_included(server: Client, project: str) -> None:
    facets = asked(server, project, name="t1", facets=["tags"])["facets"]  # t1, t10, t11
    assert facets["tags"]["values"] == [{"value": None, "count": 2}, {"value": "a", "count": 1}, {"value": "b", "count": 1}]


def test_a_facet_shows_its_most_frequent_values_and_how_many_there_are(server: Client, project: str) -> None:
    facets = asked(server, project, facets=["tags"], facet_values=1)["facets"]
    assert facets["tags"] == {"values": [{"value": None, "count": 7}], "distinct": 3}


def test_a_facet_of_another_field_is_refused_with_the_names_that_are_possible(server: Client, project: str) -> None:
    for name in ("last_metrics.a.b.value", "script", "hyperparams.General", ""):
        error = server.refused("tasks.get_all_ex", project=[project], facets=[name])
        assert error.codes == (400, 12) and "hyperparams.<section>.<name>" in error.msg
