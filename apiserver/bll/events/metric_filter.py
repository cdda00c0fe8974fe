"""What requests say about metrics and variants, as the filter that stores understand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from apiserver.stores.records import Metrics


def metrics_filter(entries: Iterable[Mapping[str, Any]] | None) -> Metrics | None:
    """`[{metric, variants}]` as metric -> variants. Of two entries for one metric the later one counts; nothing named: no filter."""
    filters = {entry["metric"]: tuple(dict.fromkeys(entry.get("variants") or ())) for entry in entries or ()}
    return filters or None
