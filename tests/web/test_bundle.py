"""The bundles that the server makes of the page's modules: they mean the same as the modules, and all of the page's can be made."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from apiserver.web.assets import Assets
from apiserver.web.bundle import Bundler
from apiserver.web.face import BUNDLES, STATIC

MODULES = {
    "app.js": """
import { h as element, list } from "./core/a.js";
import Default, { other } from "./core/b.js";
import * as all from "./core/b.js";
export const told = [element(), list, Default(), other, Object.keys(all).sort().join(" ")];
export const later = () => import("./views/late.js");
globalThis.app = { told, later };
""",
    "core/a.js": """// A comment, and a text that looks like one.
/** @returns {number} */
export function h() {
  return "// no comment".length + inner; // hoisted
}
const inner = /** @type {number} */ (1);
export { list, Kind as Sort } from "./c.js";
""",
    "core/b.js": """export * from "./c.js";
export default () => "default";
export const other = new URL("../x.css", import.meta.url).href.endsWith("/x.css");
""",
    "core/c.js": """globalThis.runs = (globalThis.runs ?? 0) + 1;
export const list = ["c"];
export class Kind {}
""",
    "core/style.js": """const loaded = [];
export async function loadStyle(name) {
  loaded.push(name);
}
globalThis.loaded = loaded;
""",
    "views/late.js": """import { loadStyle } from "../core/style.js";
import { list } from "../core/c.js";

await loadStyle("late");
export default function Late() {
  return list;
}
""",
}
RUN = """import "./bundle/app.js";
const { told, later } = globalThis.app;
const [late, again] = [await later(), await later()];
console.log(JSON.stringify({ told, same: late === again, shared: late.default() === told[1], runs: globalThis.runs, loaded: globalThis.loaded }));
"""


def test_a_bundle_does_what_its_modules_do_and_a_chunk_brings_only_what_is_new(tmp_path: Path) -> None:
    bundler = Bundler(MODULES.__getitem__)
    chunk = bundler.chunk("views/late.js", "app.js")
    assert "globalThis.runs" not in chunk
    files = {"bundle/app.js": bundler.bundle("app.js"), "chunk/views/late.js": chunk, "run.js": RUN, "package.json": '{"type": "module"}'}
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    node = shutil.which("node")
    assert node, "the page's checks need Node 20 or newer"
    run = subprocess.run([node, "run.js"], cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout) == {
        "told": [14, ["c"], "default", True, "Kind default list other"],
        "same": True,
        "shared": True,
        "runs": 1,
        "loaded": ["late", "late"],
    }


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("export let count = 0;\n", "a bundle can't hold 'export let"),
        ("const answer = 1;\nawait answer;\n", "a bundle can't hold 'await answer"),
        ('import { told } from "../app.js";\nexport const again = told;\n', "app.js > core/c.js > app.js"),
    ],
)
def test_what_a_bundle_would_change_is_refused(text: str, reason: str) -> None:
    modules = {**MODULES, "app.js": 'import { list } from "./core/c.js";\n', "core/c.js": text}
    with pytest.raises(ValueError) as raised:
        Bundler(modules.__getitem__).bundle("app.js")
    assert reason in str(raised.value)


def test_every_program_and_every_view_of_the_page_can_be_bundled() -> None:
    assets = Assets(STATIC, BUNDLES)
    bundler = Bundler(lambda name: (STATIC / name).read_text())
    later = {target for name in bundler.reachable("app.js") for target in bundler.module(name).dynamic}
    assert {"views/runs.js", "views/charts.js", "views/group-charts.js"} <= later
    for target in later:
        assert assets.get(f"chunk/{target}") is not None, target
    for bundle in BUNDLES:
        for name in (f"bundle/{bundle}.js", f"bundle/{bundle}.css"):
            assert f"/{name}" in assets.shell(bundle).body.decode() and assets.get(name) is not None, name
    for nothing in ("bundle/nope.js", "bundle/run-charts.html", "chunk/plots/frame.js", "chunk/../app.js", "bundle/"):
        assert assets.get(nothing) is None, nothing
