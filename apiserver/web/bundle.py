"""Bundles ES modules of the page into one file. Loading sixty modules one by one would delay the first figures by a second.

A module becomes a function, whose imports read the exports of modules that ran before. Only `import` and `export` statements and comments are
rewritten, so the code that runs is the code that was reviewed. There is no build step: a checkout serves the same bytes as a wheel.

Modules must not import each other in a cycle and may export functions, classes and constants only; anything else raises ValueError
(tests/web/test_bundle.py).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from posixpath import dirname, join, normpath

_COMMENT = re.compile(r"[ \t]*/\*\*.*?\*/(?: (?=[(\w]))?|^[ \t]*//[^\n]*\n", re.DOTALL | re.MULTILINE)
_IMPORT = re.compile(r"""^import\s*([^"';]+?)\s*from\s*["'](\.[^"']+)["'];?""", re.MULTILINE)
_FORWARD = re.compile(r"""^export (\*|\{[^}]*\}) from ["'](\.[^"']+)["'];?""", re.MULTILINE)
_DECLARED = re.compile(r"^export (default )?((?:async )?function\*?|class|const)(?: (\w+))?", re.MULTILINE)
_DEFAULT = re.compile(r"^export default ", re.MULTILINE)
_LIST = re.compile(r"export\s*\{([^}]*)\};?")
_DYNAMIC = re.compile(r"""\bimport\(["'](\.[^"']+)["']\)""")
_STYLES = re.compile(r"^await (?:Promise\.all\(\[)?loadStyle\([^\n]*\n", re.MULTILINE)
_STYLE = re.compile(r'loadStyle\("([^"]+)"\)')
_LEFT = re.compile(r"^(?:import|export|await)\b[^\n]*|import\.meta", re.MULTILINE)

_STYLE_LOADER = "core/style.js"
"""Part of every bundle: `$load` uses it to load a view's style sheets with its modules."""
_PRELUDE = """const $known = new Map(), $made = new Map();
const $define = (name, make) => { if (!$known.has(name)) $known.set(name, make); };
const $get = (name) => {
  let exports = $made.get(name);
  if (!exports) {
    $known.get(name)(exports = {}, $get, $load, new URL(`../${name}`, import.meta.url).href);
    $made.set(name, exports);
  }
  return exports;
};
const $load = async (name) => {
  const styles = ($styles[name] ?? []).map($get("core/style.js").loadStyle);
  const code = $known.has(name) ? null : import(new URL(`../chunk/${name}`, import.meta.url).href).then((chunk) => chunk.default($define));
  await Promise.all([code, ...styles]);
  return $get(name);
};
"""


_PRELUDE_OF_SCRIPT = """const $known = new Map(), $made = new Map();
const $define = (name, make) => $known.set(name, make);
const $get = (name) => {
  if (!$made.has(name)) $known.get(name)($made.set(name, {}).get(name), $get);
  return $made.get(name);
};
"""


@dataclass(frozen=True, slots=True)
class Module:
    """A module's rewritten text (the body of a function), its static and dynamic imports, and its style sheets."""

    text: str
    imports: tuple[str, ...]
    dynamic: tuple[str, ...]
    styles: tuple[str, ...]


