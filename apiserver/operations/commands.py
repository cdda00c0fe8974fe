"""The commands `doctor`, `retention`, `backup`, `restore` and `copy`. Their dependencies are imported when they run."""

from __future__ import annotations

import json
import re
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from apiserver.common.words import many
from apiserver.errors import StartupError
from apiserver.settings import Settings, from_environment

if TYPE_CHECKING:
    from apiserver.stores.base import AgeOf

_DATA = click.option("--data", envvar="TIDEMARK_DATA", show_envvar=True, metavar="FOLDER", help="Data folder.  [default: ./data]")
_STORE = click.option("--store", envvar="TIDEMARK_STORE", show_envvar=True, metavar="URL", help="Where events are kept.")
_STATE = click.option("--state", envvar="TIDEMARK_STATE", show_envvar=True, metavar="URL", help="Shared state.")
_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object, for scripts.")
_UNITS = {"h": 3_600, "d": 86_400, "w": 7 * 86_400, "y": 365 * 86_400}


def add_commands(group: click.Group) -> None:
    """Add the commands to the command line."""
    for command in (doctor, retention, compact, backup, restore, copy):
        group.add_command(command)


def _settings(data: str | None, store: str | None, state: str | None) -> Settings:
    return from_environment({"server.data": data, "engine.store": store, "engine.state": state})


@click.command(short_help="Check this installation.")
@_DATA
@_STORE
@_STATE
@click.option("--json", "as_json", is_flag=True, help="One JSON object: {ok, findings: [{level, text, advice}]}.")
def doctor(data: str | None, store: str | None, state: str | None, as_json: bool) -> None:
    """Check this installation: settings, store, mappings, disks, Redis. One line per check, with the fix.

    Changes nothing. Exit code 1 when a check failed.
    """
    from apiserver.operations.doctor import examine

    findings = []
    for finding in examine(_settings(data, store, state)):
        findings.append(finding)
        if not as_json:
            click.echo(f"{finding.level:<5}{finding.text}" + (f": {finding.advice}" if finding.advice else ""))
    failed = any(finding.level == "FAIL" for finding in findings)
    if as_json:
        listed = [{**finding._asdict(), "level": finding.level.lower()} for finding in findings]
        click.echo(json.dumps({"ok": not failed, "findings": listed}, indent=2))
    if failed:
        click.get_current_context().exit(1)


@click.command(short_help="Write store, files and keys into a folder.")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@_DATA
@_STORE
@_STATE
@_JSON
def backup(folder: Path, data: str | None, store: str | None, state: str | None, as_json: bool) -> None:
    """Write everything into FOLDER, which must be new or empty: store, uploaded files, keys.

    Works while the server runs. For large Elasticsearch clusters snapshots are faster (docs/operations.md).
    """
    from apiserver.operations.backup import backup as write

    manifest = write(_settings(data, store, state), folder)
    found = {
        "documents": sum(manifest["counts"].values()),
        "files": sum(name.startswith("files/") for name in manifest["digests"]),
        "folder": str(folder),
    }
    click.echo(
        json.dumps(found) if as_json else f"Wrote {many(found['documents'], 'document')} and {many(found['files'], 'file')} to {folder}."
    )


@click.command(short_help="Put a backup into an empty installation.")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@_DATA
@_STORE
@_STATE
@_JSON
def restore(folder: Path, data: str | None, store: str | None, state: str | None, as_json: bool) -> None:
    """Put the backup in FOLDER into an empty installation and verify digests and counts. Stop the server first.

    Every file is compared with its digest before anything is written. A backup of SQLite may be restored into Elasticsearch: that moves an
    installation to a cluster.
    """
    from apiserver.operations.backup import restore as put
    from apiserver.serving.serve import running_server

    settings = _settings(data, store, state)
    if address := running_server(settings.data):
        raise StartupError(f"the server at {address} uses this data folder: stop it first")
    documents = put(settings, folder)
    click.echo(json.dumps({"documents": documents}) if as_json else f"Restored {many(documents, 'document')}; nothing is missing.")


