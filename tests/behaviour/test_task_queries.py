"""The query language of `tasks.get_all`: filters, order, paging, chosen fields."""

from __future__ import annotations

import hashlib
import uuid
from typing import Any

import pytest

from tests.client import Client, scalar


class Shelf:
    """Tasks in a project of their own, asked for by name."""

    def __init__(self, server: Client) -> None:
        self.server = server
        self.project = server.call("projects.create", name=f"q-{uuid.uuid4().hex}")["id"]
        self.ids: dict[str, str] = {}

    def add(self, name: str, **fields: Any) -> str:
        self.ids[name] = self.server.new_task(name, project=self.project, **fields)
        return self.ids[name]

    def find(self, **query: Any) -> list[str]:
        """The names of what a query finds, in its order."""
        return [task["name"] for task in self.server.call("tasks.get_all", {"project": [self.project], **query})["tasks"]]


@pytest.fixture
def shelf(server: Client) -> Shelf:
    return Shelf(server)


@pytest.fixture
def tagged(shelf: Shelf) -> Shelf:
    """Four tasks with tags."""
    shelf.add("none")
    shelf.add("a", tags=["a"])
    shelf.add("ab", tags=["a", "b"], system_tags=["development"])
    shelf.add("c", tags=["c"], system_tags=["archived"])
    return shelf


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, {"none", "a", "ab", "c"}),
        ({"tags": []}, {"none", "a", "ab", "c"}),
        ({"tags": None}, {"none", "a", "ab", "c"}),
        ({"tags": ["a"]}, {"a", "ab"}),
        ({"tags": ["a", "c"]}, {"a", "ab", "c"}),
        ({"tags": ["__$and", "a", "b"]}, {"ab"}),
        ({"tags": ["__$all", "a", "b"]}, {"ab"}),
        ({"tags": ["__$or", "a", "c"]}, {"a", "ab", "c"}),
        ({"tags": ["-a"]}, {"none", "c"}),
        ({"tags": ["__$not", "a"]}, {"none", "c"}),
        ({"tags": ["a", "-b"]}, {"a"}),
        ({"tags": ["__$not", "a", "__$not", "c"]}, {"none"}),
        ({"system_tags": ["-archived"]}, {"none", "a", "ab"}),
        ({"system_tags": ["__$not", "archived", "__$not", "development"]}, {"none", "a"}),
        ({"filters": {"tags": {"any": {"include": ["b", "c"]}}}}, {"ab", "c"}),
        ({"filters": {"tags": {"all": {"include": ["a"], "exclude": ["b"]}}}}, {"a"}),
        ({"filters": {"tags": {"all": {"exclude": ["a", "c"]}}}}, {"none"}),
        ({"filters": {"tags": {"op": "or", "any": {"include": ["c"]}, "all": {"include": ["a", "b"]}}}}, {"ab", "c"}),
        ({"name": "^a$"}, {"a"}),
        ({"name": "a"}, {"a", "ab"}),
        ({"name": "^A$"}, set()),
        ({"name": ""}, {"none", "a", "ab", "c"}),
        ({"_any_": {"pattern": "A|C", "fields": ["name", "comment"]}}, {"a", "ab", "c"}),
        ({"_any_": {"pattern": "^b$", "fields": ["tags"]}}, {"ab"}),
        ({"_all_": {"pattern": "a", "fields": ["name", "tags"]}}, {"a", "ab"}),
        ({"_any_": {"pattern": "", "fields": ["name"]}}, {"none", "a", "ab", "c"}),
        ({"_any_": {"pattern": "b", "fields": ["name"]}, "tags": ["a"]}, {"ab"}),
        ({"type": ["testing"]}, set()),
        ({"type": ["__$not", "testing"]}, {"none", "a", "ab", "c"}),
        ({"status": ["created", "queued"]}, {"none", "a", "ab", "c"}),
        ({"status": ["in_progress"]}, set()),
        ({"parent": [None]}, {"none", "a", "ab", "c"}),
        ({"user": ["nobody"]}, set()),
        ({"id": ["nope"]}, set()),
    ],
)
def test_filters(tagged: Shelf, query: dict[str, Any], found: set[str]) -> None:
    assert set(tagged.find(**query)) == found


def test_tasks_by_ids_come_from_every_project(server: Client, shelf: Shelf) -> None:
    other = Shelf(server)
    ids = [shelf.add("one"), other.add("two")]
    found = server.call("tasks.get_all", id=ids, project=[], only_fields=["id", "name"])["tasks"]
    assert {task["name"] for task in found} == {"one", "two"}


