"""What `deploy/` names exists: settings, paths, files. (`helm lint` and `systemd-analyze verify` are run by hand: docs/testing.md.)"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

from apiserver import hocon
from apiserver.settings import CONFIG, SHORT
from tests.client import Client
from tests.process import ROOT

FILES = [path for path in sorted((ROOT / "deploy").rglob("*")) if path.is_file()] + [ROOT / "docker-compose.yml"]
OTHERS = {"TIDEMARK_PUBLISH", "TIDEMARK_VERSION", "TIDEMARK_CONFIG", "TIDEMARK_REPLICAS", "TIDEMARK_TLS_PEM"}
"""Variables of compose, and the one that names a file."""


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_variable_is_a_setting(path: Path) -> None:
    known = {f"TIDEMARK__{file.stem}__{key}" for file in CONFIG.glob("*.conf") for key in hocon.parse_file(file)} | set(SHORT) | OTHERS
    named = set(re.findall(r"\bTIDEMARK_\w+", path.read_text()))
    assert not [name for name in named if name not in known and name.removesuffix("_FILE") not in known]


def test_the_role_for_files_and_for_the_chart_is_the_role_for_the_api() -> None:
    role = {"tidemark": json.loads((ROOT / "deploy" / "elasticsearch" / "role.json").read_text())}
    assert yaml.safe_load((ROOT / "deploy" / "elasticsearch" / "roles.yml").read_text()) == role
    chart = (ROOT / "deploy" / "helm" / "tidemark" / "templates" / "elasticsearch.yaml").read_text()
    block = re.search(r"roles\.yml: \|\n((?: {4}.*\n)+)", chart)
    assert block is not None and yaml.safe_load(block[1]) == role


def test_the_probes_of_the_chart_are_answered(server: Client) -> None:
    text = (ROOT / "deploy" / "helm" / "tidemark" / "templates" / "deployment.yaml").read_text()
    probes = set(re.findall(r"httpGet: { path: (\S+),", text))
    assert probes == {"/healthz", "/readyz"}
    assert all(server.send("GET", path).status == 200 for path in probes)
    values = yaml.safe_load((ROOT / "deploy" / "helm" / "tidemark" / "values.yaml").read_text())
    used = set(re.findall(r"\.Values\.(\w+)", "".join(path.read_text() for path in (ROOT / "deploy" / "helm").rglob("templates/*"))))
    assert used == set(values)