@click.command(short_help="Copy everything of one store into another.")
@click.option("--from", "from_store", required=True, metavar="URL", help="Store to read: sqlite:///old/tidemark.db or http://host:9200.")
@click.option("--from-state", metavar="URL", help="Its state: redis://…, with an http store.")
@click.option(
    "--from-data", metavar="FOLDER", help="Its data folder, for files and keys.  [default: the folder of the SQLite file; none with http]"
)
@click.option("--to", "to_store", required=True, metavar="URL", help="Store to write.")
@click.option("--to-state", metavar="URL", help="Its state: redis://…, with an http store.")
@click.option("--to-data", envvar="TIDEMARK_DATA", show_envvar=True, metavar="FOLDER", help="Its data folder.  [default: ./data]")
def copy(from_store: str, from_state: str | None, from_data: str | None, to_store: str, to_state: str | None, to_data: str | None) -> None:
    """Copy an installation into one of another engine: every company, document, event and file.

    The source may keep running: repeat the command to copy what was written meanwhile; unchanged tasks are skipped. Every task is read
    back and compared; the exit code is 1 if something differs.
    """
    from apiserver.common.addresses import without_password
    from apiserver.engine import sqlite_path
    from apiserver.operations.store_copy import StoreCopy, copy_files, opened

    is_file = from_store.startswith("sqlite:")
    folder = from_data or (str(Path(sqlite_path(from_store)).parent) if is_file else None)
    source, target = _settings(folder, from_store, from_state or "memory://"), _settings(to_data, to_store, to_state or "memory://")
    began = time.monotonic()
    with (
        opened(source, target) as (given, made),
        click.progressbar(length=1, label="Copying", file=sys.stderr, item_show_func=_shown) as bar,
    ):

        def progress(done: int, all: int, events: int) -> None:
            bar.length = max(all, 1)
            bar.update(done - bar.pos, current_item=f"{many(events, 'event')}, {events / max(time.monotonic() - began, 1e-3):,.0f}/s")

        found = StoreCopy(given, made, target.data / "copy", f"{without_password(from_store)} {without_password(to_store)}").run(progress)
        found.files = copy_files(source, target) if folder is not None else 0
    for difference in found.differences:
        click.echo(difference, err=True)
    click.echo(
        f"{many(found.companies, 'company')}, {many(found.documents, 'document')}, {many(found.owners, 'task or model', 'tasks and models')}"
        + (f" ({found.unchanged:,} did not change)" if found.unchanged else "")
        + f", {many(found.events, 'event')} and {many(found.files, 'file')} in {time.monotonic() - began:.1f} s"
    )
    click.echo(many(len(found.differences), "difference") if found.differences else "Both sides are the same.")
    if found.differences:
        raise SystemExit(1)


def _shown(text: object) -> str | None:
    return str(text) if text else None


class Age(click.ParamType[float]):
    """A length of time as seconds: 12h, 90d, 8w, 2y."""

    name = "age"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        found = re.fullmatch(r"(\d+(?:\.\d+)?)([hdwy])", str(value))
        if not found:
            self.fail(f'"{value}" is not a duration such as 12h, 90d, 8w or 2y', param, ctx)
        return float(found[1]) * _UNITS[found[2]]


