"""`make sbom` names what is shipped, and `make lint` sees secrets."""

from __future__ import annotations

import importlib.util
import json
import re
from types import ModuleType

from tests.process import ROOT


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_bill_of_materials_names_every_pinned_requirement_and_library() -> None:
    bill = script("sbom").bill()
    text = (ROOT / "requirements.txt").read_text()
    pinned = set(re.findall(r"^([\w.-]+)==([^ ;\\]+)", text, re.MULTILINE))
    components = {(component["name"], component["version"]): component for component in bill["components"]}
    assert pinned and pinned <= set(components)
    assert all(components[pin]["hashes"] for pin in pinned)
    assert sum(len(component.get("hashes", ())) for component in components.values()) == text.count("--hash=sha256:")
    libraries = {component["name"] for component in bill["components"] if component["purl"].startswith("pkg:npm/")}
    assert {"preact", "uplot"} <= libraries
    json.dumps(bill)


def test_secrets_in_the_repository_are_found() -> None:
    find = script("find_secrets")
    assert find.secrets_in(b"fine\n-----BEGIN " + b"RSA PRIVATE KEY-----\n") == [2]
    assert find.secrets_in(b"token = gh" + b"p_" + b"a" * 36) == [1]
    assert find.secrets_in(b"sha256:" + b"0" * 64) == []
    assert find.main() == 0
