"""The real product: installed once in an environment of its own for each version, and its viewer as a process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from tests.process import free_port, wait_until
from tests.servers.install import cache_folder, install_lock


def sdk(version: str) -> Path:
    """A Python with this version of runicorn, kept between test runs."""
    folder = cache_folder() / f"runicorn-{version}"
    python = folder / "bin" / "python"
    with install_lock(f"{folder.name}.lock"):
        if not (folder / "complete").exists():
            uv = [sys.executable, "-m", "uv"]
            subprocess.run([*uv, "venv", "-q", "--clear", "--python", sys.executable, str(folder)], check=True, timeout=120)
            subprocess.run([*uv, "pip", "install", "-q", "--python", str(python), f"runicorn=={version}"], check=True, timeout=300)
            (folder / "complete").touch()
    return python


@contextmanager
def viewer(version: str, root: Path) -> Iterator[str]:
    """The address of the product's viewer on a storage root."""
    port = free_port()
    with tempfile.TemporaryDirectory() as home:
        process = subprocess.Popen(
            [str(sdk(version).parent / "runicorn"), "viewer", "--storage", str(root), "--port", str(port)],
            env={**os.environ, "HOME": home},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        url = f"http://127.0.0.1:{port}"

        def answers() -> bool:
            try:
                return requests.get(f"{url}/api/health", timeout=5).ok
            except requests.RequestException:
                return False

        try:
            wait_until(answers, 60, "the viewer answers")
            yield url
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
