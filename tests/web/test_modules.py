"""The page's pure modules under `node --test`, and what its program is made of. Types and style are part of `make lint`."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path

from tests.web.node import HERE, ROOT

STATIC = ROOT / "apiserver" / "web" / "static"
LAYERS = {"views": 3, "chart": 2, "ui": 1, "query": 1, "core": 0, "plots": 0, "vendor": 0}
"""Where a module may look: at its own layer and below."""


def test_pure_modules_pass_their_tests() -> None:
    node = shutil.which("node")
    assert node, "the page's checks need Node 20 or newer"
    files = sorted(str(path) for path in (HERE / "js").glob("*.test.mjs"))
    assert files
    run = subprocess.run([node, "--test", *files], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-2000:]


def test_imports_point_downwards() -> None:
    wrong = []
    for path in STATIC.rglob("*.js"):
        layer = LAYERS.get(path.relative_to(STATIC).parts[0], 9)
        for target in re.findall(r"""(?:from|import)\s*\(?["'](\.{1,2}/[^"']+)["']""", path.read_text()):
            found = (path.parent / target).resolve()
            assert found.is_file(), f"{path}: {target} does not exist"
            if LAYERS.get(found.relative_to(STATIC).parts[0], 9) > layer:
                wrong.append(f"{path.relative_to(STATIC)} imports {target}")
    assert not wrong, wrong


def test_vendored_files_are_those_that_were_checked() -> None:
    vendor = STATIC / "vendor"
    named = {}
    for package in json.loads((vendor / "VENDOR.json").read_text()).values():
        assert package["version"] and package["licence"] and package["integrity"].startswith("sha512-")
        named |= {name: file["sha256"] for name, file in package["files"].items()}
    shipped = {path.name for path in vendor.iterdir() if path.suffix in (".js", ".css")}
    assert shipped == set(named)
    for name, digest in named.items():
        assert hashlib.sha256((vendor / name).read_bytes()).hexdigest() == digest, name


def test_running_the_server_needs_no_node() -> None:
    makefile = (Path(ROOT) / "Makefile").read_text()
    for target in ("run", "$(VENV)/installed"):
        rule = re.search(rf"^{re.escape(target)}:.*\n(?:\t.*\n)*", makefile, re.MULTILINE)
        assert rule and not re.search(r"\b(node|npm|tests)\b", rule[0]), target
