"""docs/operations.md: each command that stands there is run, here or in the test that is named here."""

from __future__ import annotations

import re
import shlex
import uuid
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

from tests.client import scalar
from tests.cluster.conftest import StartWorker
from tests.cluster.sending import Sender
from tests.cluster.test_operations import run
from tests.conftest import StartServer
from tests.process import ROOT
from tests.servers import elasticsearch_address, redis_address

PAGE = (ROOT / "docs" / "operations.md").read_text()
FAULTS, COMPOSE = "tests/cluster/test_faults.py", "tests/compose/test_compose_on_an_engine.py"
ELSEWHERE = {
    "make up": ("tests/compose/stack.py", "scripts/up.sh"),
    "docker compose run": (COMPOSE, '"backup", "/backup/one"'),
    "COMPOSE_FILE=docker-compose.yml:deploy/compose/proxy.yml": ("tests/compose/stack.py", "docker-compose.yml:deploy/compose/proxy.yml"),
    "TIDEMARK_REPLICAS=": ("tests/compose/stack.py", "TIDEMARK_REPLICAS"),
    "TIDEMARK_TLS_PEM=": (COMPOSE, "TIDEMARK_TLS_PEM"),
    "TIDEMARK__elastic__tiers=": ("tests/cluster/test_operations.py", "data_warm,data_hot"),
    "PUT /_security/role/tidemark": (FAULTS, 'role="tidemark"'),
    "PUT /_security/user/tidemark": (FAULTS, "add_user"),
    "PUT /_snapshot/tidemark ": (COMPOSE, '"_snapshot/tidemark"'),
    "PUT /_snapshot/tidemark/": (COMPOSE, '"_snapshot/tidemark/one'),
    "OTEL_": ("tests/operations/test_tracing.py", "OTEL_EXPORTER_OTLP_ENDPOINT"),
}
"""How a line begins, the file of the test that does the same, and what shows that it does."""


def blocks() -> list[list[str]]:
    """The indented blocks of the page, line by line."""
    found: list[list[str]] = [[]]
    for line in PAGE.splitlines():
        if line.startswith("    "):
            found[-1].append(line[4:])
        elif found[-1]:
            found.append([])
    return [block for block in found if block]


def test_every_line_is_run_somewhere() -> None:
    commands = [line for block in blocks() if not block[0].startswith("scrape_configs") for line in block]
    assert len(commands) > 20
    for line in commands:
        if re.match(r"(?:[A-Z_]+=\S+ )*tidemark ", line):
            continue  # by the test below
        [(file, proof)] = [where for start, where in ELSEWHERE.items() if line.startswith(start)]
        assert proof in (ROOT / file).read_text(), line


def test_the_scrape_configuration_is_one() -> None:
    [block] = [block for block in blocks() if block[0].startswith("scrape_configs")]
    [job] = yaml.safe_load("\n".join(block))["scrape_configs"]
    assert job["static_configs"] and set(job["basic_auth"]) == {"username", "password_file"}


def test_every_command_of_tidemark_does_what_it_says(
    start_worker: StartWorker, start_embedded: StartServer, tmp_path: Path, prefix: str
) -> None:
    """In the order of the page: on a cluster, but for what begins on one machine."""
    state = f"{redis_address()}?prefix={prefix}"
    worker = start_worker(f"{elasticsearch_address()}?prefix={prefix}", state)
    sender = Sender([worker.client()])
    sender.send(0)
    embedded = start_embedded()
    embedded.client().add_batch([scalar("moved", iter=1)])
    cluster = {"TIDEMARK_STORE": f"{elasticsearch_address()}?prefix={prefix}", "TIDEMARK_STATE": state, "TIDEMARK_DATA": str(worker.data)}
    one_machine = {"TIDEMARK_DATA": str(embedded.data)}
    seen: list[str] = []
    for line in [line for block in blocks() for line in block if "tidemark " in line and re.match(r"(?:[A-Z_]+=\S+ )*tidemark ", line)]:
        here = {
            "/backup": f"{tmp_path}/backup",
            "/var/lib": f"{tmp_path}",
            "sqlite:///data": f"sqlite:///{embedded.data}",
            "sqlite:///new": f"sqlite:///{tmp_path}/new",
            "--from-data data": f"--from-data {embedded.data}",
            "--to-data new": f"--to-data {tmp_path}/{uuid.uuid4().hex}",
            "http://es:9200": f"{elasticsearch_address()}?prefix={prefix}-copied",
            "redis://redis:6379/0": f"{redis_address()}?prefix={prefix}-copied",
        }
        for there, place in here.items():
            line = line.replace(there, place)
        words = shlex.split(line)
        given = dict(word.split("=", 1) for word in words[: words.index("tidemark")])
        command = words[words.index("tidemark") + 1 :]
        env = one_machine if command[-1].endswith("move") else cluster
        if command[0] == "restore":  # into another installation, which is empty
            store = f"{elasticsearch_address()}?prefix={prefix}-{uuid.uuid4().hex[:6]}"
            env = {"TIDEMARK_STATE": state, "TIDEMARK_DATA": str(tmp_path / uuid.uuid4().hex), **given, "TIDEMARK_STORE": store}
        done = run(*command, **env)
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        seen.append(command[0])
    assert set(seen) == {"retention", "compact", "backup", "restore", "copy"}
    sender.check(worker.client())


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda path: path.name)
def test_commands_and_options_that_pages_name_exist(page: Path) -> None:
    from apiserver.__main__ import main

    for text in re.findall(r"`tidemark ([a-z]+(?: [^`\n]*)?)`", page.read_text()):
        words = text.split()
        command = main.commands.get(words[0])
        assert command is not None, f"{page.name}: tidemark {text}"
        options = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)} | {"--help"}
        unknown = [word.partition("=")[0] for word in words[1:] if word.startswith("--") and word.partition("=")[0] not in options]
        below = getattr(command, "commands", {})
        assert not unknown or below, f"{page.name}: tidemark {text}: {unknown}"
