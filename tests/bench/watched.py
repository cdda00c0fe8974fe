"""A long run of budget B6: training code with ClearML's SDK reports for ten minutes while tabs show its charts, console, images and the table, and a reader goes
from view to view."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from tests.bench.measure import Report, percentile
from tests.clients.scripts import Sdk, finish
from tests.process import Server, wait_until
from tests.web.browser import WIDE, launch

MINUTES = 10
UPDATES = 50
SERIES = 8

PROGRAM = """
from clearml import Task
task = Task.init("bench", "watched", reuse_last_task_id=False, auto_connect_frameworks=False, auto_resource_monitoring=False)
open(sys.argv[1], "w").write(task.id)
logger = task.get_logger()
from tests.web.runs import png
begun, step, seconds, rate = time.monotonic(), 0, float(sys.argv[2]), int(sys.argv[3])
while step < seconds * rate:
    for number in range(int(sys.argv[4])):
        logger.report_scalar(f"metric{number % 4}", "test" if number < 4 else "train", (step * 0.618034 + number) % 1, step)
    if step % 10 == 0:
        logger.report_text(f"step {step} of a training that is watched", print_console=False)
    if step % rate == 0:
        with open("sample.png", "wb") as file:
            file.write(png(64, 64, (step // rate % 256, 90, 200)))
        logger.report_image("samples", "first", step, local_path="sample.png", delete_after_upload=False)
    step += 1
    time.sleep(max(0, begun + step / rate - time.monotonic()))
task.close()
result([step, time.monotonic() - begun])
"""

VIEWS = {
    "charts": ("/runs/{task}", ".chart-host canvas"),
    "console": ("/runs/{task}?tab=console", ".log-line .log-text"),
    "images": ("/runs/{task}?tab=images", ".thumb img"),
    "table": ("/", "table.runs .spark"),
}
"""Address of each tab, and what is there when it is useful."""

# Records frames, long tasks and layout shifts from now on.
WATCH = """() => {
  const seen = window.__seen = { frames: [], long: [], shifts: 0, moved: [] };
  new PerformanceObserver((list) => { for (const one of list.getEntries()) seen.long.push(one.duration); }).observe({ type: "longtask" });
  new PerformanceObserver((list) => {
    for (const one of list.getEntries()) {
      // Lines of a log that is followed move up: the reader asked for it.
      const sources = one.hadRecentInput ? [] : one.sources.filter((source) => !source.node?.closest?.(".log-rows"));
      if (sources.length) seen.shifts += one.value;
      for (const source of sources) seen.moved.push(source.node?.className ?? "");
    }
  }).observe({ type: "layout-shift" });
  let last = performance.now();
  const tick = (now) => { seen.frames.push(now - last); last = now; requestAnimationFrame(tick); };
  requestAnimationFrame(tick);
}"""


class Tab:
    """A page, and measurements of its costs."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.errors: list[str] = []
        self.bytes = 0
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        self._session = page.context.new_cdp_session(page)
        self._session.send("Network.enable")
        self._session.on("Network.loadingFinished", lambda event: self._count(int(event["encodedDataLength"])))
        self._session.on("Network.webSocketFrameReceived", lambda event: self._count(len(event["response"]["payloadData"])))

    def _count(self, size: int) -> None:
        self.bytes += size

    def heap(self) -> float:
        """The JavaScript heap after a garbage collection, in MB."""
        self._session.send("HeapProfiler.collectGarbage")
        return float(self._session.send("Runtime.getHeapUsage")["usedSize"]) / 1e6

    def elements(self) -> int:
        return int(self.page.evaluate("document.querySelectorAll('*').length"))


def watched(report: Report, server: Server, minutes: float = MINUTES) -> None:
    """Report the figures of all tabs."""
    report.heading(f"B6 {minutes:g} minutes of {UPDATES} updates/s of {SERIES} series with ClearML's SDK, {len(VIEWS)} tabs and a reader")
    mark = server.folder / "watched-task"
    program = Sdk(server, server.folder / "watched").start(PROGRAM, str(mark), str(minutes * 60), str(UPDATES), str(SERIES))
    task = wait_until(lambda: mark.is_file() and mark.read_text(), 60, "the SDK made no task")
    with sync_playwright() as playwright, _closing(launch(playwright)) as browser:
        tabs = {name: _open(browser, server.url + path.format(task=task), ready) for name, (path, ready) in VIEWS.items()}
        tabs["reader"] = _open(browser, f"{server.url}/", VIEWS["table"][1])
        round_trip(tabs["reader"].page, task)  # every view is loaded once before its heap is measured
        for tab in tabs.values():
            tab.page.wait_for_timeout(5_000)  # the first minute of a chart grows its heap
            tab.page.evaluate(WATCH)
        before = {name: (tab.heap(), tab.elements(), tab.bytes) for name, tab in tabs.items()}
        begun, cpu, rounds = time.monotonic(), _browser_seconds(), 0
        while program.poll() is None:
            round_trip(tabs["reader"].page, task)
            rounds += 1
        seconds, cpu = time.monotonic() - begun, _browser_seconds() - cpu
        steps, _ = finish(program).result
        for name, missing in {
            "charts": f"[...document.querySelectorAll('.chart-foot')].every((one) => one.textContent.includes('{2 * steps:,} points'))",
            "console": f"document.querySelector('.log-rows').textContent.includes('step {steps - 10} of')",
            "images": f"document.querySelector('.step-name').textContent === 'step {(steps - 1) // UPDATES * UPDATES:,}'",
            "table": f"document.querySelector('table.runs').textContent.includes('{steps - 1:,}')",
        }.items():
            tabs[name].page.wait_for_function(f"() => {missing}", timeout=30_000)
        for name, tab in tabs.items():
            seen = tab.page.evaluate("window.__seen")
            heap, elements, size = before[name]
            assert not tab.errors, tab.errors
            long = [one for one in seen["long"] if one > 100]
            report.add(
                f"{name}: frame p95",
                percentile(seen["frames"], 95),
                "ms",
                most=33,
                note=f"{len(long)} tasks above 100 ms, greatest {max(seen['long'] or [0]):.0f} ms",
            )
            views = 6 * rounds if name == "reader" else 1
            report.add(
                f"  {name}: layout shifts a view", seen["shifts"] / views, "", most=0.01, note=", ".join(sorted(set(seen["moved"]))[:3])
            )
            report.add(f"  {name}: heap grew by", tab.heap() - heap, "MB", most=5)
            report.add(f"  {name}: elements more", tab.elements() - elements, "")
            report.add(f"  {name}: over the wire", (tab.bytes - size) / 1e3 / seconds, "kB/s", most=None if name == "reader" else 30)
        report.add("the reader opened", 6 * rounds, "views")
        report.add("the browser, all tabs", 100 * cpu / seconds, "% of a core", most=15 * len(tabs), note="15 a tab")


def round_trip(page: Page, task: str) -> None:
    """From the table to the run, through its tabs, and back to the table; two seconds at each."""
    page.locator(f'a.run-name[href="/runs/{task}"]').click()
    for tab, ready in (
        ("Charts", ".chart-host canvas"),
        ("Console", ".log-line .log-text"),
        ("Images", ".thumb img"),
        ("Overview", ".facts"),
    ):
        page.get_by_role("navigation", name="Parts of the run").get_by_role("link", name=tab).click()
        page.locator(ready).first.wait_for(timeout=60_000)
        page.wait_for_timeout(2_000)
    page.get_by_role("link", name="Runs", exact=True).click()
    page.locator(VIEWS["table"][1]).first.wait_for(timeout=60_000)
    page.wait_for_timeout(2_000)


@contextmanager
def _closing(browser: Browser) -> Iterator[Browser]:
    try:
        yield browser
    finally:
        browser.close()


def _open(browser: Browser, url: str, ready: str) -> Tab:
    tab = Tab(browser.new_context(viewport=WIDE).new_page())
    tab.page.goto(url)
    tab.page.locator(ready).first.wait_for(timeout=60_000)
    return tab


def _browser_seconds() -> float:
    """CPU time so far of this process' Chromium processes, in seconds."""
    parents: dict[int, list[int]] = {}
    used: dict[int, float] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = path.read_text().partition("(")[2].rpartition(")")
        except OSError:
            continue
        fields = rest.split()
        pid = int(path.parent.name)
        parents.setdefault(int(fields[1]), []).append(pid)
        if name.startswith("chrom"):
            used[pid] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    mine = [os.getpid()]
    for pid in mine:
        mine += parents.get(pid, [])
    return sum(used.get(pid, 0.0) for pid in mine)


def costs(report: Report) -> None:
    """B8: memory and CPU that the page costs a worker of `tidemark serve`, measured in a separate process."""
    import json
    import subprocess
    import sys

    from tests.process import ROOT

    program = """
import json, resource, time
from pathlib import Path
import brotli, flask
from apiserver.settings_types import WebSettings
from apiserver.web import face
def held(): return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6
before, begun = held(), time.perf_counter()
page = face.open_page(WebSettings((), ()))
start = (time.perf_counter() - begun) * 1000
begun = time.perf_counter()
for name in ("runs", "run-charts", "run-console"):
    for asset in (page._assets.shell(name), page._assets.get(f"bundle/{name}.js"), page._assets.get(f"bundle/{name}.css")):
        asset.encoded("br")
print(json.dumps([start, held() - before, (time.perf_counter() - begun) * 1000]))
"""
    answer = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    start, memory, first = json.loads(answer)
    report.heading("B8 what the page costs the server")
    report.add("start", start, "ms", most=50)
    report.add("memory of a worker, three views opened", memory, "MB", most=8)
    report.add("making the programs of three views, once", first, "ms")
