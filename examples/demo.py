"""`make demo`: start a server if none is running, report a made-up training to it, say where to look. Ctrl-C ends both."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TIDEMARK = [sys.executable, "-m", "apiserver"]


def main() -> None:
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    env.setdefault("TIDEMARK_DATA", str(ROOT / "data"))
    server = None
    if not runs(env):
        server = subprocess.Popen([*TIDEMARK, "serve"], env=env, cwd=ROOT)
        deadline = time.monotonic() + 60
        while not runs(env):
            if server.poll() is not None or time.monotonic() > deadline:
                raise SystemExit("demo: the server did not start; its last lines above say why")
            time.sleep(0.1)
    try:
        done = subprocess.run([*TIDEMARK, "demo", *sys.argv[1:]], env=env, cwd=ROOT)
        if done.returncode:
            raise SystemExit(done.returncode)
        if server is not None and sys.stdin.isatty():
            print("Ctrl-C ends the server.", flush=True)
            server.wait()
        elif server is not None:
            print("The server ends with this command; `make run` starts it again, with these runs.", flush=True)
    except KeyboardInterrupt:
        pass
    finally:
        if server is not None:
            server.terminate()
            server.wait()


def runs(env: dict[str, str]) -> bool:
    """Whether a server runs on the data folder."""
    return subprocess.run([*TIDEMARK, "status", "--json"], env=env, cwd=ROOT, capture_output=True).returncode == 0


if __name__ == "__main__":
    main()
