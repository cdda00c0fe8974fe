"""Progress bars in logs: a program that redraws one line writes a line for every redraw. They are stored as they came, and folded when read."""

from __future__ import annotations

import re
from collections.abc import Iterable

import re2

from apiserver.stores.records import StoredEvent

_BAR = re2.compile(rb"\d{1,3}%\|.*\|.*\[.*\]|\d(?:it|B|[kKMGT]B?)?(?:it)? \[\d\d:\d\d(?::\d\d)?,")
"""What tqdm prints: ` 45%|████▌     | 45/100 [00:12<00:15,  3.45it/s]`, or without a total `45it [00:12,  3.45it/s]`. RE2 takes linear time."""
_COUNT = re.compile(rb"(?<![\s\d])[\s\d]+(?:it|B|[kKMGT]B?)?(?:it)?$")
"""Tried once per run of spaces and digits, not at each character, which keeps it linear."""


class ProgressFold:
    """Folds consecutive redraws of a bar into the last of them, over any number of pages."""

    def __init__(self) -> None:
        self._held: StoredEvent | None = None
        self._bar: tuple[object, bytes] | None = None

    def take(self, events: Iterable[StoredEvent]) -> list[StoredEvent]:
        """The next lines, folded; a bar is held back until the next line shows that it is not redrawn."""
        shown: list[StoredEvent] = []
        for event in events:
            text = event.get("msg")
            bar = None
            if isinstance(text, str):
                last = last_drawn(text)
                name = _name(last)
                if name is not None:
                    bar = (event.get("worker"), name)
                    event = {**event, "msg": last}
            if self._held is not None and bar != self._bar:
                shown.append(self._held)
            self._held, self._bar = (event, bar) if bar is not None else (None, None)
            if bar is None:
                shown.append(event)
        return shown

    def rest(self) -> list[StoredEvent]:
        """The bar that is still held back at the end."""
        return [] if self._held is None else [self._held]


def fold_page(events: list[StoredEvent], *, newest_first: bool) -> list[StoredEvent]:
    """The lines of a page, folded, in the order that they have."""
    fold = ProgressFold()
    shown = fold.take(reversed(events) if newest_first else events) + fold.rest()
    return shown[::-1] if newest_first else shown


def is_bar(event: StoredEvent) -> bool:
    """Whether the line next to this one may be another redraw of it."""
    text = event.get("msg")
    return isinstance(text, str) and _name(last_drawn(text)) is not None


def has_bar(text: str) -> bool:
    """Whether a progress bar is drawn in a line."""
    return _before_bar(text) is not None


def last_drawn(text: str) -> str:
    """The text that a terminal shows of a message in which bars overwrite each other by carriage returns: the last bar."""
    if "\r" not in text:
        return text
    drawn = [part for part in text.split("\r") if part.strip()]
    return drawn[-1] if drawn and all(map(has_bar, drawn)) else text


def _before_bar(text: str) -> bytes | None:
    if "[" not in text:
        return None
    encoded = text.encode("utf-8", "replace")
    found = _BAR.search(encoded)
    return None if found is None else encoded[: found.start()]


def _name(text: str) -> bytes | None:
    """The label before a bar, which identifies it; None when the text is not a single bar."""
    before = _before_bar(text)
    if before is None or "\n" in text.strip("\n"):
        return None
    return _COUNT.sub(b"", before)
