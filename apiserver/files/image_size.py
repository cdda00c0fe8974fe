"""Width and height of an image from its header, without decoding it."""

from __future__ import annotations

import struct

HEAD = 256 * 1024
"""Bytes to read: photographs have previews and colour profiles before the size."""

_PNG = b"\x89PNG\r\n\x1a\n"
_SIZES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
"""JPEG markers SOF0 to SOF15, whose segments have the size."""


def image_size(head: bytes) -> tuple[int, int] | None:
    """(width, height) in pixels of a PNG, GIF, WebP or JPEG; None for other formats, and when `head` is damaged or too short."""
    try:
        if head.startswith(_PNG):
            return struct.unpack_from(">II", head, 16)  # type: ignore[return-value]
        if head[:6] in (b"GIF87a", b"GIF89a"):
            return struct.unpack_from("<HH", head, 6)  # type: ignore[return-value]
        if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
            return _webp(head)
        if head[:2] == b"\xff\xd8":
            return _jpeg(head)
    except (struct.error, IndexError):
        return None
    return None


def _webp(head: bytes) -> tuple[int, int] | None:
    kind = head[12:16]
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", head, 26)
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L":
        bits = struct.unpack_from("<I", head, 21)[0]
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8X":
        return int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1
    return None


def _jpeg(head: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 < len(head):
        if head[at] != 0xFF:
            return None
        kind = head[at + 1]
        if kind == 0xFF:  # fill bytes
            at += 1
        elif kind in _SIZES:
            height, width = struct.unpack_from(">HH", head, at + 5)
            return width, height
        elif kind == 0x01 or 0xD0 <= kind <= 0xD8:
            at += 2
        else:
            at += 2 + int(struct.unpack_from(">H", head, at + 2)[0])
    return None
