"""TensorBoard events as pieces: scalars as columns, everything else one by one.

Most events hold one scalar, and the events of a tag differ in time, step and value only. The bytes between step and value are a dictionary key, so that
such an event is recognized without parsing its protocol buffer.
"""

from __future__ import annotations

import math
import re
import struct
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from apiserver.operations.transfer import wire
from apiserver.operations.transfer.board_plots import Distributions, histogram_figure
from apiserver.operations.transfer.board_tensors import (
    Session,
    Tensor,
    new_histogram,
    old_histogram,
    old_image,
    session,
    suffix_of,
    tensor,
)
from apiserver.operations.transfer.pieces import Figure, Picture, Piece, Rewound, Scalars, Text, printable

SKIPPED = {"audio": "audio", "pr_curves": "PR curves", "mesh": "meshes", "custom_scalars": "layouts of custom scalars"}
_EVENT_KINDS = {4: "graphs", 8: "traces of runs", 9: "meta graphs"}
_IMAGES, _HISTOGRAMS, _TEXT, _SCALARS, _HPARAMS = "images", "histograms", "text", "scalars", "hparams"
_MAX_TAGS = 100_000
_START = re.compile(rb"\x3a[\x00-\xff]{1,3}?\x08\x01")
"""A SessionLog whose first field is the status START."""
_EVENT_START = re.compile(rb"\x09.{8}(?:\x10[\x80-\xff]{0,9}[\x00-\x7f])?\x3a(?:[\x02-\x7f]|[\x80-\xff][\x01-\x7f])\x08\x01", re.DOTALL)
"""The same after wall time and step, the order of every known writer; hardly ever found in other bytes."""
_MAX_MS = 253_402_300_799_999


class _Column:
    """The points of a tag in file order: steps, and the raw bytes of values (float32) and wall times (float64). `doubles` has points whose value is no
    float32."""

    __slots__ = ("doubles", "step", "steps", "value", "values", "wall", "walls")

    def __init__(self) -> None:
        self.clear()
        self.doubles: list[tuple[int, float, float]] = []

    def clear(self) -> None:
        self.steps: list[int] = []
        self.values: list[bytes] = []
        self.walls: list[bytes] = []
        self.step, self.value, self.wall = self.steps.append, self.values.append, self.walls.append


