"""The files of the page, read, hashed and compressed once and kept in memory, and their bundles (`bundle.py`), made at the first request.

The hash over all files is part of every file's path, and relative imports keep it. So browsers may cache files for ever and never mix two
versions.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from posixpath import join, normpath

import brotli
from flask import Response
from werkzeug.datastructures import Accept

from apiserver.errors import StartupError
from apiserver.web import bundle as bundler
from apiserver.web.bundle import Bundler

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".woff2": "font/woff2",
    ".txt": "text/plain; charset=utf-8",
}
"""Only these are served. Other files (types for the checker, notes on the vendored libraries) are for developers."""

LARGE = 200_000
"""Larger files (the plotting libraries) are read at the first request."""
MANIFEST = "vendor/VENDOR.json"
"""The SHA-256 of each library's files, so that large ones need not be read for the version."""
COMPRESSED = {".html", ".js", ".css", ".svg", ".txt"}
PROGRAM = "app.js"
START = "start.js"
"""A classic script: runs before the first paint and before the modules."""
STYLES = ("base", "shell")
"""Style sheets that every view needs."""


@dataclass(slots=True)
class Asset:
    """A file with its bodies by content encoding."""

    content_type: str
    body: bytes
    compress: bool
    packed: dict[str, bytes] = field(default_factory=dict)

    def encoded(self, encoding: str) -> bytes:
        """The body compressed as `br` or `gzip`; compressed once."""
        if encoding not in self.packed:
            # Quality 9 takes five times as long as 5 and saves 2 %; the first reader waits for it.
            if encoding == "br":
                self.packed[encoding] = brotli.compress(self.body, mode=brotli.MODE_TEXT, quality=5)
            else:
                self.packed[encoding] = gzip.compress(self.body, 6, mtime=0)
        return self.packed[encoding]

    def answer(self, accepted: Accept, headers: Mapping[str, str]) -> Response:
        """A 200 response in the best encoding that the client accepts."""
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
    """All files below `folder`. `version` is the first 12 hex digits of the SHA-256 over their paths, their contents (of large ones their SHA-256) and
    the bundler.

    `bundles`: the modules of each bundle beside the program, by the bundle's name.
    """

    def __init__(self, folder: Path, bundles: Mapping[str, tuple[str, ...]]) -> None:
        digest = hashlib.sha256(Path(bundler.__file__).read_bytes())
        self._files: dict[str, Asset] = {}
        self._large: dict[str, tuple[Path, bytes]] = {}
        known = _library_digests(folder)
        for path in sorted(folder.rglob("*")):
            if path.suffix not in TYPES or path.name.endswith(".d.ts"):
                continue
            name = path.relative_to(folder).as_posix()
            if path.stat().st_size > LARGE:
                content = known.get(name) or hashlib.sha256(path.read_bytes()).digest()
                self._large[name] = path, content
            else:
                content = path.read_bytes()
                self._files[name] = Asset(TYPES[path.suffix], content, path.suffix in COMPRESSED)
            digest.update(b"%d %s %d " % (len(name), name.encode(), len(content)) + content)
        for needed in ("index.html", PROGRAM, START):
            if needed not in self._files:
                raise StartupError(f"{folder}: {needed} is missing; is the installation complete?")
        self.version = digest.hexdigest()[:12]
        self._bundler = Bundler(self._text)
        self._bundles = bundles
        self._shells: dict[str, Asset] = {}

    def get(self, name: str) -> Asset | None:
        """A file by its path below the folder, `bundle/start.js`, `bundle/<name>.js` or `.css`, or `chunk/<module>`."""
        if name not in self._files and (made := self._made(name)):
            self._files[name] = made
        return self._files.get(name)

    def shell(self, bundle: str) -> Asset:
        """index.html with versioned URLs, and with the script and the style sheet of one bundle."""
        if bundle not in self._shells:
            at = f"/ui/{self.version}"
            links = (
                f'<link rel="stylesheet" href="{at}/bundle/{bundle}.css" data-styles="{" ".join(self._styles(bundle))}">\n'
                f'<script type="module" src="{at}/bundle/{bundle}.js"></script>'
            )
            text = self._text("index.html").replace("<!-- program -->", links).replace("{{ui}}", at)
            self._shells[bundle] = Asset(TYPES[".html"], text.encode(), True)
        return self._shells[bundle]

    def _made(self, name: str) -> Asset | None:
        """A large file, a bundle or a chunk. None for an unknown name, and for a large file whose SHA-256 is another one."""
        if name in self._large:
            path, digest = self._large[name]
            body = path.read_bytes() if path.is_file() else b""
            return Asset(TYPES[path.suffix], body, path.suffix in COMPRESSED) if hashlib.sha256(body).digest() == digest else None
        kind, _, rest = name.partition("/")
        bundle, dot, suffix = rest.rpartition(".")
        if kind == "chunk" and rest in self._bundler.reachable(PROGRAM):
            text = self._bundler.chunk(rest, PROGRAM)
        elif name == f"bundle/{START}":
            text = self._bundler.script(START)
        elif kind == "bundle" and bundle in self._bundles and suffix == "js":
            text = self._bundler.bundle(PROGRAM, *self._bundles[bundle])
        elif kind == "bundle" and bundle in self._bundles and suffix == "css":
            text = "\n".join(self._text(normpath(join("style", f"{style}.css"))) for style in self._styles(bundle))
        else:
            return None
        return Asset(TYPES[dot + suffix], text.encode(), True)

    def _styles(self, bundle: str) -> list[str]:
        return [*STYLES, *self._bundler.styles(PROGRAM, *self._bundles[bundle])]

    def _text(self, name: str) -> str:
        return self._files[name].body.decode()


def _library_digests(folder: Path) -> dict[str, bytes]:
    """The SHA-256 of the libraries' files by path, as the manifest has them."""
    manifest = folder / MANIFEST
    packages = json.loads(manifest.read_bytes()).values() if manifest.is_file() else ()
    return {f"vendor/{name}": bytes.fromhex(file["sha256"]) for package in packages for name, file in package["files"].items()}
