"""Imports the official client without pyarrow, which it imports if installed: 39 MB in every worker process, for a response format that is not used."""

from __future__ import annotations

import sys

_known = sys.modules.get("pyarrow")
if _known is None:
    sys.modules["pyarrow"] = None  # type: ignore[assignment]  # as if it were not installed
try:
    import elasticsearch.serializer  # noqa: F401
finally:
    if _known is None:
        del sys.modules["pyarrow"]
