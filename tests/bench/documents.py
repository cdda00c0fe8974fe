"""The cost of each part of a document in Elasticsearch: `python -m tests.bench.documents [--kinds scalars log images] [--rounds 5]`.

Writes the same documents by raw `_bulk` into indices whose mapping, settings or lines differ in one step each. Measures Elasticsearch's CPU for writing,
refreshing, merging and reading, and the bytes of a merged document compared with its text. Ratios are relative to the documents as Tidemark writes them,
in the same round.
"""

from __future__ import annotations

import argparse
import copy
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import orjson

from apiserver.stores.batch import Event, LogLine, Points
from apiserver.stores.elastic.client import ElasticClient
from apiserver.stores.elastic.layout import Layout
from apiserver.stores.elastic.write.bulk_lines import event_line, log_line, point_chunks
from apiserver.stores.records import IMAGE, LOG, SCALAR, SeriesKey
from tests.bench.bare import Bare
from tests.bench.cluster import histograms
from tests.bench.cpu import process_seconds
from tests.bench.load import AT, SERIES, images, logs, new_id, rows, step_of
from tests.bench.measure import median, paired, quartiles
from tests.stores.settings import ELASTIC

SIZE, TASKS = 5_000, 4
Source = dict[str, Any]


@dataclass
class Step:
    """A variation of the documents as Tidemark writes them: in the index template, or in the source."""

    name: str
    template: Callable[[dict[str, Any]], None] = lambda template: None
    source: Callable[[Source], Source] | None = None
    own_ids: bool = True
    readable: bool = True


def _field(name: str, **more: Any) -> Callable[[dict[str, Any]], None]:
    return lambda template: template["mappings"]["properties"][name].update(more)


def _setting(name: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(template: dict[str, Any]) -> None:
        if value is None:
            del template["settings"][name]
        else:
            template["settings"][name] = value

    return change


def _all(*changes: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, Any]], None]:
    def change(template: dict[str, Any]) -> None:
        for one in changes:
            one(template)

    return change


def _without(*names: str) -> Callable[[Source], Source]:
    return lambda source: {name: value for name, value in source.items() if name not in names}


SHORT = {"task": "t", "metric": "m", "variant": "v", "worker": "w", "iter": "i", "value": "x", "timestamp": "a", "size": "z", "seq": "s"}


def _short_names(template: dict[str, Any]) -> None:
    properties = template["mappings"]["properties"]
    for name, short in SHORT.items():
        properties[short] = properties[name]
        properties[name] = {"type": "alias", "path": short}
    template["settings"]["sort.field"] = [SHORT.get(name, name) for name in template["settings"]["sort.field"]]


def _shortened(source: Source) -> Source:
    return {SHORT.get(name, name): value for name, value in source.items()}


def _stored_message(template: dict[str, Any]) -> None:
    mappings = template["mappings"]
    mappings["_source"] = {"enabled": False}
    mappings["properties"]["msg"]["store"] = True
    mappings["properties"]["extra"] = {"type": "binary", "store": True}


def _stored_body(template: dict[str, Any]) -> None:
    mappings = template["mappings"]
    mappings["_source"] = {"enabled": False}
    mappings["properties"]["extra"] = {"type": "binary", "store": True}


def _body_as_extra(source: Source) -> Source:
    from base64 import b64encode

    body = {name: value for name, value in source["body"].items() if name != "url"}
    rest = {name: value for name, value in source.items() if name != "body"}
    return rest | ({"extra": b64encode(orjson.dumps(body)).decode()} if body else {})


STEPS: dict[str, list[Step]] = {
    "scalars": [
        Step("as it is"),
        Step("as it is, once more"),
        Step("with _source", lambda template: template["mappings"].pop("_source")),
        Step("default codec", _setting("codec", None)),
        Step("not sorted", _setting("sort.field", None)),
        Step("ids made by Elasticsearch", own_ids=False),
        Step("short names of fields", _short_names, _shortened),
        Step("iter not indexed", _field("iter", index=False)),
        Step("metric, variant not indexed", _all(_field("metric", index=False), _field("variant", index=False))),
        Step("task, metric, variant, iter not indexed", _all(*(_field(n, index=False) for n in ("task", "metric", "variant", "iter")))),
        Step("without worker", source=_without("worker")),
        Step("without size", source=_without("size")),
        Step("without seq", source=_without("seq")),
        Step("without timestamp", source=_without("timestamp")),
        Step("nothing but task, iter, value", source=_without("metric", "variant", "worker", "size", "seq", "timestamp"), readable=False),
    ],
    "log": [
        Step("as it is"),
        Step("as it is, once more"),
        Step("message stored, no _source", _stored_message),
        Step("message not indexed", _field("msg", index=False)),
        Step("metric, variant not indexed", _all(_field("metric", index=False), _field("variant", index=False))),
        Step("timestamp, iter not indexed", _all(_field("timestamp", index=False), _field("iter", index=False))),
    ],
    "images": [
        Step("as it is"),
        Step("as it is, once more"),
        Step("rest stored, no _source", _stored_body, _body_as_extra),
        Step("timestamp not indexed", _field("timestamp", index=False)),
    ],
}
TYPE = {"scalars": SCALAR, "log": LOG, "images": IMAGE}


