"""Facts of runs (parameters, summaries, names) as plain JSON of bounded size.

Configuration files contain dates, bytes, integers of any size, text that is not Unicode and, in YAML, lists that contain themselves or grow
exponentially ("billion laughs").
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from apiserver.common.joined_names import leaves, named
from apiserver.operations.transfer.adapters.rows import MEDIA
from apiserver.operations.transfer.pieces import printable

MAX_PARAMS = 10_000
"""Most hyper-parameters of a run."""
MAX_PARTS = 200_000
"""Most values in all lists and objects of a run's facts together."""
MAX_DEPTH = 20
_COUNTED = 100_000
"""Parameters beyond MAX_PARAMS are counted up to this number."""
_DECIMAL_BITS = 10_000


def storable(facts: Mapping[str, Any]) -> tuple[dict[str, Any], Counter[str]]:
    """The facts as plain JSON, with hyper-parameters by section and path; and the number of values left out, by kind."""
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
        """Hyper-parameters: nested objects flattened to paths."""
        paths = leaves(values, mark=MEDIA)
        found = {printable(name): self._param(value) for name, value in named(islice(paths, self._params))}
        self._params -= len(found)
        more = sum(1 for _ in islice(paths, _COUNTED))
        if more:
            self.left_out[f"hyper-parameters beyond {MAX_PARAMS:,}" + (" (or more)" if more == _COUNTED else "")] += more
        return found

    def _param(self, value: Any) -> Any:
        """A parameter. They are stored as text, so NaN and infinity keep their names."""
        return str(value) if isinstance(value, float) and not math.isfinite(value) else self.of(value)

    def of(self, value: Any, depth: int = 0) -> Any:
        """The value as plain JSON."""
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
        """The text with lone surrogates replaced, so that it can be encoded."""
        return value if value.isascii() else value.encode("utf-8", "replace").decode()

    def _bounded(self, parts: Iterable[Any], depth: int) -> Iterable[Any]:
        for part in parts:
            self._parts -= 1
            if self._parts < 0 or depth >= MAX_DEPTH:
                self.left_out["lists and objects that are too large or too deep, cut"] += 1
                return
            yield part