class BoardEvents:
    """Reads the events of a run, in order. `last`: the greatest step so far, or None; `unread`: records that are not events; `started`, `ended`: first and
    last wall time in epoch seconds."""

    def __init__(self) -> None:
        self._columns: dict[str, _Column] = {}
        self._at_end: dict[bytes, _Column] = {}
        self._middles: dict[int, int] = {}
        self._inside: dict[bytes, _Column] = {}
        self._plugins: dict[str, str] = {}
        self.distributions = Distributions()
        self.started: float | None = None
        self.ended: float | None = None
        self.session = Session({})
        self.skipped: Counter[str] = Counter()
        self.unread = 0
        self.last: int | None = None

    def take(self, payloads: list[bytes]) -> Iterator[Piece]:
        """The pieces of serialized events; scalars are collected until `scalars` is called."""
        at_end, inside, middles = self._at_end.get, self._inside.get, self._middles.get
        for payload in payloads:
            if payload[:1] == b"\t" and len(payload) > 12:
                if payload[9] != 16:
                    step, at = 0, 9
                elif payload[10] < 128:
                    step, at = payload[10], 11
                elif payload[11] < 128:
                    step, at = payload[10] & 127 | payload[11] << 7, 12
                elif len(payload) > 13 and payload[12] < 128:
                    step, at = payload[10] & 127 | (payload[11] & 127) << 7 | payload[12] << 14, 13
                else:
                    step, at = self._step(payload)
                column = at_end(payload[at:-4])
                if column is not None:
                    column.step(step)
                    column.value(payload[-4:])
                    column.wall(payload[1:9])
                    continue
                middle = middles(len(payload) - at)
                if middle is not None:
                    column = inside(payload[at : at + middle] + payload[at + middle + 4 :])
                    if column is not None:
                        column.step(step)
                        column.value(payload[at + middle : at + middle + 4])
                        column.wall(payload[1:9])
                        continue
            try:
                yield from self._event(payload)
            except (wire.NotAMessage, struct.error):
                self.unread += 1

    def scalars(self) -> Iterator[Scalars]:
        """The points collected since the last call, a piece per tag."""
        for name, column in self._columns.items():
            if not column.steps and not column.doubles:
                continue
            steps = np.array(column.steps, np.int64)
            values = np.frombuffer(b"".join(column.values), "<f4").astype(np.float64)
            walls = np.frombuffer(b"".join(column.walls), "<f8")
            if column.doubles:
                steps = np.concatenate([steps, np.array([step for step, _, _ in column.doubles], np.int64)])
                values = np.concatenate([values, np.array([value for _, value, _ in column.doubles])])
                walls = np.concatenate([walls, np.array([wall for _, _, wall in column.doubles])])
            column.clear()
            column.doubles = []
            self._seen(walls)
            highest = int(steps.max())
            self.last = highest if self.last is None else max(self.last, highest)
            yield Scalars(name, steps.tolist(), values.tolist(), _milliseconds(walls))

    @property
    def held(self) -> int:
        """The number of collected points."""
        return sum(len(column.steps) + len(column.doubles) for column in self._columns.values())

    # --- one event

    def _step(self, payload: bytes) -> tuple[int, int]:
        try:
            step, at = wire.varint(payload, 10)
        except wire.NotAMessage:
            return 0, len(payload)
        return wire.signed(step), at

    def _event(self, payload: bytes) -> Iterator[Piece]:
        wall, step = 0.0, 0
        summary = start = None
        for number, value in wire.fields(payload):
            if number == 1:
                wall = wire.double(value)
            elif number == 2:
                step = wire.signed(value)
            elif number == 5:
                summary = wire.message(value)
            elif number == 6:
                yield from self._message(wire.message(value), wall)
            elif number == 7:
                start = any(name == 1 and status == 1 for name, status in wire.fields(wire.message(value)))
            elif number in _EVENT_KINDS:
                self.skipped[_EVENT_KINDS[number]] += 1
        if start:
            yield from self._restart(step)
        if summary is None:
            return
        self._seen(np.array([wall]))
        values = [wire.message(value) for number, value in wire.fields(summary) if number == 1]
        for value in values:
            yield from self._value(value, step, wall, payload if len(values) == 1 else b"")

    def _message(self, data: bytes, wall: float) -> Iterator[Piece]:
        """A LogMessage as a line of the log (writers put the wall time before it)."""
        for number, value in wire.fields(data):
            if number == 2:
                yield Text(wire.text(value), _ms(wall))

    def _restart(self, step: int) -> Iterator[Piece]:
        """A session starts at `step`: earlier events of this step and later ones are void."""
        yield from self.scalars()
        if self.last is not None and self.last >= step:
            self.distributions.rewind(step)
            self.last = step - 1
            yield Rewound(step)

    def _value(self, data: bytes, step: int, wall: float, payload: bytes) -> Iterator[Piece]:
        """A Summary.Value. `payload`: the whole event if it has no other value, else empty."""
        tag, plugin, content = "", "", b""
        kind, body = 0, b""
        for number, value in wire.fields(data):
            if number == 1:
                tag = printable(wire.text(value))
            elif number == 9:
                plugin, content = _plugin(wire.message(value))
            elif number in (2, 4, 5, 6, 8):
                kind, body = number, wire.message(value)
        if plugin and len(self._plugins) < _MAX_TAGS:
            plugin = self._plugins.setdefault(tag, plugin)  # as in TensorBoard, the first plugin of a tag counts
        else:
            plugin = plugin or self._plugins.get(tag, "")
        if plugin == _HPARAMS:
            self._take_session(session(content))
        elif kind == 2:
            if len(body) != 4:
                raise wire.NotAMessage("a float was expected")
            self._scalar(tag, step, float(np.frombuffer(body, "<f4")[0]), wall, payload, body)
        elif kind == 6 or plugin in SKIPPED:
            self.skipped[SKIPPED.get(plugin, "audio")] += 1
        elif kind == 4:
            image = old_image(body)
            yield Picture(tag, step, _ms(wall), image, suffix_of(image))
        elif kind == 5:
            yield self._histogram(tag, step, wall, old_histogram(body))
        elif kind == 8:
            yield from self._tensor(tag, plugin, step, wall, body, payload)
        self.last = step if self.last is None else max(self.last, step)

    def _tensor(self, tag: str, plugin: str, step: int, wall: float, body: bytes, payload: bytes) -> Iterator[Piece]:
        if plugin not in ("", _SCALARS, _TEXT, _IMAGES, _HISTOGRAMS):
            self.skipped[f"summaries of the plugin {plugin}"] += 1
            return
        value = tensor(body)
        if plugin == _HISTOGRAMS:
            found = new_histogram(value)
            if found is not None:
                yield self._histogram(tag, step, wall, found)
                return
        elif plugin == _IMAGES and value.texts is not None:
            for number, image in enumerate(value.texts[2:]):  # the first two are width and height
                yield Picture(tag, step, _ms(wall), image, suffix_of(image), number)
            return
        elif plugin in ("", _TEXT) and value.texts is not None:
            yield Text(_log_text(tag, step, value), _ms(wall))
            return
        elif plugin in ("", _SCALARS):
            number_found = value.scalar
            if number_found is not None:
                self._scalar(tag, step, number_found, wall, payload if value.is_float else b"", b"")
                return
        self.skipped[f"{plugin or 'other'} tensors"] += 1

    def _scalar(self, tag: str, step: int, value: float, wall: float, payload: bytes, raw: bytes) -> None:
        column = self._columns.get(tag)
        if column is None:
            column = self._columns[tag] = _Column()
        if column.steps and not raw:  # move earlier points too: of two points of a step the later one counts
            column.doubles += zip(
                column.steps,
                np.frombuffer(b"".join(column.values), "<f4").tolist(),
                np.frombuffer(b"".join(column.walls), "<f8").tolist(),
                strict=True,
            )
            column.clear()
        if column.doubles:
            column.doubles.append((step, value, wall))
            return
        if not raw:
            raw = np.float32(value).tobytes() if _is_float(value) else b""
        if not raw:
            column.doubles.append((step, value, wall))
            return
        column.step(step)
        column.value(raw)
        column.wall(struct.pack("<d", wall))
        if payload and len(self._at_end) + len(self._inside) < _MAX_TAGS:
            self._learn(payload, raw, column)

    def _learn(self, payload: bytes, raw: bytes, column: _Column) -> None:
        """Remember the bytes around the value of this event, if its fields are in the usual order."""
        if payload[:1] != b"\t" or len(payload) <= 12 or math.isnan(float(np.frombuffer(raw, "<f4")[0])):
            return
        at = self._step(payload)[1] if payload[9] == 16 else 9
        place = _place_of_value(payload, at)
        if place is None or payload[place : place + 4] != raw:
            return
        if place == len(payload) - 4:
            self._at_end[payload[at:-4]] = column
        elif self._middles.setdefault(len(payload) - at, place - at) == place - at:
            self._inside[payload[at:place] + payload[place + 4 :]] = column

    def _histogram(self, tag: str, step: int, wall: float, found: Any) -> Figure:
        self.distributions.add(tag, step, _ms(wall), found)
        return Figure(tag, tag, step, _ms(wall), histogram_figure(found))

    def _take_session(self, found: Session) -> None:
        known = self.session
        self.session = Session(
            {**known.params, **found.params}, found.start or known.start, found.end or known.end, found.status or known.status
        )

    def _seen(self, walls: Any) -> None:
        good = walls[(walls > 0) & (walls < _MAX_MS / 1000)]
        if len(good):
            low, high = float(good.min()), float(good.max())
            self.started = low if self.started is None else min(self.started, low)
            self.ended = high if self.ended is None else max(self.ended, high)


