"""What runs say of themselves (parameters, summaries, names), as it can be stored: plain JSON of bounded size.

Configuration files hold dates, bytes, integers of any size, texts that are no Unicode, and, in YAML, lists that contain themselves or grow
ninefold with every line.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from apiserver.operations.transfer.adapters.rows import flat
from apiserver.operations.transfer.pieces import printable

MAX_PARAMS = 10_000
"""Hyper-parameters of a run."""
MAX_PARTS = 200_000
"""Values in all lists and objects of a run's facts."""
MAX_DEPTH = 20
_COUNTED = 100_000
"""So many of the parameters that are too many are counted."""
_DECIMAL_BITS = 10_000


def storable(facts: Mapping[str, Any]) -> tuple[dict[str, Any], Counter[str]]:
    """Facts with their hyper-parameters by section and path, and what is not among them, by kind."""
    plain = _Plain()
    found = {name: plain.of(value) for name, value in facts.items() if name != "hyperparams"}
    sections = facts.get("hyperparams")
    if isinstance(sections, Mapping):
        made = {printable(str(name)): plain.params(values) for name, values in sections.items() if isinstance(values, Mapping)}
        found["hyperparams"] = {name: values for name, values in made.items() if values}
    return found, plain.left_out


class _Plain:
    def __init__(self) -> None:
        self.left_out: Counter[str] = Counter()
        self._parts = MAX_PARTS
        self._params = MAX_PARAMS

    def params(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The values of nested objects by their paths."""
        paths = flat(values)
        found = {printable(path): self._param(value) for path, value in islice(paths, self._params)}
        self._params -= len(found)
        more = sum(1 for _ in islice(paths, _COUNTED))
        if more:
            self.left_out[f"hyper-parameters beyond {MAX_PARAMS:,}" + (" (or more)" if more == _COUNTED else "")] += more
        return found

    def _param(self, value: Any) -> Any:
        """A parameter: stored as a text, so NaN and infinities keep their names."""
        return str(value) if isinstance(value, float) and not math.isfinite(value) else self.of(value)

    def of(self, value: Any, depth: int = 0) -> Any:
        """A value of JSON."""
        if isinstance(value, str):
            return self.text(value)
        if value is None or isinstance(value, (bool, float)):
            return value
        if isinstance(value, int):
            if -(2**63) <= value < 2**64:
                return value
            return str(value) if value.bit_length() < _DECIMAL_BITS else hex(value)
        if isinstance(value, Mapping):
            return {self.text(str(name)): self.of(part, depth + 1) for name, part in self._bounded(value.items(), depth)}
        if isinstance(value, (list, tuple, set, frozenset)):
            return [self.of(part, depth + 1) for part in self._bounded(value, depth)]
        return self.text(str(value))

    def text(self, value: str) -> str:
        """A text that can be encoded."""
        return value if value.isascii() else value.encode("utf-8", "replace").decode()

    def _bounded(self, parts: Iterable[Any], depth: int) -> Iterable[Any]:
        for part in parts:
            self._parts -= 1
            if self._parts < 0 or depth >= MAX_DEPTH:
                self.left_out["lists and objects that are too large or too deep, cut"] += 1
                return
            yield part
