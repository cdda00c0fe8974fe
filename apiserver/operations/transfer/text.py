"""Reads lines of files that may be growing, and finds out when a log line was written."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

BLOCK = 1 << 20
_CLOCK = re.compile(r"\[?(\d\d):(\d\d):(\d\d)(?:[.,](\d{1,3}))?\]?(?: \||\s)")
_DAY = 86_400_000
_HALF_DAY = _DAY // 2
MAX_LINE = 32 << 20
"""Most bytes of a line; a longer one is split."""


def read_lines(file: IO[bytes], *, rest: bool) -> Iterator[tuple[list[bytes], int]]:
    """Lines without their ends, from the file's position on, and the bytes that they took.

    `\\n`, `\\r\\n` and a lone `\\r` end a line. `rest`: whether an incomplete last line counts as a line; otherwise it is left unread.
    """
    held = b""
    while block := file.read(BLOCK):
        data = held + block
        end = max(data.rfind(b"\n"), data.rfind(b"\r", 0, len(data) - 1)) + 1  # a \r at the very end may be half of \r\n
        if not end and len(data) >= MAX_LINE:
            end = len(data)
        held = data[end:]
        if end:
            yield data[:end].splitlines(), end
    if held.endswith(b"\r") or (held and rest):
        yield held.splitlines(), len(held)


@dataclass(slots=True)
class LogClock:
    """Timestamps (epoch ms) for lines that begin with `HH:MM:SS` in local time. They never decrease; after midnight the next day begins.

    A line without a time gets that of the line before, the first one `start`.
    """

    start: int
    last: int = 0

    def at(self, text: str) -> int:
        """The timestamp of the next line."""
        if not self.last:
            self.last = self.start - self.start % 1000
        found = _CLOCK.match(text)
        if found is not None:
            hour, minute, second = int(found[1]), int(found[2]), int(found[3])
            if hour < 24 and minute < 60 and second < 61:
                moment = self._midnight() + ((hour * 60 + minute) * 60 + second) * 1000 + int((found[4] or "0").ljust(3, "0"))
                if moment < self.last - _HALF_DAY:
                    moment += _DAY
                self.last = max(self.last, moment)
        return self.last

    def _midnight(self) -> int:
        day = time.localtime(self.last / 1000)
        return int(time.mktime((day.tm_year, day.tm_mon, day.tm_mday, 0, 0, 0, 0, 0, -1))) * 1000
