"""The files of the page: read once, hashed, compressed once, kept in memory.

The hash over all files is a part of every file's path. Relative imports carry it along, so a browser may keep files for ever and never mixes two
versions.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import brotli
from flask import Response
from werkzeug.datastructures import Accept

from apiserver.errors import StartupError

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".woff2": "font/woff2",
    ".txt": "text/plain; charset=utf-8",
}
"""What is served. Other files (types for the checker, notes on the vendored libraries) are for developers."""

COMPRESSED = {".html", ".js", ".css", ".svg", ".txt"}
EAGER = 200_000
"""Files up to this many bytes are compressed at start; the plotting libraries when they are first asked for."""
IMPORTS = re.compile(r"""^(?:import|export)\b[^;"']*["'](\.{1,2}/[^"']+)["']""", re.MULTILINE)
STYLES = re.compile(r"""loadStyle\("([a-z]+)"\)""")


@dataclass(slots=True)
class Asset:
    """A file with its bodies by content encoding."""

    content_type: str
    body: bytes
    compress: bool
    packed: dict[str, bytes] = field(default_factory=dict)

    def encoded(self, encoding: str) -> bytes:
        """The body as `br` or `gzip`, made once."""
        if encoding not in self.packed:
            small = len(self.body) <= EAGER
            if encoding == "br":
                self.packed[encoding] = brotli.compress(self.body, mode=brotli.MODE_TEXT, quality=9 if small else 5)
            else:
                self.packed[encoding] = gzip.compress(self.body, 9 if small else 6, mtime=0)
        return self.packed[encoding]

    def answer(self, accepted: Accept, headers: Mapping[str, str]) -> Response:
        """200 in the best encoding that the client accepts."""
        body, encoding = self.body, ""
        if self.compress:
            encoding = accepted.best_match(("br", "gzip")) or ""
            body = self.encoded(encoding) if encoding else body
        response = Response(body, content_type=self.content_type, headers=dict(headers))
        if self.compress:
            response.vary.add("Accept-Encoding")
        if encoding:
            response.headers["Content-Encoding"] = encoding
        return response


class Assets:
    """All files below `folder`, and `version`: the first 12 digits of the SHA-256 over their paths and contents."""

    def __init__(self, folder: Path) -> None:
        digest = hashlib.sha256()
        self._files: dict[str, Asset] = {}
        self._imports: dict[str, list[str]] = {}
        for path in sorted(folder.rglob("*")):
            if not path.is_file() or path.suffix not in TYPES or path.name.endswith(".d.ts"):
                continue
            name, body = path.relative_to(folder).as_posix(), path.read_bytes()
            digest.update(b"%d %s %d " % (len(name), name.encode(), len(body)) + body)
            self._files[name] = Asset(TYPES[path.suffix], body, path.suffix in COMPRESSED)
        for needed in ("index.html", "app.js"):
            if needed not in self._files:
                raise StartupError(f"{folder}: {needed} is missing; is the installation complete?")
        self.version = digest.hexdigest()[:12]

    def get(self, name: str) -> Asset | None:
        """A file by its path below the folder."""
        return self._files.get(name)

    def shell(self, *views: str) -> Asset:
        """index.html with the version in its addresses, and with everything that the first paint of these views needs as preloads: modules that import each
        other are not asked for one after the other."""
        modules = list(self._graph("app.js", *(view for view in views if view in self._files)))
        styles = dict.fromkeys(name for module in modules for name in STYLES.findall(self._files[module].body.decode()))
        links = [f'<link rel="preload" as="style" href="/ui/{self.version}/style/{name}.css">' for name in styles]
        links += [f'<link rel="modulepreload" href="/ui/{self.version}/{name}">' for name in modules]
        text = self._files["index.html"].body.decode()
        text = text.replace("<!-- modules -->", "\n".join(links)).replace("{{ui}}", f"/ui/{self.version}")
        return Asset(TYPES[".html"], text.encode(), True)

    def _graph(self, *start: str) -> Iterator[str]:
        """Modules and what they import statically, each once, nearest first."""
        found = dict.fromkeys(start)
        waiting = list(found)
        for name in waiting:
            yield name
            new = [path for path in self._imported(name) if path not in found]
            found |= dict.fromkeys(new)
            waiting += new

    def _imported(self, name: str) -> list[str]:
        """What a module imports statically; read once, because every shell asks for most modules."""
        if name not in self._imports:
            paths = (_normal(Path(name).parent / target) for target in IMPORTS.findall(self._files[name].body.decode()))
            self._imports[name] = [path for path in dict.fromkeys(paths) if path in self._files]
        return self._imports[name]


def _normal(path: Path) -> str:
    parts: list[str] = []
    for part in path.as_posix().split("/"):
        if part == "..":
            parts.pop()
        elif part not in (".", ""):
            parts.append(part)
    return "/".join(parts)
