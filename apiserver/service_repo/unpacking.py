"""gzip decompression of request bodies: linear time, in slices, with limits on size and ratio."""

from __future__ import annotations

import zlib

from apiserver.common.fairness import give_way
from apiserver.errors import BadBody, BodyTooLarge

STEP = 1 << 20
"""Bytes unpacked before other requests get a turn."""
SLICE = 16 * 1024
"""Packed bytes per call of zlib. zlib copies what follows a member, so a whole body would be copied once per member."""
MAX_MEMBERS = 1_000
"""gzip members in one body. bgzip makes one per 64 kB: 1,000 are 64 MB."""
MAX_RATIO = 200
RATIO_FROM = 1 << 20
"""Unpacked bytes from which MAX_RATIO applies. Log lines compress 10:1 to 60:1, a zip bomb 1,000:1."""


def unpack(raw: bytes, limit: int) -> bytes:
    """The unpacked body; several members are concatenated. Raises BodyTooLarge as soon as a limit is passed, BadBody for damaged data."""
    allowed = min(limit, max(RATIO_FROM, MAX_RATIO * len(raw)))
    pieces: list[bytes] = []
    size = members = position = 0
    member = None
    rest = b""
    while rest or position < len(raw):
        if not rest:
            rest = raw[position : position + SLICE]
            position += SLICE
            give_way()
        if member is None:
            rest = rest.lstrip(b"\0") if members else rest  # padding after a member is allowed
            if not rest:
                continue
            members += 1
            if members > MAX_MEMBERS:
                raise BadBody(f"its gzip data has more than {MAX_MEMBERS} members")
            member = zlib.decompressobj(wbits=31)
        try:
            piece = member.decompress(rest, STEP)
        except zlib.error as error:
            raise BadBody("it is not valid gzip") from error
        rest = member.unused_data if member.eof else member.unconsumed_tail
        if piece:
            size += len(piece)
            if size > allowed:
                raise _too_large(limit, allowed)
            pieces.append(piece)
            if len(piece) == STEP:
                give_way()
        if member.eof:
            member = None
    if member is not None:
        raise BadBody("its gzip data is truncated")
    return b"".join(pieces)


def _too_large(limit: int, allowed: int) -> BodyTooLarge:
    if allowed == limit:
        return BodyTooLarge(limit)
    return BodyTooLarge(allowed, f"it unpacks to more than {MAX_RATIO} times its size")
