"""The page in a real Chromium: the budgets B1 to B6 (docs/benchmarks/page.md), five cold contexts each, median and worst; TensorBoard with the same points.

Server and browser share the machine. "Useful" is the first frame that shows the content of the view. As a part of the bench, runs and log have a tenth of
the points and lines of the budgets; `python -m tests.bench.page` measures with all of them (28,000,000 points, 10,000,000 lines: about ten minutes).
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.bench.load import AT, SERIES, images, logs, new_id, scalars, send
from tests.bench.measure import Report, median, percentile
from tests.bench.watched import costs
from tests.client import Client
from tests.process import Server, free_port
from tests.web.browser import WIDE, launch
from tests.web.runs import png, store_file

ROUNDS = 5
RUNS = 10_000
MANY_SERIES, OVERLAYS = 2_000, 100
IMAGES, SHOWN = 100_000, 60
UPDATES = 60

# Records the first frame in which `ready` is true, in ms since the start of the navigation, and long tasks.
WATCH = """(() => {
  const ready = () => { try { return %s; } catch { return false; } };
  window.__useful = 0; window.__long = [];
  new PerformanceObserver((list) => { for (const one of list.getEntries()) window.__long.push(one.duration); }).observe({ type: "longtask", buffered: true });
  const look = () => { if (ready()) window.__useful = performance.now(); else requestAnimationFrame(look); };
  requestAnimationFrame(look);
})();"""
FRAMES = """async (pixels) => {
  const times = []; let last = performance.now(); const end = document.documentElement.scrollHeight;
  for (let y = 0; y < end && times.length < 600; y += pixels) {
    scrollTo(0, y);
    await new Promise((done) => requestAnimationFrame(done));
    const now = performance.now(); times.push(now - last); last = now;
  }
  return times;
}"""


@dataclass(frozen=True)
class Sizes:
    """Points of each series of a run, and lines of a log."""

    points: int = 1_000
    lines: int = 1_000_000


BUDGETS = Sizes(10_000, 10_000_000)


@dataclass
class Opened:
    """One cold load."""

    page: Page
    useful: float
    ttfb: float
    bytes: dict[str, int] = field(default_factory=dict)

    def heap(self) -> float:
        """The JavaScript heap after a garbage collection, in MB."""
        session = self.page.context.new_cdp_session(self.page)
        session.send("HeapProfiler.collectGarbage")
        return float(session.send("Runtime.getHeapUsage")["usedSize"]) / 1e6


def page(report: Report, server: Server, sizes: Sizes = Sizes()) -> None:
    """All budgets, one after the other."""
    client = server.client()
    with sync_playwright() as playwright:
        browser = launch(playwright)
        try:
            overlays = _table(report, browser, server, client)
            _charts(report, browser, server, sizes.points)
            _compare(report, browser, server, overlays, sizes.points)
            _console(report, browser, server, sizes.lines)
            _gallery(report, browser, server, client)
            _live(report, browser, server, client)
            tensorboard(report, browser, server.folder / "board")
        finally:
            browser.close()
    costs(report)


@contextmanager
def opened(browser: Browser, url: str, ready: str) -> Iterator[Opened]:
    """A page in a new context, once it is useful."""
    context: BrowserContext = browser.new_context(viewport=WIDE)
    try:
        context.add_init_script(WATCH % ready)
        one = context.new_page()
        session = context.new_cdp_session(one)
        session.send("Network.enable")
        kinds: dict[str, str] = {}
        sizes: dict[str, int] = {}
        session.on("Network.responseReceived", lambda event: kinds.__setitem__(event["requestId"], event["type"]))

        def finished(event: dict[str, Any]) -> None:
            kind = kinds.get(event["requestId"], "Other")
            sizes[kind] = sizes.get(kind, 0) + int(event["encodedDataLength"])

        session.on("Network.loadingFinished", finished)
        one.goto(url)
        one.wait_for_function("() => window.__useful > 0", timeout=120_000)
        ttfb = one.evaluate("performance.getEntriesByType('navigation')[0].responseStart")
        yield Opened(one, one.evaluate("window.__useful"), ttfb, sizes)
    finally:
        context.close()


def cold(report: Report, browser: Browser, name: str, url: str, ready: str, most: float | None) -> Opened:
    """Report five cold loads; returns the last one."""
    loads = []
    for _ in range(ROUNDS):
        with opened(browser, url, ready) as one:
            loads.append(one)
    times = [one.useful for one in loads]
    report.add(
        f"{name}: useful, cold",
        median(times),
        "ms",
        most=most,
        note=f"worst {max(times):.0f}, first byte {median([one.ttfb for one in loads]):.0f}",
    )
    return loads[-1]


def transferred(report: Report, one: Opened, program: float | None, data: float | None) -> None:
    code = sum(one.bytes.get(kind, 0) for kind in ("Script", "Stylesheet", "Document"))
    rest = sum(size for kind, size in one.bytes.items() if kind not in ("Script", "Stylesheet", "Document"))
    report.add("  program and styles over the wire", code / 1e3, "kB", most=program)
    report.add("  data over the wire", rest / 1e3, "kB", most=data)


def _table(report: Report, browser: Browser, server: Server, client: Client) -> list[str]:
    report.heading(f"B1 the table of {RUNS:,} runs")
    pair = SERIES[:2]
    ids = [f"bench-{number:05}" for number in range(RUNS)]
    for first in range(0, RUNS, 500):
        send(client, b"\n".join(scalars(id, 0, 2 * 20, pair) for id in ids[first : first + 500]))
    one = cold(report, browser, "table", f"{server.url}/", "document.querySelectorAll('.spark').length >= 20", 500)
    transferred(report, one, 120, 40)
    with opened(browser, f"{server.url}/", "document.querySelectorAll('.spark').length >= 20") as shown:
        shown.page.reload()
        shown.page.wait_for_function("() => window.__useful > 0")
        report.add("table: useful, warm", shown.page.evaluate("window.__useful"), "ms", most=200)
        report.add("  elements", shown.page.evaluate("document.querySelectorAll('*').length"), "")
    return ids[:OVERLAYS]


def _charts(report: Report, browser: Browser, server: Server, points: int) -> None:
    report.heading(f"B2 one run of {MANY_SERIES:,} series of {points:,} points")
    client, task = server.client(), new_id()
    series = [(f"layer{number:04}/grad", "norm") for number in range(MANY_SERIES)]
    for first in range(0, MANY_SERIES, 20):
        for step in range(0, points, 1_000):
            send(client, scalars(task, step, 20 * 1_000, series[first : first + 20]))
    ready = "document.querySelectorAll('.chart-host canvas').length >= 6 && performance.getEntriesByName('tm:useful').length >= 6"
    one = cold(report, browser, "charts", f"{server.url}/runs/{task}", ready, 800)
    transferred(report, one, None, 600)
    with opened(browser, f"{server.url}/runs/{task}", ready) as shown:
        frames = shown.page.evaluate(FRAMES, 400)
        report.add(
            "scrolling, frame p95",
            percentile(frames, 95),
            "ms",
            most=33,
            note=f"greatest task {max(shown.page.evaluate('window.__long') or [0]):.0f} ms",
        )
        report.add("  canvases", shown.page.locator("canvas").count(), "", most=40)
        report.add("  heap", shown.heap(), "MB", most=120)


def _compare(report: Report, browser: Browser, server: Server, ids: list[str], points: int) -> None:
    report.heading(f"B3 {OVERLAYS} runs × 8 series × {points:,} points")
    client = server.client()
    for id in ids:
        send(client, scalars(id, 0, 8 * points))
    url = f"{server.url}/compare?runs={','.join(ids)}"
    ready = "performance.getEntriesByName('tm:useful').length >= 4"
    transferred(report, cold(report, browser, "overlays", url, ready, 1500), None, 4000)
    with opened(browser, url, ready) as shown:
        box = shown.page.locator(".u-over").first.bounding_box()
        assert box is not None
        shown.page.evaluate(
            "window.__frames = []; (function tick(last) { requestAnimationFrame((now) => { window.__frames.push(now - last); tick(now); }); })(performance.now())"
        )
        for step in range(60):
            shown.page.mouse.move(box["x"] + 5 + step * (box["width"] - 10) / 60, box["y"] + box["height"] / 2)
        # The browser's clock counts tenths: one frame at 60 Hz is 16.6 or 16.7.
        report.add("hover, frame p95", round(percentile(shown.page.evaluate("window.__frames.slice(1)"), 95), 1), "ms", most=16.7)
        y, width = box["y"] + 60, box["width"]
        shown.page.mouse.move(box["x"] + 0.5 * width, y)
        shown.page.mouse.down()
        shown.page.mouse.move(box["x"] + 0.52 * width, y, steps=4)
        with shown.page.expect_response(lambda answer: "events.get_series" in answer.url):
            begun = time.perf_counter()
            shown.page.mouse.up()
        shown.page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        report.add("zoom to a fiftieth: detail drawn", (time.perf_counter() - begun) * 1000, "ms", most=400)


def _console(report: Report, browser: Browser, server: Server, count: int) -> None:
    report.heading(f"B4 the console of a log of {count:,} lines")
    client, task = server.client(), new_id()
    for first in range(0, count, 50_000):
        send(client, logs(task, first, 50_000))
    url = f"{server.url}/runs/{task}?tab=console"
    ready = "document.querySelectorAll('.log-line .log-text').length > 10"
    cold(report, browser, "console", url, ready, 300)
    with opened(browser, url, ready) as shown:
        begun = time.perf_counter()
        shown.page.evaluate("const box = document.querySelector('.log-box'); box.scrollTop = box.scrollHeight / 2")
        shown.page.wait_for_function(
            """(middle) => {
              const lines = [...document.querySelectorAll(".log-line")];
              return lines.length > 10 && lines.every((line) => !line.classList.contains("missing")) && Math.abs(lines[0].dataset.line - middle) < middle / 2;
            }""",
            arg=count / 2,
        )
        report.add("jump to the middle", (time.perf_counter() - begun) * 1000, "ms", most=200)
        report.add("  rows that exist", shown.page.locator(".log-line").count(), "", most=200)
        report.add("  heap", shown.heap(), "MB", most=60)
        hit, progress = "document.querySelector('.log-line.current')", "document.querySelector('.log-progress button')"
        over = "document.querySelector('.log-progress')?.textContent.includes('nothing found')"
        _search(report, shown.page, "frequent text, first hit shown", "checkpoint", hit, 400)
        _search(report, shown.page, "rare text, first progress or hit", "anomaly", f"{hit} || {progress}", 300)
        _search(report, shown.page, "text that is not there: the whole log searched", "no such words", over, 10_000)
        if count >= BUDGETS.lines:  # shorter logs are searched before anybody can stop it
            stop = shown.page.get_by_role("button", name="Stop")
            shown.page.locator(".log-find").fill("nothing like it")
            stop.wait_for()
            begun = time.perf_counter()
            stop.click()
            shown.page.wait_for_function("() => !document.querySelector('.log-progress').textContent.includes('Stop')", polling="raf")
            report.add("  search stopped", (time.perf_counter() - begun) * 1000, "ms", most=200)


def _search(report: Report, page: Page, name: str, text: str, until: str, most: float) -> None:
    """The time from the last character of a search until a condition holds, looked at in every frame."""
    page.locator(".log-find").fill("")
    page.locator(".log-progress").wait_for(state="detached")
    begun = time.perf_counter()
    page.locator(".log-find").fill(text)
    page.wait_for_function(f"() => {until}", polling="raf", timeout=60_000)
    report.add(name, (time.perf_counter() - begun) * 1000, "ms", most=most)


def _gallery(report: Report, browser: Browser, server: Server, client: Client) -> None:
    report.heading(f"B5 a gallery of {IMAGES:,} images, {SHOWN} in view")
    task = new_id()
    for first in range(0, IMAGES, 20_000):
        send(client, images(task, first, 20_000))
    events = []
    for number in range(SHOWN):
        url = store_file(client, f"b/t.{task}/m/{number}.png", png(512, 512, (number * 4, 90, 200)))
        events.append(
            {
                "type": "training_debug_image",
                "task": task,
                "metric": "big",
                "variant": f"v{number:02}",
                "iter": IMAGES,
                "url": url,
                "timestamp": AT + IMAGES,
            }
        )
    client.add_batch(events)
    ready = "[...document.querySelectorAll('.thumb img')].filter((one) => one.complete && one.naturalWidth > 0).length >= 10"
    transferred(report, cold(report, browser, "gallery", f"{server.url}/runs/{task}?tab=images&metric=big", ready, 600), None, 800)


def _live(report: Report, browser: Browser, server: Server, client: Client) -> None:
    report.heading(f"B6 live: {UPDATES} updates of 8 series")
    task = new_id()
    send(client, scalars(task, 0, 8 * 100))
    with opened(browser, f"{server.url}/runs/{task}", "performance.getEntriesByName('tm:useful').length >= 4") as shown:
        before = shown.heap()
        waits = []
        for number in range(UPDATES):
            send(client, scalars(task, 100 + number, 8))
            acknowledged = time.perf_counter()
            expected = f"{2 * (101 + number):,} points"
            shown.page.wait_for_function(
                "(text) => document.querySelector('.chart-foot').textContent.includes(text)", arg=expected, polling="raf"
            )
            waits.append((time.perf_counter() - acknowledged) * 1000)
        report.add("acknowledged to drawn, p95", percentile(waits, 95), "ms", most=250, note=f"median {median(waits):.0f}")
        report.add("  heap grew by", shown.heap() - before, "MB", most=5)


def tensorboard(report: Report, browser: Browser, folder: Path, series: int = 200, points: int = 1_000) -> None:
    """The same points in TensorBoard's time series page, until charts are drawn. Needs tensorboard and tensorboardX."""
    from tensorboardX import SummaryWriter

    report.heading(f"TensorBoard: one run of {series} series of {points:,} points")
    with SummaryWriter(str(folder / "run")) as writer:
        for number in range(series):
            for step in range(points):
                writer.add_scalar(f"layer{number:04}/grad", (step * 0.618033988749895) % 1, step)
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "tensorboard.main", "--logdir", str(folder), "--port", str(port), "--load_fast=false"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        time.sleep(15)  # TensorBoard answers before it has read all files
        ready = "document.querySelectorAll('scalar-card canvas, scalar-card svg path').length >= 6"
        transferred(report, cold(report, browser, "TensorBoard", f"http://127.0.0.1:{port}/#timeseries", ready, None), None, None)
    finally:
        process.terminate()
        process.wait(20)


def main() -> None:
    """The page with the sizes of its budgets, on SQLite."""
    folder = Path(tempfile.mkdtemp(prefix="tidemark-page-"))
    server = Server(folder / "server")
    try:
        server.start()
        report = Report()
        report.engine("sqlite")
        page(report, server, BUDGETS)
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
