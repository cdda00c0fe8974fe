"""CPU time of the stages of ingest: one batch, in this process, into a temporary store."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from apiserver.bll.events.batch_builder import BatchBuilder
from apiserver.bll.events.event_decoder import EventDecoder
from apiserver.service_repo.schema import SchemaSet
from apiserver.stores.sqlite import open_sqlite
from tests.bench.load import new_id, scalars, step_of
from tests.bench.measure import ROOT, Report, median


def stages(report: Report, rounds: int = 15, size: int = 5000) -> None:
    """Report µs per event of each stage, medians over the rounds."""
    report.heading(f"Where the microseconds go (in one process, {rounds} batches of {size:,} scalars, medians)")
    decoder = EventDecoder(SchemaSet(ROOT / "schema" / "services").definitions("events"))
    seconds: dict[str, list[float]] = {}

    def stage(name: str, work: Callable[[], Any]) -> Any:
        begun = time.perf_counter()
        result = work()
        seconds.setdefault(name, []).append(time.perf_counter() - begun)
        return result

    with tempfile.TemporaryDirectory() as folder:
        store, _ = open_sqlite(Path(folder) / "stages.db")
        task = new_id()
        for number in range(rounds):
            body = scalars(task, step_of(number, size), size)
            lines = stage("split into lines", body.splitlines)
            stage("parse and validate", lambda lines=lines: [decoder.fast(line) for line in lines])
            builder = BatchBuilder(decoder, int(time.time() * 1000), "w", (), False)
            stage("all of parse, validate, normalise, group", lambda builder=builder, lines=lines: builder.add_lines(lines, 0))
            batch = stage("identify series, make the batch", builder.finish)
            stage("store: leaves, statistics, commit", lambda batch=batch: store.append("bench", batch))
            stage("yardstick: orjson.loads of the same lines", lambda lines=lines: [orjson.loads(line) for line in lines])
        store.close()
    each = {name: median(values) / size * 1e6 for name, values in seconds.items()}
    both = each.pop("all of parse, validate, normalise, group")
    report.add("split into lines", each["split into lines"], "µs/event")
    report.add("parse and validate", each["parse and validate"], "µs/event")
    report.add("normalise and group into columns", max(0.0, both - each["parse and validate"]), "µs/event")
    report.add("identify series, make the batch", each["identify series, make the batch"], "µs/event")
    report.add("store: leaves, statistics, commit", each["store: leaves, statistics, commit"], "µs/event")
    report.add("yardstick: orjson.loads of the same lines", each["yardstick: orjson.loads of the same lines"], "µs/event")
