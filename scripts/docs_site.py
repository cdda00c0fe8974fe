"""Builds the documentation as a site into build/site: `make docs-site`. Stops at any warning; needs no network.

README.md is the first page; links that lead out of docs/ are turned to what the site holds, or to text where it does not hold it.
"""

from __future__ import annotations

import posixpath
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BESIDE = {"README.md": "index.md", "CHANGELOG.md": "CHANGELOG.md", "SECURITY.md": "SECURITY.md"}
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
SOURCE = re.compile(r'(src|srcset)="docs/')


NAVIGATION: dict[str, tuple[str, ...]] = {
    "Start": ("first-steps", "install", "coming-from", "import", "faq"),
    "Use": ("page", "reporting", "python-client", "command-line", "clearml", "runicorn", "tasks"),
    "Run": ("operations", "scaling", "security", "performance", "benchmarks/README"),
    "Call": ("protocol", "api/README"),
    "Understand": ("architecture", "comparison", "glossary"),
    "Change": ("contributing", "testing", "CHANGELOG", "SECURITY"),
}
"""Part -> its pages. Pages of a folder stand below its README."""
FOLDERS = ("api", "benchmarks")


def main() -> None:
    pages, site = ROOT / "build" / "docs", ROOT / "build" / "site"
    copy_pages(ROOT, pages)
    add_navigation(pages)
    shutil.rmtree(site, ignore_errors=True)
    command = [sys.executable, "-m", "sphinx", "-b", "html", "-q", "-W", "--keep-going", "-j", "auto", str(pages), str(site)]
    done = subprocess.run(command, cwd=ROOT, check=False)
    if done.returncode:
        raise SystemExit(done.returncode)
    if (pages / "pictures").exists():  # Sphinx does not see what HTML refers to
        shutil.copytree(pages / "pictures", site / "pictures", dirs_exist_ok=True)
    print(f"build/site/index.html: {sum(1 for _ in site.rglob('*.html'))} pages")


def add_navigation(folder: Path) -> None:
    """The table of contents: of the whole site on the first page, of a folder on its README."""
    with (folder / "index.md").open("a") as index:
        index.writelines(_contents(title, pages) for title, pages in NAVIGATION.items())
    for name in FOLDERS:
        inside = [page.stem for page in sorted((folder / name).glob("*.md")) if page.name != "README.md"]
        with (folder / name / "README.md").open("a") as readme:
            readme.write(_contents("", inside))


def _contents(title: str, pages: Iterable[str]) -> str:
    caption = f":caption: {title}\n" if title else ""
    return "\n```{toctree}\n:hidden:\n" + caption + "\n" + "\n".join(pages) + "\n```\n"


def copy_pages(root: Path, folder: Path) -> None:
    """docs/ and the pages beside it, with links as the site needs them."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(root / "docs", folder)
    for name, target in BESIDE.items():
        (folder / target).write_text(SOURCE.sub(r'\1="', (root / name).read_text()))
    for page in folder.rglob("*.md"):
        place = page.relative_to(folder).as_posix()
        original = next((Path(name) for name, target in BESIDE.items() if target == place), Path("docs") / place)
        page.write_text(turned(page.read_text(), original.as_posix(), place))


def turned(text: str, original: str, place: str) -> str:
    """The links of a page that stands at `original` in the repository and at `place` in the site."""

    def link(match: re.Match[str]) -> str:
        bang, label, target = match.groups()
        path, hash_, anchor = target.partition("#")
        if re.match(r"[a-z][a-z0-9+.-]*:", target) or not path:
            return match[0]
        there = posixpath.normpath(posixpath.join(posixpath.dirname(original), path))
        inside = BESIDE.get(there) or (there.removeprefix("docs/") if there.startswith("docs/") else None)
        if inside is None:
            return label  # a file of the repository
        return f"{bang}[{label}]({posixpath.relpath(inside, posixpath.dirname(place) or '.')}{hash_}{anchor})"

    return LINK.sub(link, text)


if __name__ == "__main__":
    main()
