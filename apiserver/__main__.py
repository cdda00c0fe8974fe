"""The command line: `tidemark`, or `python -m apiserver`."""

from __future__ import annotations

import json
import os
import sys

if "serve" in sys.argv[1:2]:  # first: modules imported earlier keep the blocking versions
    from apiserver.serving.patches import patch_all

    patch_all()
    # numpy's linear algebra would start a thread per core, with buffers of its own, and nothing here uses it.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import logging
from typing import Any

import click

from apiserver import __version__
from apiserver.errors import StartupError
from apiserver.operations.commands import add_commands as add_operations
from apiserver.operations.front import add_commands as add_front
from apiserver.operations.transfer.commands import add_commands
from apiserver.settings import Settings, from_environment


class Commands(click.Group):
    """A group whose commands end with one sentence and exit code 2 when they can't start."""

    def invoke(self, ctx: click.Context) -> Any:
        # Warnings go to the log in `serve`, which installs its own handler; other commands report them in their last sentence.
        logging.getLogger("tidemark").addHandler(logging.NullHandler())
        try:
            return super().invoke(ctx)
        except StartupError as error:
            click.echo(f"tidemark: {error}", err=True)
            ctx.exit(2)
        except Exception as error:
            sentence = _of_the_store(error)
            if sentence is None:
                raise
            click.echo(f"tidemark: {sentence}", err=True)
            ctx.exit(2)


def _of_the_store(error: Exception) -> str | None:
    """The sentence for an unavailable or busy store; None for any other error."""
    from apiserver.stores.errors import StoreError, StoreReadOnly

    if not isinstance(error, StoreError):
        return None
    advice = (
        "" if not isinstance(error, StoreReadOnly) or "space" in str(error) else ". Free space first: tidemark retention --older-than AGE"
    )
    return f"{error}{advice}"


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="tidemark")
def main() -> None:
    """The event service behind machine-learning experiments.

    Training code sends it scalars, plots, debug images and log lines (ClearML's and Runicorn's clients work unchanged); people and programs
    read them back as charts, galleries and live logs.

    \b
    Start here:
      tidemark serve --open   start on http://127.0.0.1:8008 with data in ./data, and open the page
      tidemark demo           in a second terminal: report a made-up training

    Other settings: TIDEMARK__section__key=value, or a file named by TIDEMARK_CONFIG. config/*.conf explains them (in an installed package:
    apiserver/_data/config).

    Exit codes: 0 done; 1 a check failed, data were refused, or no server runs; 2 the command can't start, and stderr says why and what to do.
    """


@main.command(short_help="Start the server.")
@click.option("--host", envvar="TIDEMARK_HOST", show_envvar=True, metavar="ADDRESS", help="Address to listen on.  [default: 127.0.0.1]")
@click.option("--port", envvar="TIDEMARK_PORT", show_envvar=True, metavar="NUMBER", help="Port; 0 takes a free one.  [default: 8008]")
@click.option("--data", envvar="TIDEMARK_DATA", show_envvar=True, metavar="FOLDER", help="Data folder.  [default: ./data]")
@click.option(
    "--store",
    envvar="TIDEMARK_STORE",
    show_envvar=True,
    metavar="URL",
    help="Where events are kept: sqlite:///FILE or http(s)://[USER:PASSWORD@]HOST:9200[,HOST2:9200] for Elasticsearch.  [default: a file in the data folder]",
)
@click.option(
    "--state",
    envvar="TIDEMARK_STATE",
    show_envvar=True,
    metavar="URL",
    help="State shared by workers: memory:// or redis://HOST:6379/0. Needed with Elasticsearch.  [default: memory://]",
)
@click.option(
    "--workers",
    envvar="TIDEMARK_WORKERS",
    show_envvar=True,
    metavar="NUMBER",
    help="Worker processes; more than one need redis://.  [default: 1]",
)
@click.option(
    "--allow-open", is_flag=True, default=None, help="Listen beyond loopback although calls need no credentials (TIDEMARK_AUTH=open)."
)
@click.option("--open", "open_page", is_flag=True, help="Open the page in the browser as soon as the server answers.")
def serve(
    host: str | None,
    port: str | None,
    data: str | None,
    store: str | None,
    state: str | None,
    workers: str | None,
    allow_open: bool | None,
    open_page: bool,
) -> None:
    """Start the server.

    Prints its address and a block of CLEARML_* exports once it answers. On a loopback address calls need no credentials (TIDEMARK_AUTH=open);
    elsewhere they do (TIDEMARK_AUTH=required). Ctrl-C or SIGTERM ends it.

    Exit code 2, with one sentence on stderr: a port that is taken, a data folder that can't be written or belongs to a running server, a
    damaged database, a bad setting.
    """
    given = {
        "server.host": host,
        "server.port": port,
        "server.data": data,
        "server.workers": workers,
        "server.allow_open": allow_open,
        "engine.store": store,
        "engine.state": state,
    }
    settings = from_environment(given)
    from apiserver.serving.serve import serve as run

    run(settings, open_page=open_page)


