"""Content types by file extension. The Content-Type of an upload is ignored."""

from __future__ import annotations

import mimetypes

# Python's own table, not the machine's /etc/mime.types: the same answer on every machine.
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
    """The Content-Type to serve a file with: application/octet-stream for unknown extensions, the archive's type for compressed files, text/plain
    for scripts."""
    guessed, packed = _TABLE.guess_type("/" + name.rpartition("/")[2].rpartition("?")[2])
    if packed:
        return "application/gzip" if packed == "gzip" else "application/octet-stream"
    kind = guessed or "application/octet-stream"
    if kind in _SCRIPTS:
        kind = "text/plain"
    return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind


def is_inert(kind: str) -> bool:
    """Whether browsers run no scripts in files of this type. False for unknown types."""
    bare = kind.partition(";")[0]
    if bare in _INERT:
        return True
    return bare.startswith(("image/", "audio/", "video/")) and "xml" not in bare and bare not in _NOT_INERT_IMAGES
