"""`make demo`: start a server, run the example against it, say where to look. Ctrl-C ends both."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent


def main() -> None:
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    env.setdefault("TIDEMARK_DATA", str(ROOT / "data"))
    address = keys(env)["CLEARML_API_HOST"]
    server = None
    if not answers(address):
        server = subprocess.Popen([sys.executable, "-m", "apiserver", "serve"], env=env, cwd=ROOT, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while not answers(address):
            if server.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"demo: the server at {address} did not start")
            time.sleep(0.05)
    try:
        print(f"Tidemark listens on {address}; training ...\n", flush=True)
        trained = subprocess.run([sys.executable, str(HERE / "train_digits.py"), *sys.argv[1:]], env={**env, **keys(env)}, cwd=HERE)
        if trained.returncode:
            raise SystemExit(trained.returncode)
        print(f"\nThe run is stored. Look at {address}", flush=True)
        if server is not None and sys.stdin.isatty():
            print("Ctrl-C ends the server.", flush=True)
            server.wait()
        elif server is not None:
            print("The server ends with this command; `make run` starts it again.", flush=True)
    except KeyboardInterrupt:
        pass
    finally:
        if server is not None:
            server.terminate()
            server.wait()


def keys(env: dict[str, str]) -> dict[str, str]:
    """The CLEARML_* variables that `tidemark keys` prints."""
    printed = subprocess.run(
        [sys.executable, "-m", "apiserver", "keys"], env=env, cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    return dict(line.removeprefix("export ").split("=", 1) for line in printed.splitlines() if line.startswith("export "))


def answers(address: str) -> bool:
    """Whether a server is there."""
    try:
        with urllib.request.urlopen(f"{address}/debug.ping", timeout=2):
            return True
    except OSError:
        return False


if __name__ == "__main__":
    main()
