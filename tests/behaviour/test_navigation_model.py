"""Random walks through debug images and plots, held against a model that keeps everything in a list (docs/protocol.md, "Debug images" and "Plots")."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.client import Client, image, plot

walks = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])

METRICS = ("M", "M1", "N")
VARIANTS = ("a", "b")
RINGS = (1, 2, 3, 100)
"""Into how many files a variant reports."""

Name = tuple[str, str]
Shown = list[tuple[int, list[tuple[str, str, str]]]]


@dataclass(frozen=True)
class Stored:
    """An image (or plot): `url` is what tells two of them apart."""

    metric: str
    variant: str
    iter: int
    url: str

    @property
    def name(self) -> Name:
        return self.metric, self.variant


@dataclass
class World:
    """All events of a task. A second report of an iteration replaces the first, for images of the same key."""

    kind: str
    events: dict[tuple[str, str, int], Stored] = field(default_factory=dict)

    def put(self, event: Stored) -> None:
        self.events[event.metric, event.variant, event.iter] = event

    def of(self, metric: str, variant: str) -> list[Stored]:
        return [event for event in self.events.values() if event.name == (metric, variant)]

    def border(self, metric: str, variant: str) -> int:
        """The least of the greatest iterations of the variant's urls; plots have none."""
        if self.kind == "plot":
            return -(2**63)
        last: dict[str, int] = {}
        for event in self.of(metric, variant):
            last[event.url] = max(event.iter, last.get(event.url, event.iter))
        return min(last.values())

    def names(self) -> set[Name]:
        return {event.name for event in self.events.values()}


# --- pages of iterations ---------------------------------------------------------------------------------------------------------


class PageModel:
    """The pages of docs/protocol.md, "Debug images", for one task: the snapshot of the last refresh, and the span that was shown last."""

    def __init__(self, world: World, selection: dict[str, list[str]] | None) -> None:
        self.world = world
        self.selection = selection
        self.refresh()

    def refresh(self) -> None:
        wanted = self.selection
        names = {
            (metric, variant)
            for metric, variant in self.world.names()
            if wanted is None or (metric in wanted and (not wanted[metric] or variant in wanted[metric]))
        }
        self.borders = {name: self.world.border(*name) for name in names}
        self.newest: int | None = None
        self.oldest: int | None = None

    def page(self, iters: int, earlier: bool) -> Shown:
        named = any((self.selection or {}).values())
        metrics = {metric for metric, _ in self.borders}
        visible = [
            event
            for event in self.world.events.values()
            if (event.iter >= self.borders[event.name] if event.name in self.borders else event.metric in metrics and not named)
        ]
        iterations = sorted({event.iter for event in visible})
        if self.newest is None or self.oldest is None:
            chosen = iterations[-iters:]
        elif earlier:
            chosen = [iteration for iteration in iterations if iteration < self.oldest][-iters:]
        else:
            chosen = [iteration for iteration in iterations if iteration > self.newest][:iters]
        if chosen:
            self.newest, self.oldest = chosen[-1], chosen[0]
        return [
            (iteration, sorted((event.metric, event.variant, event.url) for event in visible if event.iter == iteration))
            for iteration in reversed(chosen)
        ]


def shown(entry: dict[str, Any]) -> Shown:
    return [(one["iter"], [(e["metric"], e["variant"], content(e)) for e in one["events"]]) for one in entry["iterations"]]


def content(event: dict[str, Any]) -> str:
    return str(event["url"] if event["type"] == "training_debug_image" else event["plot_str"])


# --- samples ---------------------------------------------------------------------------------------------------------------------


