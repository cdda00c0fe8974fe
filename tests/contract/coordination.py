"""What every coordination promises."""

from __future__ import annotations

import uuid
from itertools import pairwise

import pytest

from apiserver.stores.coordination import Coordination, TaskState, WriteCounter
from apiserver.stores.records import DOCUMENT, SEQ_SHIFT


def write(coordination: Coordination, company: str, task: str, index: str, documents: list[str] | None = None, token: str = "") -> None:
    listed = {} if documents is None else {task: documents}
    coordination.record_writes(company, token, {task: [index]}, (), index, listed)


class CoordinationContract:
    """All of a coordination. A suite defines the fixture `coordination`."""

    @pytest.fixture
    def company(self) -> str:
        return uuid.uuid4().hex

    def test_arrival_numbers_are_given_once_and_grow(self, coordination: Coordination, company: str) -> None:
        now = 1_000_000_000_000
        starts = [coordination.begin_batch(company, now - n, 10, ["t"]).seq for n in range(50)]  # clocks of hosts differ
        assert all(later >= earlier + 10 for earlier, later in pairwise(starts))
        assert starts[0] >> SEQ_SHIFT >= now

    def test_a_batch_is_pending_until_it_is_finished(self, coordination: Coordination, company: str) -> None:
        start = coordination.begin_batch(company, 0, 3, ["t"])
        before = coordination.clock()
        assert coordination.pending_batches(company, before) == [(start.seq, start.seq + 2)]
        write(coordination, company, "t", f"i-{company}", token=start.token)
        assert coordination.pending_batches(company, before) == [(start.seq, start.seq + 2)]
        assert coordination.pending_batches(company, coordination.clock() + 1e-3) == []

    def test_a_pending_batch_is_found_by_its_tasks(self, coordination: Coordination, company: str) -> None:
        batches = [["a"], ["b", "a b"], [], [f"t{number}" for number in range(1_000)]]
        starts = [coordination.begin_batch(company, 0, 2, tasks) for tasks in batches]

        def found(*tasks: str) -> list[int]:
            return sorted(first for first, _ in coordination.pending_batches_of(company, tasks))

        ranges = [(start.seq, start.seq + 1) for start in starts]
        assert coordination.pending_batches_of(company, ["a"]) == coordination.pending_batches_of(company, ["a", "c"])
        assert sorted(coordination.pending_batches_of(company, ["a", "b"])) == ranges
        without_names = [starts[2].seq, starts[3].seq]  # one names no task, and one too many to be kept
        assert found("a") == [starts[0].seq, *without_names] and found("a b") == [starts[1].seq, *without_names]
        assert found("c") == without_names == found("t7")
        write(coordination, company, "a", f"i-{company}", token=starts[0].token)
        assert found("a") == without_names

    def test_a_write_raises_the_counter_of_its_index_and_of_its_task(self, coordination: Coordination, company: str) -> None:
        index, other = f"i-{company}", f"o-{company}"
        write(coordination, company, "t", index)
        write(coordination, company, "t", index)
        run, counters = coordination.write_counters([index, other])
        assert counters == {index: WriteCounter(2, None), other: WriteCounter(0, None)}
        assert coordination.task_states(company, ["t", "unknown"]) == (run, [TaskState(None, {index: 2}), TaskState(None, {})])

    def test_names_with_colons_are_tasks_of_their_own(self, coordination: Coordination, company: str) -> None:
        write(coordination, company, "b:c", f"i-{company}")
        for other, task in ((f"{company}:b", "c"), (f"{company}:b:c", "")):
            assert coordination.task_states(other, [task])[1] == [TaskState(None, {})]
        coordination.remember_generations(f"{company}:b", {"c": 7})
        assert coordination.task_states(company, ["b:c"])[1][0].generation is None

    def test_visible_counters_only_grow_and_belong_to_one_run(self, coordination: Coordination, company: str) -> None:
        index = f"i-{company}"
        write(coordination, company, "t", index)
        run, _ = coordination.write_counters([index])
        coordination.record_visible("another run", {index: 1})
        assert coordination.write_counters([index])[1][index].visible is None
        coordination.record_visible(run, {index: 1})
        coordination.record_visible(run, {index: 0})
        assert coordination.write_counters([index])[1][index] == WriteCounter(1, 1)

    def test_pending_documents_are_listed_until_they_are_visible(self, coordination: Coordination, company: str) -> None:
        index = f"i-{company}"
        write(coordination, company, "t", index, ["a", "b"])
        write(coordination, company, "t", index, ["b"])
        assert sorted(coordination.pending_documents(company, index, {"t": 2}) or ()) == ["a", "b"]
        run, _ = coordination.write_counters([index])
        coordination.record_visible(run, {index: 1})
        assert coordination.pending_documents(company, index, {"t": 2}) == ["b"]
        coordination.record_visible(run, {index: 2})
        assert coordination.pending_documents(company, index, {"t": 2}) == []

    def test_documents_that_were_not_listed_are_not_known(self, coordination: Coordination, company: str) -> None:
        index = f"i-{company}"
        write(coordination, company, "t", index, ["a"])
        write(coordination, company, "t", index)
        write(coordination, company, "t", index, ["c"])
        assert coordination.pending_documents(company, index, {"t": 3}) is None
        run, _ = coordination.write_counters([index])
        coordination.record_visible(run, {index: 2})
        assert coordination.pending_documents(company, index, {"t": 3}) == ["c"]

    def test_revisions_tell_events_from_the_document(self, coordination: Coordination, company: str) -> None:
        first = coordination.revisions(company, ["t", "u"])
        assert coordination.revisions(company, ["t", "u"]) == first
        write(coordination, company, "t", f"i-{company}")
        second = coordination.revisions(company, ["t", "u"])
        assert second.events[0] == first.events[0] + 1
        assert (second.events[1], second.documents) == (first.events[1], first.documents)
        coordination.record_writes(company, "", {"u": [DOCUMENT]}, (), "", {})
        assert coordination.revisions(company, ["u"]).documents[0] == first.documents[1] + 1

    def test_changed_documents_are_listed_from_a_number_on(self, coordination: Coordination, company: str) -> None:
        def change(id: str) -> None:
            coordination.record_writes(company, "", {id: [DOCUMENT]}, (), "", {})

        assert coordination.changed_documents(company, 0).ids == []
        change("a")
        change("b")
        listed = coordination.changed_documents(company, 0)
        assert listed.ids == ["a", "b"]
        change("a")
        assert coordination.changed_documents(company, listed.number).ids == ["a"]

    def test_generations_are_remembered_and_forgotten(self, coordination: Coordination, company: str) -> None:
        coordination.remember_generations(company, {"t": 3, "u": 4})
        assert coordination.begin_batch(company, 0, 1, ["t", "u", "v"]).generations == [3, 4, None]
        coordination.remember_generations(company, {"t": None})
        assert [state.generation for state in coordination.task_states(company, ["t", "u"])[1]] == [None, 4]
