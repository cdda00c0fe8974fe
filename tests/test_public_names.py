"""Tests use what is public: a private name may change without a test noticing what a user would notice."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.process import ROOT

OURS = {"self", "cls"}
NAMEDTUPLE = {"_replace", "_asdict", "_fields", "_make", "_field_defaults"}
NOTEBOOKS = {"_repr_html_", "_repr_mimebundle_"}
PROFILERS = {"_current_frames"}
"""All of these are public in spite of their names: documented by Python and Jupyter."""


def private_uses(source: str) -> Iterator[tuple[int, str]]:
    """Line and name of every private attribute of something else than the class at hand, and of every private name imported from elsewhere."""
    tree = ast.parse(source)
    own = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    own |= {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in OURS
    }
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id=name)) if name in OURS:
                continue
            case ast.Attribute(attr=name) if private(name) and name not in NAMEDTUPLE | NOTEBOOKS | PROFILERS | own:
                yield node.lineno, f".{name}"
            case ast.ImportFrom(names=names):
                yield from ((node.lineno, alias.name) for alias in names if private(alias.name))
            case ast.Call(args=[_, ast.Constant(value=str(name)), *_]) if (
                private(name)
                and name not in NOTEBOOKS
                and callee(node)
                in {
                    "setattr",
                    "getattr",
                    "delattr",
                    "hasattr",
                }
            ):
                yield node.lineno, f".{name}"


def private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def callee(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id if isinstance(node.func, ast.Name) else ""


def test_no_test_reaches_into_a_private_name() -> None:
    found = [
        f"{file.relative_to(ROOT)}:{line}: {name}"
        for file in sorted((ROOT / "tests").rglob("*.py"))
        for line, name in private_uses(file.read_text())
    ]
    assert not found, "\n".join(found)


def test_private_uses_are_seen() -> None:
    assert list(private_uses("from apiserver.x import _y\nz._idle\nmonkeypatch.setattr(a, '_b', 1)\ngetattr(a, '_c')\n")) == [
        (1, "_y"),
        (2, "._idle"),
        (3, "._b"),
        (4, "._c"),
    ]
    assert not list(private_uses("class A:\n    def f(self):\n        self._x\n        a.__class__\n        b._replace(c=1)\n"))
