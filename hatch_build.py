"""The wheel's build step: schemas and configuration go in compiled too, so that the first start of an installed server reads JSON.

Compiling takes seconds, and a container with a read-only root has no cache of its own. The files' names are hashes of the texts
(`apiserver/hocon.py`): whoever changes an installed text gets it compiled anew, never a stale one.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CompiledSchemas(BuildHookInterface):  # type: ignore[type-arg]
    """Adds `apiserver/_data/compiled/` to a wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile into a temporary folder that lives as long as the build. An editable install reads the checkout and needs none."""
        if version == "editable":
            return
        self.folder = tempfile.TemporaryDirectory()
        root = Path(self.root)
        sys.path.insert(0, str(root))
        try:
            from apiserver import hocon
            from apiserver.service_repo.schema import SchemaSet

            SchemaSet(root / "schema" / "services", Path(self.folder.name))
            hocon.parse_folder(root / "config", Path(self.folder.name))
        finally:
            sys.path.remove(str(root))
        build_data["force_include"][self.folder.name] = "apiserver/_data/compiled"