@dataclass
class Costs:
    """Elasticsearch's CPU in µs per document, a value per round; bytes of a merged document."""

    write: list[float] = field(default_factory=list)
    refresh: list[float] = field(default_factory=list)
    merge: list[float] = field(default_factory=list)
    read: list[float] = field(default_factory=list)
    bytes: float = 0.0


def bodies(kind: str, batches: int) -> Iterator[bytes]:
    """Bulk requests as Tidemark writes them; a new task after every few requests."""
    for number in range(batches):
        if number % (batches // TASKS or 1) == 0:
            task, first = new_id(), number
        position = number - first
        seq = (AT + number) << 20
        if kind == "scalars":
            columns: dict[int, Points] = {}
            for series, iter, timestamp, value in rows(step_of(position, SIZE), SIZE):
                points = columns.setdefault(series, Points())
                points.iters.append(iter)
                points.values.append(value)
                points.timestamps.append(timestamp)
                points.lines.append(len(points.lines) * len(SERIES) + series)
                points.sizes.append(220)
            yield b"".join(
                chunk.data
                for series, points in columns.items()
                for chunk in point_chunks(
                    "", "bench", SeriesKey(task, SCALAR, *SERIES[series]), points, "w", seq, range(len(points.iters)), 10**7
                )
            )
        elif kind == "log":
            events = [json.loads(line) for line in logs(task, position * SIZE, SIZE).splitlines()]
            lines = [
                LogLine(task, one["timestamp"], one["level"], one["worker"], one["msg"], "", "", None, place, 200)
                for place, one in enumerate(events)
            ]
            prefix = new_id()[:16]
            yield "".join(log_line("", line, prefix, seq) for line in lines).encode()
        else:
            events = [json.loads(line) for line in images(task, position * SIZE, SIZE).splitlines()]
            made = [
                Event(
                    IMAGE,
                    task,
                    one["metric"],
                    one["variant"],
                    one["iter"],
                    one["key"],
                    one["timestamp"],
                    "w",
                    place,
                    200,
                    {"url": one["url"]},
                )
                for place, one in enumerate(events)
            ]
            yield "".join(event_line("", "bench", event, seq, {}, 0) for event in made).encode()


def text_of(kind: str, source: Source) -> str:
    """The client's text that is particular to this document, not common to its series."""
    return str(source.get("msg", "")) if kind == "log" else f"{source['key']}{source['url']}" if kind == "images" else ""


def changed(body: bytes, step: Step) -> bytes:
    """The request with its documents changed by a step."""
    if step.source is None and step.own_ids:
        return body
    lines = body.splitlines()
    for position in range(1, len(lines), 2):
        if step.source is not None:
            lines[position] = orjson.dumps(step.source(orjson.loads(lines[position])))
        if not step.own_ids:
            lines[position - 1] = b'{"index":{}}'
    return b"\n".join([*lines, b""])


class Trial:
    """Measures all steps for one kind of document."""

    def __init__(self, bare: Bare, layout: Layout, kind: str, only: str) -> None:
        self.bare, self.kind = bare, kind
        self.steps = [step for step in STEPS[kind] if step.name.startswith("as it is") or only in step.name]
        self.costs = {step.name: Costs() for step in self.steps}
        self.template = layout.templates()[f"events-{TYPE[kind]}"]["template"]
        self.pid = bare.process()
        self.last: dict[str, str] = {}
        self.text = 0.0

    def cpu_of(self, work: Callable[[], object], documents: int) -> float:
        before = process_seconds(self.pid)
        work()
        return (process_seconds(self.pid) - before) / documents * 1e6

    def round(self, number: int, batches: int) -> None:
        prepared = list(bodies(self.kind, batches))
        sources = [orjson.loads(line) for line in prepared[0].splitlines()[1::2]]
        self.text = sum(len(text_of(self.kind, source).encode()) for source in sources) / len(sources)
        place = number % len(self.steps)
        for step in self.steps[place:] + self.steps[:place]:
            costs, requests = self.costs[step.name], [changed(body, step) for body in prepared]
            index = self.create(step)
            documents = batches * SIZE

            written = refreshed = 0.0
            for half in (requests[::2], requests[1::2]):  # two segments, so that there is something to merge
                written += self.cpu_of(partial(self.write, index, half), documents)
                refreshed += self.cpu_of(self.bare.settle, documents)
            read = self.cpu_of(partial(self.read, index), 1) if step.readable else 0.0
            if number:
                costs.write.append(written)
                costs.refresh.append(refreshed)
                costs.read.append(read)
            if step.name in self.last:
                self.bare.call("DELETE", f"/{self.last[step.name]}")
            self.last[step.name] = index

    def write(self, index: str, requests: Sequence[bytes]) -> None:
        for request in requests:
            assert not self.bare.call("POST", f"/{index}/_bulk?filter_path=errors", request)["errors"]

    def create(self, step: Step) -> str:
        template = copy.deepcopy(self.template)
        template["settings"]["refresh_interval"] = "-1"
        step.template(template)
        index = f"bench-{new_id()}"
        self.bare.call("PUT", f"/{index}", template)
        return index

    def read(self, index: str) -> None:
        """Run the searches behind charts and pages for one task."""
        found = self.bare.call("POST", f"/{index}/_search", {"size": 1, "docvalue_fields": ["task"], "_source": False})
        task = found["hits"]["hits"][0]["fields"]["task"][0]
        if self.kind == "scalars":
            for _ in range(5):
                self.bare.call("POST", f"/{index}/_search?request_cache=false", histograms(task, 5))
            where = [{"term": {"task": task}}, {"term": {"metric": "loss"}}, {"term": {"variant": "train"}}]
            near = [*where, {"range": {"iter": {"gte": 100, "lte": 400}}}]
            page = {"size": 300, "_source": False, "docvalue_fields": ["value"], "sort": ["iter"]}
            for _ in range(20):
                self.bare.call("POST", f"/{index}/_search", {**page, "query": {"bool": {"filter": near}}})
        else:
            page = {
                "size": 500,
                "query": {"term": {"task": task}},
                "sort": [{"timestamp": "desc"}],
                "stored_fields": ["msg", "extra"],
                "_source": True,
            }
            for _ in range(20):
                self.bare.call("POST", f"/{index}/_search", page)

    def merge(self) -> None:
        for name, index in self.last.items():
            self.bare.wait_for_leases(index)
            documents = int(self.bare.call("GET", f"/{index}/_count")["count"])
            merge = partial(self.bare.call, "POST", f"/{index}/_forcemerge?max_num_segments=1")
            self.costs[name].merge.append(self.cpu_of(merge, documents))
            self.costs[name].bytes = self.bare.bytes_per_document(index)

    def show(self) -> None:
        base = self.costs[self.steps[0].name]
        text = f", {self.text:.1f} bytes of text a document" if self.text else ""
        print(f"\n{self.kind}: µs of Elasticsearch's CPU a document (reads: of all calls), ratio with quartiles{text}")
        for name, costs in self.costs.items():
            cells = []
            for what in ("write", "refresh", "merge", "read"):
                values, bases = getattr(costs, what), getattr(base, what)
                if not values or not any(values):
                    cells.append("-")
                    continue
                low, middle, high = quartiles(paired(values, bases))
                cells.append(f"{median(values):.2f} × {middle:.2f} ({low:.2f}-{high:.2f})")
            total = paired(
                [a + b for a, b in zip(costs.write, costs.refresh, strict=True)],
                [a + b for a, b in zip(base.write, base.refresh, strict=True)],
            )
            low, middle, high = quartiles(total)
            print(
                f"  {name:<42} {costs.bytes:6.1f} B | "
                + " | ".join(f"{cell:<24}" for cell in cells)
                + f" | both × {middle:.2f} ({low:.2f}-{high:.2f})"
            )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.documents", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kinds", nargs="+", choices=list(STEPS), default=list(STEPS))
    parser.add_argument("--only", default="", help="steps whose name contains this")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", type=int, default=20, help=f"batches of {SIZE:,} documents a step and round")
    options = parser.parse_args(arguments)
    from tests.servers import elasticsearch_address

    bare = Bare(elasticsearch_address())
    layout = Layout(ElasticClient(elasticsearch_address(), ELASTIC), ELASTIC)
    for kind in options.kinds:
        trial = Trial(bare, layout, kind, options.only)
        for number in range(options.rounds + 1):
            trial.round(number, options.batches)
        trial.merge()
        trial.show()
        for index in trial.last.values():
            bare.call("DELETE", f"/{index}")


if __name__ == "__main__":
    main()
