"""The record format of `.wandb` files: LevelDB's log format with CRC-32 (zlib), in blocks of 32 KiB."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_BLOCK = 32_768
_HEAD = struct.Struct("<IHB")
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4
_MAGIC = b":W&B"
MAX_RECORD = 256 << 20


class Bad(NamedTuple):
    """An unreadable part of the file."""

    offset: int
    reason: str


def records(path: Path) -> Iterator[bytes | Bad]:
    """The records of a file; after damage, reading continues in the next block. Raises OSError, and ValueError for another kind of file."""
    held: list[bytes] = []
    size = 0
    zeros = False
    with path.open("rb") as file:
        start = 0
        while block := file.read(_BLOCK):
            at = 0
            if start == 0:
                if block[:4] != _MAGIC:
                    raise ValueError("not a W&B file: the magic bytes differ")
                at = _HEAD.size
            while at + _HEAD.size <= len(block):
                crc, length, kind = _HEAD.unpack_from(block, at)
                body = block[at + _HEAD.size : at + _HEAD.size + length]
                if crc == length == kind == 0:
                    if not zeros:
                        yield Bad(start + at, "zeros in place of a record")
                    held, size, zeros = [], 0, True
                    break
                if len(body) < length or kind not in (_FULL, _FIRST, _MIDDLE, _LAST) or zlib.crc32(body, zlib.crc32(bytes((kind,)))) != crc:
                    last = len(block) < _BLOCK
                    yield Bad(
                        start + at, "the file ends in the middle of a record" if last and len(body) < length else "the checksum differs"
                    )
                    held, size = [], 0
                    break
                at += _HEAD.size + length
                zeros = False
                if kind in (_FULL, _FIRST):
                    if held:
                        yield Bad(start + at, "a record is incomplete")
                    held, size = [], 0
                if kind == _FULL:
                    yield body
                elif kind == _FIRST or held:
                    size += length
                    if size > MAX_RECORD:
                        yield Bad(start + at, "the record is too large")
                        held, size = [], 0
                        continue
                    held.append(body)
                    if kind == _LAST:
                        yield b"".join(held)
                        held, size = [], 0
            else:
                if at < len(block) < _BLOCK:  # a whole block may end with up to six zeros
                    yield Bad(start + at, "the file ends in the middle of a record")
            start += len(block)
    if not start:
        yield Bad(0, "the file is empty")
    if held:
        yield Bad(start, "the file ends in the middle of a record")
