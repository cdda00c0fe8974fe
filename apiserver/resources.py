"""The folders config/ and schema/: in a checkout they lie beside the package, in an installed package inside it (`_data`)."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from apiserver.errors import StartupError


def folder(name: str) -> Path:
    """`config` or `schema` as a folder of real files: pyhocon follows includes by path. Raises StartupError when it is missing."""
    package = resources.files("apiserver")
    if not isinstance(package, Path):
        raise StartupError(f"{package}: Tidemark can't run from an archive; install it with pip, pipx or uv")
    for place in (package / "_data" / name, package.parent / name):
        if place.is_dir():
            return place
    raise StartupError(f"{package}: the folder {name} is missing; is the installation complete?")
