"""Twenty training programs with ClearML's SDK report at once: the server's CPU, and the latency of its answers."""

from __future__ import annotations

import resource
from pathlib import Path

from tests.bench.measure import Report, in_ms, percentile
from tests.clients.scripts import Sdk, finish
from tests.process import Server

PROGRAM = """
import threading, requests
times, send = [], requests.Session.request

def request(self, method, url, **more):
    started = time.perf_counter()
    answer = send(self, method, url, **more)
    if url.endswith("events.add_batch"):
        times.append(time.perf_counter() - started)
    return answer

requests.Session.request = request
from clearml import Task
task = Task.init("bench", f"sdk {sys.argv[1]}", reuse_last_task_id=False, auto_connect_frameworks=False, auto_resource_monitoring=False)
logger = task.get_logger()
end, step = time.monotonic() + float(sys.argv[2]), 0
while time.monotonic() < end:
    for metric in ("loss", "accuracy"):
        for variant in ("train", "test"):
            logger.report_scalar(metric, variant, 1 / (step + 1), step)
    if step % 10 == 0:
        logger.report_text(f"step {step}")
    step += 1
    time.sleep(0.05)
task.close()
result([times, step * 4])
"""


def many_programs(report: Report, server: Server, folder: Path, programs: int = 20, seconds: float = 30) -> None:
    """Each program reports 80 scalars and 2 log lines per second, for `seconds`."""
    report.heading(f"{programs} programs with ClearML's SDK, each 80 scalars and 2 lines a second")
    before, clients = server.cpu_seconds(), _cpu_of_children()
    started = [Sdk(server, folder / f"sdk{number}").start(PROGRAM, str(number), str(seconds)) for number in range(programs)]
    results = [finish(process, timeout=seconds + 300).result for process in started]
    used, clients = server.cpu_seconds() - before, _cpu_of_children() - clients
    times = [time for batches, _ in results for time in batches]
    report.add("scalars", sum(points for _, points in results), "")
    report.add("the server's share of the CPU time of the run", 100 * used / (used + clients), "%", most=10)
    report.spread("add_batch, median", in_ms(times), "ms")
    report.add("add_batch, p95, as the programs see it", percentile(times, 95) * 1000, "ms", most=100)


def _cpu_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
