"""Debug images and plots: read back, and made into events."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import io
import json
import os
import struct
import time
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tidemark_events import arguments
from tidemark_events.errors import InvalidArgument
from tidemark_events.series import column_name, split_name
from tidemark_events.wire import Wire

ITERATIONS_AT_ONCE = 50
PREVIEW = 2_000
"""Characters of a text that the page shows without fetching the file."""


@dataclass(frozen=True, slots=True)
class Image:
    """One debug image. `time` is in seconds since the epoch."""

    metric: str
    variant: str
    step: int
    time: float
    url: str
    _wire: Wire = field(repr=False, compare=False)

    @property
    def name(self) -> str:
        return column_name(self.metric, self.variant)

    def bytes(self) -> bytes:
        """The file, as it was uploaded."""
        return self._wire.fetch(self.url)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the file to a path; into a folder under its own name."""
        target = Path(path)
        if target.is_dir():
            target = target / (self.url.partition("?")[0].rpartition("/")[2] or "image")
        target.write_bytes(self.bytes())
        return target

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        content = self.bytes()
        kind = content_type(content)
        return {kind: content} if kind != "application/octet-stream" else {"text/plain": repr(self)}


def images(wire: Wire, run: str, metric: str | None) -> Iterator[Image]:
    """The images of a run whose files were not overwritten, newest step first."""
    body: dict[str, Any] = {"metrics": [{"task": run, **({"metric": metric} if metric else {})}], "iters": ITERATIONS_AT_ONCE}
    while True:
        page = wire.call("events.debug_images", body)
        found = page["metrics"][0]["iterations"]
        if not found:
            return
        for iteration in found:
            for event in iteration["events"]:
                yield Image(event["metric"], event["variant"], iteration["iter"], event.get("timestamp", 0) / 1000, event["url"], wire)
        body["scroll_id"] = page["scroll_id"]


def figures(wire: Wire, run: str, metric: str | None, last: int) -> dict[str, Any]:
    """Name -> the newest figure (with `last` > 1: name@step -> figure)."""
    body: dict[str, Any] = {"task": run, "iters": last, **({"metrics": [{"metric": metric}]} if metric else {})}
    found = {}
    for event in wire.call("events.get_task_plots", body)["plots"]:
        name = column_name(str(event["metric"]), str(event["variant"]))
        found[name if last == 1 else f"{name}@{event.get('iter')}"] = figure(str(event.get("plot_str") or "{}"))
    return found


def figure(text: str) -> Any:
    """A plotly figure where plotly is installed, else a dict; anything else is returned as it was sent."""
    try:
        data = json.loads(text)
    except ValueError:
        return text
    if not isinstance(data, dict) or importlib.util.find_spec("plotly") is None:
        return data
    try:
        return importlib.import_module("plotly.graph_objects").Figure(
            data=data.get("data"), layout=data.get("layout"), frames=data.get("frames"), skip_invalid=True
        )
    except (ValueError, TypeError):
        return data


# --- events


def plot_event(run: str, name: str, shown: Any, step: int) -> bytes:
    """A plot event of a plotly figure or its dict."""
    event = _event("plot", run, name, step)
    try:
        text = str(shown.to_json()) if hasattr(shown, "to_json") else json.dumps(arguments.mapping("a figure", shown))
    except (TypeError, ValueError) as error:
        raise InvalidArgument(f'the plot "{name}" is neither a plotly figure nor its dict: {error}') from None
    return encoded(event | {"plot_str": text})


def image_event(run: str, name: str, url: str, step: int) -> bytes:
    """An image event."""
    return encoded(_event("training_debug_image", run, name, step) | {"url": url})


def vector_event(run: str, name: str, numbers: Any, step: int) -> bytes:
    """A vector event."""
    try:
        values = [float(number) for number in numbers]
    except (TypeError, ValueError) as error:
        raise InvalidArgument(f'the vector "{name}" must be a list of numbers: {error}') from None
    return encoded(_event("training_stats_vector", run, name, step) | {"values": values})


def log_event(run: str, text: str, level: str) -> bytes:
    """A log line."""
    return encoded({"type": "log", "task": run, "level": level, "msg": text, "timestamp": _now()})


def encoded(event: Mapping[str, Any]) -> bytes:
    """An event as a line."""
    return json.dumps(event).encode()


