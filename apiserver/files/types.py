"""Content types by file extension; the client's Content-Type is ignored."""

from __future__ import annotations

import mimetypes

# The table that comes with Python, not the machine's /etc/mime.types: the same answer everywhere.
_TABLE = mimetypes.MimeTypes(filenames=())
_MORE = {".webp": "image/webp", ".avif": "image/avif", ".flac": "audio/flac", ".ogg": "audio/ogg", ".log": "text/plain"}
for _ending, _type in _MORE.items():
    _TABLE.add_type(_type, _ending)

_INERT = {
    "application/json",
    "application/octet-stream",
    "application/gzip",
    "application/pdf",
    "application/zip",
    "application/x-tar",
    "text/plain",
    "text/csv",
}
_NOT_INERT_IMAGES = ("image/svg+xml",)
_SCRIPTS = {"application/javascript", "text/javascript", "application/ecmascript", "text/ecmascript"}


def content_type(name: str) -> str:
    """The type to serve a file as. Unknown endings are bytes, packed ones are what packed them, scripts are plain text."""
    guessed, packed = _TABLE.guess_type("/" + name.rpartition("/")[2].rpartition("?")[2])
    if packed:
        return "application/gzip" if packed == "gzip" else "application/octet-stream"
    kind = guessed or "application/octet-stream"
    if kind in _SCRIPTS:
        kind = "text/plain"
    return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind


def is_inert(kind: str) -> bool:
    """Whether the type is inert in browsers (no scripts). Unknown types are not."""
    bare = kind.partition(";")[0]
    if bare in _INERT:
        return True
    return bare.startswith(("image/", "audio/", "video/")) and "xml" not in bare and bare not in _NOT_INERT_IMAGES
