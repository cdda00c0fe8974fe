"""Finds the iterations before or after one that still have images or plots: the older files of some variants are overwritten.

A variant of debug images usually reports into a ring of files, so its images before a certain iteration show files that were overwritten.
Images are *valid from* that iteration on. It is the least of the greatest iterations of the variant's urls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from apiserver.bll.registry.directory import Owner
from apiserver.stores.base import EventReader
from apiserver.stores.event_types import TYPES
from apiserver.stores.records import IMAGE, MAX_ITER, EventQuery, PagedEvent, StoredEvent

T = TypeVar("T")

Variant = tuple[str, str]
"""Metric and variant."""

ValidFrom = Mapping[Variant, int]
"""The first iteration at which each variant's file still belongs to its image."""

ITERATIONS_A_QUERY = 500
EVENTS_A_QUERY = 10_000


def metrics_of(variants: Iterable[Variant]) -> dict[str, list[str]]:
    """Variants as a filter of a query."""
    metrics: dict[str, list[str]] = {}
    for metric, variant in variants:
        metrics.setdefault(metric, []).append(variant)
    return metrics


def valid_iterations(
    events: EventReader, owner: Owner, valid_from: ValidFrom, *, beyond: int | None, descending: bool, count: int
) -> list[int]:
    """The nearest `count` iterations beyond `beyond` (None: from the newest; exclusive) at which a variant has a valid image.

    Between two "valid from" iterations the same variants are valid everywhere: one query of the store covers them. As every one of them has a
    valid image, at most count + 1 queries are made.
    """
    found: list[int] = []
    reached = beyond
    while len(found) < count:
        if descending:
            valid = {variant: first for variant, first in valid_from.items() if reached is None or first < reached}
            if not valid:
                break
            edge: int | None = max(valid.values())
            query = EventQuery(owner.id, [IMAGE], metrics=metrics_of(valid), min_iter=edge)
        else:
            assert reached is not None
            valid = {variant: first for variant, first in valid_from.items() if first <= reached + 1}
            edge = min((first for first in valid_from.values() if first > reached + 1), default=None)
            query = EventQuery(owner.id, [IMAGE], metrics=metrics_of(valid), max_iter=None if edge is None else edge - 1)
        if valid:
            found += events.iterations(owner.company, query, descending=descending, count=count - len(found), beyond=reached)
        if edge is None:
            break
        reached = edge if descending else edge - 1
    return found


def at_iterations(
    events: EventReader, owner: Owner, kind: str, metrics: Mapping[str, Sequence[str]], iterations: Sequence[int]
) -> list[PagedEvent]:
    """All events of a type at these iterations."""
    found: list[PagedEvent] = []
    for start in range(0, len(iterations), ITERATIONS_A_QUERY):
        query = EventQuery(owner.id, [kind], metrics=metrics, iters=list(iterations[start : start + ITERATIONS_A_QUERY]))
        after = None
        while True:
            page = events.page(owner.company, query, "iter", after=after, limit=EVENTS_A_QUERY)
            found += page
            if len(page) < EVENTS_A_QUERY:
                break
            after = page[-1].cursor
    return found


def best_per_variant(kind: str, page: Iterable[PagedEvent]) -> dict[tuple[int, str, str], StoredEvent]:
    """One event per (iteration, metric, variant): of images the one with the greatest url (those without are left out), of plots the
    latest."""
    best: dict[tuple[int, str, str], PagedEvent] = {}
    for found in page:
        event = found.event
        if TYPES[kind].has_url and not _url(event):
            continue
        key = (event["iter"], event["metric"], event["variant"])
        if key not in best or _rank(kind, found) > _rank(kind, best[key]):
            best[key] = found
    return {key: found.event for key, found in best.items()}


def _url(event: StoredEvent) -> str:
    url = event.get("url")
    return url if isinstance(url, str) else ""


def _rank(kind: str, found: PagedEvent) -> tuple[str, int, int]:
    event, cursor = found
    return (_url(event) if TYPES[kind].has_url else "", cursor.timestamp, cursor.seq)


def exists(events: EventReader, owner: Owner, kind: str, metrics: Mapping[str, Sequence[str]], iteration: int) -> bool:
    """Whether there is an event (an image: with a url) of these metrics at an iteration."""
    query = EventQuery(owner.id, [kind], metrics=metrics, min_iter=iteration, max_iter=iteration)
    return bool(events.iterations(owner.company, query, descending=False, count=1))


def nearest(candidates: Sequence[T], found_in: Callable[[Sequence[T]], bool]) -> T | None:
    """The first candidate that has something; `found_in` says whether any of some candidates has. A binary search."""
    start, size = 0, 1
    while start < len(candidates):
        part = candidates[start : start + size]
        if found_in(part):
            while len(part) > 1:
                half = part[: len(part) // 2]
                part = half if found_in(half) else part[len(part) // 2 :]
            return part[0]
        start += size
        size *= 8
    return None


def up_to(iteration: int | None) -> int | None:
    """The exclusive bound that includes `iteration`."""
    return None if iteration is None or iteration >= MAX_ITER else iteration + 1
