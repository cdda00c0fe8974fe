"""How documents that many batches change travel to a real Elasticsearch: who goes with whom, and what happens to those who wait."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import orjson
import pytest

from apiserver.stores.elastic.client import BulkAnswer, ElasticClient
from apiserver.stores.elastic.installation import Installation
from apiserver.stores.elastic.layout import Layout
from apiserver.stores.elastic.series import group_commit as module
from apiserver.stores.elastic.series.changes import SeriesChange
from apiserver.stores.elastic.series.group_commit import GROUP_BYTES, BatchLines, GroupCommit
from apiserver.stores.elastic.series.row import StatisticsRow, series_id
from apiserver.stores.errors import StoreBusy
from apiserver.stores.records import SCALAR, SeriesKey
from tests.process import wait_until
from tests.servers import elasticsearch_address, elasticsearch_url, run_prefix
from tests.stores.settings import ELASTIC


class Held(ElasticClient):
    """The real client; its bulk requests wait until they are let through, and are counted."""

    def __init__(self, url: str) -> None:
        super().__init__(url, ELASTIC)
        self.open = threading.Event()
        self.open.set()
        self.sent: list[bytes] = []
        self.fail = False

    def bulk(self, body: bytes, index: str = "", *, details: bool = False) -> BulkAnswer:
        self.sent.append(body)
        assert self.open.wait(30)
        if self.fail:
            raise StoreBusy("as the test wants it")
        return super().bulk(body, index, details=details)


@pytest.fixture(scope="module")
def client() -> Iterator[Held]:
    elasticsearch_url()  # has this run's indices removed at its end
    client = Held(f"{elasticsearch_address()}?prefix={run_prefix()}-group_commit")
    Installation(client, Layout(client, ELASTIC)).prepare()
    yield client
    client.close()


@pytest.fixture
def index(client: Held) -> str:
    layout = Layout(client, ELASTIC)
    index = layout.statistics(uuid.uuid4().hex)
    layout.create(index, {layout.writing(index): {}})
    client.sent.clear()
    client.fail = False
    client.open.set()
    return index


@pytest.fixture
def pool(client: Held) -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(16) as pool:
        yield pool
        client.open.set()  # a test that failed leaves requests that wait; the pool would wait for them too


def change(index: str, variant: str, count: int = 1) -> SeriesChange:
    key = SeriesKey("task", SCALAR, "loss", variant)
    row = StatisticsRow()
    row.extend(count, (1, count), (1, 1))
    return SeriesChange(index, series_id("company", key), key, row, None)


def count_of(client: ElasticClient, index: str, variant: str) -> int:
    stored = client.get(index, change(index, variant).id)
    return int(stored["_source"]["count"]) if stored else 0


def batch_lines(index: str, bytes: int = 0) -> BatchLines:
    """A batch of one document."""
    line = orjson.dumps({"index": {"_id": uuid.uuid4().hex}}) + b"\n" + orjson.dumps({"kind": "x", "task": "y" * bytes}) + b"\n"
    return BatchLines([line], f"{index}-write", 1)


def behind_a_held_one(group_commit: GroupCommit, client: Held, index: str, pool: ThreadPoolExecutor) -> Future[None]:
    client.open.clear()
    first = pool.submit(group_commit.commit, [change(index, "first")])
    wait_until(lambda: client.sent, 10, "the first bulk is sent")
    return first


def waiting(group_commit: GroupCommit, count: int) -> None:
    wait_until(lambda: group_commit.waiting == count, 10, f"{count} wait")


def test_commits_that_wait_share_one_bulk(client: Held, index: str, pool: ThreadPoolExecutor) -> None:
    group_commit = GroupCommit(client)
    first = behind_a_held_one(group_commit, client, index, pool)
    others = [pool.submit(group_commit.commit, [change(index, f"v{n % 5}", n)], batch_lines(index)) for n in range(1, 11)]
    waiting(group_commit, 10)
    client.open.set()
    for done in [first, *others]:
        done.result(30)
    assert len(client.sent) == 2
    assert [count_of(client, index, f"v{n}") for n in range(5)] == [5 + 10, 1 + 6, 2 + 7, 3 + 8, 4 + 9]


def test_a_document_is_never_in_two_bulks_at_a_time(client: Held, index: str, pool: ThreadPoolExecutor) -> None:
    """What was prepared before another one changed the document is made again."""
    group_commit = GroupCommit(client)
    group_commit.commit([change(index, "first"), change(index, "other")])
    client.sent.clear()
    first = behind_a_held_one(group_commit, client, index, pool)
    again = pool.submit(group_commit.commit, [change(index, "first", 10), change(index, "other", 10)])
    large = pool.submit(group_commit.commit, [change(index, "first", 100)], batch_lines(index, GROUP_BYTES + 1))
    waiting(group_commit, 2)
    client.open.set()
    for done in (first, again, large):
        done.result(30)
    assert count_of(client, index, "first") == 112
    assert count_of(client, index, "other") == 11


def test_a_large_commit_does_not_wait(client: Held, index: str, pool: ThreadPoolExecutor) -> None:
    group_commit = GroupCommit(client)
    first = behind_a_held_one(group_commit, client, index, pool)
    large = pool.submit(group_commit.commit, [change(index, "large")], batch_lines(index, GROUP_BYTES + 1))
    wait_until(lambda: len(client.sent) == 2, 10, "the large one is sent beside the first")
    client.open.set()
    first.result(30)
    large.result(30)


def test_what_another_worker_wrote_is_kept(client: Held, index: str) -> None:
    one, other = GroupCommit(client), GroupCommit(client)
    for round in range(3):
        one.commit([change(index, "shared", 1)])
        other.commit([change(index, "shared", 10)])
        assert count_of(client, index, "shared") == 11 * (round + 1)


def test_more_series_than_are_remembered(client: Held, index: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 3)
    group_commit = GroupCommit(client)
    for round in range(3):
        group_commit.commit([change(index, f"v{n}", n + 1) for n in range(10)])
        assert [count_of(client, index, f"v{n}") for n in range(10)] == [(n + 1) * (round + 1) for n in range(10)]


def test_leader_and_followers_raise_when_their_bulk_fails_and_the_next_goes(client: Held, index: str, pool: ThreadPoolExecutor) -> None:
    group_commit = GroupCommit(client)
    first = behind_a_held_one(group_commit, client, index, pool)
    others = [pool.submit(group_commit.commit, [change(index, f"v{n}")]) for n in range(3)]
    waiting(group_commit, 3)
    client.fail = True
    client.open.set()
    for done in [first, *others]:
        with pytest.raises(StoreBusy, match="as the test wants it"):
            done.result(30)
    client.fail = False
    group_commit.commit([change(index, "v0")])
    assert count_of(client, index, "v0") == 1


class Ended(BaseException):
    """A greenlet that is killed."""


class Breaks(threading.Event):
    """Breaks off whoever waits in a thread of that name: before its turn, or when it has just been told that it leads."""

    when = "before"

    def wait(self, timeout: float | None = None) -> bool:
        mine = threading.current_thread().name == "broken"
        if mine and self.when == "before":
            raise Ended
        done = super().wait(timeout)
        if mine:
            raise Ended
        return done


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_commit_that_is_killed_holds_up_no_other(
    client: Held, index: str, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    group_commit = GroupCommit(client, Breaks)
    first = behind_a_held_one(group_commit, client, index, pool)
    monkeypatch.setattr(Breaks, "when", when)
    ended: list[bool] = []

    def broken() -> None:
        try:
            group_commit.commit([change(index, "broken")])
        except Ended:
            ended.append(True)

    thread = threading.Thread(target=broken, name="broken")
    thread.start()
    if when == "before":
        thread.join(10)
    else:
        waiting(group_commit, 1)
    other = pool.submit(group_commit.commit, [change(index, "other")])
    waiting(group_commit, 1 if when == "before" else 2)
    client.open.set()
    first.result(30)
    other.result(30)
    thread.join(10)
    assert ended == [True]
    assert count_of(client, index, "other") == 1
    assert count_of(client, index, "broken") == (0 if when == "before" else 1)
    group_commit.commit([change(index, "other")])
    assert count_of(client, index, "other") == 2