@main.command(short_help="Print address and access key for clients.")
@click.option("--data", envvar="TIDEMARK_DATA", show_envvar=True, metavar="FOLDER", help="Data folder.  [default: ./data]")
@click.option("--company", metavar="NAME", help="Make a new key for this company; a new name makes a new company.")
@click.option("--user", metavar="ID", help="The user it belongs to.  [default: the company's first]")
@click.option("--json", "as_json", is_flag=True, help="One JSON object with the same names, for scripts.")
def keys(data: str | None, company: str | None, user: str | None, as_json: bool) -> None:
    """Print address and access key for clients, as lines for a shell: eval "$(tidemark keys)".

    Without --company: the default user's key, created if there is none. With it: a further key, which a running server accepts at once.
    """
    settings = from_environment({"server.data": data})
    from apiserver.credentials import Credentials
    from apiserver.serving.serve import address_of, exports, running_server

    try:
        settings.data.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StartupError(f"{settings.data}: the data folder can't be written: {error.strerror}") from error
    if settings.shared_store:
        pair = _shared_keys(settings, company, user)
    else:
        credentials = Credentials(settings)
        pair = credentials.access_key, credentials.secret_key
        if company is not None:
            pair = credentials.add_key(*_user_of(settings, company, user))
    address = running_server(settings.data) or address_of(settings.server.host, settings.server.port)
    shown = exports(settings, address, *pair)
    if as_json:
        shown = json.dumps(dict(line.removeprefix("export ").split("=", 1) for line in shown.splitlines()))
    click.echo(shown)


def _shared_keys(settings: Settings, company: str | None, user: str | None) -> tuple[str, str]:
    """The same, in a store that hosts share: keys live in its registry."""
    from apiserver.bll.registry.credentials import CredentialBook
    from apiserver.bll.registry.users import ConfiguredUser, Users
    from apiserver.credentials import Credentials
    from apiserver.engine import open_engine

    engine = open_engine(settings)
    try:
        credentials = Credentials(settings, engine.registry)
        if company is None:
            return credentials.access_key, credentials.secret_key
        id, name, owner = _user_of(settings, company, user)
        users = Users(engine.registry)
        if users.identity(id, owner) is None:
            users.configure([ConfiguredUser(id, name, owner, owner, "user", listed=False)])
        made = CredentialBook(engine.registry).create(id, owner, "tidemark keys")
        return made["access_key"], made["secret_key"]
    finally:
        engine.close()


def _user_of(settings: Settings, name: str, user: str | None) -> tuple[str, str, str]:
    """Id and name of a company, and the id of one of its users. An unused name makes a new company."""
    from apiserver.bll.registry.users import company_id

    company = next((company for company in settings.auth.companies if name in (company.name, company.id)), None)
    if company is None:
        if not name or len(name) > 256 or not name.isprintable():
            raise StartupError("a company's name has 1 to 256 printable characters")
        return company_id(name), name, user or settings.auth.default_user
    ids = [item.id for item in company.users]
    return company.id, company.name, user or (ids[0] if ids else settings.auth.default_user)


add_commands(main)
add_operations(main)
add_front(main)

if __name__ == "__main__":
    main(prog_name="tidemark")
