"""Fetch the page's libraries from the npm registry, compare their integrity, and write them to apiserver/web/static/vendor.

`make vendor` after a version was changed below. Only developers need npm; the files are in git. `VENDOR.json` says of each file which package,
version and licence it comes from, the integrity that npm published, and its own SHA-256, which a test compares.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

VENDOR = Path(__file__).resolve().parent.parent / "apiserver" / "web" / "static" / "vendor"

PACKAGES = {
    "preact": ("11.2.0", "sha512-/HfHI/7N84e6GrWBJ3J280z3mLaRJiDcSvj/A+y/4AbLnND/1UlGHe1sR6oYuTGwId0nP7dqDU9OnLxMPZ7xBg=="),
    "@preact/signals-core": ("1.14.5", "sha512-vcRv7Ityz5JVmeiVqIluLFzT/PDS/AlhHUpw3/aUWqcVUs6bDGIPXE/6RSC4evBNWYvnniozg5Syfj33al3gkg=="),
    "uplot": ("1.6.32", "sha512-KIMVnG68zvu5XXUbC4LQEPnhwOxBuLyW1AHtpm6IKTXImkbLgkMy+jabjLgSLMasNuGGzQm/ep3tOkyTxpiQIw=="),
    "plotly.js-cartesian-dist-min": (
        "4.1.1",
        "sha512-o8GrFeusncwBIxbBynRJpY4pkgVB6caM+JLpwrLYbbsO7dZ8FJ+SVN2Fr+L7kiG/Z6w4P5O0Jus/Qr5EefHVeg==",
    ),
    "plotly.js-strict-dist-min": (
        "4.1.1",
        "sha512-/M2gRAF8LeqafKIO/bUU+DQk7RlonVbwpPb2G/jZsfqCl/DttBfvF+wQfZ6vT9y9EKy47eDI/zfIWC/uA1L6TQ==",
    ),
}
"""Version and the integrity that the registry published for it."""

FILES = {
    "preact.js": ("preact", "dist/preact.mjs"),
    "hooks.js": ("preact", "hooks/dist/hooks.mjs"),
    "signals.js": ("@preact/signals-core", "dist/signals-core.mjs"),
    "uplot.js": ("uplot", "dist/uPlot.iife.min.js"),
    "uplot.css": ("uplot", "dist/uPlot.min.css"),
    "plotly-cartesian.js": ("plotly.js-cartesian-dist-min", "plotly-cartesian.min.js"),
    "plotly-strict.js": ("plotly.js-strict-dist-min", "plotly-strict.min.js"),
}


def adapted(name: str, text: str) -> str:
    """The changes that a browser without import maps needs: paths instead of bare names, an export, no source map address."""
    lines = [line for line in text.splitlines() if not line.startswith("//# sourceMappingURL=")]
    text = "\n".join(lines).rsplit("//# sourceMappingURL=", 1)[0].rstrip() + "\n"
    if name == "hooks.js":
        changed = text.replace('from"preact"', 'from"./preact.js"')
        if changed == text:
            raise SystemExit("hooks.js: the import of preact was not found")
        return changed
    return text + "export default uPlot;\n" if name == "uplot.js" else text


def fetch(package: str, version: str, integrity: str, folder: Path) -> tarfile.TarFile:
    """The package as npm packs it. Ends the program when its integrity is another one."""
    packed = subprocess.run(["npm", "pack", "--silent", f"{package}@{version}"], cwd=folder, check=True, capture_output=True, text=True)
    body = (folder / packed.stdout.strip().splitlines()[-1]).read_bytes()
    found = "sha512-" + base64.b64encode(hashlib.sha512(body).digest()).decode()
    if found != integrity:
        raise SystemExit(f"{package}@{version}: integrity is {found}, expected {integrity}")
    return tarfile.open(fileobj=io.BytesIO(body))


def main() -> None:
    VENDOR.mkdir(parents=True, exist_ok=True)
    notes: dict[str, object] = {}
    licences: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        for package, (version, integrity) in PACKAGES.items():
            archive = fetch(package, version, integrity, Path(folder))

            def read(path: str, archive: tarfile.TarFile = archive) -> bytes:
                member = archive.extractfile(f"package/{path}")
                assert member is not None
                return member.read()

            licence = json.loads(read("package.json"))["license"]
            licences.append(f"{package} {version} ({licence})\n\n{read('LICENSE').decode().strip()}\n")
            files = {}
            for name, (owner, path) in FILES.items():
                if owner == package:
                    body = adapted(name, read(path).decode()).encode()
                    (VENDOR / name).write_bytes(body)
                    files[name] = {"from": path, "sha256": hashlib.sha256(body).hexdigest(), "bytes": len(body)}
            notes[package] = {"version": version, "licence": licence, "integrity": integrity, "files": files}
    (VENDOR / "VENDOR.json").write_text(json.dumps(notes, indent=2) + "\n")
    (VENDOR / "LICENSES.txt").write_text(("\n" + "-" * 100 + "\n\n").join(licences))
    print(f"{len(FILES)} files in {VENDOR}", file=sys.stderr)


if __name__ == "__main__":
    main()
