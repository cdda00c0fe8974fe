"""A run: read back, written to, marked as finished."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from tidemark_events import arguments, frames, html, media, series
from tidemark_events import writer as writing
from tidemark_events.errors import InvalidArgument, NotFound, TidemarkError
from tidemark_events.follow import Follower
from tidemark_events.logs import Line, Lines
from tidemark_events.media import Image
from tidemark_events.series import Chart, Point
from tidemark_events.wire import Wire
from tidemark_events.writer import QUEUE, Writer, at_exit

SHOWN = {"in_progress": "running"}
FIELDS = (
    "id",
    "name",
    "status",
    "project.name",
    "user.name",
    "tags",
    "comment",
    "created",
    "started",
    "completed",
    "last_iteration",
    "hyperparams",
)
STATISTICS = "last_metrics"
"""1 MB for a run with thousands of series, so it is read on first use."""
AT_ONCE = 50
"""Runs whose statistics are read in one call."""


class Run:
    """One training. Its properties (`name`, `status`, `params`, …) are as of the last read; `refresh()` reads them again."""

    def __init__(self, wire: Wire, document: Mapping[str, Any], *, queue: int = QUEUE) -> None:
        self._wire = wire
        self._document = dict(document)
        self._queue = queue
        self._writer: Writer | None = None
        self._lost = 0, 0
        """Rows dropped and events refused by writers that were closed."""
        self._open = False
        self._neighbours: Sequence[Run] = ()
        self.id = str(document["id"])

    # --- what it is

    @property
    def name(self) -> str:
        return str(self._document.get("name") or self.id)

    @property
    def status(self) -> str:
        """created, queued, running, completed, failed, stopped, closed or published."""
        status = str(self._document.get("status"))
        return SHOWN.get(status, status)

    @property
    def project(self) -> str:
        return _name(self._document.get("project"))

    @property
    def tags(self) -> list[str]:
        return list(self._document.get("tags") or ())

    @property
    def started(self) -> str:
        """Start time in UTC as `YYYY-MM-DD HH:MM:SS`; empty before the start."""
        return html.moment(self._document.get("started"))

    @property
    def last_step(self) -> int:
        return int(self._document.get("last_iteration") or 0)

    @property
    def url(self) -> str:
        """The address of its page."""
        return f"{self._wire.url}/runs/{quote(self.id, safe='')}"

    @property
    def params(self) -> dict[str, str]:
        """Its parameters as `section/name`; those of the section General by their name alone."""
        found = {}
        for section, entries in (self._document.get("hyperparams") or {}).items():
            for name, entry in entries.items():
                found[name if section == "General" else f"{section}/{name}"] = str(entry.get("value"))
        return found

    @property
    def summary(self) -> dict[str, float]:
        """The last value of every series, single values included."""
        return {name: last["value"] for name, last in self.statistics.items() if last.get("value") is not None}

    @property
    def statistics(self) -> dict[str, dict[str, Any]]:
        """Statistics by series name: `value` (the last), `min_value`, `max_value`, `mean_value`, `first_value`, `count` and more."""
        found = {}
        if STATISTICS not in self._document:
            self._read_statistics()
        for variants in (self._document.get(STATISTICS) or {}).values():
            for one in variants.values():
                found[series.column_name(str(one.get("metric")), str(one.get("variant")))] = one
        return dict(sorted(found.items()))

    def refresh(self) -> Self:
        """Read the properties and statistics again."""
        self._document = document_of(self._wire, self.id, (*FIELDS, STATISTICS))
        return self

    def among(self, runs: Sequence[Run]) -> None:
        """The list in which it was read: statistics are asked for a part of the list at once."""
        self._neighbours = runs

    def _read_statistics(self) -> None:
        at = next((number for number, run in enumerate(self._neighbours) if run is self), None)
        runs = [self] if at is None else [run for run in self._neighbours[at : at + AT_ONCE] if STATISTICS not in run._document]
        body = {"id": [run.id for run in runs], "only_fields": ["id", STATISTICS]}
        found = {one["id"]: one.get(STATISTICS) for one in self._wire.call("tasks.get_by_id_ex", body)["tasks"]}
        for run in runs:
            run._document[STATISTICS] = found.get(run.id) or {}

    # --- reading

    @property
    def metrics(self) -> list[str]:
        """The names of its series, as in `scalars`."""
        found = series.metrics_of(self._wire, self.id)
        return [series.column_name(metric, variant) for metric, variants in found.items() for variant in variants]

    def scalars(self, metric: str, *, samples: int | None = None) -> Chart:
        """The lines of a metric, or one line by its name (`loss/train`). Every point; with `samples` at most so many buckets with mean, minimum and
        maximum (2 to 10,000). Raises NotFound."""
        wanted = self._series([arguments.text("metric", metric)])
        return Chart(metric, series.read(self._wire, self.id, wanted, _samples(samples)))

    def scalars_frame(self, *metrics: str, samples: int | None = None, library: str | None = None) -> Any:
        """All series, or those of some metrics, as one table: `step` and a column for each. Of pandas, polars or pyarrow: the first that is
        installed, or `library`. Raises NotFound for a metric that the run does not have."""
        name = frames.chosen(library)
        wanted = self._series(arguments.texts("metrics", metrics) or None)
        return frames.wide(series.read(self._wire, self.id, wanted, _samples(samples)), name)

    def _series(self, names: Sequence[str] | None) -> list[tuple[str, Sequence[str]]]:
        """Metrics with their variants, by name; None: all. Raises NotFound."""
        known = series.metrics_of(self._wire, self.id)
        found = {name: _wanted(name, known) for name in (known if names is None else names)}
        if missing := [name for name, one in found.items() if one is None]:
            there = [series.column_name(metric, variant) for metric, variants in known.items() for variant in variants]
            raise NotFound(arguments.known(f'run "{self.name}" has no scalars', missing[0], there))
        return [one for one in found.values() if one is not None]

    def logs(self, search: str | None = None, *, regex: bool = False, levels: str | Sequence[str] = ()) -> Lines:
        """Its log lines, oldest first, or those that contain a text (or match an RE2 pattern). Nothing is read before they are iterated.

        `levels`: words as they were reported (debug, info, warning, error, …); any other word finds nothing.
        """
        if search is not None:
            arguments.text("search", search)
        return Lines(self._wire, self.id, search, regex, arguments.texts("levels", levels))

    def images(self, metric: str | None = None) -> list[Image]:
        """Its debug images whose files are still there, newest step first; `image.bytes()` and `image.save(path)` fetch one.
        `metric`: of a metric, or of one series by its name (`mistakes/test`). Raises NotFound for a metric without images."""
        one, name = self._metric("training_debug_image", "images", metric)
        return [image for image in media.images(self._wire, self.id, one) if name is None or image.name == name]

    def plots(self, metric: str | None = None, *, last: int = 1) -> dict[str, Any]:
        """Name -> its newest figure; with `last` the newest few as `name@step`. Plotly figures where plotly is installed, else dicts.
        `metric` as in `images`. Raises NotFound for a metric without plots."""
        one, name = self._metric("plot", "plots", metric)
        found = media.figures(self._wire, self.id, one, arguments.integer("last", last, 1))
        return {key: figure for key, figure in found.items() if name is None or key == name or key.startswith(f"{name}@")}

    def _metric(self, kind: str, what: str, name: str | None) -> tuple[str | None, str | None]:
        """The metric of a name, and the name where it is that of a single series. Raises NotFound."""
        if name is None:
            return None, None
        answer = self._wire.call("events.get_task_metrics", {"tasks": [self.id], "event_type": kind})["metrics"]
        metrics = answer[0]["metrics"] if answer else []
        if arguments.text("metric", name) in metrics:
            return name, None
        if (metric := series.split_name(name)[0]) in metrics:
            return metric, name
        raise NotFound(arguments.known(f'run "{self.name}" has no {what}', name, metrics))

    def follow(self, *, points: bool = True, lines: bool = True, history: bool = True, interval: float = 1.0) -> Iterator[Point | Line]:
        """Points and lines as they arrive, after those that are there (`history`); ends when the run has ended.

        A WebSocket reports when there is something new; where a proxy blocks it, the run is polled every `interval` seconds.
        Continues after a lost connection. A point that was replaced is yielded again. Raises NotFound when the run is deleted.
        """
        if not points and not lines:
            raise InvalidArgument("nothing to follow: points and lines are both off")
        interval = arguments.seconds("interval", interval)
        follower = Follower(self._wire, self.id, points=points, lines=lines)
        if not history:
            follower.skip()
        return follower.items(interval)

    # --- writing

    def log(self, data: Mapping[str, Any], step: int | None = None) -> None:
        """Report numbers at a step; without `step` at the one after the last. `{"loss/train": 0.3}` is the line `train` of the chart `loss`.

        Returns at once: a thread sends batches and repeats them while the server is unavailable. Raises InvalidArgument.
        """
        (self._writer or self._begin()).row(data, step)

    def print(self, *texts: object, level: str = "info") -> None:
        """Report a log line."""
        event = media.log_event(self.id, " ".join(map(str, texts)), arguments.text("level", level))
        (self._writer or self._begin()).other(lambda: event)

    def log_plot(self, name: str, figure: Any, step: int = 0) -> None:
        """Report a plotly figure, or its dict."""
        event = media.plot_event(self.id, name, figure, step)
        (self._writer or self._begin()).other(lambda: event)

    def log_image(self, name: str, image: Any, step: int = 0) -> None:
        """Report an image: a path, bytes, a PIL image, a matplotlib figure or an array. It is uploaded in the background."""
        content, kind, ending = media.as_file(name, image)
        step = arguments.step(step)
        path = f"runs/{self.id}/{media.folder(name)}/{step:08d}.{ending}"

        def send() -> bytes:
            return media.image_event(self.id, name, self._wire.upload(path, content, kind), step)

        (self._writer or self._begin()).other(send)

    def log_artifact(self, name: str, content: Any) -> str:
        """Upload a file of the run's results and list it under its artifacts: a Path (the file), bytes, a text, or anything that JSON can hold.
        Sent at once; its URL. An artifact of the same name is replaced."""
        path = f"runs/{self.id}/artifacts/{media.folder(name)}"
        body, kind, ending, artifact = media.as_artifact(name, content)
        artifact["uri"] = self._wire.upload(path + ending, body, kind, attempts=None)
        self._wire.call("tasks.add_or_update_artifacts", {"task": self.id, "artifacts": [artifact], "force": True})
        return str(artifact["uri"])

    def log_vector(self, name: str, values: Any, step: int = 0) -> None:
        """Report a list of numbers, such as a histogram's counts."""
        event = media.vector_event(self.id, name, values, step)
        (self._writer or self._begin()).other(lambda: event)

    def summarize(self, **values: float) -> None:
        """Report single values: results of the whole run, such as its best accuracy."""
        for name, value in values.items():
            self._single(name, writing.number(name, value))

    def _single(self, name: str, value: float) -> None:
        event = {"type": "training_stats_scalar", "task": self.id, "metric": "Summary", "variant": name, "iter": -(2**31), "value": value}
        encoded = media.encoded(event)
        (self._writer or self._begin()).other(lambda: encoded)

    def rewind(self, step: int) -> int:
        """Take the run back to a step, when its training resumes from a checkpoint: later points, images and plots leave charts and
        statistics. Returns the number of these events. A `log` without a step goes on after this one."""
        step = arguments.step(step)
        self.flush()
        voided = int(self._wire.call("events.rewind", {"task": self.id, "iteration": step})["rewound"])
        (self._writer or self._begin()).next_step = step + 1
        return voided

    def flush(self, timeout: float = 30.0) -> bool:
        """Send all waiting rows; returns whether all were sent within `timeout` seconds."""
        timeout = arguments.seconds("timeout", timeout)
        return self._writer is None or self._writer.flush(timeout)

    @property
    def dropped(self) -> int:
        """Rows that were not sent, because the queue was full or the server did not answer before the end."""
        return self._lost[0] + (self._writer.dropped if self._writer else 0)

    @property
    def refused(self) -> int:
        """Events that the server refused, or a proxy in front of it: too large, or not valid."""
        return self._lost[1] + (self._writer.refused if self._writer else 0)

    def finish(self, status: str = "completed", reason: str = "") -> None:
        """Send the rest and mark the run completed, failed or stopped. `with` calls it."""
        if status not in ("completed", "failed", "stopped"):
            raise InvalidArgument(f'a run ends as completed, failed or stopped, not as "{status}"')
        arguments.text("reason", reason)
        at_exit(id(self), None)
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()
            self._lost = self._lost[0] + writer.dropped, self._lost[1] + writer.refused
            self._document["last_iteration"] = max(self.last_step, writer.next_step - 1)
        self._open = False
        self._wire.call(f"tasks.{status}", {"task": self.id, "status_reason": reason[:1000], "force": True})
        self._document["status"] = status

    def _begin(self) -> Writer:
        with writing.creating:
            if self._writer is None:
                self._writer = Writer(self._wire, self.id, self._queue)
        return self._writer

    def start(self) -> Self:
        """Mark the run as running; it is marked as ended with the program, if not before."""
        self._wire.call("tasks.started", {"task": self.id, "force": True})
        self._document["status"] = "in_progress"
        self._open = True
        at_exit(id(self), self._end)
        return self

    def _end(self) -> None:
        """The program ends without `finish`."""
        self._left_by(getattr(sys, "last_exc", None) or getattr(sys, "last_value", None))

    def _left_by(self, error: BaseException | None) -> None:
        """Finish. An unavailable server must neither hide the error that ended the training nor raise one."""
        try:
            self.finish(*_outcome(error))
        except TidemarkError as problem:
            writing.warn(f"run {self.id} stays marked as running: {problem}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._open:
            self._left_by(error)
        else:
            self.flush()

    def __repr__(self) -> str:
        return f"<Run {self.name}: {self.status}, step {self.last_step:,}, {self.url}>"

    def _repr_html_(self) -> str:
        rows: list[tuple[html.Cell, html.Cell]] = [
            ("status", self.status),
            ("project", self.project),
            ("started", self.started),
            ("last step", f"{self.last_step:,}"),
        ]
        rows += [(name, f"{value:.6g}") for name, value in list(self.summary.items())[:20]]
        return html.table(("run", ""), [("", (self.name, self.url)), *rows])


def _outcome(error: BaseException | None) -> tuple[str, str]:
    """How a run ended that was left by this exception."""
    if error is None or (isinstance(error, SystemExit) and error.code in (None, 0)):
        return "completed", ""
    if isinstance(error, KeyboardInterrupt):
        return "stopped", "interrupted"
    return "failed", f"{type(error).__name__}: {error}"


def document_of(wire: Wire, run: str, fields: Sequence[str]) -> dict[str, Any]:
    """The task of a run. Raises NotFound."""
    found = wire.call("tasks.get_by_id_ex", {"id": [run], "only_fields": list(fields)})["tasks"]
    if not found:
        raise NotFound(f'no run "{run}" on {wire.url}')
    return dict(found[0])


def _wanted(name: str, known: Mapping[str, Sequence[str]]) -> tuple[str, Sequence[str]] | None:
    """A metric with all its variants, or a series by its name."""
    if name in known:
        return name, ()
    for metric, variants in known.items():
        for variant in variants:
            if series.column_name(metric, variant) == name:
                return metric, (variant,)
    return None


def _samples(given: int | None) -> int | None:
    return None if given is None else arguments.integer("samples", given, 2, series.WINDOW)


def _name(reference: Any) -> str:
    return str(reference.get("name") or "") if isinstance(reference, Mapping) else str(reference or "")
