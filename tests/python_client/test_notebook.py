"""examples/read_back.ipynb, its cells executed one after the other in one namespace, as a notebook does."""

from __future__ import annotations

import ast
import json

import pytest

import tidemark_events
from apiserver.operations.demo import earlier_runs
from tests.conftest import StartServer
from tests.process import ROOT


def test_the_notebook_runs(start_embedded: StartServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    server = start_embedded()
    monkeypatch.setenv("TIDEMARK_URL", server.url)
    earlier_runs(tidemark_events.connect(), "demo")
    shown = []
    names: dict[str, object] = {}
    for cell in json.loads((ROOT / "examples" / "read_back.ipynb").read_text())["cells"]:
        if cell["cell_type"] == "code":
            value = execute("".join(cell["source"]), names)
            shown.append(value._repr_html_() if hasattr(value, "_repr_html_") else str(value))
    text = capsys.readouterr().out
    assert "digits, baseline" in shown[0] and any("<polyline" in one for one in shown)
    assert "2000 points in" in text and "epoch 8/8" in text and "101 points and lines" in text
    assert "confusion/test" in shown[-2]


def execute(source: str, names: dict[str, object]) -> object:
    """Run a cell; the value of its last line, if that is an expression."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), names)
    return eval(compile(ast.Expression(last.value), "cell", "eval"), names) if isinstance(last, ast.Expr) else None