@pytest.mark.parametrize("pattern", ["(", "[a", "a{2,1}", "(?P<x", "\\", "(?=x)"])
def test_a_pattern_that_cannot_be_read_is_said_so(server: Client, pattern: str) -> None:
    for query in ({"name": pattern}, {"_any_": {"pattern": pattern, "fields": ["name"]}}):
        error = server.refused("tasks.get_all", query)
        assert error.codes == (400, 21)


def test_a_pattern_that_is_too_large_is_refused(server: Client) -> None:
    """8 MB and 24,000 instructions: each would cost time for every byte of every name."""
    large = "(?:.{0,900}x)(?:.{0,900}y)"
    for query in ({"name": large}, {"_any_": {"pattern": large, "fields": ["name", "comment"]}}):
        for call in ("tasks.get_all", "tasks.get_all_ex", "models.get_all", "projects.get_all_ex"):
            error = server.refused(call, query)
            assert error.codes == (400, 21) and "too large" in str(error)


@pytest.mark.parametrize(
    "query",
    [
        {"last_iteration": [1, 2, 3]},
        {"last_iteration": ["x", None]},
        {"started": ["yesterday"]},
        {"_any_": "x"},
        {"_any_": {"pattern": 5, "fields": ["name"]}},
        {"filters": {"tags": ["a"]}},
        {"filters": {"tags": {"test": ["a"]}}},
        {"filters": {"tags": {"any": {"includes": ["a"]}}}},
        {"filters": {"tags": {"op": "xor", "any": {"include": ["a"]}}}},
        {"_any_": {"datetime": ["yesterday"], "fields": ["started"]}},
        {"tags": [["a"]]},
        {"tags": {"a": 1}},
        {"page": -1},
        {"page_size": 0},
        {"size": 0},
        {"order_by": [5]},
        {"only_fields": {"a": 1}},
        {"hyperparams.General.lr.value": {"a": 1}},
    ],
)
def test_filters_of_a_wrong_form_are_refused(server: Client, query: dict[str, Any]) -> None:
    assert server.refused("tasks.get_all", query).codes == (400, 12)


def test_tasks_are_found_by_parameters_whatever_their_names(shelf: Shelf) -> None:
    shelf.add("one", hyperparams={"General": {"lr": {"value": "0.1"}, "net.width": {"value": "5"}, 'q"uote': {"value": "x"}}})
    shelf.add("two", hyperparams={"General": {"lr": {"value": "0.2"}, "net.width": {"value": "6"}}})
    shelf.add("three")
    assert shelf.find(**{"hyperparams.General.lr.value": ["0.1"]}) == ["one"]
    assert shelf.find(**{"hyperparams.General.net.width.value": ["6"]}) == ["two"]
    assert shelf.find(**{"hyperparams.General.net%2Ewidth.value": ["6"]}) == ["two"]
    assert shelf.find(**{'hyperparams.General.q"uote.value': ["x"]}) == ["one"]
    assert shelf.find(**{"hyperparams.General.lr.value": ["__$not", "0.1"]}) == ["two", "three"]
    assert shelf.find(**{"hyperparams.General.lr.value": [None]}) == ["three"]
    assert shelf.find(order_by=["-hyperparams.General.lr.value"]) == ["two", "one", "three"]


def test_tasks_are_found_and_ordered_by_metrics(server: Client, shelf: Shelf) -> None:
    for name, value in (("one", 1.0), ("two", 2.0), ("three", 3.0)):
        id = shelf.add(name)
        server.add_batch([scalar(id, "loss", "train", iter=i, value=value * (i + 1)) for i in range(3)])
    shelf.add("silent")
    path = "last_metrics." + ".".join(hashlib.md5(text.encode()).hexdigest() for text in ("loss", "train"))
    assert shelf.find(order_by=[f"-{path}.value"]) == ["three", "two", "one", "silent"]
    assert shelf.find(order_by=[f"{path}.min_value"]) == ["one", "two", "three", "silent"]
    assert shelf.find(**{f"{path}.value": [4, None]}, order_by=["name"]) == ["three", "two"]
    assert shelf.find(**{f"{path}.max_value": [None, 3.0]}) == ["one"]


def test_iterations_and_times_are_ranges(server: Client, shelf: Shelf) -> None:
    for number in range(3):
        server.add(scalar(shelf.add(f"t{number}"), iter=number * 10))
    assert shelf.find(last_iteration=[5, 15]) == ["t1"]
    assert shelf.find(last_iteration=[None, 10]) == ["t0", "t1"]
    assert shelf.find(last_iteration=[">=20"]) == ["t2"]
    assert shelf.find(created=[">=2020-01-01T00:00:00", "<2100-01-01"]) == ["t0", "t1", "t2"]
    assert shelf.find(created=["<2020-01-01"]) == []
    assert shelf.find(started=[">2020-01-01"]) == []
    server.call("tasks.started", task=shelf.ids["t1"])
    assert shelf.find(started=[">2020-01-01"]) == ["t1"]


