"""`make docs-site`: links are turned to what the site holds, and it builds without a warning."""

from __future__ import annotations

from pathlib import Path

from scripts import docs_site


def test_links_are_turned_to_what_the_site_holds() -> None:
    text = "[a](docs/page.md#keys) [b](config/auth.conf) [c](https://x.org) [d](#here) ![e](docs/pictures/x.webp)"
    assert docs_site.turned(text, "README.md", "index.md") == "[a](page.md#keys) b [c](https://x.org) [d](#here) ![e](pictures/x.webp)"
    assert docs_site.turned("[a](../README.md) [b](api/README.md)", "docs/faq.md", "faq.md") == "[a](index.md) [b](api/README.md)"


def test_every_page_is_in_the_navigation(tmp_path: Path) -> None:
    docs_site.copy_pages(docs_site.ROOT, tmp_path)
    named = [page for pages in docs_site.NAVIGATION.values() for page in pages]
    there = {page.relative_to(tmp_path).with_suffix("").as_posix() for page in tmp_path.rglob("*.md")}
    inside = {
        page for page in there if page.startswith(tuple(f"{folder}/" for folder in docs_site.FOLDERS)) and not page.endswith("/README")
    }
    assert sorted(named) == sorted(there - inside - {"index"})


def test_the_readme_links_to_every_page() -> None:
    readme = (docs_site.ROOT / "README.md").read_text()
    for page in (docs_site.ROOT / "docs").glob("*.md"):
        assert f"(docs/{page.name})" in readme, page.name