class Bundler:
    """Makes bundles of modules; `read` returns a module's text by its path. Everything raises ValueError for unsupported code and for cycles."""

    def __init__(self, read: Callable[[str], str]) -> None:
        self._read = read
        self.module = cache(self._module)

    def bundle(self, *entries: str) -> str:
        """A script with the modules of all entries; runs the first entry. Dynamic imports load `chunk`s."""
        names = self.order(*entries, _STYLE_LOADER)
        styles = {target: self.styles(target) for name in self.reachable(*entries) for target in self.module(name).dynamic}
        return f"const $styles = {json.dumps(styles)};\n{_PRELUDE}{self._defined(names)}$get({json.dumps(entries[0])});\n"

    def script(self, entry: str) -> str:
        """An entry and its imports as a classic script. Dynamic imports are not possible in it."""
        return f"(() => {{\n{_PRELUDE_OF_SCRIPT}{self._defined(self.order(entry))}$get({json.dumps(entry)});\n}})();\n"

    def chunk(self, entry: str, without: str) -> str:
        """The modules of an entry that the bundle of `without` lacks. A module that is loaded already is not defined a second time."""
        there = set(self.order(without, _STYLE_LOADER))
        return f"export default ($define) => {{\n{self._defined(name for name in self.order(entry) if name not in there)}}};\n"

    def styles(self, *entries: str) -> list[str]:
        """The style sheets of the entries, in cascade order."""
        return list(dict.fromkeys(style for name in self.order(*entries) for style in self.module(name).styles))

    def order(self, *entries: str) -> list[str]:
        """The modules that the entries import statically, dependencies first. Raises ValueError for a cycle."""
        done: dict[str, bool] = {}
        for entry in entries:
            self._visit(entry, done, ())
        return list(done)

    def reachable(self, *entries: str) -> list[str]:
        """The modules that the entries import statically or dynamically, in no particular order."""
        found = list(dict.fromkeys(entries))
        for name in found:
            module = self.module(name)
            found += [target for target in (*module.imports, *module.dynamic) if target not in found]
        return found

    def _visit(self, name: str, done: dict[str, bool], path: tuple[str, ...]) -> None:
        if name in path:
            raise ValueError(f"modules import each other in a circle: {' > '.join((*path, name))}")
        if name in done:
            return
        for target in self.module(name).imports:
            self._visit(target, done, (*path, name))
        done[name] = True

    def _defined(self, names: Iterable[str]) -> str:
        # In parentheses, V8 compiles a function eagerly instead of pre-parsing it first.
        return "".join(
            f"$define({json.dumps(name)}, (function ($exports, $get, $load, $url) {{\n{self.module(name).text}}}));\n" for name in names
        )

    def _module(self, name: str) -> Module:
        text = self._read(name)
        if not name.startswith("vendor/"):
            text = _COMMENT.sub("", text)
        imports: list[str] = []
        exports: dict[str, str] = {}
        forwards: list[str] = []
        dynamic: list[str] = []
        styles: list[str] = []

        def target(path: str) -> str:
            return normpath(join(dirname(name), path))

        def imported(match: re.Match[str]) -> str:
            imports.append(target(match[2]))
            return "".join(f"const {names} = {source};" for names, source in _bindings(match[1], f"$get({json.dumps(imports[-1])})"))

        def forwarded(match: re.Match[str]) -> str:
            imports.append(target(match[2]))
            source = f"$get({json.dumps(imports[-1])})"
            if match[1] == "*":
                forwards.append(source)
            else:
                forwards.extend(f"{{ {json.dumps(public)}: {source}.{given} }}" for given, public in _pairs(match[1][1:-1]))
            return ""

        def declared(match: re.Match[str]) -> str:
            default, kind, known = match.groups()
            if not known and not default:
                raise ValueError(f"{name}: {match[0]!r} exports no name")
            exports["default" if default else known] = known or "$default"
            return f"{kind} {known}" if known else f"const $default = {kind}"

        def listed(match: re.Match[str]) -> str:
            exports.update((public, local) for local, public in _pairs(match[1]))
            return ""

        def loaded(match: re.Match[str]) -> str:
            dynamic.append(target(match[1]))
            return f"$load({json.dumps(dynamic[-1])})"

        def styled(match: re.Match[str]) -> str:
            styles.extend(_STYLE.findall(match[0]))
            return ""

        def defaulted(match: re.Match[str]) -> str:
            exports["default"] = "$default"
            return "const $default = "

        for pattern, change in (
            (_IMPORT, imported), (_FORWARD, forwarded), (_DECLARED, declared), (_DEFAULT, defaulted), (_LIST, listed), (_DYNAMIC, loaded), (_STYLES, styled),
        ):  # fmt: skip
            text = pattern.sub(change, text)
        text = text.replace("import.meta.url", "$url").strip()
        if left := _LEFT.search(text):
            raise ValueError(f"{name}: a bundle can't hold {left[0][:100]!r}")
        own = ", ".join(f"{json.dumps(public)}: {local}" for public, local in exports.items())
        text += f"\nObject.assign($exports, {', '.join((*forwards, f'{{ {own} }}'))});\n"
        return Module(text, tuple(imports), tuple(dynamic), tuple(styles))


def _pairs(names: str) -> Iterator[tuple[str, str]]:
    """`a, b as c`: (a, a), (b, c)."""
    for part in names.split(","):
        if part.strip():
            given, _, other = part.strip().partition(" as ")
            yield given, other or given


def _bindings(clause: str, source: str) -> Iterator[tuple[str, str]]:
    """The declarations for an import clause (`a, { b, c as d }`, `* as e`): pairs of a binding pattern and the expression that it reads."""
    listed = re.search(r"\{([^}]*)\}", clause)
    if listed:
        yield f"{{ {', '.join(f'{given}: {local}' for given, local in _pairs(listed[1]))} }}", source
    for part in re.sub(r"\{[^}]*\}", "", clause).split(","):
        if part.strip().startswith("* as "):
            yield part.strip()[5:], source
        elif part.strip():
            yield part.strip(), f"{source}.default"