def _event(kind: str, run: str, name: str, step: int) -> dict[str, Any]:
    metric, variant = split_name(arguments.name_of_series(name))
    return {"type": kind, "task": run, "metric": metric, "variant": variant, "iter": arguments.step(step), "timestamp": _now()}


def _now() -> int:
    return time.time_ns() // 1_000_000


def folder(name: str) -> str:
    """The name of a series as folders of the file server, which takes no `.` and `..`."""
    parts = arguments.name_of_series(name).split("/")
    return "/".join(part.replace(".", "_") if part in (".", "..") else part for part in parts)


def as_file(name: str, image: Any) -> tuple[bytes, str, str]:
    """Content, content type and ending of an image: a path, bytes, a PIL image, a matplotlib figure, or an array of shape (h, w), (h, w, 3)
    or (h, w, 4) with bytes 0 to 255 or floats 0 to 1."""
    if isinstance(image, (str, os.PathLike)):
        content = Path(image).read_bytes()
    elif isinstance(image, (bytes, bytearray)):
        content = bytes(image)
    elif hasattr(image, "savefig") or hasattr(image, "save"):
        buffer = io.BytesIO()
        image.savefig(buffer, format="png") if hasattr(image, "savefig") else image.save(buffer, format="PNG")
        content = buffer.getvalue()
    elif hasattr(image, "shape"):
        content = _png_of_array(name, image)
    else:
        raise InvalidArgument(
            f'the image "{name}" must be a path, bytes, a PIL image, a matplotlib figure or an array, got {type(image).__name__}'
        )
    kind = content_type(content)
    if kind == "application/octet-stream":
        raise InvalidArgument(f'the image "{name}" is neither PNG, JPEG, GIF, WebP nor SVG: convert it first')
    return content, kind, {"image/svg+xml": "svg", "image/jpeg": "jpg"}.get(kind, kind.partition("/")[2])


def as_artifact(name: str, given: Any) -> tuple[bytes, str, str, dict[str, Any]]:
    """Content, content type and ending of an artifact, and the entry for the run's list."""
    ending, preview = "", ""
    if isinstance(given, os.PathLike):
        body, kind, what, ending = Path(given).read_bytes(), "application/octet-stream", "file", Path(given).suffix
    elif isinstance(given, (bytes, bytearray, memoryview)):
        body, kind, what = bytes(given), "application/octet-stream", "bytes"
    elif isinstance(given, str):
        body, kind, what, ending, preview = given.encode(), "text/plain", "text", ".txt", given
    else:
        try:
            text = json.dumps(given, indent=1, ensure_ascii=False)
        except (TypeError, ValueError) as error:
            raise InvalidArgument(f'the artifact "{name}" must be a Path, bytes, a text, or what JSON can hold: {error}') from None
        body, kind, what, ending, preview = text.encode(), "application/json", "json", ".json", text
    if Path(name).suffix:
        ending = ""
    entry = {"key": name, "type": what, "mode": "output", "hash": hashlib.sha256(body).hexdigest(), "content_size": len(body)}
    entry |= {"timestamp": int(time.time()), "type_data": {"content_type": kind, "preview": preview[:PREVIEW]}}
    return body, kind, ending, entry


def content_type(content: bytes) -> str:
    """What kind of image this is, by its first bytes."""
    starts = ((b"\x89PNG", "image/png"), (b"\xff\xd8", "image/jpeg"), (b"GIF8", "image/gif"))
    for start, kind in starts:
        if content.startswith(start):
            return kind
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return "image/svg+xml" if b"<svg" in content[:500] else "application/octet-stream"


def _png_of_array(name: str, given: Any) -> bytes:
    numpy = importlib.import_module("numpy")
    array = numpy.asarray(given)
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        raise InvalidArgument(f'the image "{name}" must have the shape (height, width) or (height, width, 1, 3 or 4), got {array.shape}')
    if array.dtype.kind == "f":
        array = numpy.clip(array * 255, 0, 255).round()
    array = numpy.ascontiguousarray(array.astype(numpy.uint8))
    return png(array.tobytes(), array.shape[1], array.shape[0], 1 if array.ndim == 2 else array.shape[2])


def png(pixels: bytes, width: int, height: int, channels: int) -> bytes:
    """A PNG of rows of bytes: grey (1), RGB (3) or RGBA (4)."""
    size = width * channels
    rows = b"".join(b"\0" + pixels[top * size : (top + 1) * size] for top in range(height))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, {1: 0, 3: 2, 4: 6}[channels], 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows, 6)) + chunk(b"IEND", b"")
