"""What every event store promises."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Iterator
from dataclasses import astuple, replace
from typing import Any

import numpy as np
import pytest

from apiserver.stores.event_types import EVENT_TYPES
from apiserver.stores.records import (
    IMAGE,
    LOG,
    MAX_ITER,
    MIN_ITER,
    PLOT,
    SCALAR,
    SINGLE_VALUE_ITER,
    VECTOR,
    Axis,
    BucketRequest,
    Cursor,
    EventQuery,
    LineSearch,
    Matches,
    PagedEvent,
)
from tests.contract.batches import T0, Builder
from tests.contract.points import PointContract
from tests.contract.stores import StoreContract, Stores, key, known


def pages(stores: Stores, query: EventQuery, order: Axis, limit: int, descending: bool = False) -> Iterator[list[PagedEvent]]:
    after: Cursor | None = None
    while True:
        page = stores.events.page(stores.company, query, order, descending=descending, after=after, limit=limit)
        if page:
            yield page
        if len(page) < limit:
            return
        after = page[-1].cursor


class LogContract(StoreContract):
    """Log lines: order, search, positions, deletes, retries."""

    def test_identical_log_lines_are_all_kept(self, stores: Stores) -> None:
        builder = Builder(digest=b"x" * 16)
        for _ in range(5):
            builder.log("t", "same", T0)
        stores.events.append(stores.company, builder.build())
        stores.events.append(stores.company, Builder().log("t", "same", T0).build())
        assert stores.events.count(stores.company, EventQuery("t", [LOG])) == 6

    def test_the_same_log_batch_an_hour_later_is_no_retry_but_can_be_retried(self, stores: Stores) -> None:
        now = int(time.time() * 1000)
        digest = hashlib.sha256(stores.company.encode()).digest()
        for later, total in ((0, 2), (3_599_000, 2), (3_700_000, 4), (3_701_000, 4)):
            stores.events.append(stores.company, Builder(digest=digest, now=now + later).log("t", "a").log("t", "b").build())
            assert stores.events.count(stores.company, EventQuery("t", [LOG])) == total

    def test_the_log_is_read_searched_and_counted_in_order(self, stores: Stores) -> None:
        builder = Builder()
        texts = [f"step {n} loss={n / 7:.3f} {'CUDA out of memory' if n % 10 == 0 else 'fine'}" for n in range(100)]
        for n, text in enumerate(texts):
            builder.log("t", text, T0 + n // 10, level="error" if n % 20 == 0 else "info")
        builder.log("t", "y" * 20_000 + "needle" + "y" * 20_000, T0 + 50).log("t", None, T0 + 51)
        appended = stores.events.append(stores.company, builder.build())
        log = EventQuery("t", [LOG])
        chunks = [stretch.lines for stretch in stores.events.scan_log(stores.company, log, chunk=40)]
        assert [len(chunk) for chunk in chunks] == [40, 40, 22]
        assert [line.get("msg") for chunk in chunks for line, _ in chunk][:100] == texts
        errors = replace(log, levels=["error"])
        back = [line for stretch in stores.events.scan_log(stores.company, errors, descending=True) for line in stretch.lines]
        assert [line["msg"] for line, _ in back] == texts[80::-20]
        late = [
            line for stretch in stores.events.scan_log(stores.company, replace(log, from_seq=appended.seq + 98)) for line in stretch.lines
        ]
        assert len(late) == 4

        def search(part: str, literal: str | None = None, ignore_case: bool = False, descending: bool = False) -> list[str]:
            def match(lines: list[str]) -> Matches:
                return Matches([place for place, line in enumerate(lines) if part in line], len(lines))

            search = LineSearch(match, literal, ignore_case)
            stretches = list(stores.events.scan_log(stores.company, log, search, descending=descending))
            assert [stretch.end is None for stretch in stretches] == [False] * (len(stretches) - 1) + [True]
            found = [stretch.lines for stretch in stretches]
            return [line["msg"] for chunk in found for line, _ in chunk]

        for literal in (None, "ut of mem", "out of memory"):
            assert search("ut of mem", literal) == texts[::10]
        assert search("CUDA", "cuda", ignore_case=True, descending=True) == texts[90::-10]
        assert len(search("needle", "needle")) == 1
        (stopped,) = stores.events.scan_log(stores.company, log, LineSearch(lambda lines: Matches([0, 2], 3)))
        assert [line["msg"] for line, _ in stopped.lines] == [texts[0], texts[2]]
        rest = next(
            iter(stores.events.scan_log(stores.company, log, LineSearch(lambda lines: Matches([0], len(lines))), after=stopped.end))
        )
        assert rest.lines[0].event["msg"] == texts[3]
        cursors = [line.cursor for line in (chunks[0][0], chunks[0][5], chunks[2][21])]
        assert stores.events.log_positions(stores.company, "t", cursors) == [0, 5, 101]

    def test_a_long_log_is_read_backwards_through_bursts_and_silences(self, stores: Stores) -> None:
        times = [T0 + n for n in range(900)] + [T0 + 86_400_000] * 900 + [T0 + 90_000_000 + n * 777 for n in range(700)]
        for first in range(0, len(times), 500):
            builder = Builder()
            for n, at in enumerate(times[first : first + 500], first):
                builder.log("t", str(n), at, level="error" if n % 97 == 0 else "info", metric="m" if n % 100 == 3 else "")
            stores.events.append(stores.company, builder.build())

        def back(query: EventQuery, after: Cursor | None = None) -> list[int]:
            found = stores.events.scan_log(stores.company, query, after=after, descending=True, chunk=190)
            return [int(line["msg"]) for stretch in found for line, _ in stretch.lines]

        log = EventQuery("t", [LOG])
        numbers = list(range(len(times)))
        assert back(log) == numbers[::-1]
        assert back(replace(log, levels=["error"])) == numbers[::97][::-1]
        assert back(replace(log, max_timestamp=times[1_700])) == numbers[1_799::-1]
        place = next(iter(stores.events.scan_log(stores.company, log, descending=True, chunk=750))).end
        assert place is not None and back(log, place) == numbers[1_749::-1]

    def test_deleting_log_lines_by_age_and_metric(self, stores: Stores) -> None:
        builder = Builder()
        for n in range(10):
            builder.log("t", "a", T0 + n, metric="a").log("t", "b", T0 + n, metric="b")
        stores.events.append(stores.company, builder.scalar("t", "m", "v", 1, 1.0).build())
        assert stores.events.delete_logs(stores.company, "t", before=T0 + 4, include=None, exclude=None) == 8
        assert stores.events.delete_logs(stores.company, "t", before=None, include=["a"], exclude=["b"]) == 6
        assert stores.events.delete_logs(stores.company, "t", before=None, include=["a"], exclude=None) == 0
        assert [(s.key.type, s.key.metric, s.count) for s in stores.events.series(stores.company, ["t"])] == [
            (LOG, "b", 6),
            (SCALAR, "m", 1),
        ]


class ImageContract(StoreContract):
    """Debug images: which of their files still exist."""

    def test_images_know_which_of_their_files_still_exist(self, stores: Stores) -> None:
        builder = Builder()
        for step in range(25):
            builder.event(IMAGE, "t", "ring", "v", step, timestamp=T0 + step, url=f"u{step % 10}")
            builder.event(IMAGE, "t", "unique", "v", step, timestamp=T0 + step, url=f"x{step}")
        builder.event(IMAGE, "t", "ring", "v", 30, timestamp=T0 + 99).event(IMAGE, "t", "none", "v", 1)
        stores.events.append(stores.company, builder.build())
        assert [tuple(image) for image in stores.events.image_variants(stores.company, "t")] == [
            ("ring", "v", 24, "u4", 14, 15, T0 + 99),
            ("unique", "v", 24, "x24", None, 0, T0 + 24),
        ]
        query = EventQuery("t", [IMAGE])
        assert stores.events.iterations(stores.company, query, descending=True, count=2) == [24, 23]
        assert stores.events.iterations(stores.company, query, descending=False, count=2, beyond=3) == [4, 5]

    def test_images_of_many_variants_and_at_far_iterations(self, stores: Stores) -> None:
        builder = Builder()
        for number in range(130):
            for step in range(4):
                builder.event(IMAGE, "t", "many", f"v{number:03}", step, url=f"u{number}-{step % (2 if number % 2 else 9)}")
        for step in range(8):
            builder.event(IMAGE, "t", "far", "ring", 2**60 + step, url=f"r{step % 3}")
            builder.event(IMAGE, "t", "far", "unique", -(2**60) - step, url=f"r{step}")
        builder.event(IMAGE, "t", "far", "ring", 2**60 + 9)  # no url: not an image that can be shown
        stores.events.append(stores.company, builder.build())
        found = {(image.metric, image.variant): image for image in stores.events.image_variants(stores.company, "t")}
        assert len(found) == 132
        for number in range(130):
            image = found["many", f"v{number:03}"]
            expected = (3, f"u{number}-1", 1, 2) if number % 2 else (3, f"u{number}-3", None, 0)
            assert (image.max_iter, image.newest_url, image.newest_url_previous_iter, image.valid_from) == expected, image
        ring, unique = found["far", "ring"], found["far", "unique"]
        assert (ring.max_iter - 2**60, ring.newest_url, ring.newest_url_previous_iter, ring.valid_from - 2**60) == (7, "r1", 2**60 + 4, 5)
        assert (unique.max_iter, unique.newest_url, unique.newest_url_previous_iter, unique.valid_from) == (
            -(2**60),
            "r0",
            None,
            -(2**60) - 7,
        )


class EventStoreContract(LogContract, ImageContract, PointContract):
    """All of an event store, except what `SeriesContract` says of series."""

    def test_points_come_back_as_they_were_sent(self, stores: Stores) -> None:
        values = [0.1, -1.5e300, 5e-324, math.nan, math.inf, -math.inf, 3.0]
        batch = Builder().scalars("t", "loss", "train", enumerate(values)).build()
        assert stores.events.append(stores.company, batch).refusals == []
        (points,) = stores.events.points(stores.company, [key("t")])
        assert points.iters.tolist() == list(range(7))
        assert np.array_equal(np.isfinite(points.values), np.isfinite(values))
        assert points.values[np.isfinite(points.values)].tolist() == [0.1, -1.5e300, 5e-324, 3.0]
        assert points.timestamps.tolist() == [T0 + step * 1000 for step in range(7)]
        assert (np.diff(points.seqs) > 0).all()
        read = stores.events.page(stores.company, EventQuery("t", [SCALAR]), "iter")
        assert [event["value"] for event, _ in read] == [0.1, -1.5e300, 5e-324, None, None, None, 3.0]

    def test_a_second_report_of_an_iteration_replaces_the_first(self, stores: Stores) -> None:
        stores.events.append(stores.company, Builder().scalars("t", "loss", "train", [(1, 9.0), (2, 2.0), (3, 3.0)]).build())
        stores.events.append(stores.company, Builder().scalar("t", "loss", "train", 1, 0.5).scalar("t", "loss", "train", 4, 4.0).build())
        stores.events.append(stores.company, Builder().scalar("t", "loss", "train", 3, 7.0).scalar("t", "loss", "train", 3, 3.5).build())
        (points,) = stores.events.points(stores.company, [key("t")])
        assert points.values.tolist() == [0.5, 2.0, 3.5, 4.0]
        (series,) = stores.events.series(stores.company, ["t"])
        stats = series.statistics
        assert stats is not None and stats.count == series.count == 4
        assert (stats.value, stats.value_iter) == (4.0, 4)
        assert (stats.min_value, stats.min_value_iter, stats.max_value, stats.max_value_iter) == (0.5, 1, 4.0, 4)
        assert (stats.first_value, stats.first_value_iter) == (0.5, 1)
        assert stats.mean_value == pytest.approx(2.5, rel=1e-12)

    def test_a_retried_batch_changes_nothing(self, stores: Stores) -> None:
        def batch() -> Any:
            builder = Builder(digest=hashlib.sha256(stores.company.encode()).digest())
            builder.scalars("t", "loss", "train", [(step, step / 7) for step in range(100)])
            builder.event(IMAGE, "t", "img", "a", 1, url="http://x/1.png").event(VECTOR, "t", "vec", "a", 2, value=[1, 2, 3])
            for line in range(20):
                builder.log("t", f"line {line}", T0 + line)
            return builder.build()

        first = stores.events.append(stores.company, batch())
        before = stores.events.series(stores.company, ["t"])
        again = stores.events.append(stores.company, batch())
        assert not first.logs_were_stored_before and again.logs_were_stored_before
        after = stores.events.series(stores.company, ["t"])
        assert [(s.key, s.count, s.min_iter, s.max_iter) for s in after] == [(s.key, s.count, s.min_iter, s.max_iter) for s in before]
        assert stores.events.count(stores.company, EventQuery("t", EVENT_TYPES)) == 122
        assert [astuple(storage) for storage in stores.events.storage(stores.company, "t")] == [
            (SCALAR, 100, 20_000, T0, T0 + 99_000),
            (VECTOR, 1, 300, T0, T0),
            (IMAGE, 1, 300, T0, T0),
            (LOG, 20, 2_000, T0, T0 + 19),
        ]

    def test_identities_that_look_alike_are_kept_apart(self, stores: Stores) -> None:
        builder = Builder()
        for metric, variant in (("a-b", "c"), ("a", "b-c"), ("a", "b"), ("", ""), ("ä", "\u0000"), ("a/b", "%")):
            builder.scalar("t", metric, variant, 1, 1.0)
        for image in (None, "1", "11"):
            builder.event(IMAGE, "t", "m", "v", 1, image, url=f"u{image}").event(IMAGE, "t", "m", "v", 11, image, url="u")
        builder.event(PLOT, "t", "m", "v", None, plot_str="{}").event(PLOT, "t", "m", "v", 0, plot_str="{}")
        stores.events.append(stores.company, builder.build())
        assert stores.events.count(stores.company, EventQuery("t", EVENT_TYPES)) == 14
        assert len(stores.events.series(stores.company, ["t"])) == 8

    def test_iterations_use_all_sixty_four_bits(self, stores: Stores) -> None:
        steps = [MIN_ITER, MIN_ITER + 1, -(2**53) - 1, -1, 0, 2**53, 2**53 + 1, MAX_ITER - 1, MAX_ITER]
        builder = Builder()
        for place, step in enumerate(steps):
            builder.scalar("t", "loss", "train", step, place, timestamp=T0 + place)
            builder.event(PLOT, "t", "p", "v", step, timestamp=T0 + place, plot_str="{}")
        builder.event(PLOT, "t", "p", "v", None, plot_str="{}")
        stores.events.append(stores.company, builder.build())
        (points,) = stores.events.points(stores.company, [key("t")])
        assert points.iters.tolist() == steps
        assert [s.max_iter for s in stores.events.series(stores.company, ["t"])] == [MAX_ITER, MAX_ITER]
        (buckets,) = stores.events.buckets(stores.company, [BucketRequest(known(stores, "t"), "iter", 1)])
        assert buckets.x.tolist() == steps and buckets.mean.tolist() == list(range(9))
        query = EventQuery("t", [PLOT])
        assert stores.events.iterations(stores.company, query, descending=True, count=3) == steps[:-4:-1]
        assert stores.events.iterations(stores.company, query, descending=True, count=20, beyond=MIN_ITER) == []
        for descending in (False, True):
            found = [event.get("iter") for page in pages(stores, query, "iter", 4, descending) for event, _ in page]
            assert found == [*(steps[::-1] if descending else steps), None]

    @pytest.mark.parametrize("descending", [False, True])
    @pytest.mark.parametrize("order", ["iter", "timestamp"])
    def test_pages_give_every_event_once_in_a_total_order(self, stores: Stores, order: Axis, descending: bool) -> None:
        builder = Builder()
        for place in range(60):
            builder.scalar("t", f"m{place % 7}", "v", place // 7 - 2, 0.0, timestamp=T0 + place % 3)
            builder.event(IMAGE, "t", "i", "v", place % 4, f"k{place}", timestamp=T0 + place % 2, url="u")
            builder.log("t", f"line {place}", T0 + place % 5)
        stores.events.append(stores.company, builder.build())
        query = EventQuery("t", EVENT_TYPES)
        found = [cursor for page in pages(stores, query, order, 17, descending) for _, cursor in page]
        assert len(found) == len(set(found)) == stores.events.count(stores.company, query) == 180
        with_key = [cursor for cursor in found if cursor.key is not None]
        assert with_key == sorted(with_key, reverse=descending)
        rest = found[len(with_key) :]
        assert all(cursor.key is None for cursor in rest) and rest == sorted(rest, key=lambda c: c[1:], reverse=descending)

    def test_conditions_of_a_query(self, stores: Stores) -> None:
        builder = Builder()
        for step in range(10):
            builder.scalar("t", "m", "v", step, 0.0).scalar("t", "n", "w", step, 0.0)
        builder.scalar("t", "m", "v", SINGLE_VALUE_ITER, 0.0)
        for step, level in enumerate(("info", "error", "info", None)):
            builder.log("t", f"{step}", T0 + step, level=level, metric="console")
        appended = stores.events.append(stores.company, builder.build())

        def count(**conditions: Any) -> int:
            return stores.events.count(stores.company, EventQuery("t", conditions.pop("types", EVENT_TYPES), **conditions))

        assert count() == 25
        assert count(metrics={"m": []}) == 11
        assert count(metrics={"m": ["w"], "n": ["w"]}) == 10
        assert count(metrics={}) == 0
        assert count(types=[SCALAR], min_iter=3, max_iter=5) == 6
        assert count(types=[SCALAR], iters=[1, 2, 77]) == 4
        assert count(types=[SCALAR], iters=[]) == 0
        assert count(types=[SCALAR], with_iter=True) == 20
        assert count(types=[LOG], levels=["info"]) == 2
        assert count(levels=["error"]) == 22
        assert count(types=[LOG], min_timestamp=T0 + 1, max_timestamp=T0 + 2) == 2
        assert count(until_seq=appended.seq + 9) == 10

    def test_fields_that_nobody_knows_are_kept(self, stores: Stores) -> None:
        odd: dict[str, Any] = {"note": "x", "deep": {"a": [1, {"b": None}]}, "iter_": 5, "_cursor": [1]}
        builder = (
            Builder().scalar("t", "m", "v", 1, 1.0, **odd).scalar("t", "m", "v", 2, 1.0).scalar("t", "m", "v", 3, math.nan, worker="other")
        )
        builder.event(PLOT, "t", "p", "v", 1, plot_str="x" * 300_000, **odd).log("t", "msg", **odd)
        stores.events.append(stores.company, builder.build())
        read = {(e["type"], e.get("iter")): e for e, _ in stores.events.page(stores.company, EventQuery("t", EVENT_TYPES), "iter")}
        assert {name: read[SCALAR, 1][name] for name in odd} == odd
        assert read[SCALAR, 3]["worker"] == "other" and read[SCALAR, 2]["worker"] == "host:1"
        assert read[PLOT, 1]["plot_str"] == "x" * 300_000 and read[PLOT, 1]["deep"] == odd["deep"]
        assert read[LOG, None]["note"] == "x" and read[LOG, None]["msg"] == "msg"
        extras = stores.events.point_extras(stores.company, [key("t", "m", "v")])
        assert extras == {key("t", "m", "v"): {1: odd}}

    def test_points_of_many_series_in_one_order(self, stores: Stores) -> None:
        builder = Builder()
        for step in range(50):
            for variant in ("a", "b", "c"):
                builder.scalar("t", "m", variant, step, step, timestamp=T0 - step)
        appended = stores.events.append(stores.company, builder.build())
        stores.events.append(stores.company, Builder().scalar("t", "m", "a", 99, 1.0).build())
        keys = [key("t", "m", variant) for variant in ("a", "b", "c")]
        for axis in ("iter", "timestamp"):
            after: Cursor | None = None
            seen: list[tuple[int, int, int]] = []
            while True:
                until = appended.seq + 149
                found = stores.events.points(stores.company, keys, axis, after=after, limit=40, until_seq=until)  # type: ignore[arg-type]
                page = sorted(
                    (int(x), int(t), int(s))
                    for columns in found
                    for x, t, s in zip(
                        columns.iters if axis == "iter" else columns.timestamps, columns.timestamps, columns.seqs, strict=True
                    )
                )
                seen += page
                if len(page) < 40:
                    break
                after = Cursor(*page[-1])
            assert len(seen) == 150 and seen == sorted(seen) and len({seq for _, _, seq in seen}) == 150
        lasts = {series.key: last for series, last in stores.events.latest(stores.company, "t")}
        last = lasts[keys[0]]
        assert last is not None and last.iters.tolist() == [*range(50), 99] and key("t", "x", "y") not in lasts

    def test_deleting_a_task_leaves_nothing_of_it_and_everything_of_others(self, stores: Stores) -> None:
        for task in ("t", "other"):
            builder = Builder().scalars(task, "m", "v", [(step, 1.0) for step in range(30)]).log(task, "x")
            stores.events.append(stores.company, builder.event(PLOT, task, "p", "v", 1, plot_str="{}").build())
        assert stores.events.delete(stores.company, "t") == 32
        assert stores.events.delete(stores.company, "t") == 0
        assert stores.events.series(stores.company, ["t"]) == []
        assert stores.events.count(stores.company, EventQuery("t", EVENT_TYPES)) == 0
        assert stores.events.points(stores.company, [key("t", "m", "v")]) == []
        assert stores.events.storage(stores.company, "t") == []
        assert stores.events.count(stores.company, EventQuery("other", EVENT_TYPES)) == 32
        stores.events.append(stores.company, Builder().scalar("t", "m", "v", 5, 2.0).build())
        (series,) = stores.events.series(stores.company, ["t"])
        assert series.count == 1 and series.statistics is not None and series.statistics.value == 2.0

    def test_what_lies_after_an_iteration_is_cut_but_not_what_arrives_later(self, stores: Stores) -> None:
        builder = Builder().scalars("t", "m", "v", [(step, float(step)) for step in range(3_000)]).scalar("t", "n", "v", 1, 1.0)
        builder.scalar("t", "m", "v", SINGLE_VALUE_ITER, 5.0).log("t", "x")
        for step in range(3):
            builder.event(IMAGE, "t", "i", "v", step, timestamp=T0 + step, url=f"u{step % 2}")
        builder.event(PLOT, "t", "p", "v", None, plot_str="{}").event(PLOT, "t", "p", "v", 2, plot_str="{}")
        until = stores.events.append(stores.company, builder.build()).seq + builder.batch.lines - 1
        stores.events.append(stores.company, Builder().scalars("t", "m", "v", [(1_400, -1.0), (4_000, -2.0)]).build())
        before = stores.events.revision(stores.company, ["t"])
        assert stores.events.cut(stores.company, "t", after=1, until_seq=until) == 2_997 + 1 + 1
        assert stores.events.cut(stores.company, "t", after=1, until_seq=until) == 0
        assert stores.events.revision(stores.company, ["t"]) != before
        (points,) = stores.events.points(stores.company, [key("t", "m", "v")])
        assert points.iters.tolist() == [SINGLE_VALUE_ITER, 0, 1, 1_400, 4_000]
        known = {one.key.metric: one for one in stores.events.series(stores.company, ["t"])}
        assert {name: (one.count, one.max_iter) for name, one in known.items()} == {
            "": (1, None),
            "i": (2, 1),
            "m": (5, 4_000),
            "n": (1, 1),
            "p": (1, None),
        }
        statistics = known["m"].statistics
        assert statistics is not None and (statistics.max_value, statistics.min_value) == (5.0, -2.0)
        assert [image.valid_from for image in stores.events.image_variants(stores.company, "t")] == [0]
        stores.events.append(stores.company, Builder().scalar("t", "m", "v", 2, 9.0).build())
        assert stores.events.points(stores.company, [key("t", "m", "v")])[0].iters.tolist() == [SINGLE_VALUE_ITER, 0, 1, 2, 1_400, 4_000]

    def test_companies_do_not_see_each_other(self, stores: Stores) -> None:
        stores.events.append(stores.company, Builder().scalar("t", "m", "v", 1, 1.0).log("t", "x").build())
        other = stores.company[::-1]
        assert stores.events.series(other, ["t"]) == []
        assert stores.events.count(other, EventQuery("t", EVENT_TYPES)) == 0
        assert stores.events.delete(other, "t") == 0
        assert stores.events.count(stores.company, EventQuery("t", EVENT_TYPES)) == 2
        assert stores.company in stores.events.companies()

    def test_a_revision_changes_with_every_write_and_delete(self, stores: Stores) -> None:
        seen = [stores.events.revision(stores.company, ["t"])]
        for step in range(3):
            stores.events.append(stores.company, Builder().scalar("t", "m", "v", step, 1.0).build())
            seen.append(stores.events.revision(stores.company, ["t"]))
        assert len(set(seen)) == 4 and None not in seen
        assert stores.events.revision(stores.company, ["t"]) == seen[-1]
        stores.events.delete(stores.company, "t")
        assert stores.events.revision(stores.company, ["t"]) != seen[-1]

    def test_many_writers_of_one_task_lose_nothing(self, stores: Stores) -> None:
        stores.registry.create("task", stores.company, "t", {"name": "t"})

        def write(number: int) -> None:
            for part in range(5):
                builder = Builder().scalars("t", "m", "v", [(number * 1000 + part * 10 + step, 1.0) for step in range(10)])
                stores.events.append(stores.company, builder.scalar("t", "shared", "v", part, number).log("t", "x").build())

        self.at_once([lambda number=number: write(number) for number in range(8)])  # type: ignore[misc]
        found = {series.key.metric: series for series in stores.events.series(stores.company, ["t"])}
        assert (found["m"].count, found["shared"].count, found[""].count) == (400, 5, 40)
        stats = found["m"].statistics
        assert stats is not None and (stats.count, stats.sum, stats.max_value_iter, stats.value_iter) == (400, 400.0, 0, 7049)
        task = stores.registry.get("task", stores.company, "t")
        assert task is not None and task.body["last_iteration"] == 7049 and task.body["last_change"] >= task.body["last_update"]
