"""`make bench`: all figures of docs/performance.md, measured in one run on this machine.

python -m tests.bench                      everything, on both engines
python -m tests.bench --only ingest reads  some parts
python -m tests.bench --stored 500000      the comparison with fewer stored events
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.bench import boards, galleries, ingest, many, moves, overload, python_client, reads, runs, sdk, stages, tables
from tests.bench.measure import Report
from tests.process import Server

PARTS = [
    "memory",
    "stages",
    "ingest",
    "big",
    "reads",
    "search",
    "raw",
    "images",
    "multi",
    "growth",
    "delete",
    "tasks",
    "many",
    "series",
    "page",
    "watched",
    "sdk",
    "client",
    "runs",
    "million",
    "sockets",
    "boards",
    "migrate",
    "gigabyte",
    "overload",
    "upkeep",
]


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--engines", nargs="+", choices=["sqlite", "elastic"], default=["sqlite", "elastic"], help="default: both")
    parser.add_argument(
        "--stored",
        type=int,
        default=5_000_000,
        help="events that are stored for the comparison and migrated, 1/200 of the bytes of `gigabyte` (default 5,000,000)",
    )
    parser.add_argument("--rounds", type=int, default=7, help="rounds of turns (default: %(default)s)")
    parser.add_argument("--folder", default=None, help="where the data folder is made (default: the system's temporary folder)")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="tidemark-bench-", dir=options.folder))
    report = Report()
    try:
        if "sqlite" in options.engines:
            report.engine("sqlite")
            server = Server(folder / "embedded")
            try:
                server.start()
                _embedded(report, server, options.only, options.stored, options.rounds)
                report.heading("At the end")
                report.add("worker memory", server.worker_resident_bytes() / 1e6, "MB", most=300)
            finally:
                server.stop()
            for name, work in (
                ("runs", runs.beside_the_viewer),
                ("million", runs.a_million_steps),
                ("sockets", runs.sockets),
                ("boards", boards.boards),
                ("migrate", lambda report, folder: moves.migration(report, folder, options.stored)),
                ("gigabyte", lambda report, folder: moves.gigabyte(report, folder, 200 * options.stored)),
                ("overload", lambda report, folder: overload.overload(report, folder / "overload", {})),
            ):
                if name in options.only:
                    work(report, folder)
        if "elastic" in options.engines:
            from tests.bench.cluster import cluster

            report.engine("elastic")
            cluster(report, folder / "cluster", set(options.only), options.rounds)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        report.write()


def _embedded(report: Report, server: Server, only: list[str], stored: int, rounds: int) -> None:
    client = server.client()
    wanted = set(only)

    def part(name: str, work: Callable[[], object]) -> None:
        if name in wanted:
            work()

    part("memory", lambda: ingest.idle_memory(report, server))
    part("stages", lambda: stages.stages(report))
    part("ingest", lambda: ingest.rates(report, server, rounds, 30))
    part("big", lambda: ingest.big_batch(report, server))
    if wanted & {"reads", "growth", "search"}:
        charts = reads.Charts(client, reads.fill_points(client))
        log_task = reads.fill_log(client)
        before = (
            reads.reads(report, charts, log_task, "Reads: 200,000 points in 8 series, a log of a million lines")
            if wanted & {"reads", "growth"}
            else {}
        )
        part("search", lambda: reads.search(report, client, log_task))
        part("growth", lambda: reads.growth(report, server, charts, log_task, before, stored, 1_200_000))
    if wanted & {"raw", "delete"}:
        million = reads.fill_points(client, 4 * reads.MILLION)
        part("raw", lambda: reads.raw_points(report, client, million))
        part("raw", lambda: reads.every_event_once(report, client, reads.fill_points(client, reads.MILLION), reads.MILLION))
        part("delete", lambda: galleries.deleting(report, server, million, 4 * reads.MILLION))
    part("images", lambda: galleries.gallery(report, client))
    part("multi", lambda: galleries.many_tasks(report, client))
    part("sdk", lambda: sdk.many_programs(report, server, server.folder))
    part("client", lambda: python_client.client(report, server))
    part("tasks", lambda: tables.task_table(report, client))
    part("many", lambda: many.many(report, client))
    if "page" in wanted:
        from tests.bench.page import page

        page(report, server)
    if "watched" in wanted:
        from tests.bench.watched import watched

        watched(report, server)


if __name__ == "__main__":
    main()
