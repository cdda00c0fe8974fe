"""WebSocket frames of the server side (RFC 6455, 5.2): unmasked and final, many of them in one piece of bytes."""

from __future__ import annotations

from collections.abc import Iterable

_TEXT = 0x81


def text_frames(texts: Iterable[str]) -> bytes:
    """One text frame for each text, ready for the wire. Lone surrogates, which UTF-8 can't hold, become question marks."""
    pieces: list[bytes] = []
    for text in texts:
        data = text.encode("utf-8", "replace")
        size = len(data)
        if size < 126:
            pieces.append(bytes((_TEXT, size)))
        elif size < 65536:
            pieces.append(b"\x81\x7e" + size.to_bytes(2, "big"))
        else:
            pieces.append(b"\x81\x7f" + size.to_bytes(8, "big"))
        pieces.append(data)
    return b"".join(pieces)
