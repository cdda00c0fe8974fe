"""Log lines on their way from a stored batch to live readers."""

from __future__ import annotations

from apiserver.bll.events.live_log import LiveLine, LiveLog, live_line
from apiserver.bll.registry.directory import Owner
from apiserver.stores.batch import Appended, LogLine, Refusal
from apiserver.stores.memory.bus import MemoryBus
from apiserver.stores.records import Cursor, PagedEvent

OWNER = Owner("acme", "t1", "task", "t1", "created", False, False)


def line(number: int, *, task: str = "t1", timestamp: int = 1000, msg: str | None = "hello") -> LogLine:
    return LogLine(task, timestamp, "info", "w", msg, "", "", None, number, 100)


def test_lines_come_by_time_then_by_arrival() -> None:
    live = LiveLog(MemoryBus())
    with live.subscribe(OWNER, 10) as reader:
        live.publish("acme", [line(0, timestamp=2000), line(1, msg=None), line(2)], Appended(2**60))
        assert reader.get(5) == [
            LiveLine(2**60 + 1, 1000, "info", "w", None),
            LiveLine(2**60 + 2, 1000, "info", "w", "hello"),
            LiveLine(2**60, 2000, "info", "w", "hello"),
        ]


def test_a_reader_gets_the_lines_of_its_task_only() -> None:
    live = LiveLog(MemoryBus())
    with live.subscribe(OWNER, 10) as reader:
        live.publish("other", [line(0)], Appended(1))
        live.publish("acme", [line(0, task="t2"), line(1, msg="mine")], Appended(10))
        assert [found.msg for found in reader.get(5)] == ["mine"]
        assert reader.get(0) == []


def test_names_with_colons_are_channels_of_their_own() -> None:
    live = LiveLog(MemoryBus())
    with live.subscribe(OWNER._replace(company="acme", id="b:c"), 10) as reader:
        live.publish("acme:b", [line(0, task="c")], Appended(1))
        live.publish("acme", [line(0, task="b:c", msg="mine")], Appended(5))
        assert [found.msg for found in reader.get(5)] == ["mine"]


def test_what_was_refused_or_stored_before_is_not_sent() -> None:
    live = LiveLog(MemoryBus())
    with live.subscribe(OWNER, 10) as reader:
        live.publish("acme", [line(0)], Appended(1, [Refusal(0, None, "too long")]))
        live.publish("acme", [line(0)], Appended(1, logs_were_stored_before=True))
        live.publish("acme", [line(0), line(1, msg="good")], Appended(5, [Refusal(0, None, "too long")]))
        assert reader.get(5) == [LiveLine(6, 1000, "info", "w", "good")]
        assert reader.get(0) == []


def test_a_stored_line_looks_as_it_does_live() -> None:
    found = PagedEvent({"level": "info", "worker": "w", "msg": "hello"}, Cursor(1000, 1000, 7))
    assert live_line(found) == LiveLine(7, 1000, "info", "w", "hello")