class SampleModel:
    """Single samples (docs/protocol.md, "Debug images" and "Plots") for one session. Images are visited one by one, plots in groups of a metric."""

    def __init__(self, world: World, inside: str | None) -> None:
        self.world = world
        self.inside = inside
        self.refresh()
        self.place: tuple[int, Name] | None = None

    def refresh(self) -> None:
        names = {self.unit(name) for name in self.world.names() if self.inside in (None, name[0])}
        self.bounds: dict[Name, tuple[int, int]] = {}
        for name in names:
            iterations = [event.iter for event in self.world.events.values() if self.unit(event.name) == name]
            oldest = min(iterations) if self.world.kind == "plot" else self.world.border(*name)
            self.bounds[name] = oldest, max(iterations)

    def unit(self, name: Name) -> Name:
        return (name[0], "") if self.world.kind == "plot" else name

    def places(self) -> list[tuple[int, Name]]:
        found = {(event.iter, self.unit(event.name)) for event in self.world.events.values()}
        plots = self.world.kind == "plot"
        return sorted(place for place in found if place[1] in self.bounds and (plots or place[0] >= self.bounds[place[1]][0]))

    def get(self, name: Name, iteration: int | None) -> tuple[list[tuple[str, str, str]], int | None, int | None]:
        bounds = self.bounds.get(name)
        if bounds is None:
            return [], None, None
        fitting = [place for place in self.places() if place[1] == name and (iteration is None or place[0] <= iteration)]
        if not fitting:
            return [], *bounds
        self.place = fitting[-1]
        return self.events(), *bounds

    def next(self, earlier: bool, next_iteration: bool) -> tuple[list[tuple[str, str, str]], int | None, int | None]:
        if self.place is None:
            return [], None, None
        current = self.place
        inside = self.inside if self.inside is None else current[1][0]
        places = [place for place in self.places() if inside in (None, place[1][0])]
        if next_iteration:
            places = [place for place in places if place[0] != current[0]]
        fitting = [place for place in places if (place < current if earlier else place > current)]
        if not fitting:
            return [], None, None
        self.place = fitting[-1] if earlier else fitting[0]
        return self.events(), *self.bounds[self.place[1]]

    def events(self) -> list[tuple[str, str, str]]:
        assert self.place is not None
        iteration, name = self.place
        events = self.world.events.values()
        return sorted((e.metric, e.variant, e.url) for e in events if e.iter == iteration and self.unit(e.name) == name)


# --- the walks -------------------------------------------------------------------------------------------------------------------

reports = st.lists(
    st.tuples(st.sampled_from(METRICS), st.sampled_from(VARIANTS), st.integers(0, 12), st.sampled_from(RINGS)), min_size=0, max_size=12
)
selections: st.SearchStrategy[dict[str, list[str]] | None] = st.sampled_from(
    [None, {"M": []}, {"M": ["a"]}, {"M": ["b"], "N": []}, {"M1": [], "M": []}, {"none": []}, {"N": ["a"], "M": ["a", "b"]}]
)
page_steps = st.lists(
    st.one_of(
        st.tuples(st.just("page"), st.integers(1, 4), st.booleans(), st.booleans()),
        st.tuples(st.just("page"), st.integers(1, 2), st.booleans(), st.just(False)),
        st.tuples(st.just("report"), reports),
    ),
    min_size=1,
    max_size=12,
)
sample_steps = st.lists(
    st.one_of(
        st.tuples(st.just("next"), st.booleans(), st.booleans()),
        st.tuples(st.just("next"), st.booleans(), st.just(False)),
        st.tuples(st.just("get"), st.sampled_from(METRICS), st.sampled_from(VARIANTS), st.none() | st.integers(-1, 14), st.booleans()),
        st.tuples(st.just("report"), reports),
    ),
    min_size=1,
    max_size=14,
)


class Reporter:
    """Stores events in the server and in the model. Each metric reports into rings of files of a size of its own."""

    def __init__(self, server: Client, kind: str) -> None:
        self.server = server
        self.task = uuid.uuid4().hex
        self.world = World(kind)
        self.count = 0
        server.add_batch([{"type": "log", "task": self.task, "msg": "begin"}])

    def report(self, events: Iterable[tuple[str, str, int, int]]) -> None:
        lines = []
        for metric, variant, iteration, ring in events:
            self.count += 1
            url = f"http://f/{metric}{variant}{iteration % ring}" if self.world.kind == "image" else f'{{"n":{self.count}}}'
            stored = Stored(metric, variant, iteration, url)
            self.world.put(stored)
            fields: dict[str, Any] = {"metric": metric, "variant": variant, "iter": iteration}
            lines.append(
                image(self.task, url=url, key="k", **fields) if self.world.kind == "image" else plot(self.task, plot_str=url, **fields)
            )
        if lines:
            self.server.add_batch(lines)


