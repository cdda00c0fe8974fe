"""What a process remembers of the documents that batches change: as objects or packed, it is the same."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apiserver.stores.elastic.client import ElasticClient
from apiserver.stores.elastic.series.changes import DocumentState
from apiserver.stores.elastic.series.known_documents import KnownDocuments, pack, unpack
from apiserver.stores.elastic.series.row import LastPoints, StatisticsRow
from apiserver.stores.records import MAX_ITER, MIN_ITER
from tests.stores.settings import ELASTIC

ITERS = st.lists(st.integers(MIN_ITER, MAX_ITER), unique=True, max_size=150).map(sorted)


@pytest.fixture
def known() -> Iterator[KnownDocuments]:
    client = ElasticClient("http://127.0.0.1:1", ELASTIC)  # nobody is asked
    yield KnownDocuments(client, size=6, unpacked=2)
    client.close()


def state(number: int) -> DocumentState:
    row = StatisticsRow(count=number, x_axis_label="epoch")
    row.batches = f"batch{number}"
    return DocumentState(number, 1, number + 10, True, row)


@given(ITERS, st.sampled_from([0.5, math.inf, -math.inf]), st.booleans())
def test_a_packed_document_is_the_same(iters: list[int], value: float, has_last: bool) -> None:
    row = StatisticsRow()
    if iters:
        row.add_points(iters, [value] * len(iters), list(range(len(iters))), list(range(len(iters))))
    row.last = LastPoints.of(iters, [value] * len(iters)) if has_last else None
    row.batches = "first second"
    for before in (DocumentState(7, 2, 2**31 - 1, True, row), DocumentState(), DocumentState(1, 1, activity={"last_update": 2**53})):
        after = unpack(pack(before))
        assert repr(after) == repr(before)  # a NaN equals nothing


def test_documents_that_are_packed_come_back(known: KnownDocuments) -> None:
    for number in range(5):
        known.remember(("index", f"series-{number}"), state(number))
    for number in range(5):
        assert known.get(("index", f"series-{number}")) == state(number)


def test_a_document_stays_the_same_object_while_its_batch_is_under_way(known: KnownDocuments) -> None:
    first = state(1)
    known.remember(("index", "series-1"), first)
    assert known.get(("index", "series-1")) is first
    known.remember(("index", "series-2"), state(2))
    assert known.get(("index", "series-1")) is first


def test_the_newest_state_counts(known: KnownDocuments) -> None:
    for number in range(5):
        known.remember(("index", f"series-{number}"), state(number))
    known.remember(("index", "series-0"), state(100))
    known.remember(("index", "series-8"), state(8))
    known.remember(("index", "series-9"), state(9))
    assert known.get(("index", "series-0")) == state(100)


def test_more_than_the_size_and_what_is_forgotten_are_gone(known: KnownDocuments) -> None:
    for number in range(7):
        known.remember(("index", f"series-{number}"), state(number))
    assert [known.get(("index", f"series-{number}")) is not None for number in range(7)] == [False, *[True] * 6]
    for number in (1, 6):
        known.forget(("index", f"series-{number}"))
        assert known.get(("index", f"series-{number}")) is None
