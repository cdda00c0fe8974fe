"""Takes pictures of every view into docs/pictures: `make pictures`. Starts a server with `tidemark demo` in it and drives Debian's Chromium.

    python scripts/pictures.py [FOLDER [VIEW ...]]

Each view, or those that are named, in both themes at 1440 and 390 px, as WebP below 150 kB.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, TimeoutError, sync_playwright

import tidemark_events
from tidemark_events import Client

ROOT = Path(__file__).resolve().parent.parent
LARGEST = 150_000
SIZES = {1440: 900, 390: 844}
THEMES = ("light", "dark")


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as data, server(Path(data)) as url, sync_playwright() as playwright:
        wanted = sys.argv[2:]
        views = {name: address for name, address in addresses(tidemark_events.connect(url)).items() if not wanted or name in wanted}
        program = shutil.which("chromium") or shutil.which("chromium-browser")
        if program is None:
            raise SystemExit("pictures: Chromium is missing: apt-get install chromium")
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu", "--hide-scrollbars"])
        for theme in THEMES:
            for width, height in SIZES.items():
                take(browser, url, views, theme, width, height, folder)
        browser.close()


@contextmanager
def server(data: Path) -> Iterator[str]:
    """A server with the demo's runs in it; its address."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("TIDEMARK", "CLEARML"))}
    env |= {"TIDEMARK_DATA": str(data), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "apiserver"]
    process = subprocess.Popen([*command, "serve", "--port", "0"], env=env, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        first = process.stdout.readline()  # "Tidemark listens on http://... (open: ...)"
        subprocess.run([*command, "demo", "--seconds", "4"], env=env, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        yield first.split()[3]
    finally:
        process.terminate()
        process.wait()


def addresses(tm: Client) -> dict[str, str]:
    """View -> its address."""
    runs = {run.name: run for run in tm.runs(project="demo")}
    live = f"/runs/{runs['digits, live'].id}"
    compared = ",".join(run.id for name, run in sorted(runs.items()) if "too high" not in name)
    found = {"runs": "/?cols=status,project,hp:lr,min:loss/test,~loss/train,~accuracy/test", "projects": "/projects"}
    found |= {
        f"run-{tab}": f"{live}?tab={tab}" for tab in ("charts", "overview", "console", "images", "plots", "config", "artifacts", "storage")
    }
    found |= {f"compare-{tab}": f"/compare?runs={compared}&tab={tab}" for tab in ("config", "images", "plots", "values")}
    found["image"] = f'{live}?tab=images&img=["first layer","weights"]&at=999&show=beside&other=249'
    found["compare-image"] = f"/compare?runs={compared}&tab=images&metric=first+layer&at=999&img=1&show=difference"
    found |= {"compare": f"/compare?runs={compared}", "diverged": f"/runs/{runs['digits, lr too high'].id}", "login": "/login"}
    return found


def take(browser: Browser, url: str, views: dict[str, str], theme: str, width: int, height: int, folder: Path) -> None:
    context = browser.new_context(
        base_url=url,
        viewport={"width": width, "height": height},
        color_scheme="dark" if theme == "dark" else "light",
        reduced_motion="reduce",
        device_scale_factor=2 if width < 600 else 1,
    )
    for name, address in views.items():
        page = context.new_page()
        page.goto(address)
        settled(page)
        save(page.screenshot(), folder / f"{name}-{theme}-{width}.webp")
        page.close()
    context.close()


def settled(page: Page) -> None:
    """Wait until nothing is fetched and two pictures are the same."""
    with suppress(TimeoutError):  # on a machine that does much else
        page.wait_for_load_state("networkidle", timeout=10_000)
    before = b""
    for _ in range(20):
        now = page.screenshot()
        if now == before:
            return
        before = now
        time.sleep(0.25)


def save(png: bytes, path: Path) -> None:
    """As WebP, as good as fits."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    for quality in (90, 80, 70, 55, 40):
        buffer = io.BytesIO()
        picture.save(buffer, "WEBP", quality=quality, method=6)
        if buffer.tell() < LARGEST:
            break
    path.write_bytes(buffer.getvalue())
    print(f"{path.name}: {len(buffer.getvalue()) // 1000} kB", flush=True)


if __name__ == "__main__":
    main()
