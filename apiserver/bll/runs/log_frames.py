"""Frames of a live log: selection and format of lines, and the arrivals that a reader has received."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable
from typing import NamedTuple

import msgspec
import orjson

from apiserver.bll.events.live_log import LiveLine
from apiserver.bll.events.progress_bars import has_bar
from apiserver.stores.records import SEQ_SHIFT

_LINE_ENDS = re.compile(r"\r\n|\n|\r")


def lines_of(message: str | None) -> list[str]:
    """The lines of a message that are shown: blank ones are not."""
    return [part for part in _LINE_ENDS.split(message or "") if part and not part.isspace()]


class FrameFormat(NamedTuple):
    """How frames are made: as text or as JSON, with or without progress bars."""

    as_json: bool = False
    hide_progress: bool = False

    def frames(self, lines: Iterable[LiveLine]) -> list[str]:
        """The frames of some lines: blank ones are never sent. As text, one frame for each line of a message; as JSON, one for each message
        (`id` is its seq as text, for clients whose numbers are doubles)."""
        frames: list[str] = []
        for line in lines:
            parts = lines_of(line.msg)
            if self.hide_progress:
                parts = [part for part in parts if not has_bar(part)]
            if not parts:
                continue
            if self.as_json:
                frames.append(orjson.dumps({"id": str(line.seq), **msgspec.structs.asdict(line), "msg": "\n".join(parts)}).decode())
            else:
                frames += parts
        return frames


class SeenArrivals:
    """The arrivals (seqs) of lines that a reader has got, as intervals; those older than `keep` milliseconds are forgotten."""

    def __init__(self, keep: int = 60_000) -> None:
        self._keep = keep << SEQ_SHIFT
        self._lows: list[int] = []
        self._highs: list[int] = []
        self._next: list[tuple[int, int]] = []  # intervals that are not merged yet
        self.last = 0
        """The greatest seq seen."""

    @property
    def horizon(self) -> int:
        """Arrivals before this seq are forgotten."""
        return max(self.last - self._keep, 0)

    def add(self, seqs: Iterable[int]) -> None:
        """Remember lines; runs of consecutive numbers cost one interval."""
        for seq in seqs:
            if self._next and self._next[-1][1] == seq - 1:
                self._next[-1] = (self._next[-1][0], seq)
            else:
                self._next.append((seq, seq))
            if seq > self.last:
                self.last = seq
        if len(self._next) > 10_000:
            self._sort()

    def __contains__(self, seq: int) -> bool:
        if self._next:
            self._sort()
        at = bisect_right(self._lows, seq) - 1
        return at >= 0 and seq <= self._highs[at]

    def _sort(self) -> None:
        horizon = self.horizon
        found = sorted([*zip(self._lows, self._highs, strict=True), *self._next])
        self._next, self._lows, self._highs = [], [], []
        for low, high in found:
            if high < horizon:
                continue
            if self._highs and low <= self._highs[-1] + 1:
                self._highs[-1] = max(self._highs[-1], high)
            else:
                self._lows.append(low)
                self._highs.append(high)
