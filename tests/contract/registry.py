"""What every registry promises."""

from __future__ import annotations

from typing import Any

import pytest

from apiserver.stores import patterns
from apiserver.stores.errors import Conflict, PatternTooSlow
from apiserver.stores.registry import AnyOf, Condition, Sort
from tests.contract.batches import Builder
from tests.contract.stores import StoreContract, Stores

TASKS: dict[str, dict[str, Any]] = {
    "t1": {"name": "Train A", "status": "created", "created": 100, "tags": ["x", "y"], "parent": None, "hyper": {"lr.x": {"value": "0.1"}}},
    "t2": {"name": "train b", "status": "completed", "created": 300, "tags": [], "parent": "t1", "n": 5},
    "t3": {"name": "eval", "status": "completed", "created": 200, "tags": ["x"], "project": "p1", "n": 7.5},
    "t4": {"name": "Äpfel", "created": 50, "tags": ["z"], "project": "p1", "models": {"input": [{"model": "m1"}, {"model": "m2"}]}},
}


C = Condition


def make(stores: Stores, part: int) -> None:
    for number in range(part * 300, part * 300 + 300):
        stores.registry.create("project", stores.company, f"p{number}", {"name": f"n{number}", "created": number})


class RegistryContract(StoreContract):
    """All of a registry."""

    def test_what_was_written_is_found_by_the_next_call(self, stores: Stores) -> None:
        registry, company = stores.registry, stores.company
        made = registry.create("task", company, "t1", {"name": "first", "tags": ["a", "b"], "script": {"diff": "x" * 100_000}})
        read = registry.get("task", company, "t1")
        assert read is not None and read.version == made.version
        assert read.body["name"] == "first" and read.body["script"] == {"diff": "x" * 100_000} and read.body["last_iteration"] is None
        with pytest.raises(Conflict):
            registry.create("task", company, "t1", {})
        assert registry.get("project", company, "t1") is None and registry.get("task", company[::-1], "t1") is None
        assert [document.id for document in registry.find("task", [company])] == ["t1"]
        assert registry.count("task", [company], [Condition("tags", "in", ["b"])]) == 1
        assert [document.company for document in registry.find_anywhere("task", ["t1", "t2"]) if document.company == company] == [company]
        assert registry.delete("task", company, "t1") and not registry.delete("task", company, "t1")
        assert registry.get_many("task", company, ["t1"]) == {} and registry.count("task", [company]) == 0

    def test_a_change_of_somebody_else_is_never_overwritten(self, stores: Stores) -> None:
        registry, company = stores.registry, stores.company
        registry.create("task", company, "t", {"name": "old"})
        mine, theirs = registry.get("task", company, "t"), registry.get("task", company, "t")
        assert mine is not None and theirs is not None
        theirs.body["name"] = "theirs"
        newer = registry.replace(theirs)
        mine.body["name"] = "mine"
        with pytest.raises(Conflict):
            registry.replace(mine)
        newer.body["name"] = "again"
        registry.replace(newer)
        registry.delete("task", company, "t")
        with pytest.raises(Conflict):
            registry.replace(newer)
        registry.create("task", company, "t", {"name": "reborn"})
        with pytest.raises(Conflict):
            registry.replace(newer)

    def test_many_documents_are_created_in_one_go_and_taken_ids_stay_as_they_are(self, stores: Stores) -> None:
        registry, company = stores.registry, stores.company
        registry.create("task", company, "t3", {"name": "was there", "last_iteration": 9})
        bodies = {f"t{number}": {"name": f"n{number}", "last_iteration": 1} for number in range(1200)}
        assert registry.create_many("task", company, bodies).keys() == set(bodies) - {"t3"}
        assert registry.create_many("task", company, bodies) == {} == registry.create_many("task", company, {})
        found = registry.get_many("task", company, ["t3", "t1199"])
        assert (found["t3"].body["name"], found["t3"].body["last_iteration"]) == ("was there", 9)
        assert (found["t1199"].body["id"], found["t1199"].body["last_iteration"]) == ("t1199", 1)
        assert registry.count("task", [company]) == 1200

    def test_many_documents_are_replaced_in_one_go_but_those_that_somebody_changed_or_deleted(self, stores: Stores) -> None:
        registry, company = stores.registry, stores.company
        ids = [f"t{number}" for number in range(1200)]
        registry.create_many("task", company, {id: {"name": "old", "last_iteration": 3} for id in ids})
        mine = registry.get_many("task", company, ids)
        for document in mine.values():
            document.body |= {"name": "mine", "last_iteration": 99}
        theirs = registry.get_many("task", company, ["t5"])["t5"]
        theirs.body["name"] = "theirs"
        registry.replace(theirs)
        registry.delete("task", company, "t7")
        stores.events.append(company, Builder(now=5_000).scalar("t9", "m", "v", 8, 1.0).build())
        replaced = registry.replace_many("task", company, list(mine.values()), touch={"last_change": 9_000})
        assert replaced.keys() == set(ids) - {"t5", "t7"}
        found = {document.id: document for document in registry.find("task", [company])}
        assert found.keys() == set(ids) - {"t7"} and found["t5"].body["name"] == "theirs"
        assert {id for id, document in found.items() if document.body["name"] == "mine"} == set(replaced)
        assert [(found[id].body["last_iteration"], found[id].body["last_change"]) for id in ("t8", "t9")] == [(3, 9_000), (8, 9_000)]
        assert registry.replace_many("task", company, [replaced["t8"], mine["t9"]]).keys() == {"t8"}, "by the versions of the answer"
        assert registry.replace_many("task", company, []) == {}

    def test_many_documents_are_deleted_in_one_go(self, stores: Stores) -> None:
        registry, company = stores.registry, stores.company
        ids = [f"t{number}" for number in range(1200)]
        registry.create_many("task", company, {id: {} for id in ids})
        registry.create("model", company, "t1", {})
        assert registry.delete_many("task", company, [*ids[:1100], "unknown"]) == set(ids[:1100])
        assert registry.delete_many("task", company, ids[:2]) == set() == registry.delete_many("task", company, [])
        assert sorted(document.id for document in registry.find("task", [company])) == sorted(ids[1100:])
        assert registry.get("model", company, "t1") is not None

    def test_batches_move_activity_without_disturbing_a_change(self, stores: Stores) -> None:
        registry, company = stores.registry, stores.company
        registry.create("task", company, "t", {"name": "n"})
        document = registry.get("task", company, "t")
        assert document is not None
        stores.events.append(company, Builder(now=5_000).scalar("t", "m", "v", 7, 1.0).build())
        stores.events.append(company, Builder(now=5_000).scalar("t", "m", "v", 3, 1.0).build())
        document.body |= {"name": "changed", "last_iteration": 99}
        registry.replace(document)
        read = registry.get("task", company, "t")
        assert read is not None
        assert (read.body["name"], read.body["last_iteration"], read.body["last_update"]) == ("changed", 7, 5_000)
        assert read.body["last_change"] == 5_001
        registry.touch("task", company, "t", last_iteration=0)
        read = registry.get("task", company, "t")
        assert read is not None and read.body["last_iteration"] == 0
        registry.replace(read, touch={"last_iteration": 4, "last_change": 9_000})
        read = registry.get("task", company, "t")
        assert read is not None and (read.body["last_iteration"], read.body["last_change"], read.body["last_update"]) == (4, 9_000, 5_000)
        registry.touch("task", company, "unknown", last_iteration=1)
        assert registry.get("task", company, "unknown") is None

    def test_counters_survive_many_writers(self, stores: Stores) -> None:
        registry, company = stores.registry, stores.company
        registry.create("project", company, "p", {"n": 0})

        def add() -> None:
            for _ in range(5):
                while True:
                    document = registry.get("project", company, "p")
                    assert document is not None
                    document.body["n"] += 1
                    try:
                        registry.replace(document)
                        break
                    except Conflict:
                        continue

        self.at_once([add] * 4)
        document = registry.get("project", company, "p")
        assert document is not None and document.body["n"] == 20

    @pytest.fixture
    def filled(self, stores: Stores) -> Stores:
        for id, body in TASKS.items():
            stores.registry.create("task", stores.company, id, body)
        return stores

    @pytest.mark.parametrize(
        ("where", "found"),
        [
            ([], "1234"),
            ([C("id", "in", ["t1", "t4", "nope"])], "14"),
            ([C("status", "in", ["completed"])], "23"),
            ([C("status", "in", ["completed", None])], "234"),
            ([C("status", "in", ["completed"], negate=True)], "14"),
            ([C("tags", "in", ["x", "z"])], "134"),
            ([C("tags", "all", ["x", "y"])], "1"),
            ([C("tags", "all", ["x"], negate=True)], "24"),
            ([C("parent", "exists")], "2"),
            ([C("parent", "in", [None])], "134"),
            ([C("project", "exists", negate=True)], "12"),
            ([C("created", "range", (100, 200))], "13"),
            ([C("created", "range", (None, 100))], "14"),
            ([C("name", "range", ("e", "t"))], "3"),
            ([C("n", "range", (6, None))], "3"),
            ([C("n", "in", [5])], "2"),
            ([C("n", "in", [2**70, 5])], "2"),
            ([C("n", "in", [10**400, -(10**400), *range(2**70, 2**70 + 20)])], ""),
            ([C("n", "in", [2**70], negate=True)], "1234"),
            ([C("n", "range", (6, 2**70))], "3"),
            ([C("created", "range", (-(2**70), 100))], "14"),
            ([C("last_iteration", "range", (2**63, None))], ""),
            ([C("last_iteration", "in", [2**64])], ""),
            ([AnyOf([[C("name", "matches", ("eval", False))], [C("n", "in", [2**70])]])], "3"),
            ([C(("hyper", "lr.x", "value"), "in", ["0.1"])], "1"),
            ([C("models.input.model", "in", ["m2"])], "4"),
            ([C("name", "matches", ("^train", True))], "12"),
            ([C("name", "matches", ("^Train", False))], "1"),
            ([C("name", "matches", ("^Train\\ A$", False))], "1"),
            ([C("name", "matches", ("rain", False), negate=True)], "34"),
            ([C("tags", "matches", ("^[yz]$", False))], "14"),
            ([AnyOf([[C("status", "in", ["created"])], [C("tags", "in", ["z"])]])], "14"),
            ([AnyOf([[C("name", "matches", ("eval", False))], [C("status", "in", ["created"]), C("tags", "in", ["y"])]])], "13"),
            ([AnyOf([])], ""),
            ([C("status", "in", ["completed"]), C("created", "range", (250, None))], "2"),
        ],
    )
    def test_conditions(self, filled: Stores, where: list[Any], found: str) -> None:
        documents = filled.registry.find("task", [filled.company], where)
        assert "".join(document.id[1:] for document in documents) == found
        assert filled.registry.count("task", [filled.company], where) == len(found)

    @pytest.mark.parametrize(
        ("order", "found"),
        [
            ([Sort("created")], "4132"),
            ([Sort("created", True)], "2314"),
            ([Sort("name")], "1324"),
            ([Sort("status"), Sort("created", True)], "2314"),
            ([Sort("status", True), Sort("created")], "1324"),
            ([Sort("project", True), Sort("id", True)], "4321"),
            ([Sort("n", True)], "3214"),
            ([Sort("last_iteration", True)], "2134"),
        ],
    )
    def test_orders(self, filled: Stores, order: list[Sort], found: str) -> None:
        filled.registry.touch("task", filled.company, "t2", last_iteration=9)
        filled.registry.touch("task", filled.company, "t1", last_iteration=-1)
        ids = [document.id[1:] for document in filled.registry.find("task", [filled.company], order=order)]
        assert "".join(ids) == found
        some = filled.registry.find("task", [filled.company], order=order, offset=1, limit=2, fields=["name"])
        assert [document.id[1:] for document in some] == ids[1:3]

    def test_tasks_are_sorted_by_what_their_series_say(self, filled: Stores) -> None:
        from hashlib import md5

        for id, value in (("t1", 2.0), ("t3", 9.0), ("t4", 5.0)):
            filled.events.append(filled.company, Builder().scalars(id, "loss", "train", [(0, value), (1, 0.0)]).build())
        filled.events.append(filled.company, Builder().scalar("t3", "loss", "train", 0, 1.0).build())  # replaces the 9
        path = ("last_metrics", md5(b"loss").hexdigest(), md5(b"train").hexdigest(), "max_value")
        documents = filled.registry.find("task", [filled.company], order=[Sort(path, descending=True)])
        assert [document.id for document in documents] == ["t4", "t1", "t3", "t2"]
        assert [d.id for d in filled.registry.find("task", [filled.company], [C(path, "range", (2.0, None))])] == ["t1", "t4"]

    def test_documents_are_tallied(self, filled: Stores) -> None:
        tally = filled.registry.tally("task", [filled.company], (), ["status"])
        assert tally == {("created",): (1, 0.0), ("completed",): (2, 0.0), (None,): (1, 0.0)}
        tally = filled.registry.tally(
            "task", [filled.company], [C("name", "matches", ("e|i", False))], ["project", "status"], total="created"
        )
        assert tally == {
            (None, "created"): (1, 100.0),
            (None, "completed"): (1, 300.0),
            ("p1", "completed"): (1, 200.0),
            ("p1", None): (1, 50.0),
        }
        assert filled.registry.tally("task", [filled.company], (), ["project", "status"], total="created") == tally
        latest = filled.registry.tally("task", [filled.company], (), ["status"], total="created", greatest=True)
        assert latest == {("created",): (1, 100.0), ("completed",): (2, 300.0), (None,): (1, 50.0)}
        assert filled.registry.tally("task", [filled.company], (), ["project"], total="absent", greatest=True)[None,] == (2, 0.0)
        tally = filled.registry.tally("task", [filled.company], [C("status", "exists")], ["tags"], total="created")
        assert tally == {("x",): (2, 300.0), ("y",): (1, 100.0), (None,): (1, 300.0)}

    @pytest.mark.parametrize("kind", ["task", "project"])
    def test_the_patterns_of_a_call_have_a_bound_of_time_and_of_text(
        self, stores: Stores, kind: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Without it 4 times 1.8 s, on the event loop or in a thread that reads the store; 100,000 such documents: 2 days."""
        for number in range(4):
            stores.registry.create(kind, stores.company, f"d{number}", {"name": "ab" * 50_000, "comment": "x" * 60_000 + "needle"})
        where = [C("name", "matches", ("(?:a?b?){900}[cd]", False))]
        monkeypatch.setattr(patterns, "SECONDS", 0.0)
        for look in (stores.registry.find, stores.registry.count):
            with pytest.raises(PatternTooSlow):
                look(kind, [stores.company], where)
        with pytest.raises(PatternTooSlow):
            stores.registry.tally(kind, [stores.company], where, ["status"])
        monkeypatch.undo()
        assert stores.registry.count(kind, [stores.company], [C("comment", "matches", ("needle", False))]) == 0
        assert stores.registry.count(kind, [stores.company], [C("comment", "matches", ("^x+$", False))]) == 4

    def test_names_of_nested_fields_are_collected(self, stores: Stores) -> None:
        bodies: list[dict[str, Any]] = [
            {"hyperparams": {"Args": {"lr": {"value": "1"}, "odd.name$": {"value": "2"}}, "General": {}}},
            {"hyperparams": {"Args": {"lr": {"value": "3"}}, "Ünïcode": {"x": {}}}, "status": "completed"},
            {"hyperparams": {}},
            {"hyperparams": None},
            {},
        ]
        for number, body in enumerate(bodies):
            stores.registry.create("task", stores.company, f"n{number}", body)
        find = stores.registry.names
        assert find("task", [stores.company], (), "hyperparams") == {("Args", "lr"), ("Args", "odd.name$"), ("Ünïcode", "x")}
        assert find("task", [stores.company], [C("status", "exists")], "hyperparams") == {("Args", "lr"), ("Ünïcode", "x")}
        assert find("task", [stores.company], [C("id", "matches", ("n0", False))], "hyperparams") == {("Args", "lr"), ("Args", "odd.name$")}
        assert find("task", ["another company"], (), "hyperparams") == find("model", [stores.company], (), "hyperparams") == set()

    def test_thousands_of_documents_are_all_found(self, stores: Stores) -> None:
        self.at_once([lambda part=part: make(stores, part) for part in range(4)])  # type: ignore[misc]
        assert stores.registry.count("project", [stores.company]) == 1200
        assert len(stores.registry.find("project", [stores.company])) == 1200
        found = stores.registry.find("project", [stores.company], order=[Sort("created", True)], offset=1100, limit=50)
        assert [document.body["created"] for document in found] == list(range(99, 49, -1))
        assert len(stores.registry.get_many("project", stores.company, [f"p{n}" for n in range(1200)])) == 1200

    def test_the_few_fields_of_a_task_are_always_the_newest(self, stores: Stores) -> None:
        def status() -> Any:
            return {
                id: document.body["status"] for id, document in registry.get_many("task", company, ["a", "b"], fields=["status"]).items()
            }

        registry, company = stores.registry, stores.company
        assert status() == {}
        document = registry.create("task", company, "a", {"status": "created", "hyperparams": {"x": 1}})
        assert status() == {"a": "created"}
        registry.get_many("task", company, ["a"], fields=["status"])["a"].body["status"] = "spoiled"
        assert status() == {"a": "created"}
        stores.events.append(company, Builder().scalar("a", "loss", "train", 1, 0.5).build())
        assert status() == {"a": "created"}
        document.body["status"] = "published"
        registry.replace(document)
        assert status() == {"a": "published"}
        registry.create_many("task", company, {"a": {"status": "never"}, "b": {"status": "created"}})
        assert status() == {"a": "published", "b": "created"}
        assert registry.get_many("model", company, ["a"], fields=["status"]) == {}
        registry.delete("task", company, "a")
        assert status() == {"b": "created"}
        registry.create("task", company, "a", {"status": "stopped"})
        assert status() == {"a": "stopped", "b": "created"}

    def test_conditions_on_names_and_numbers_that_look_alike(self, stores: Stores) -> None:
        """Names with the characters that an index joins names by; integers and floats beyond 2^53; true and 1."""
        bodies: dict[str, dict[str, Any]] = {
            "a": {"x": {"b\x1fc": {"d": "1"}}, "n": 2**53},
            "b": {"x": {"b": {"c\x1fd": "1"}}, "n": float(2**53)},
            "c": {"x": {'b\x1e"1"': {"c": 2}}, "n": 2**53 + 1},
            "d": {"x": {"b": "1", "e": ["1\x1e1"]}, "n": True},
            "e": {"x": {"\x1c": 1, "\x1d": 1}, "n": 1, "m": 0},
            "f": {"x\x1fb": "1", "n": 1.0, "m": False},
        }
        for id, body in bodies.items():
            stores.registry.create("task", stores.company, id, body)
        wanted: list[tuple[Condition, str]] = [
            (C(("x", "b\x1fc", "d"), "in", ["1"]), "a"),
            (C(("x", "b", "c\x1fd"), "in", ["1"]), "b"),
            (C(("x", "b", "c", "d"), "in", ["1"]), ""),
            (C(("x", "b"), "in", ["1"]), "d"),
            (C(("x", "b"), "exists"), "bd"),
            (C(("x", 'b\x1e"1"'), "exists"), "c"),
            (C(("x", "\x1c"), "exists"), "e"),
            (C(("x\x1fb",), "in", ["1"]), "f"),
            (C("n", "in", [2**53]), "ab"),
            (C("n", "in", [float(2**53)]), "ab"),
            (C("n", "in", [2**53 + 1]), "c"),
            (C("n", "in", [1]), "def"),
            (C("n", "in", [True]), "def"),
            (C("m", "in", [False]), "ef"),
            (C("m", "in", [0.0]), "ef"),
            (C("n", "in", [1], negate=True), "abc"),
        ]
        for condition, ids in wanted:
            found = stores.registry.find("task", [stores.company], [condition])
            assert "".join(sorted(document.id for document in found)) == ids, condition

    def test_patterns_see_texts_and_lists_wherever_they_are(self, stores: Stores) -> None:
        """Also in long documents, and in lists of objects."""
        body: dict[str, Any] = {
            "name": "short",
            "tags": ["tag one"],
            "words": ["alpha", "beta"],
            "hyper": {"a.b": {"value": "gamma"}},
            "models": {"input": [{"model": "delta"}, {"other": 1}], "output": []},
            "execution": {"artifacts": [{"key": "epsilon", "uri": "s3://zeta"}], "model": "eta"},
            "n": 12.5,
        }
        for id, comment in (("small", ""), ("large", "x" * 120_000)):
            stores.registry.create("task", stores.company, id, {**body, "comment": comment, "script": {"diff": comment + "theta"}})
        wanted: dict[tuple[str, ...], str] = {
            ("name",): "^short$",
            ("tags",): "^tag",
            ("words",): "^beta$",
            ("hyper", "a.b", "value"): "^gamma$",
            ("models", "input", "model"): "^delta$",
            ("execution", "artifacts", "uri"): "zeta$",
            ("execution", "model"): "eta",
            ("n",): "^12.5$",
        }
        for path, pattern in wanted.items():
            found = stores.registry.find("task", [stores.company], [C(path, "matches", (pattern, False))])
            assert sorted(document.id for document in found) == ["large", "small"], path
            assert stores.registry.count("task", [stores.company], [C(path, "matches", (pattern, False), negate=True)]) == 0, path
        theta = stores.registry.find("task", [stores.company], [C(("script", "diff"), "matches", ("theta", False))])
        assert [document.id for document in theta] == ["small"]  # behind what patterns see
