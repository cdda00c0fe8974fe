"""The mapping from a Runicorn row to stored series: scalars, attributes, and the names of columns.

A row is `{"global_step": 7, "loss": 0.5, "time": 12.0, "stage": "train", "ok": true}`. Numbers are ordinary scalars (metric `loss`, variant
`loss`), so that every ClearML client charts them. Values that cannot be charted are stored as *attributes*: series of the type
ATTRIBUTE with one point per step, where the metric says what kind of value it is (NUMBER, BOOLEAN, TEXT, NULL, ROW) and the variant is the
column. A text is kept with its point, as the extra field TEXT_FIELD. No ClearML endpoint lists this type.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from apiserver.common.fairness import paced
from apiserver.common.joined_names import SEPARATOR, escaped
from apiserver.stores.records import ATTRIBUTE, SCALAR, SeriesKey

NUMBER = "number"
"""`time` (seconds, as logged) and whatever else is a number but no metric."""
BOOLEAN = "boolean"
"""1.0 or 0.0."""
TEXT = "text"
"""NaN, and the text in the extra field."""
NULL = "null"
"""NaN: a null was logged. It is not a metric's value, and ClearML clients do not see it."""
ROW = "row"
"""Marks a row that was logged without any value that can be stored."""

TEXT_FIELD = "text"

STEP_COLUMN = "global_step"
TIME_COLUMN = "time"
STAGE_COLUMN = "stage"
STEP_NAMES = frozenset((STEP_COLUMN, "step"))
"""Keys that say where a row belongs; never a column themselves."""
NOT_METRICS = frozenset((STEP_COLUMN, "step", "epoch"))
"""Names that are no columns of /metrics and /metrics_step (metrics/fast shows `epoch`); exports have them."""


def scalar(task: str, name: str) -> SeriesKey:
    """Where a metric of a Runicorn row is stored."""
    return SeriesKey(task, SCALAR, name, name)


def attribute(task: str, kind: str, name: str) -> SeriesKey:
    """Where another value of a row is stored."""
    return SeriesKey(task, ATTRIBUTE, kind, name)


KEYS = 2_000
"""Series processed before yielding to other requests."""


def column_names(keys: Iterable[SeriesKey], reserved: Collection[str] = ()) -> dict[SeriesKey, str]:
    """The column of every series of a run: the metric if the variant is empty or equal to it, else `metric/variant`; an attribute's own name.

    No two metrics share a column. Where they would, the names of all of them are escaped: `/` inside a part is `%2F`, `%` is `%25`, and an empty
    variant keeps its `/`. No two escaped names are equal; an escaped name that is the plain name of another series has that one escaped too.
    `reserved`: plain names that no series may have; a metric of such a name keeps its variant (`global_step/global_step`).
    """
    names = {key: _name(_parts(key)) for key in paced(keys, KEYS)}
    names |= {key: _escaped(_parts(key), reserved) for key, name in names.items() if name in reserved}
    while shared := _shared(names):
        names |= {key: _escaped(_parts(key), reserved) for key, name in names.items() if name in shared}
    return names


def _parts(key: SeriesKey) -> tuple[str, str]:
    return (key.variant, key.variant) if key.type == ATTRIBUTE else (key.metric, key.variant)


def _name(parts: tuple[str, str]) -> str:
    metric, variant = parts
    return metric if not variant or variant == metric else f"{metric}{SEPARATOR}{variant}"


def _escaped(parts: tuple[str, str], reserved: Collection[str]) -> str:
    metric, variant = map(escaped, parts)
    return metric if variant == metric and metric not in reserved else f"{metric}{SEPARATOR}{variant}"


def _shared(names: Mapping[SeriesKey, str]) -> set[str]:
    """The names that stand for more than one pair of metric and variant."""
    if len(set(names.values())) == len(names):
        return set()
    owners: dict[str, set[tuple[str, str]]] = {}
    for key, name in paced(names.items(), KEYS):
        owners.setdefault(name, set()).add(_parts(key))
    return {name for name, parts in owners.items() if len(parts) > 1}