def walk_pages(server: Client, kind: str, endpoint: str, first: Any, selection: dict[str, list[str]] | None, steps: Any) -> None:
    reporter = Reporter(server, kind)
    reporter.report(first)
    model: PageModel | None = None
    entries = [{"metric": metric, "variants": variants} for metric, variants in selection.items()] if selection is not None else [{}]
    wanted = [{"task": reporter.task, **entry} for entry in entries]
    scroll_id: str | None = None
    for step in [("page", 2, True, False), *steps]:
        if step[0] == "report":
            reporter.report(step[1])
            continue
        _, iters, earlier, refresh = step
        request = {"metrics": wanted, "iters": iters, "navigate_earlier": earlier, "refresh": refresh}
        data = server.call(endpoint, request | ({"scroll_id": scroll_id} if scroll_id else {}))
        if model is None:
            model = PageModel(reporter.world, selection)
        elif refresh:
            model.refresh()
        scroll_id = data["scroll_id"]
        assert [entry["task"] for entry in data["metrics"]] == [reporter.task]
        assert shown(data["metrics"][0]) == model.page(iters, earlier), step


def walk_samples(
    server: Client, kind: str, endpoints: tuple[str, str], first: Any, inside: bool, start: tuple[str, str], steps: Any
) -> None:
    reporter = Reporter(server, kind)
    reporter.report(first)
    read: Callable[[dict[str, Any]], list[tuple[str, str, str]]] = samples_of if kind == "plot" else sample_of
    model: SampleModel | None = None
    scroll_id: str | None = None
    metric, variant = start
    for step in [("get", metric, variant, None, False), *steps]:
        if step[0] == "report":
            reporter.report(step[1])
            continue
        if step[0] == "get":
            _, other, variant, iteration, refresh = step
            if inside and model is not None and model.place is not None:
                other = model.place[1][0]  # such a walk stays inside its metric
            elif inside:
                other = metric
            request = {"task": reporter.task, "metric": other, "navigate_current_metric": inside, "refresh": refresh}
            request |= {"scroll_id": scroll_id} if scroll_id else {}
            request |= {"variant": variant} if kind == "image" else {}
            request |= {"iteration": iteration} if iteration is not None else {}
            data = server.call(endpoints[0], request)
            if model is None:
                model = SampleModel(reporter.world, other if inside else None)
            elif refresh:
                model.refresh()
            expected = model.get(model.unit((other, variant)), iteration)
        else:
            assert model is not None
            _, earlier, next_iteration = step
            request = {"task": reporter.task, "scroll_id": scroll_id, "navigate_earlier": earlier, "next_iteration": next_iteration}
            data = server.call(endpoints[1], request)
            expected = model.next(earlier, next_iteration)
        scroll_id = data["scroll_id"]
        assert (read(data), data["min_iteration"], data["max_iteration"]) == expected, step


def sample_of(data: dict[str, Any]) -> list[tuple[str, str, str]]:
    event = data["event"]
    return [(event["metric"], event["variant"], event["url"])] if event is not None else []


def samples_of(data: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(event["metric"], event["variant"], event["plot_str"]) for event in data["events"]]


@walks
@given(first=reports, selection=selections, steps=page_steps)
def test_pages_of_debug_images_are_what_the_model_shows(
    server: Client, first: Any, selection: dict[str, list[str]] | None, steps: Any
) -> None:
    walk_pages(server, "image", "events.debug_images", first, selection, steps)


@walks
@given(first=reports, selection=selections, steps=page_steps)
def test_pages_of_plots_are_what_the_model_shows(server: Client, first: Any, selection: dict[str, list[str]] | None, steps: Any) -> None:
    walk_pages(server, "plot", "events.plots", first, selection, steps)


@walks
@given(first=reports, inside=st.booleans(), start=st.tuples(st.sampled_from(METRICS), st.sampled_from(VARIANTS)), steps=sample_steps)
def test_walks_from_image_to_image_are_what_the_model_walks(
    server: Client, first: Any, inside: bool, start: tuple[str, str], steps: Any
) -> None:
    endpoints = ("events.get_debug_image_sample", "events.next_debug_image_sample")
    walk_samples(server, "image", endpoints, first, inside, start, steps)


@walks
@given(first=reports, inside=st.booleans(), start=st.tuples(st.sampled_from(METRICS), st.sampled_from(VARIANTS)), steps=sample_steps)
def test_walks_from_plot_to_plot_are_what_the_model_walks(
    server: Client, first: Any, inside: bool, start: tuple[str, str], steps: Any
) -> None:
    walk_samples(server, "plot", ("events.get_plot_sample", "events.next_plot_sample"), first, inside, start, steps)