def test_order_by_any_field_absent_values_last(shelf: Shelf) -> None:
    shelf.add("b", comment="2")
    shelf.add("a", comment="1")
    shelf.add("c", runtime={"progress": "5"})
    assert shelf.find(order_by=["name"]) == ["a", "b", "c"]
    assert shelf.find(order_by=["-name"]) == ["c", "b", "a"]
    assert shelf.find(order_by=["-comment"]) == ["b", "a", "c"]
    assert shelf.find(order_by=["runtime.progress", "name"]) == ["c", "a", "b"]
    assert shelf.find(order_by=["-runtime.progress", "-name"]) == ["c", "b", "a"]
    assert shelf.find() == ["b", "a", "c"]  # as they were made


def test_the_latest_change_comes_first(server: Client, shelf: Shelf) -> None:
    for name in ("one", "two", "three"):
        shelf.add(name)
    server.add(scalar(shelf.ids["one"], iter=1))
    server.call("tasks.edit", task=shelf.ids["two"], force=True, comment="x")
    assert shelf.find(order_by=["-last_update"]) == ["two", "one", "three"]


def test_pages_hold_every_task_once(shelf: Shelf) -> None:
    for number in range(7):
        shelf.add(f"t{number}")
    pages = [shelf.find(page=page, page_size=3, order_by=["name"]) for page in range(4)]
    assert pages == [["t0", "t1", "t2"], ["t3", "t4", "t5"], ["t6"], []]


def test_a_scroll_goes_on_under_its_id_and_can_be_refreshed(server: Client, shelf: Shelf) -> None:
    for number in range(5):
        shelf.add(f"t{number}")
    query = {"project": [shelf.project], "size": 2, "order_by": ["name"], "only_fields": ["name"]}

    def names(answer: dict[str, Any]) -> list[str]:
        return [task["name"] for task in answer["tasks"]]

    first = server.call("tasks.get_all_ex", query, scroll_id=None, refresh_scroll=True)
    assert names(first) == ["t0", "t1"]
    scroll = first["scroll_id"]
    second = server.call("tasks.get_all_ex", query, scroll_id=scroll, refresh_scroll=False)
    assert (names(second), second["scroll_id"]) == (["t2", "t3"], scroll)
    again = server.call("tasks.get_all_ex", query, scroll_id=scroll, refresh_scroll=True)
    assert (names(again), again["scroll_id"]) == (["t0", "t1", "t2", "t3"], scroll)
    assert names(server.call("tasks.get_all_ex", query, scroll_id=scroll)) == ["t4"]
    assert names(server.call("tasks.get_all_ex", query, scroll_id=scroll)) == []
    fresh = server.call("tasks.get_all_ex", query, scroll_id="f" * 32)
    assert names(fresh) == ["t0", "t1"] and fresh["scroll_id"] not in (scroll, "f" * 32)


def test_without_paging_all_tasks_come(server: Client, shelf: Shelf) -> None:
    for number in range(30):
        shelf.add(f"t{number}")
    assert len(shelf.find()) == 30
    assert len(server.call("tasks.get_all_ex", project=[shelf.project])["tasks"]) == 30


def test_chosen_fields_come_nested(server: Client, shelf: Shelf) -> None:
    shelf.add("one", hyperparams={"General": {"lr": {"value": "1"}, "x.y": {"value": "2"}}}, script={"diff": "d", "branch": "b"})
    (task,) = server.call(
        "tasks.get_all",
        project=[shelf.project],
        only_fields=["hyperparams.General.x.y.value", "script.diff", "name", "nothing.there"],
    )["tasks"]
    assert task == {
        "id": shelf.ids["one"],
        "name": "one",
        "hyperparams": {"General": {"x.y": {"value": "2"}}},
        "script": {"diff": "d"},
        "runtime": {},
    }


