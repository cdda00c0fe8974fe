"""The commands `import`, `follow` and `export`. They import their modules when they run, so that other commands start fast."""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any, BinaryIO, cast

import click

from apiserver.common.words import many
from apiserver.errors import StartupError
from apiserver.operations.migrate.commands import migrate
from apiserver.settings import Settings, from_environment

_DATA = click.option("--data", envvar="TIDEMARK_DATA", show_envvar=True, metavar="FOLDER", help="Data folder.  [default: ./data]")
_STORE = click.option(
    "--store", envvar="TIDEMARK_STORE", show_envvar=True, metavar="URL", help="Where events are kept.  [default: a file in the data folder]"
)
_STATE = click.option("--state", envvar="TIDEMARK_STATE", show_envvar=True, metavar="URL", help="Shared state.  [default: memory://]")
_COMPANY = click.option(
    "--company", metavar="NAME", help="Company of config/auth.conf that the runs belong to.  [default: the default one]"
)
_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object, for scripts.")

TOOLS = "Runicorn, TensorBoard, MLflow, W&B, Aim, trackio, DVCLive or Lightning"


class _Source(click.ParamType[Any]):
    """A path that exists, or the URL of a server."""

    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path | str:
        if str(value).startswith(("http://", "https://")):
            return str(value)
        return Path(str(click.Path(exists=True).convert(value, param, ctx)))


NAMED = 20
"""Runs whose ids are printed."""
SHOWN_PROBLEMS = 200
"""Problems that are printed: a file of another kind may have a million bad lines."""


def add_commands(group: click.Group) -> None:
    """Add the commands to the command line."""
    for command in (import_runs, follow, export, migrate):
        group.add_command(command)


def _settings(data: str | None, store: str | None, state: str | None) -> Settings:
    return from_environment({"server.data": data, "engine.store": store, "engine.state": state})


@click.command("import", short_help="Import runs of other tools, and tables.")
@click.argument("paths", nargs=-1, required=True, type=_Source(), metavar="PATH...")
@click.option("--run", metavar="ID", help="Id of the run, when PATH is a single one.  [default: the folder's name]")
@click.option(
    "--step", metavar="COLUMN", help="Column of a table with the step.  [default: step, _step, global_step, iteration ..., epoch]"
)
@click.option("--time", "time_", metavar="COLUMN", help="Column of a table with the time.  [default: timestamp, _timestamp, wall_time ...]")
@click.option("--metric", metavar="COLUMN", help="Column of a long table with the name of the metric.")
@click.option("--runs", metavar="COLUMN", help="Column of a table of many runs with the name of the run.")
@click.option("--value", metavar="COLUMN", help="Column of a long table with the value.")
@_COMPANY
@_DATA
@_STORE
@_STATE
@_JSON
def import_runs(
    paths: tuple[Path | str, ...],
    run: str | None,
    step: str | None,
    time_: str | None,
    metric: str | None,
    value: str | None,
    runs: str | None,
    company: str | None,
    data: str | None,
    store: str | None,
    state: str | None,
    as_json: bool,
) -> None:
    """Import runs of Runicorn, TensorBoard, MLflow, W&B, Aim, trackio, DVCLive and Lightning, and tables.

    PATH is a file, a run folder, a folder with any number of runs below it, or the URL of a running MLflow server. The tool is recognized by its files. Logs, media, parameters,
    dates and status are imported too. An import can be repeated and resumed: nothing is stored twice. If a server runs on the data folder, the runs go through it.

    Unreadable data are reported on stderr with file and line, the rest is imported, and the exit code is 1. Data that Tidemark has no place for are skipped and counted.
    """
    from apiserver.operations.transfer.adapters.tables import TableOptions
    from apiserver.operations.transfer.discovery import discover
    from apiserver.operations.transfer.importer import Importer, size_of
    from apiserver.operations.transfer.sinks import open_sink

    settings = _settings(data, store, state)
    options = TableOptions(step, time_, metric, value, runs)
    found = discover(*paths, options=options)
    folders, problems = found.runs, found.problems
    if not folders:
        for problem in problems:
            click.echo(str(problem), err=True)
        why = "" if problems else f": found no files of {TOOLS}, and no table"
        raise StartupError(f"no run in {', '.join(map(str, paths))}{why}")
    if run is not None:
        if len(folders) > 1:
            raise StartupError(f"--run names a single run, but {len(folders)} were found")
        folders[0].id = run
    sink = open_sink(settings, company)
    started = time.monotonic()
    try:
        with click.progressbar(length=sum(map(size_of, folders)), label="Importing", file=sys.stderr, item_show_func=_shown) as bar:
            done = 0

            def progress(size: int, lines: int) -> None:
                nonlocal done
                done += lines
                bar.update(size, current_item=_rate(done, started))

            importer = Importer(sink, progress)
            importer.tally.problems += problems
            for folder in folders:
                importer.run(folder)
    finally:
        sink.close()
    seconds = time.monotonic() - started
    if as_json:
        click.echo(json.dumps(_as_json(importer.tally, folders, seconds)))
    else:
        _name(folders)
        _report(importer.tally, seconds)
    if importer.tally.problems:
        raise SystemExit(1)


def _shown(text: Any) -> str | None:
    return str(text) if text else None


