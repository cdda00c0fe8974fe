"""The commands `status`, `demo` and `completion`. Their dependencies are imported when they run."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import click

from apiserver.errors import StartupError
from apiserver.settings import Settings, from_environment

if TYPE_CHECKING:
    from tidemark_events import Client

_DATA = click.option("--data", envvar="TIDEMARK_DATA", show_envvar=True, metavar="FOLDER", help="Data folder.  [default: ./data]")
_URL = click.option(
    "--url",
    envvar="TIDEMARK_URL",
    show_envvar=True,
    metavar="URL",
    help="A server on another machine; its key from CLEARML_API_ACCESS_KEY.",
)
SHELLS = {
    "bash": 'eval "$(tidemark completion bash)"      # in ~/.bashrc',
    "zsh": 'eval "$(tidemark completion zsh)"       # in ~/.zshrc',
    "fish": "tidemark completion fish > ~/.config/fish/completions/tidemark.fish",
}


def add_commands(group: click.Group) -> None:
    """Add the commands to the command line."""
    for command in (status, demo, completion):
        group.add_command(command)


@click.command(short_help="Show the running server.")
@_URL
@_DATA
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for scripts.")
def status(url: str | None, data: str | None, as_json: bool) -> None:
    """Show the running server: address, version, engine, and how many runs it has.

    Exit code 1 when no server is running on the data folder, or the one at --url does not answer.
    """
    from tidemark_events import TidemarkError

    try:
        found = _facts(*_connected(url, data))
    except TidemarkError as error:
        click.echo(json.dumps({"running": False, "reason": str(error)}) if as_json else f"tidemark: {error}", err=not as_json)
        raise SystemExit(1) from None
    if as_json:
        click.echo(json.dumps(found))
        return
    runs = found["runs"]
    states = ", ".join(f"{count:,} {name}" for name, count in runs["by_status"].items())
    for name, text in (
        ("address", found["address"]),
        ("version", found["version"]),
        ("engine", found["engine"] + (f" ({found['store']})" if found["store"] else "")),
        ("healthy", "yes" if found["healthy"] else "no: " + ", ".join(found["unavailable"]) + " (tidemark doctor says more)"),
        ("runs", f"{runs['total']:,}" + (f" ({states})" if states else "")),
        ("projects", f"{found['projects']:,}"),
        ("models", f"{found['models']:,}"),
    ):
        click.echo(f"{name:<10}{text}")


def _connected(url: str | None, data: str | None) -> tuple[Client, Settings | None]:
    """The server at `url`, else the one that holds the data folder. Raises TidemarkError."""
    from apiserver.credentials import Credentials
    from apiserver.serving.serve import running_server
    from tidemark_events import ServerUnavailable, connect

    if url:
        return connect(url, attempts=1), None
    settings = from_environment({"server.data": data})
    address = running_server(settings.data)
    if address is None:
        raise ServerUnavailable(
            f"no server is running on the data folder {settings.data}: start it with `tidemark serve`, or name another (--data, --url)"
        )
    credentials = Credentials(settings)
    key = os.environ.get("CLEARML_API_ACCESS_KEY"), os.environ.get("CLEARML_API_SECRET_KEY")
    pair = key if settings.shared_store and all(key) else (credentials.access_key, credentials.secret_key)
    return connect(address, *pair, attempts=2), settings


def _facts(client: Client, settings: Settings | None) -> dict[str, Any]:
    from apiserver.common.addresses import without_password

    about = client.info()
    health = client.health()
    table = client.call("tasks.get_all_ex", page=0, page_size=1, count_total=True, facets=["status"], only_fields=["id"])
    counts = client.call("organization.get_entities_count", projects={}, models={})
    parts = {name: part for name, part in health.items() if isinstance(part, dict)}
    return {
        "running": True,
        "address": client.url,
        "version": about["version"],
        "api_version": about["api_version"],
        "engine": "cluster" if settings is not None and settings.shared_store else "embedded" if settings is not None else "unknown",
        "store": without_password(settings.store_url) if settings is not None else None,
        "healthy": health.get("status") == "ok",
        "unavailable": sorted(name for name, part in parts.items() if not part.get("ok")),
        "runs": {
            "total": table["total"],
            "by_status": {str(one["value"]): one["count"] for one in table["facets"]["status"]["values"]},
        },
        "projects": counts.get("projects", 0),
        "models": counts.get("models", 0),
    }


@click.command(short_help="Report a made-up training.")
@_URL
@_DATA
@click.option("--seconds", type=click.FloatRange(0, 3600), default=20.0, show_default=True, help="How long the training takes; 0: at once.")
@click.option("--project", default="demo", show_default=True, metavar="NAME", help="Project of the runs.")
def demo(url: str | None, data: str | None, seconds: float, project: str) -> None:
    """Report a made-up training to the running server: something to look at within a minute.

    Makes four finished runs and one that trains while you watch, with every kind of event (scalars, vectors, plots, images, log lines), code, configuration, a model and files.
    """
    from apiserver.operations.demo import LIVE, earlier_runs, train
    from apiserver.operations.demo_record import describe
    from tidemark_events import TidemarkError

    try:
        client, _ = _connected(url, data)
        earlier_runs(client, project)
        with client.run("digits, live", project=project, params=LIVE, tags=["demo"]) as run:
            describe(client, run, LIVE)
            click.echo(f"Training for {seconds:g} s. Watch it: {run.url}")
            train(run, seed=7, best=0.06, seconds=seconds, client=client)
    except TidemarkError as error:
        raise StartupError(str(error)) from None
    click.echo(
        f"The run:      {run.url}\nAll its runs: {client.url}/?project={quote(project, safe='')}\nThe console:  {run.url}?tab=console"
    )


@click.command(short_help="Print a shell's completion script.")
@click.argument("shell", type=click.Choice(sorted(SHELLS)))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the shell's completion script.

    \b
      eval "$(tidemark completion bash)"                                          in ~/.bashrc
      eval "$(tidemark completion zsh)"                                           in ~/.zshrc
      tidemark completion fish > ~/.config/fish/completions/tidemark.fish         once
    """
    from click.shell_completion import get_completion_class

    cls = get_completion_class(shell)
    assert cls is not None, shell
    root = context.find_root()
    click.echo(cls(root.command, {}, "tidemark", "_TIDEMARK_COMPLETE").source())
