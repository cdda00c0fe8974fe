"""`make check-deploy`: the tools that read what is in deploy/ say that it is right. Needs Go, which builds helm and promtool once (minutes).

Manifests of the chart are held against Kubernetes' own schemas (strictly: no unknown fields), with the defaults and with everything switched on.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import kubernetes_validate
import yaml

ROOT = Path(__file__).resolve().parent.parent
CHART = ROOT / "deploy" / "helm" / "tidemark"
RULES = ROOT / "deploy" / "prometheus" / "tidemark.rules.yml"
UNIT = ROOT / "deploy" / "systemd" / "tidemark.service"
PROGRAMS = {"helm": "helm.sh/helm/v3/cmd/helm@v3.16.4", "promtool": "github.com/prometheus/prometheus/cmd/promtool@v0.54.1"}
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
    helm, promtool = program("helm"), program("promtool")
    run(helm, "lint", "--strict", str(CHART))
    for name, values in VARIANTS.items():
        given = [part for key, value in values.items() for part in ("--set", f"{key}={value}")]
        manifests = [one for one in yaml.safe_load_all(run(helm, "template", "tm", str(CHART), *given)) if one]
        checked = [one for one in manifests if one["kind"] not in CUSTOM]
        for version in KUBERNETES:
            for manifest in checked:
                kubernetes_validate.validate(manifest, version, strict=True)
        print(f"chart ({name}): {', '.join(one['kind'] for one in manifests)}")
    print(run(promtool, "check", "rules", str(RULES)).strip())
    if shutil.which("systemd-analyze"):
        # The program itself need not be installed here.
        unit = subprocess.run(["systemd-analyze", "verify", str(UNIT)], capture_output=True, text=True, check=False).stderr
        problems = [line for line in unit.splitlines() if "tidemark.service" in line and "is not executable" not in line]
        if problems:
            sys.exit("\n".join(problems))
        print("systemd: the unit is right")


def program(name: str) -> str:
    """The path of a program: what `go install` made before, or makes now."""
    folder = Path(os.environ.get("TIDEMARK_TEST_CACHE", Path.home() / ".cache" / "tidemark")) / "go"
    version = PROGRAMS[name].rpartition("@")[2]
    path = folder / version / name
    if not path.exists():
        print(f"go install {PROGRAMS[name]} ...", flush=True)
        subprocess.run(["go", "install", PROGRAMS[name]], env={**os.environ, "GOBIN": str(path.parent)}, check=True)
    return str(path)


def run(*command: str) -> str:
    """What a command prints; the end, with what it said, when it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout


main()