def _rate(lines: int, started: float) -> str:
    return f"{many(lines, 'line')}, {lines / max(time.monotonic() - started, 1e-3):,.0f}/s"


def _name(runs: list[Any]) -> None:
    """Print the ids that were generated for runs whose tool has none."""
    named = [run for run in runs if "~" in run.id]
    for run in named[:NAMED]:
        click.echo(f"{run.id}  {run.path}")
    if len(named) > NAMED:
        click.echo(f"... and {len(named) - NAMED:,} more")


def _report(tally: Any, seconds: float) -> None:
    for problem in tally.problems[:SHOWN_PROBLEMS]:
        click.echo(str(problem), err=True)
    if len(tally.problems) > SHOWN_PROBLEMS:
        click.echo(f"... and {many(len(tally.problems) - SHOWN_PROBLEMS, 'more problem')} (--json lists all)", err=True)
    click.echo(
        f"{many(tally.runs, 'run')}, {many(tally.events, 'event')}, {many(tally.log_lines, 'log line')} and {many(tally.images, 'image')} in {seconds:.1f} s"
        f" ({(tally.events + tally.log_lines) / max(seconds, 1e-3):,.0f}/s)"
        + (f"; {many(tally.plots, 'plot')} among the events" if tally.plots else "")
        + (f"; {many(tally.hyperparams, 'hyper-parameter')}" if tally.hyperparams else "")
        + (f"; {many(len(tally.problems), 'problem')}" if tally.problems else "")
    )
    _skipped(tally)


def _skipped(tally: Any) -> None:
    if tally.skipped:
        kinds = ", ".join(f"{kind} ({count:,})" for kind, count in sorted(tally.skipped.items()))
        click.echo(f"Skipped, or not certain: {kinds}")


def _as_json(tally: Any, runs: list[Any], seconds: float) -> dict[str, Any]:
    """The report for `--json`: counts, the ids of the runs, and every problem with file and line."""
    counts = {name: getattr(tally, name) for name in ("runs", "events", "log_lines", "images", "plots", "hyperparams")}
    return {
        **counts,
        "seconds": round(seconds, 3),
        "ids": [{"id": run.id, "path": str(run.path)} for run in runs],
        "skipped": dict(sorted(tally.skipped.items())),
        "problems": [{"file": str(one.file), "line": one.line, "reason": one.reason} for one in tally.problems],
    }


@click.command(short_help="Import runs while they grow (Runicorn, TensorBoard).")
@click.argument("root", type=click.Path(exists=True, file_okay=False, path_type=Path))
@_COMPANY
@_DATA
@_STORE
@_STATE
def follow(root: Path, company: str | None, data: str | None, store: str | None, state: str | None) -> None:
    """Import the runs below ROOT as they grow, until Ctrl-C.

    New lines are stored within a second. Incomplete last lines, rotated, truncated and deleted files and restarts are handled. Start the server on
    the same data folder to watch the runs live.
    """
    from apiserver.operations.transfer.follower import Follower
    from apiserver.operations.transfer.importer import Importer
    from apiserver.operations.transfer.sinks import open_sink

    settings = _settings(data, store, state)
    settings.data.mkdir(parents=True, exist_ok=True)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    sink = open_sink(settings, company)
    follower = Follower(root, Importer(sink), settings.data / "follow")
    click.echo(f"Following {root} (Ctrl-C ends)", err=True)
    try:
        follower.run(stop, lambda problem: click.echo(str(problem), err=True))
    finally:
        sink.close()
    click.echo(f"{many(follower.tally.events, 'event')} and {many(follower.tally.log_lines, 'log line')}")
    _skipped(follower.tally)


@click.command(short_help="Write a run's points or log to a file.")
@click.argument("run")
@click.option(
    "--format",
    "form",
    type=click.Choice(["csv", "excel", "jsonl", "parquet", "log", "html"]),
    default="csv",
    show_default=True,
    help="csv, excel (CSV that spreadsheets open as it is), jsonl (JSON lines), parquet (needs pyarrow), log (the log as text), html (the run as one page that needs no server).",
)
@click.option("--output", "-o", type=click.Path(dir_okay=False, path_type=Path), help="File to write.  [default: standard output]")
@_COMPANY
@_DATA
@_STORE
@_STATE
def export(run: str, form: str, output: Path | None, company: str | None, data: str | None, store: str | None, state: str | None) -> None:
    """Write all points of RUN, its log, or a page about it to a file.

    One row per step (global_step, then every metric). Works beside a running server.
    """
    from apiserver.operations.transfer.source import open_export

    settings = _settings(data, store, state)
    if output is None and form == "parquet" and sys.stdout.isatty():
        raise StartupError("Parquet is binary: name a file with --output")
    with open_export(settings, company, run, form) as pieces:
        if output is None:
            _write(pieces, cast(BinaryIO, sys.stdout.buffer))
            return
        draft = output.with_name(output.name + ".part")
        try:
            with draft.open("wb") as file:
                _write(pieces, file)
            draft.replace(output)
        except OSError as error:
            raise StartupError(f"{output}: can't be written: {error.strerror}") from error
        finally:
            draft.unlink(missing_ok=True)


def _write(pieces: Any, file: BinaryIO) -> None:
    for piece in pieces:
        file.write(piece)
    file.flush()
