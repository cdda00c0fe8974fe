"""Imports the official client without pyarrow, which it takes along where it is installed: 39 MB of every worker, for answers that we never ask for."""

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