@click.command(short_help="Remove events of old tasks.")
@click.option("--older-than", type=Age(), required=True, metavar="AGE", help="12h, 90d, 8w, 2y: since the newest event of a task.")
@click.option("--company", metavar="ID", help="Only this company's.  [default: all]")
@click.option(
    "--by",
    type=click.Choice(["arrival", "event-time"]),
    default="arrival",
    show_default=True,
    help="Age by time of arrival, or by the timestamps of the clients.",
)
@click.option("--dry-run", is_flag=True, help="List what would be removed; remove nothing.")
@_DATA
@_STORE
@_STATE
@_JSON
def retention(
    older_than: float,
    company: str | None,
    by: AgeOf,
    dry_run: bool,
    data: str | None,
    store: str | None,
    state: str | None,
    as_json: bool,
) -> None:
    """Remove the events of tasks whose newest event is older than a limit. The tasks stay listed.

    On Elasticsearch, generations of indices in which every task is old are dropped, which frees space even when the disk is full and indices are
    read-only. On SQLite stop the server first.
    """
    from apiserver.engine import open_engine
    from apiserver.serving.serve import running_server

    settings = _settings(data, store, state)
    if not settings.shared_store and (address := running_server(settings.data)):
        raise StartupError(f"the server at {address} holds the database: stop it first")
    before = int((time.time() - older_than) * 1000)
    engine = open_engine(settings)
    steps: list[dict[str, Any]] = []
    try:
        for name in [company] if company else engine.events.companies():
            for step in engine.events.retire(name, before, by=by, dry_run=dry_run):
                steps.append({"company": name, "what": step.what, "tasks": len(step.tasks), "events": step.events})
                if not as_json:
                    click.echo(
                        f"{'would remove' if dry_run else 'removed'} {step.what}: {many(step.events, 'event')} of {many(len(step.tasks), 'task')} (company {name})"
                    )
    finally:
        engine.close()
    tasks, events = sum(step["tasks"] for step in steps), sum(step["events"] for step in steps)
    if as_json:
        click.echo(json.dumps({"dry_run": dry_run, "before": before, "tasks": tasks, "events": events, "steps": steps}))
        return
    day = datetime.fromtimestamp(before / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
    click.echo(f"{'Would remove' if dry_run else 'Removed'} {many(events, 'event')} of {many(tasks, 'task')} {_since(by, day)}.")


@click.command(short_help="Make old generations of Elasticsearch cheaper.")
@click.option(
    "--idle",
    type=Age(),
    default="7d",
    show_default=True,
    metavar="AGE",
    help="How long no event must have come to a generation: 12h, 90d, 8w.",
)
@click.option("--company", metavar="ID", help="Only this company's.  [default: all]")
@click.option("--dry-run", is_flag=True, help="List what would be compacted; change nothing.")
@_DATA
@_STORE
@_STATE
@_JSON
def compact(idle: float, company: str | None, dry_run: bool, data: str | None, store: str | None, state: str | None, as_json: bool) -> None:
    """Make old generations of Elasticsearch's indices cheaper to keep: fewer shards, merged segments, nodes of another tier (elastic.tiers).

    Each generation once, when a newer one has begun and its tasks are idle. The server goes on running. On SQLite there is nothing to do.
    """
    from apiserver.engine import open_engine
    from apiserver.serving.serve import running_server

    settings = _settings(data, store, state)
    if not settings.shared_store and (address := running_server(settings.data)):
        raise StartupError(f"the server at {address} holds the database, which needs no compaction")
    engine = open_engine(settings)
    steps: list[dict[str, Any]] = []
    try:
        for name in [company] if company else engine.events.companies():
            for step in engine.events.compact(name, int((time.time() - idle) * 1000), dry_run=dry_run):
                steps.append({"company": name, **step._asdict()})
                if not as_json:
                    size = many(step.before, "byte") if dry_run else f"{step.before:,} -> {many(step.after, 'byte')}"
                    click.echo(f"{'would compact' if dry_run else 'compacted'} {step.what}: {size} (company {name})")
    finally:
        engine.close()
    if as_json:
        click.echo(json.dumps({"dry_run": dry_run, "steps": steps}))
    else:
        click.echo(f"{'Would compact' if dry_run else 'Compacted'} {many(len(steps), 'generation')}.")


def _since(by: AgeOf, day: str) -> str:
    return f"to which nothing came since {day}" if by == "arrival" else f"without a timestamp since {day}"
