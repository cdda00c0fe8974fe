"""`make check-deploy`: the tools that read what is in deploy/ say that it is right. Needs Go, which builds helm and Prometheus' parser once (minutes).

Manifests of the chart are held against Kubernetes' own schemas (strictly: no unknown fields), with the defaults and with everything switched on.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import kubernetes_validate
import yaml

ROOT = Path(__file__).resolve().parent.parent
CHART = ROOT / "deploy" / "helm" / "tidemark"
RULES = ROOT / "deploy" / "prometheus" / "tidemark.rules.yml"
UNIT = ROOT / "deploy" / "systemd" / "tidemark.service"
BOARD = ROOT / "deploy" / "grafana" / "tidemark.json"
HELM = "helm.sh/helm/v3/cmd/helm@v3.16.4"
PROMETHEUS = "github.com/prometheus/prometheus@v0.54.1"
KUBERNETES = ("1.36", "1.37")
CUSTOM = {"ServiceMonitor", "Elasticsearch"}
"""Kinds of operators, whose schemas Kubernetes does not have."""
EVERYTHING = {
    "ingress.enabled": "true",
    "ingress.className": "nginx",
    "ingress.tlsSecret": "tls",
    "networkPolicy.enabled": "true",
    "networkPolicy.from[0].podSelector.matchLabels.role": "training",
    "serviceMonitor.enabled": "true",
    "serviceMonitor.loginSecret": "metrics",
    "store.caSecret.name": "authority",
    "state.passwordSecret.name": "redis",
    "auth.keySecret": "key",
    "files.storageClass": "nfs",
    "service.type": "LoadBalancer",
}
VARIANTS: dict[str, dict[str, str]] = {
    "defaults": {},
    "everything": EVERYTHING,
    "Elasticsearch by ECK": {"eck.enabled": "true", "eck.userSecret": "login", "eck.storageClass": "fast"},
    "an existing claim, no passwords": {"files.persistentVolumeClaim": "shared", "store.passwordSecret.name": ""},
}


def main() -> None:
    helm, check_rules = build("helm", HELM), build("check_rules", PROMETHEUS)
    run(helm, "lint", "--strict", str(CHART))
    for name, values in VARIANTS.items():
        given = [part for key, value in values.items() for part in ("--set", f"{key}={value}")]
        manifests = [one for one in yaml.safe_load_all(run(helm, "template", "tm", str(CHART), *given)) if one]
        checked = [one for one in manifests if one["kind"] not in CUSTOM]
        for version in KUBERNETES:
            for manifest in checked:
                kubernetes_validate.validate(manifest, version, strict=True)
        print(f"chart ({name}): {', '.join(one['kind'] for one in manifests)}")
    expressions = [target["expr"] for panel in json.loads(BOARD.read_text())["panels"] for target in panel["targets"]]
    shown = [re.sub(r"\$__(?:rate_)?interval", "5m", re.sub(r"\s+", " ", expression)) for expression in expressions]
    print(run(check_rules, str(RULES), given="\n".join(shown)).strip())
    if shutil.which("systemd-analyze"):
        # The program itself need not be installed here.
        unit = subprocess.run(["systemd-analyze", "verify", str(UNIT)], capture_output=True, text=True, check=False).stderr
        problems = [line for line in unit.splitlines() if "tidemark.service" in line and "is not executable" not in line]
        if problems:
            sys.exit("\n".join(problems))
        print("systemd: the unit is right")


def build(name: str, module: str) -> str:
    """The path of a program: what was built before, or is built now. `helm` is one of its module, `check_rules` ours with the module's packages."""
    folder = Path(os.environ.get("TIDEMARK_TEST_CACHE", Path.home() / ".cache" / "tidemark")) / "go" / module.rpartition("@")[2]
    path = folder / name
    if path.exists():
        return str(path)
    print(f"go builds {name} with {module} ...", flush=True)
    source = ROOT / "scripts" / name / "main.go"
    if not source.exists():
        go("install", module, GOBIN=str(folder))
        return str(path)
    with tempfile.TemporaryDirectory() as place:
        shutil.copy(source, place)
        go("mod", "init", "check", cwd=place)
        go("get", module, cwd=place)
        go("mod", "tidy", cwd=place)
        go("build", "-o", str(path), ".", cwd=place)
    return str(path)


def go(*args: str, cwd: str | None = None, **env: str) -> None:
    done = subprocess.run(["go", *args], cwd=cwd, env={**os.environ, **env}, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"go {' '.join(args)}\n{done.stdout}{done.stderr}")


def run(*command: str, given: str = "") -> str:
    """What a command prints; the end, with what it said, when it fails."""
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout


main()
