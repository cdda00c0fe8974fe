"""TFRecord files: records with a length and two checksums. The reader follows growing files and resumes after damage.

A record is `uint64 length, uint32 masked crc32c of the length, payload, uint32 masked crc32c of the payload`, little-endian.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
from google_crc32c import value as crc32c

from apiserver.common.words import many

BLOCK = 1 << 20
MAX_RECORD = 256 << 20
"""Most bytes of a record; larger ones are skipped."""
_HEAD, _CRC = struct.Struct("<QI"), struct.Struct("<I")
_FRAME = 16
_HEADS = 4_096
"""Headers whose checksum is cached: the records of a file have few different lengths."""


class Lost(NamedTuple):
    """A part of a file that could not be read."""

    offset: int
    size: int
    reason: str

    def __str__(self) -> str:
        return f"{many(self.size, 'byte')} lost from offset {self.offset:,} on: {self.reason}"


class _End(Enum):
    MORE, HEAD, PAYLOAD = "more", "the checksum of the length differs", "the checksum of the payload differs"


def masked(data: bytes) -> int:
    """The masked CRC-32C of the format: rotated by 15 bits, plus a constant."""
    crc = int(crc32c(data))
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFF_FFFF


class RecordFile:
    """Reads the records of a file. `offset`: bytes read so far. `lost`: unreadable parts; the caller reports and clears them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.offset = 0
        self.lost: list[Lost] = []
        self._heads: dict[bytes, int] = {}
        self._searched = 0

    def read(self, *, final: bool) -> Iterator[list[bytes]]:
        """The payloads of the unread records, in lists. `final`: the file does not grow any more, so that an incomplete record at its end is lost rather than
        left for later. Raises OSError."""
        with self.path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            want = BLOCK
            while self.offset < size:
                file.seek(self.offset)
                data = file.read(min(want, size - self.offset))
                if not data:
                    return  # truncated in the meantime
                want = BLOCK
                payloads, used, end, length = self._take(data)
                self.offset += used
                if payloads:
                    yield payloads
                if used == len(data):
                    continue
                rest = size - self.offset
                if end is _End.MORE and rest >= length + _FRAME:
                    if length > MAX_RECORD:
                        self.lost.append(Lost(self.offset, length + _FRAME, "the record is too large"))
                        self.offset += length + _FRAME
                    want = max(BLOCK, length + _FRAME)
                elif (end is _End.MORE and not final) or not self._go_on(file, size, end, length, final):
                    return

    def _take(self, data: bytes) -> tuple[list[bytes], int, _End, int]:
        """Complete records at the start of `data`: their payloads, the bytes they took, the reason to stop, and the length of the next record."""
        payloads: list[bytes] = []
        heads, head_size, crc_of, crc_at = self._heads, _HEAD.size, crc32c, _CRC.unpack_from
        at, end = 0, len(data)
        while at + head_size <= end:
            head = data[at : at + head_size]
            length = heads.get(head)
            if length is None:
                length, crc = _HEAD.unpack(head)
                if masked(head[:8]) != crc:
                    return payloads, at, _End.HEAD, 0
                if len(heads) < _HEADS:
                    heads[head] = length
            stop = at + head_size + length
            if stop + 4 > end:
                return payloads, at, _End.MORE, length
            payload = data[at + head_size : stop]
            crc = crc_of(payload)
            if ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFF_FFFF != crc_at(data, stop)[0]:
                return payloads, at, _End.PAYLOAD, length
            payloads.append(payload)
            at = stop + 4
        return payloads, at, _End.MORE, 0

    # --- after damage

    def _go_on(self, file: IO[bytes], size: int, end: _End, length: int, final: bool) -> bool:
        """Find the next record after damage at `offset`. False when there is none: the rest of the file waits for more data or, if `final`, is lost."""
        start = self.offset
        found = self._next(file, size, start, start + _FRAME + length if end is _End.PAYLOAD else None)
        if found is None and not final:
            self._searched = size - _HEAD.size
            return False
        after = size if found is None else found
        reason = "the file ends in the middle of a record" if end is _End.MORE and found is None else end.value
        if end is _End.MORE and found is not None:
            reason = "a record is incomplete"
        self.lost.append(Lost(start, after - start, reason))
        self.offset, self._searched = after, 0
        return found is not None

    def _next(self, file: IO[bytes], size: int, start: int, likely: int | None) -> int | None:
        """The offset of the next complete record, or None."""
        if likely is not None and (likely == size or (likely < size and self._whole(file, size, likely))):
            return likely
        at = max(start + 1, self._searched)
        while at + _FRAME <= size:
            file.seek(at)
            block = file.read(BLOCK + _HEAD.size - 1)
            for place in _candidates(block):
                if self._whole(file, size, at + place):
                    return at + place
            at += BLOCK
        return None

    def _whole(self, file: IO[bytes], size: int, at: int) -> bool:
        file.seek(at)
        head = file.read(_HEAD.size)
        if len(head) < _HEAD.size:
            return False
        length, crc = _HEAD.unpack(head)
        if length > MAX_RECORD or at + _FRAME + length > size or masked(head[:8]) != crc:
            return False
        payload, end = file.read(length), file.read(4)
        return len(end) == 4 and masked(payload) == _CRC.unpack(end)[0]


def _candidates(block: bytes) -> list[int]:
    """Offsets where a record's header may begin: the upper half of the length is zero (it is below 4 GB), the checksum is not."""
    count = len(block) - _HEAD.size + 1
    if count <= 0:
        return []
    zero = np.frombuffer(block, np.uint8) == 0
    upper = zero[4 : 4 + count] & zero[5 : 5 + count] & zero[6 : 6 + count] & zero[7 : 7 + count]
    crc = zero[8 : 8 + count] & zero[9 : 9 + count] & zero[10 : 10 + count] & zero[11 : 11 + count]
    return [int(place) for place in np.flatnonzero(upper & ~crc)]