def test_chosen_fields_of_other_objects_make_them_objects(server: Client, shelf: Shelf) -> None:
    parent = shelf.add("parent")
    child = shelf.add("child", parent=parent)
    model = server.call("models.create", name="m", uri="file:///m", framework="PyTorch")["id"]
    server.call("tasks.add_or_update_model", task=child, name="in", model=model, type="input")
    fields = ["project.name", "user.name", "company.name", "parent.name", "models.input.name", "models.input.model.framework"]
    (task,) = server.call("tasks.get_all_ex", id=[child], only_fields=fields)["tasks"]
    project = server.call("projects.get_by_id", project=shelf.project)["project"]
    assert task["project"] == {"id": shelf.project, "name": project["name"]}
    assert task["parent"] == {"id": parent, "name": "parent"}
    assert task["user"]["name"] and task["user"]["id"] and task["company"]["id"] and task["company"]["name"]
    assert task["models"] == {"input": [{"name": "in", "model": {"id": model, "framework": "PyTorch"}}]}


def test_references_are_ids_in_get_all_and_objects_in_get_all_ex(server: Client, shelf: Shelf) -> None:
    id = shelf.add("one")
    (plain,) = server.call("tasks.get_all", id=[id])["tasks"]
    (expanded,) = server.call("tasks.get_all_ex", id=[id])["tasks"]
    assert plain["project"] == shelf.project and expanded["project"] == {"id": shelf.project}
    assert expanded["user"] == {"id": plain["user"]} and expanded["company"] == {"id": plain["company"]}


def test_by_id_ex_leaves_unknown_ids_out(server: Client, shelf: Shelf) -> None:
    id = shelf.add("one")
    assert [task["id"] for task in server.call("tasks.get_by_id_ex", id=[id, "nope"])["tasks"]] == [id]
    assert server.call("tasks.get_by_id_ex", id=["nope"], only_fields=["last_change"])["tasks"] == []
    assert server.call("tasks.get_by_id_ex", id=[])["tasks"] == []


def test_subprojects_are_included_on_request(server: Client, shelf: Shelf) -> None:
    name = server.call("projects.get_by_id", project=shelf.project)["project"]["name"]
    below = server.call("projects.create", name=f"{name}/deep/deeper")["id"]
    shelf.add("here")
    server.new_task("below", project=below)
    assert shelf.find() == ["here"]
    assert shelf.find(include_subprojects=True) == ["here", "below"]


def test_hidden_tasks_are_found_on_request(shelf: Shelf) -> None:
    shelf.add("seen")
    shelf.add("hidden", system_tags=["hidden"])
    assert shelf.find() == ["seen"]
    assert shelf.find(search_hidden=True) == ["seen", "hidden"]
    assert shelf.find(system_tags=["hidden"]) == ["hidden"]


def test_last_metrics_can_be_chosen_alone(server: Client, shelf: Shelf) -> None:
    id = shelf.add("one")
    server.add(scalar(id, "loss", "train", iter=1, value=2.0))
    (task,) = server.call("tasks.get_all_ex", id=[id], only_fields=["last_metrics"])["tasks"]
    (variants,) = task["last_metrics"].values()
    (entry,) = variants.values()
    assert (entry["metric"], entry["variant"], entry["value"]) == ("loss", "train", 2.0)
    (task,) = server.call("tasks.get_all_ex", id=[id], only_fields=["last_iteration"])["tasks"]
    assert task["last_iteration"] == 1 and "last_metrics" not in task


def test_a_replaced_point_changes_the_order_at_once(server: Client, shelf: Shelf) -> None:
    for name, value in (("one", 1.0), ("two", 2.0)):
        server.add_batch([scalar(shelf.add(name), "loss", "train", iter=1, value=value), scalar(shelf.ids[name], "loss", "train", iter=2)])
    path = "last_metrics." + ".".join(hashlib.md5(text.encode()).hexdigest() for text in ("loss", "train"))
    assert shelf.find(order_by=[f"-{path}.max_value"]) == ["two", "one"]
    server.add_batch([scalar(shelf.ids["two"], "loss", "train", iter=1, value=-5.0)])
    assert shelf.find(order_by=[f"{path}.min_value"]) == ["two", "one"]
    assert shelf.find(**{f"{path}.min_value": [None, 0.0]}) == ["two"]


def test_tasks_without_tags_can_be_asked_for(server: Client, shelf: Shelf) -> None:
    shelf.add("bare")
    shelf.add("tagged", tags=["a"])
    shelf.add("emptied", tags=["a"])
    server.call("tasks.edit", task=shelf.ids["emptied"], force=True, tags=[])
    assert shelf.find(tags=[None]) == ["bare", "emptied"]
    assert shelf.find(tags=[None, "a"]) == ["bare", "tagged", "emptied"]
    assert shelf.find(filters={"tags": {"any": {"include": [None]}}}) == ["bare", "emptied"]
    assert server.task(shelf.ids["emptied"])["tags"] == []


