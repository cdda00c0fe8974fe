"""The live log of a run for one reader: the history, then new lines, each once.

A reader subscribes first, then reads the history, and drops from the live lines what the history had: no gap and no repeat. Where messages may be
missing (the bus lost its connection, or the reader was too slow for its mailbox), the store is read again from there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import msgspec

from apiserver.bll.events.live_log import LiveLine, live_line
from apiserver.bll.registry.directory import Owner
from apiserver.bll.runs.log_frames import FrameFormat, SeenArrivals, lines_of
from apiserver.common.fairness import give_way
from apiserver.stores.base import LogReader
from apiserver.stores.records import LOG, MAX_ITER, MIN_ITER, SEQ_SHIFT, Cursor, EventQuery

PAGE = 2_000
KNOWN_FOR = 60_000
"""Longest time in milliseconds between the arrival of a line and its live message, including clock differences between hosts."""


@dataclass(frozen=True, slots=True)
class LogRequest:
    """What a reader asked for: the last `tail` lines, those from a time on, or those after an arrival; None: all."""

    form: FrameFormat
    tail: int | None = None
    since: int | None = None
    after: int | None = None


@dataclass(slots=True)
class LogFeed:
    """Hands the lines of one log to one reader, each once: first the history, then what arrives."""

    store: LogReader
    run: Owner
    wanted: LogRequest
    send: Callable[[list[str]], None]
    """Receives frames; an exception from it ends the feed."""
    opened: int
    """The seq of the moment when the socket was opened: later lines are sent, whatever the tail."""
    seen: SeenArrivals = field(default_factory=SeenArrivals)

    @property
    def floor(self) -> int:
        """Arrivals from this seq on are tracked: only they can also come from the bus."""
        return self.opened - (KNOWN_FOR << SEQ_SHIFT)

    def history(self) -> None:
        """Send the stored lines that the reader asked for."""
        for lines in self._tail() if self.wanted.tail is not None else self._stored():
            # Only recent arrivals can also come from the bus.
            self.seen.add(line.seq for line in lines if line.seq >= self.floor)
            self._send(lines)

    def live(self, lines: list[LiveLine]) -> None:
        """Send lines that arrived just now."""
        if lines:
            self._send_new(lines)

    def catch_up(self) -> None:
        """Send recent lines of the store that were not sent yet. Called when messages may have been missed."""
        for lines in self._read(from_seq=max(self.seen.horizon, self.floor)):
            self._send_new(lines)

    def _send_new(self, lines: list[LiveLine]) -> None:
        seen = self.seen
        new = [line for line in lines if line.seq not in seen]
        seen.add(line.seq for line in new)
        if self.wanted.after is not None:
            new = [line for line in new if line.seq > self.wanted.after]
        self._send(new)

    def _send(self, lines: list[LiveLine]) -> None:
        frames = self.wanted.form.frames(lines)
        if frames:
            self.send(frames)

    def _stored(self) -> Iterator[list[LiveLine]]:
        since, after = self.wanted.since, self.wanted.after
        start = None if since is None else _start_of(max(since, MIN_ITER + 1))
        yield from self._read(after=start, from_seq=None if after is None else min(after + 1, MAX_ITER))

    def _tail(self) -> Iterator[list[LiveLine]]:
        """The last lines that are shown, oldest first, of what had arrived before the socket was opened; then the rest."""
        for stored in self._read(from_seq=self.floor, until_seq=self.opened - 1):
            self.seen.add(line.seq for line in stored)
        left, form = self.wanted.tail or 0, self.wanted.form
        parts: list[list[LiveLine]] = []
        for lines in self._lines_back(self.opened - 1) if left else ():
            part: list[LiveLine] = []
            for line in lines:
                count = len(form.frames([line]))
                if count:
                    part.append(_last_lines(line, left) if count > left and not form.as_json else line)
                    left -= count
                    if left <= 0:
                        break
            parts.append(part[::-1])
            if left <= 0:
                break
        yield from parts[::-1]
        yield from self._read(from_seq=self.opened)

    def _lines_back(self, until_seq: int) -> Iterator[list[LiveLine]]:
        """Newest first, as far as `since` and `after` let them through."""
        since, after = self.wanted.since, self.wanted.after
        for lines in self._read(descending=True, until_seq=until_seq, from_seq=None if after is None else min(after + 1, MAX_ITER)):
            wanted = [line for line in lines if since is None or line.timestamp >= since]
            yield wanted
            if len(wanted) < len(lines):
                return

    def _read(
        self, *, after: Cursor | None = None, descending: bool = False, from_seq: int | None = None, until_seq: int | None = None
    ) -> Iterator[list[LiveLine]]:
        query = EventQuery(self.run.id, (LOG,), from_seq=from_seq, until_seq=until_seq)
        for stretch in self.store.scan_log(self.run.company, query, after=after, descending=descending, chunk=PAGE):
            yield [live_line(found) for found in stretch.lines]
            give_way()


def _last_lines(line: LiveLine, count: int) -> LiveLine:
    """The last lines of a message with several."""
    return msgspec.structs.replace(line, msg="\n".join(lines_of(line.msg)[-count:]))


def _start_of(moment: int) -> Cursor:
    """The position in the order of time just before everything of this millisecond."""
    return Cursor(moment, moment, MIN_ITER)
