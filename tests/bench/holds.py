"""Finds code that blocks the event loop: `python -m tests.bench.holds [--elastic] [WORDS]`.

Runs each overload of overload.py once (those whose name has one of the words), on SQLite or Elasticsearch, and prints where the event loop's thread
computed for more than HOLD seconds without switching greenlets. It measures the CPU time of that thread, which other programs hardly disturb. The same file
is the server: a thread samples every 8 ms how long the loop's thread has computed since the last switch, and its stack.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

HOLD = 0.025
EVERY = 0.008


def serve() -> None:
    """Run the server with the sampler. Its output goes to a file named by the environment."""
    from gevent import monkey

    monkey.patch_all()
    import greenlet

    start, ident = monkey.get_original("_thread", "start_new_thread"), monkey.get_original("_thread", "get_ident")
    sleep = monkey.get_original("time", "sleep")
    loop = switches = 0
    since = 0.0

    def switched(event: str, greenlets: Any) -> None:
        nonlocal switches, since
        if ident() == loop:
            switches, since = switches + 1, time.thread_time()

    def watch() -> None:
        clock = time.pthread_getcpuclockid(loop)
        seen, longest, where = -1, 0.0, ""
        while True:
            sleep(EVERY)
            held = time.clock_gettime(clock) - since
            if switches != seen:
                if longest > HOLD:
                    with Path(os.environ["TIDEMARK_HOLDS"]).open("a") as out:
                        out.write(f"    {longest * 1000:5.0f} ms  {where}\n")
                seen, longest = switches, 0.0
            elif held > HOLD and held > longest:
                where = where if longest else _place(sys._current_frames()[loop])
                longest = held

    def begin() -> None:
        nonlocal loop, since
        loop, since = ident(), time.thread_time()
        greenlet.settrace(switched)
        start(watch, ())

    os.register_at_fork(after_in_child=begin)
    from apiserver.__main__ import main

    main()


def _place(frame: Any) -> str:
    """The innermost calls of a stack, as text: the last of all, and the last six of our own code."""
    calls = traceback.extract_stack(frame)
    shown = [call for number, call in enumerate(calls, 1) if number == len(calls) or "/apiserver/" in call.filename]
    return " < ".join(
        f"{Path(call.filename).parent.name}/{Path(call.filename).name}:{call.lineno} {call.name}" for call in reversed(shown[-7:])
    )


def main(words: list[str]) -> None:
    from tests.bench import overload
    from tests.process import ROOT, Server

    store: dict[str, str] = {}
    if "--elastic" in words:
        from tests.conftest import own_store
        from tests.servers import elasticsearch_url, redis_url

        words.remove("--elastic")
        store = own_store({"TIDEMARK_STORE": elasticsearch_url(), "TIDEMARK_STATE": redis_url()})

    folder = Path(tempfile.mkdtemp(prefix="tidemark-holds-"))
    holds = folder / "holds"
    env = {**store, **overload.settings(folder), "TIDEMARK_HOLDS": str(holds), "PYTHONPATH": str(ROOT)}
    server = Server(folder / "server", env, program=[sys.executable, __file__])
    try:
        client = server.start().client(timeout=600)
        for name, work in overload.overloads(client):
            if words and not any(word in name for word in words):
                continue
            holds.write_text("")
            before, begun = server.cpu_seconds(), time.monotonic()
            work(client)
            print(f"{name}: {time.monotonic() - begun:.1f} s, {server.cpu_seconds() - before:.2f} s CPU", flush=True)
            time.sleep(3 * EVERY)
            print(holds.read_text(), end="", flush=True)
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve()
    else:
        main(sys.argv[1:])
