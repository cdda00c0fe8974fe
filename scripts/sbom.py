"""`make sbom`: a bill of materials (CycloneDX 1.5) of what is shipped: the pinned requirements with their hashes, and the page's libraries."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^ ;\\]+)(?P<rest>(?:.*\\\n)*.*)", re.MULTILINE)
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def requirements(text: str) -> list[dict[str, Any]]:
    """The components of a requirements.txt."""
    return [
        {
            "type": "library",
            "name": pin["name"],
            "version": pin["version"],
            "purl": f"pkg:pypi/{pin['name'].lower()}@{pin['version']}",
            "bom-ref": f"pkg:pypi/{pin['name'].lower()}@{pin['version']}",
            "hashes": [{"alg": "SHA-256", "content": digest} for digest in HASH.findall(pin["rest"])],
        }
        for pin in PIN.finditer(text)
    ]


def vendored(folder: Path) -> list[dict[str, Any]]:
    """The libraries that the page brings along, as VENDOR.json lists them."""
    manifest = folder / "VENDOR.json"
    if not manifest.is_file():
        return []
    content = json.loads(manifest.read_text())
    entries = content.get("packages", content) if isinstance(content, dict) else content
    pairs = entries.items() if isinstance(entries, dict) else ((entry["name"], entry) for entry in entries)
    found = []
    for name, entry in pairs:
        version = entry if isinstance(entry, str) else entry.get("version") if isinstance(entry, dict) else None
        if version:
            purl = f"pkg:npm/{name.replace('@', '%40')}@{version}"
            found.append({"type": "library", "name": name, "version": version, "purl": purl, "bom-ref": purl})
    return found


def bill(root: Path = ROOT) -> dict[str, Any]:
    """The whole document. The same checkout gives the same bytes."""
    found = re.search(r'__version__ = "([^"]+)"', (root / "apiserver" / "__init__.py").read_text())
    assert found is not None
    own = f"pkg:pypi/tidemark-events@{found[1]}"
    components = requirements((root / "requirements.txt").read_text()) + vendored(root / "apiserver" / "web" / "static" / "vendor")
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {"type": "application", "name": "tidemark-events", "version": found[1], "purl": own, "bom-ref": own}},
        "components": components,
        "dependencies": [{"ref": own, "dependsOn": [component["bom-ref"] for component in components]}],
    }


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "dist" / "sbom.cdx.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    content = bill()
    target.write_text(json.dumps(content, indent=1) + "\n")
    print(f"{target}: {len(content['components'])} components")
