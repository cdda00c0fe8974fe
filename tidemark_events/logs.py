"""Log lines of a run: all, or those that a search finds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from tidemark_events import html
from tidemark_events.wire import Wire

PAGE = 10_000
SHOWN = 50


class Line(NamedTuple):
    """One log line. `time` is in seconds since the epoch."""

    time: float
    level: str
    text: str
    worker: str

    def __str__(self) -> str:
        return self.text


class Lines:
    """Log lines, oldest first, read page by page while they are iterated: a log of millions needs no memory."""

    def __init__(self, wire: Wire, run: str, search: str | None, regex: bool, levels: Sequence[str]) -> None:
        self._wire, self._run = wire, run
        self._search, self._regex, self._levels = search, regex, list(levels)

    def __iter__(self) -> Iterator[Line]:
        return self._found() if self._search or self._levels else self._all()

    def text(self) -> str:
        """All lines as one text, separated by newlines."""
        return "\n".join(line.text for line in self)

    def _all(self) -> Iterator[Line]:
        position = 0
        while True:
            page = self._wire.call("events.get_task_log_lines", {"task": self._run, "position": position, "count": PAGE})
            events = page["events"][max(0, position - page["position"]) :]
            yield from map(line_of, events)
            position += len(events)
            if not events or position >= page["total"]:
                return

    def _found(self) -> Iterator[Line]:
        # A level alone is a search for everything.
        body: dict[str, Any] = {
            "task": self._run,
            "search": self._search or "",
            "search_regex": self._regex,
            "navigate_earlier": False,
            "order": "asc",
            "batch_size": PAGE,
            "levels": self._levels,
        }
        if not self._search:
            body |= {"search": ".*", "search_regex": True}
        while True:
            page = self._wire.call("events.get_task_log", body)
            yield from map(line_of, page["events"])
            if not page.get("scroll_id"):
                return
            body["scroll_id"] = page["scroll_id"]

    def _repr_html_(self) -> str:
        shown: list[str] = []
        for line in self:
            if len(shown) == SHOWN:
                shown.append("…")
                break
            shown.append(line.text[:500])
        return html.lines(shown)


def line_of(event: Mapping[str, Any]) -> Line:
    """A stored log event as a line."""
    return Line(
        event.get("timestamp", 0) / 1000, str(event.get("level") or ""), str(event.get("msg") or ""), str(event.get("worker") or "")
    )