def session_starts(path: Path, payloads: Iterator[list[bytes]]) -> list[int]:
    """The steps of the session starts in a file. A file that can't contain one is only scanned, not parsed. Raises OSError."""
    if not _may_start(path):
        return []
    found = []
    for some in payloads:
        for payload in some:
            if _START.search(payload):
                step, start = 0, False
                try:
                    for number, value in wire.fields(payload):
                        if number == 2:
                            step = wire.signed(value)
                        elif number == 7:
                            start = any(name == 1 and status == 1 for name, status in wire.fields(wire.message(value)))
                except wire.NotAMessage:
                    continue
                if start:
                    found.append(step)
    return found


def _may_start(path: Path) -> bool:
    held = b""
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            if _EVENT_START.search(held + block):
                return True
            held = block[-32:]
    return False


def _plugin(metadata: bytes) -> tuple[str, bytes]:
    name, content = "", b""
    for number, value in wire.fields(metadata):
        if number == 1:
            for field, part in wire.fields(wire.message(value)):
                if field == 1:
                    name = wire.text(part)
                elif field == 2:
                    content = wire.message(part)
    return name, content


def _place_of_value(payload: bytes, at: int) -> int | None:
    """The offset of the four bytes of an event's only scalar: simple_value, or a tensor's float_val or tensor_content. None if there is none."""
    end = len(payload)
    for wanted in (5, 1):  # the summary, its value
        found = _field(payload, at, end, wanted)
        if found is None:
            return None
        at, end = found
    simple = _field(payload, at, end, 2)
    if simple is not None:
        return simple[0] if simple[1] - simple[0] == 4 else None
    whole = _field(payload, at, end, 8)
    if whole is None:
        return None
    for wanted in (5, 4):
        part = _field(payload, *whole, wanted)
        if part is not None and part[1] - part[0] == 4:
            return part[0]
    return None


def _field(payload: bytes, at: int, end: int, wanted: int) -> tuple[int, int] | None:
    """The range [begin, end) of the first field with the number `wanted`, varints excepted; None if there is none."""
    while at < end:
        key, at = wire.varint(payload, at)
        kind = key & 7
        if kind == 0:
            _, at = wire.varint(payload, at)
            continue
        size = 4 if kind == 5 else 8
        if kind == 2:
            size, at = wire.varint(payload, at)
        if key >> 3 == wanted:
            return at, at + size
        at += size
    return None


def _is_float(value: float) -> bool:
    """Whether a double is exactly representable as float32."""
    with np.errstate(over="ignore"):
        return float(np.float32(value)) == value


def _log_text(tag: str, step: int, value: Tensor) -> str:
    texts = [text.decode("utf-8", "replace") for text in value.texts or ()]
    return f"{tag.removesuffix('/text_summary')} [{step}]: " + "\n".join(texts)


def _ms(wall: float) -> int:
    return _milliseconds(np.array([wall]))[0]


def _milliseconds(walls: Any) -> list[int]:
    """Epoch seconds as ms; 0 for times outside 1970 to 9999."""
    times = np.nan_to_num(np.asarray(walls, np.float64) * 1000, nan=0.0, posinf=0.0, neginf=0.0)
    times[(times < 0) | (times > _MAX_MS)] = 0
    return [int(time) for time in np.rint(times).astype(np.int64).tolist()]
