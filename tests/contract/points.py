"""What every event store promises of points of many series, and of the fields that are kept with them."""

from __future__ import annotations

import random

from apiserver.stores.records import ATTRIBUTE, SCALAR, Cursor, EventQuery, SeriesKey
from tests.contract.batches import Builder
from tests.contract.stores import StoreContract, Stores, key


class PointContract(StoreContract):
    """Points of both types, under any number of names."""

    def test_points_of_any_number_of_series_of_both_types_in_one_order(self, stores: Stores) -> None:
        """More names than one search takes; metrics, and what else rows of the runs API hold, under the same names too."""
        rng = random.Random(20_261_201)
        builder = Builder()
        keys = [SeriesKey("t", type, f"m{number}", f"v{number}") for number in range(700) for type in (SCALAR, ATTRIBUTE)]
        for one in keys:
            for step in rng.sample(range(1_000), 2):
                builder.scalar("t", one.metric, one.variant, step, step, type=one.type, note=step)
        stores.events.append(stores.company, builder.build())
        wanted = sorted((x, key) for key, points in builder.batch.points.items() for x in points.iters)
        found: list[tuple[int, SeriesKey]] = []
        after: Cursor | None = None
        while True:
            columns = stores.events.points(stores.company, keys, after=after, limit=1_000)
            page = sorted(
                (x, t, s, one.key)
                for one in columns
                for x, t, s in zip(one.iters.tolist(), one.timestamps.tolist(), one.seqs.tolist(), strict=True)
            )
            found += [(x, key) for x, _, _, key in page]
            if len(page) < 1_000:
                break
            after = Cursor(*page[-1][:3])
        assert [x for x, _ in found] == [x for x, _ in wanted] and sorted(found) == wanted
        extras = stores.events.point_extras(stores.company, keys)
        assert {key: {step: {"note": step} for step in points.iters} for key, points in builder.batch.points.items()} == extras

    def test_fields_of_a_point_go_when_a_later_one_of_its_batch_replaces_it(self, stores: Stores) -> None:
        builder = Builder().scalar("t", "m", "v", 1, 1.0, note="first", worker="a").scalar("t", "m", "v", 2, 1.0, note="kept")
        builder.scalar("t", "m", "v", 1, 2.0).scalar("t", "m", "v", 2, 3.0, other="last")
        stores.events.append(stores.company, builder.build())
        assert stores.events.point_extras(stores.company, [key("t", "m", "v")]) == {key("t", "m", "v"): {2: {"other": "last"}}}
        page = stores.events.page(stores.company, EventQuery("t", [SCALAR]), "iter")
        assert [(event["value"], event["worker"], event.get("note"), event.get("other")) for event, _ in page] == [
            (2.0, "host:1", None, None),
            (3.0, "host:1", None, "last"),
        ]
