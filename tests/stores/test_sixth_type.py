"""A new event type is one entry of the table: with it, and what clients may send of it, both engines take, page, count and delete its events.

Everything that a sixth type needs is in this file; docs/contributing.md says where it goes when it is to stay.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import orjson
import pytest

from apiserver import hocon
from apiserver.bll.events.batch_builder import BatchBuilder
from apiserver.bll.events.event_decoder import EventDecoder
from apiserver.service_repo.schema import SchemaSet
from apiserver.stores.base import EventStore
from apiserver.stores.batch import EventBatch, Points, Touch
from apiserver.stores.event_types import EVENT_TYPES, EventType, register, registered
from apiserver.stores.records import SCALAR, Cursor, EventQuery, Metrics, PagedEvent, SeriesKey
from tests.contract.batches import T0
from tests.process import ROOT

AUDIO = EventType(
    "audio_clip",
    code=100,
    definition="audio_event",
    columns={"url": "url", "seconds": "length"},
    has_value=True,
    has_url=True,
)
ENERGY = EventType("energy", code=101, form="points", has_value=True, last_values=True)
"""A type that is stored as scalars are."""

AUDIO_EVENT = {
    "properties": {
        name: {"type": declared}
        for name, declared in {
            "type": "string",
            "task": "string",
            "metric": "string",
            "variant": "string",
            "iter": "integer",
            "timestamp": "integer",
            "worker": "string",
            "model_event": "boolean",
            "allow_locked": "boolean",
            "url": "string",
            "seconds": "number",
        }.items()
    }
}
"""What would stand in schema/services/_events_definitions.conf."""
COMPANY = "acme"


@pytest.fixture(scope="module")
def types() -> Iterator[None]:
    with registered(AUDIO), registered(ENERGY):
        yield


@pytest.fixture(scope="module")
def store(types: None, engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EventStore]:
    if engine == "sqlite":
        from apiserver.stores.sqlite import open_sqlite

        events, _ = open_sqlite(tmp_path_factory.mktemp("types") / "test.db")
        yield events
        events.close()
        return
    from apiserver.stores.elastic import open_elastic
    from apiserver.stores.redis import open_redis
    from tests.servers import elasticsearch_address, elasticsearch_url, redis_address, run_prefix
    from tests.stores.settings import ELASTIC, REDIS

    elasticsearch_url()  # has this run's indices removed at its end
    prefix = f"{run_prefix()}-types"
    state, bus, coordination = open_redis(f"{redis_address()}?prefix={prefix}", REDIS)
    events, _ = open_elastic(f"{elasticsearch_address()}?prefix={prefix}", coordination, ELASTIC)
    yield events
    events.close()
    bus.close()
    state.close()


@pytest.fixture(scope="module")
def definitions() -> dict[str, object]:
    """What clients may send of the other types."""
    return dict(SchemaSet(ROOT / "schema" / "services", hocon.cache_folder()).definitions("events"))


@pytest.fixture
def task() -> str:
    return uuid.uuid4().hex


def sent(schema_definitions: dict[str, object], lines: list[dict[str, object]]) -> EventBatch:
    """What `events.add_batch` makes of these lines."""
    builder = BatchBuilder(EventDecoder({**schema_definitions, "audio_event": AUDIO_EVENT}), T0, "host:1", (), False)
    builder.add_lines([orjson.dumps(line) for line in lines], 0)
    builder.owners()
    assert builder.refused == []
    return builder.finish()


def clip(task: str, iteration: int | None, **more: object) -> dict[str, object]:
    line: dict[str, object] = {"type": "audio_clip", "task": task, "metric": "speech", "variant": "a", "timestamp": T0 + (iteration or 0)}
    return {**line, **({} if iteration is None else {"iter": iteration}), **more}


def pages(store: EventStore, query: EventQuery, limit: int) -> Iterator[list[PagedEvent]]:
    after: Cursor | None = None
    while page := store.page(COMPANY, query, "iter", descending=True, after=after, limit=limit):
        yield page
        after = page[-1].cursor


def test_events_of_a_new_type_are_sent_read_paged_and_deleted(store: EventStore, task: str, definitions: dict[str, object]) -> None:
    lines = [clip(task, step, url=f"u{step}", seconds=0.5 * step, mood="calm") for step in range(25)]
    lines += [clip(task, 3, url="new", seconds=9), clip(task, 30, seconds=1), clip(task, None, url="never")]
    assert store.append(COMPANY, sent(definitions, lines)).refusals == []
    query = EventQuery(task, ["audio_clip"])
    found = [event for page in pages(store, query, 7) for event, _ in page]
    assert [event.get("iter") for event in found] == [30, *range(24, -1, -1), None]
    third = next(event for event in found if event.get("iter") == 3)
    assert {name: third[name] for name in ("type", "url", "length", "value", "worker")} == {
        "type": "audio_clip",
        "url": "new",  # it replaced the first event of iteration 3
        "length": 9.0,
        "value": None,
        "worker": "host:1",
    }
    assert found[1]["mood"] == "calm"
    assert store.count(COMPANY, query) == store.count(COMPANY, EventQuery(task, EVENT_TYPES)) == 27
    # Iterations count only where there is a url.
    assert store.iterations(COMPANY, query, descending=True, count=2) == [24, 23]
    (series,) = store.series(COMPANY, [task])
    assert (series.key, series.count, series.max_iter, series.statistics) == (SeriesKey(task, "audio_clip", "speech", "a"), 27, 30, None)
    assert [(one.type, one.count) for one in store.storage(COMPANY, task)] == [("audio_clip", 27)]
    assert store.delete(COMPANY, task) == 27
    assert store.page(COMPANY, query, "iter") == [] and store.series(COMPANY, [task]) == []


def test_points_of_a_new_type_have_columns_statistics_and_pages(store: EventStore, task: str) -> None:
    points = Points(list(range(50)), [step / 2 for step in range(50)], [T0] * 50, list(range(50)), [100] * 50)
    key = SeriesKey(task, "energy", "gpu", "0")
    batch = EventBatch(T0, "host:1", 50, {key: points}, touches={task: Touch(49)})
    assert store.append(COMPANY, batch).refusals == []
    (columns,) = store.points(COMPANY, [key])
    assert columns.values.tolist() == points.values
    metrics: Metrics = {"gpu": ()}
    (series,) = store.series(COMPANY, [task], ["energy"], metrics)
    assert series.statistics is not None and (series.statistics.max_value, series.statistics.count) == (24.5, 50)
    query = EventQuery(task, ["energy", SCALAR], min_iter=10)
    found = [event for page in pages(store, query, 15) for event, _ in page]
    assert [event["value"] for event in found] == points.values[:9:-1]
    assert store.count(COMPANY, query) == 40
    assert store.iterations(COMPANY, query, descending=False, count=2, beyond=11) == [12, 13]
    # It is of no API: only who asks for it by name sees it.
    assert store.series(COMPANY, [task]) == [] and store.storage(COMPANY, task) == []
    assert store.delete(COMPANY, task) == 50
    assert store.points(COMPANY, [key]) == []


def test_no_two_types_share_a_name_or_a_code(types: None) -> None:
    for taken in (EventType("audio_clip", 102), EventType("video_clip", 100), EventType(SCALAR, 103)):
        with pytest.raises(ValueError, match="can't be added"):
            register(taken)


def test_a_type_whose_definition_lacks_its_columns_is_refused_at_start(types: None, definitions: dict[str, object]) -> None:
    lacking = {"properties": {name: schema for name, schema in AUDIO_EVENT["properties"].items() if name != "seconds"}}
    with pytest.raises(ValueError, match=r'"audio_event" in .* lacks seconds'):
        EventDecoder({**definitions, "audio_event": lacking})
    with pytest.raises(ValueError, match='has no "audio_event"'):
        EventDecoder(definitions)
