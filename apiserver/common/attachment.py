"""The header that makes a browser save an answer instead of showing it."""

from __future__ import annotations

import re
from urllib.parse import quote

_OTHER = re.compile(r"[^A-Za-z0-9._-]")


def attachment(name: str) -> str:
    """The value of Content-Disposition for a file of this name; with the form of RFC 5987 for names that are not plain ASCII."""
    plain = _OTHER.sub("_", name)
    return f"attachment; filename={plain}" if plain == name else f"attachment; filename={plain}; filename*=UTF-8''{quote(name, safe='')}"