def test_a_batch_of_hundreds_of_unknown_tasks_makes_them_all_known(server: Client) -> None:
    prefix = uuid.uuid4().hex
    ids = [f"{prefix}-{number:03}" for number in range(300)]
    assert server.add_batch([scalar(id, iter=1) for id in ids])["added"] == 300
    found = server.call("tasks.get_all", name=f"^{prefix}", order_by=["name"], only_fields=["status", "last_iteration"])["tasks"]
    assert [(task["id"], task["status"], task["last_iteration"]) for task in found] == [(id, "in_progress", 1) for id in ids]


def test_times_of_any_or_all_of_some_fields_are_compared(server: Client, shelf: Shelf) -> None:
    for name in ("fresh", "running", "ended"):
        shelf.add(name)
    for name in ("running", "ended"):
        server.call("tasks.started", task=shelf.ids[name])
    server.call("tasks.completed", task=shelf.ids["ended"])
    past, future, fields = ">=2020-01-01T00:00:00", ">=2100-01-01T00:00:00", ["started", "completed"]

    def found(name: str, times: Any) -> list[str]:
        return shelf.find(**{name: {"datetime": times, "fields": fields}}, order_by=["name"])

    assert found("_any_", [past]) == ["ended", "running"]
    assert found("_all_", [past]) == ["ended"]
    assert found("_any_", [future]) == found("_all_", [future]) == []
    assert found("_any_", [past, "<2100-01-01"]) == found("_any_", ["2020-01-01", None]) == found("_any_", past) == ["ended", "running"]
    assert found("_all_", [None, "2100-01-01"]) == ["ended"] and found("_any_", [None, "2020-01-01"]) == []
    assert shelf.find(_any_={"datetime": [past], "pattern": "run", "fields": ["started"]}) == []


def test_parameters_that_are_numbers_are_ordered_as_numbers(shelf: Shelf) -> None:
    values = {"ten": "10", "nine": " 9 ", "tiny": "1e-3", "minus": "-2.5", "text": "9 lives", "hex": "0x10", "big": "123456789012345678901"}
    for name, value in values.items():
        shelf.add(name, hyperparams={"General": {"lr": {"value": value}}})
    shelf.add("none")
    ascending = ["minus", "tiny", "nine", "ten", "big", "hex", "text"]
    assert shelf.find(order_by=["hyperparams.General.lr.value"]) == [*ascending, "none"]
    assert shelf.find(order_by=["-hyperparams.General.lr.value"]) == [*ascending[::-1], "none"]
    assert shelf.find(order_by=["hyperparams.General.lr.value"], page=0, page_size=2) == ascending[:2]


def test_a_parameter_is_filtered_by_its_value_with_or_without_value_in_its_path(server: Client, shelf: Shelf) -> None:
    shelf.add("a", hyperparams={"Args": {"lr": {"value": "x", "type": "float"}}, "X": {"value": {"value": "6"}}})
    shelf.add("b", hyperparams={"Args": {"lr": {"value": "float", "type": "x"}}}, configuration={"c": {"value": "x", "type": "c"}})
    for path in ("hyperparams.Args.lr", "hyperparams.Args.lr.value"):
        assert shelf.find(**{path: ["x"]}) == shelf.find(filters={path: {"any": {"include": ["x"]}}}) == ["a"]
        assert shelf.find(_any_={"pattern": "^x$", "fields": [path]}) == shelf.find(**{path: ["__$not", "float"]}) == ["a"]
    assert shelf.find(**{"hyperparams.X.value": ["6"]}) == ["a"] and shelf.find(**{"hyperparams.X": [None]}) == ["b"]
    assert shelf.find(**{"configuration.c": ["x"]}) == ["b"] and shelf.find(**{"hyperparams.Args": ["lr", "x", "float"]}) == []
    assert shelf.find(**{"configuration.c": ["c", "lr"]}) == []


def test_values_of_a_parameter_are_found_by_a_pattern(server: Client, shelf: Shelf) -> None:
    for value in ("Adam", "AdamW", "sgd"):
        shelf.add(value, hyperparams={"General": {"optimizer": {"value": value}}})
    query = {"projects": [shelf.project], "section": "General", "name": "optimizer"}

    def found(pattern: str) -> list[str]:
        return server.call("projects.get_hyperparam_values", query, pattern=pattern)["values"]  # type: ignore[no-any-return]

    assert found("^adam$") == ["Adam"] and found("w|s") == ["AdamW", "sgd"] and found("") == ["Adam", "AdamW", "sgd"]
    assert server.refused("projects.get_hyperparam_values", query, pattern="(").codes == (400, 21)
