"""The command `migrate`. Its dependencies are imported when it runs."""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from datetime import datetime
from typing import Any

import click

from apiserver.common.words import many
from apiserver.errors import StartupError


@click.group(short_help="Copy a ClearML server, or another Tidemark.")
def migrate() -> None:
    """Copy another server into this installation."""


@migrate.command("clearml", short_help="Copy a ClearML server, or another Tidemark.")
@click.argument("url")
@click.option("--key", envvar="CLEARML_API_ACCESS_KEY", show_envvar=True, required=True, help="Access key on the other server.")
@click.option("--secret", envvar="CLEARML_API_SECRET_KEY", show_envvar=True, required=True, help="Its secret.")
@click.option(
    "--files",
    multiple=True,
    metavar="URL",
    help="Address of its file server; may be given several times.  [default: port 8081, and URL/files]",
)
@click.option("--project", metavar="NAME", help="Only this project and those below it.")
@click.option("--since", type=click.DateTime(), help="Only tasks and models that changed since.")
@click.option("--parallel", type=click.IntRange(1, 32), default=4, show_default=True, help="Tasks that are read at once.")
@click.option("--dry-run", is_flag=True, help="Count only; copy nothing.")
@click.option("--company", metavar="NAME", help="Company of config/auth.conf that everything belongs to.  [default: the default one]")
@click.option("--data", envvar="TIDEMARK_DATA", show_envvar=True, metavar="FOLDER", help="Data folder.  [default: ./data]")
@click.option(
    "--store", envvar="TIDEMARK_STORE", show_envvar=True, metavar="URL", help="Where events are kept.  [default: a file in the data folder]"
)
@click.option("--state", envvar="TIDEMARK_STATE", show_envvar=True, metavar="URL", help="Shared state.  [default: memory://]")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for scripts.")
def clearml(
    url: str,
    key: str,
    secret: str,
    files: tuple[str, ...],
    project: str | None,
    since: datetime | None,
    parallel: int,
    dry_run: bool,
    company: str | None,
    data: str | None,
    store: str | None,
    state: str | None,
    as_json: bool,
) -> None:
    """Copy projects, tasks, models, events, files and users of the ClearML server (or Tidemark) with the API at URL.

    Ids, times and iterations stay. Files of its file server are copied and their addresses rewritten; those of S3 and the like are kept. It can be
    repeated and resumed; at the end both sides are compared, and the exit code is 1 if something differs. Stop the server on this data
    folder first; the other server is only read.
    """
    from apiserver.operations.migrate import migration as steps
    from apiserver.operations.migrate.file_moves import FileMoves
    from apiserver.operations.migrate.remote import Remote, RemoteFailed
    from apiserver.operations.migrate.target import Target
    from apiserver.settings import from_environment

    selection = steps.Selection(project, round(since.timestamp() * 1000) if since is not None else None)
    remote = Remote(url, key, secret)
    remote.login()
    started = time.monotonic()
    report = _report_json if as_json else _report
    try:
        if dry_run:
            report(steps.dry_run(remote, selection), None, time.monotonic() - started)
            return
        settings = from_environment({"server.data": data, "engine.store": store, "engine.state": state})
        settings.data.mkdir(parents=True, exist_ok=True)
        target = Target(settings, company)
        try:
            moves = FileMoves(remote, target.storage, target.company, files or _usual_files(remote.url), target.files)
            migration = steps.Migration(remote, target, moves, settings.data / "migrate", selection, parallel)
            with click.progressbar(length=1, label="Migrating", file=sys.stderr, item_show_func=lambda text: text) as bar:

                def progress(done: int, all: int, events: int) -> None:
                    bar.length = max(all, 1)
                    rate = events / max(time.monotonic() - started, 1e-3)
                    bar.update(done - bar.pos, current_item=f"{many(events, 'event')}, {rate:,.0f}/s")

                outcome = migration.run(progress)
        finally:
            target.close()
    except RemoteFailed as error:
        raise StartupError(str(error)) from None
    report(outcome, moves, time.monotonic() - started)
    if outcome.problems or outcome.differences:
        raise SystemExit(1)


def _usual_files(url: str) -> tuple[str, ...]:
    """Where the file server of a server is, usually."""
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    host = parts.hostname or ""
    found = [f"{url.removesuffix('/api')}/files", f"{parts.scheme}://{host}:8081"]
    if host.startswith("api."):
        found.append(f"{parts.scheme}://files.{host.removeprefix('api.')}")
    return tuple(found)


def _report(outcome: Any, moves: Any, seconds: float) -> None:
    for problem in (*outcome.problems, *outcome.differences):
        click.echo(problem, err=True)
    click.echo(
        f"{many(outcome.projects, 'project')}, {many(outcome.users, 'user')}, {many(outcome.tasks, 'task')} and {many(outcome.models, 'model')}"
        + (f" ({outcome.unchanged:,} did not change)" if outcome.unchanged else "")
    )
    if outcome.public:
        click.echo(f"Left out: {many(outcome.public, 'public task or model', 'public tasks and models')}, which belong to no company")
    for name, count in sorted(outcome.counts.items()):
        click.echo(f"{count:>15,}  {name}")
    if moves is not None:
        click.echo(
            f"{many(outcome.events, 'event')} and {many(moves.copied, 'file')} ({moves.bytes / 1e6:,.1f} MB) in {seconds:.1f} s"
            f" ({outcome.events / max(seconds, 1e-3):,.0f} events/s)"
        )
        click.echo(
            f"{many(len(outcome.differences), 'difference')}, {many(len(outcome.problems), 'problem')}"
            if outcome.differences or outcome.problems
            else "Both sides hold the same events."
        )


def _report_json(outcome: Any, moves: Any, seconds: float) -> None:
    found = {field.name: getattr(outcome, field.name) for field in dataclasses.fields(outcome)}
    if moves is not None:
        found |= {"files": moves.copied, "bytes": moves.bytes}
    click.echo(json.dumps({**found, "dry_run": moves is None, "seconds": round(seconds, 3)}))
