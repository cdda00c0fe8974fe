"""Helpers for adapters: collecting points as columns, and lenient parsing of numbers, times, YAML and JSON."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from numbers import Real
from pathlib import Path
from typing import Any

import yaml

from apiserver.common.joined_names import leaves, named
from apiserver.operations.transfer.pieces import Damaged, Piece, Scalars, Skipped, printable

HELD = 50_000
"""Points collected before `NamedColumns.full`."""
PARAMETERS = "General"
"""The section for hyper-parameters of tools without sections."""
MAX_TEXT_FILE = 16 << 20
MEDIA = "_type"
"""The key of objects of W&B and trackio that stand for images and other media."""
_MAX_MS = 253_402_300_799_999
_UNITS = ((1e17, 1e6), (1e14, 1e3), (1e11, 1))
"""(least number, parts of a millisecond) of times in ns, microseconds and ms."""
_WORDS = {"nan": math.nan, "infinity": math.inf, "-infinity": -math.inf, "inf": math.inf, "-inf": -math.inf, "+inf": math.inf}


class NamedColumns:
    """Collects points of any number of metrics, in any order."""

    def __init__(self) -> None:
        self._columns: dict[str, tuple[list[int], list[float], list[int]]] = {}
        self._held = 0
        self.first: int | None = None
        self.last: int | None = None
        """Earliest and latest time (epoch ms) of all points."""

    def add(self, name: str, step: int, value: float, time: int) -> None:
        """Add a point; `time` in epoch ms."""
        column = self._columns.get(name)
        if column is None:
            column = self._columns[name] = ([], [], [])
        column[0].append(step)
        column[1].append(value)
        column[2].append(time)
        self._held += 1
        if self.first is None or time < self.first:
            self.first = time
        if self.last is None or time > self.last:
            self.last = time

    @property
    def full(self) -> bool:
        """Whether the caller should `take` the points, to bound memory."""
        return self._held >= HELD

    def take(self) -> Iterator[Scalars]:
        """The points since the last call, a piece per metric."""
        for name, (steps, values, times) in self._columns.items():
            if steps:
                yield Scalars(printable(name), steps, values, times)
        self._columns = {}
        self._held = 0


def number(value: Any) -> float | None:
    """A value of JSON or Parquet as a number, or None. Accepts booleans, and names of NaN and infinity as JSON writers spell them."""
    if isinstance(value, str):
        return _WORDS.get(value.strip().lower())
    if isinstance(value, (bool, int, float, Decimal, Real)):
        try:
            return float(value)
        except OverflowError:
            return -math.inf if isinstance(value, int) and value < 0 else math.inf
    return None


def cell(text: str) -> float | None:
    """A cell of a text table as a number, or None. Accepts true and false, and no `1_000`, which Python takes for a number."""
    try:
        return float(text) if "_" not in text else None
    except ValueError:
        return {"true": 1.0, "false": 0.0}.get(text.strip().lower())


def whole(value: Any) -> int | None:
    """A step as an integer, also from 3.0 or "3"; None for anything else, and for -2147483648, which marks single values."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        value = value.strip()
        try:
            value = int(value) if value.lstrip("+-").isdigit() and len(value) < 30 else float(value)
        except ValueError:
            return None
    if isinstance(value, (float, Decimal)):
        value = int(value) if float(value).is_integer() else None
    return value if isinstance(value, int) and -(2**63) <= value < 2**63 and value != -(2**31) else None


def milliseconds(value: Any) -> int | None:
    """A time as epoch ms, from epoch seconds, ms (from 1e11 on), microseconds (1e14) or ns (1e17), or a date (UTC without a zone); None for anything else."""
    if isinstance(value, date):
        value = value if isinstance(value, datetime) else datetime(value.year, value.month, value.day)
        moment = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
        return _bounded(moment.timestamp() * 1000)
    if isinstance(value, str):
        text = value.strip()
        try:
            return milliseconds(float(text))
        except ValueError:
            pass
        try:
            return milliseconds(datetime.fromisoformat(text))
        except (ValueError, OverflowError):
            return None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _bounded(next((value / unit for least, unit in _UNITS if abs(value) >= least), value * 1000.0))
    return None


def _bounded(time: float) -> int | None:
    return round(time) if math.isfinite(time) and 0 <= time <= _MAX_MS else None


def flat(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Flatten nested objects: (name, value), names joined from paths by `/`. Media are values."""
    if not any(isinstance(value, Mapping) for value in values.values()):
        return ((str(name), value) for name, value in values.items())
    return named(leaves(values, mark=MEDIA))


def summary_of(values: Mapping[str, Any]) -> tuple[dict[str, Any], Counter[str]]:
    """Numbers, texts and booleans of nested objects by their paths, and how many other values there were. JSON has no NaN and infinity: they are texts."""
    found = {name: str(value) if isinstance(value, float) and not math.isfinite(value) else value for name, value in flat(values)}
    plain = {name: value for name, value in found.items() if isinstance(value, (bool, int, float, str))}
    others = sum(value not in (None, {}) for value in found.values()) - len(plain)
    return plain, +Counter({"lists and objects of summaries": others})


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Reads objects with class tags as plain values and runs no code. Uses libyaml if available, which refuses deep nesting early."""


def _plain(loader: _Loader, suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return loader.construct_scalar(node) if isinstance(node, yaml.ScalarNode) else None


_Loader.add_multi_constructor("", _plain)


def yaml_object(path: Path) -> dict[str, Any]:
    """The object in a YAML (or JSON) file. Raises OSError, and ValueError with a message."""
    data = small_file(path)
    try:
        found = yaml.load(data, _Loader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, ValueError, TypeError, RecursionError, OverflowError) as error:
        raise ValueError(f"not YAML: {str(error).splitlines()[0] if str(error) else type(error).__name__}") from None
    if found is None and data:
        return {}
    if not isinstance(found, dict):
        raise ValueError("expected an object" if data else "the file is empty")
    return found


def json_object(text: str | bytes) -> dict[str, Any]:
    """Parse a JSON object. Raises ValueError with a message."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON: {error}") from None
    if not isinstance(found, dict):
        raise ValueError("expected an object")
    return found


def small_file(path: Path) -> bytes:
    """The content of a file. Raises OSError, and ValueError for more than MAX_TEXT_FILE bytes."""
    with path.open("rb") as file:
        data = file.read(MAX_TEXT_FILE + 1)
    if len(data) > MAX_TEXT_FILE:
        raise ValueError(f"the file has more than {MAX_TEXT_FILE:,} bytes")
    return data


def file_below(root: Path, path: Any) -> Path:
    """The file at a relative path. Raises ValueError when it is missing or the path leads out of the folder."""
    root = root.resolve()
    found = (root / path).resolve() if isinstance(path, str) and "\0" not in path else root
    if not found.is_relative_to(root) or not found.is_file():
        raise ValueError(f"the file {path} is missing")
    return found


def counted(kinds: Counter[str]) -> Iterator[Skipped]:
    """Pieces for skipped data, by kind."""
    for kind, count in sorted(kinds.items()):
        yield Skipped(kind, count)


def guarded(path: Path, error: Exception) -> Piece:
    """The piece for an error while reading a file."""
    return Damaged(path, (error.strerror or str(error)) if isinstance(error, OSError) else str(error))
