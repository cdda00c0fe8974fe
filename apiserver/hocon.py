"""HOCON files read into plain dicts, with a cache: pyhocon takes up to a second for one service's schema.

The cache key is a hash of the texts, so a stale entry can't be read; a folder that can't be written means parsing again, nothing worse.
A wheel brings what its own texts compile to (`hatch_build.py`), so that the first start of an installed server parses nothing.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from apiserver.errors import StartupError

FORMAT = 4
"""Raised when what is cached changes its shape."""

SHIPPED = Path(__file__).parent / "_data" / "compiled"
"""Cache entries that came with the package; in a checkout there are none."""

Plain = dict[str, Any]


def cache_folder(env: Mapping[str, str] | None = None) -> Path | None:
    """Where compiled files are kept: TIDEMARK_CACHE, else the user's cache folder; None when neither can be written."""
    env = os.environ if env is None else env
    if env.get("TIDEMARK_CACHE"):
        folder = Path(env["TIDEMARK_CACHE"])
    elif env.get("XDG_CACHE_HOME") or env.get("HOME"):
        folder = Path(env.get("XDG_CACHE_HOME") or Path(env["HOME"]) / ".cache") / "tidemark"
    else:
        return None
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError:
        return None
    # Compiled schemas decide what is let in: a folder that others may write to is not ours to trust.
    ours = folder.stat().st_uid == os.getuid() and not folder.stat().st_mode & 0o022
    return folder if ours and os.access(folder, os.W_OK) else None


def digest(texts: Iterable[bytes]) -> str:
    """One name for these texts (order matters)."""
    whole = hashlib.sha256(b"tidemark %d" % FORMAT)
    for text in texts:
        whole.update(b"%d:" % len(text) + text)
    return whole.hexdigest()[:40]


def cached(folder: Path | None, name: str, key: str, build: Callable[[], Plain]) -> Plain:
    """`build()`, or what it gave for this key before. Safe when several processes start at once: files appear whole."""
    file = f"{name}-{key}.json"
    for place in (SHIPPED, folder):
        found = _read(place / file) if place else None
        if found is not None:
            return found
    built = build()
    if folder is not None:
        try:
            with tempfile.NamedTemporaryFile("w", dir=folder, delete=False) as draft:
                json.dump(built, draft)
            Path(draft.name).replace(folder / file)
        except OSError:
            pass
    return built


def _read(path: Path) -> Plain | None:
    """A cache entry; None when it is not there yet or damaged: then it is built again."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def parse_folder(folder: Path, cache: Path | None) -> dict[str, Plain]:
    """The .conf files of a folder by their names without ending. Raises StartupError when there are none."""
    files = sorted(folder.glob("*.conf"))
    if not files:
        raise StartupError(f"{folder}: no configuration files; is the installation complete?")
    key = digest([text for path in files for text in (path.name.encode(), path.read_bytes())])
    return cached(cache, folder.name, key, lambda: {path.stem: parse_file(path) for path in files})


def parse_file(path: Path) -> Plain:
    """A HOCON file with its includes and substitutions, as dicts, lists and scalars. Errors name the file."""
    return _parse(str(path), lambda factory: factory.parse_file(str(path)))


def parse_text(text: str, origin: str) -> Plain:
    """HOCON text; `origin` names it in errors."""
    return _parse(origin, lambda factory: factory.parse_string(text))


def _parse(origin: str, read: Callable[[Any], Any]) -> Plain:
    from pyhocon import ConfigFactory, ConfigTree  # here: it costs 0.2 s and 24 MB, and the cache makes it needless

    logging.getLogger("pyhocon").setLevel(logging.ERROR)
    try:
        tree = read(ConfigFactory)
    except Exception as error:  # pyhocon lets its parser's exceptions through
        reason = " ".join(str(error).split())[:300]
        raise StartupError(f"{origin}: not valid HOCON: {reason}") from error
    if not isinstance(tree, ConfigTree):
        raise StartupError(f"{origin}: an object with keys is needed, not a list")
    return dict(tree.as_plain_ordered_dict())
