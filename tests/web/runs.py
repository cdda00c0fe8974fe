"""Runs that tests of the page look at, and how to look at them."""

from __future__ import annotations

import struct
import zlib
from typing import Any

from playwright.sync_api import Page, expect

from tests.client import Client, scalar

NOW = 1_790_000_000_000


def series(task: str, values: list[float], metric: str = "loss", variant: str = "train", *, step: int = 1, first: int = 0) -> list[Any]:
    """One point a step, one second apart."""
    return [
        scalar(task, metric, variant, iter=first + i * step, value=value, timestamp=NOW + (first + i * step) * 1000)
        for i, value in enumerate(values)
    ]


def open_run(page: Page, task: str, query: str = "") -> None:
    """The run's page, once its first chart has drawn, if it shows charts."""
    page.goto(f"/runs/{task}{query}")
    if "tab=" not in query:
        expect(page.locator(".chart-host canvas").first).to_be_visible()
        page.wait_for_function(
            "() => performance.getEntriesByName('tm:useful').length > 0"
        )  # a function: the page's policy refuses texts as programs


def card(page: Page, title: str) -> Any:
    """The chart with this title."""
    return page.locator("figure.chart-card").filter(has=page.get_by_role("heading", name=title, exact=True))


# Number of pixels of a chart whose colour is nearer to `rgb` than to grey, in a part of the plot (0 to 1 from the left and from the top).
COLOURED = """
  (canvas, [x0, x1, y0, y1]) => {
    const {width, height} = canvas;
    const [x, y] = [Math.floor(width * x0), Math.floor(height * y0)];
    const data = canvas.getContext("2d").getImageData(x, y, Math.ceil(width * (x1 - x0)), Math.ceil(height * (y1 - y0))).data;
    let found = 0;
    for (let i = 0; i < data.length; i += 4) {
      const [r, g, b, a] = data.slice(i, i + 4);
      if (a > 40 && Math.max(r, g, b) - Math.min(r, g, b) > 60) found++;
    }
    return found;
  }
"""


def coloured(chart: Any, left: float, right: float, top: float, bottom: float) -> int:
    """Coloured pixels in a part of the chart's canvas; parts of its width and height."""
    return int(chart.locator("canvas").first.evaluate(COLOURED, [left, right, top, bottom]))


def png(width: int = 8, height: int = 8, color: tuple[int, int, int] = (200, 30, 30)) -> bytes:
    """A picture in one colour."""
    rows = b"".join(b"\0" + bytes(color) * width for _ in range(height))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def store_file(server: Client, path: str, content: bytes, content_type: str = "image/png") -> str:
    """Upload a file; its URL as training code reports it."""
    boundary = "0f2e1d"
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="{path}"; filename="{path}"\r\nContent-Type: {content_type}\r\n\r\n'
    body = head.encode() + content + f"\r\n--{boundary}--\r\n".encode()
    answer = server.send("POST", "/files/", body, headers={"Content-Type": f"multipart/form-data; boundary={boundary}"})
    assert answer.status == 200, answer.body[:300]
    return f"http://{server.host}:{server.port}/files/{path}"
