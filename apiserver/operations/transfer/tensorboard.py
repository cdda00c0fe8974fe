"""Event files of TensorBoard as lines of an events.jsonl. Reading them needs the extra `tensorboard`."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import orjson

from apiserver.errors import StartupError


def board_lines(path: Path, size: int) -> Iterator[list[bytes]]:
    """The scalars of an event file, one line for each step's values that were written together, `size` lines at a time.

    Raises StartupError when the reader is not installed, ValueError when the file is none.
    """
    try:
        loader = import_module("tensorboard.backend.event_processing.event_file_loader").EventFileLoader
        make_ndarray = import_module("tensorboard.util.tensor_util").make_ndarray
    except ImportError:
        raise StartupError("TensorBoard files need its reader: pip install 'tidemark-events[tensorboard]' (or tensorboard)") from None
    held: list[bytes] = []
    for event in loader(str(path)).Load():
        if not event.HasField("summary"):
            continue
        data: dict[str, Any] = {}
        for value in event.summary.value:
            number = _number(value, make_ndarray)
            if number is not None:
                data[value.tag] = number
        if data:
            data["global_step"] = event.step
            held.append(orjson.dumps({"ts": event.wall_time, "type": "metrics", "data": data}))
            if len(held) >= size:
                yield held
                held = []
    if held:
        yield held


def _number(value: Any, make_ndarray: Any) -> float | None:
    """The scalar of a summary value, in the old and in the new form."""
    if value.HasField("simple_value"):
        return float(value.simple_value)
    if not value.HasField("tensor") or len(value.tensor.tensor_shape.dim):
        return None
    try:
        return float(make_ndarray(value.tensor))
    except (TypeError, ValueError):
        return None
