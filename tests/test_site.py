"""docs/ is a site: every page is in its navigation, every link leads somewhere, and it stands on no other host."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]
SITE = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
LOADS = {"script": "src", "img": "src", "iframe": "src", "link": "href"}  # what a browser fetches by itself


def prose(text: str) -> str:
    """A page without its blocks and spans of code."""
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, those that GitHub and the site spell alike."""
    found = set()
    for heading in re.findall(
        r"^#+ (.*)$", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE), re.MULTILINE
    ):
        words = re.sub(r"[^\w\s-]", "", heading).strip().lower()
        if words.isascii() and not re.search(r"[-\s]{2}", words):
            found.add(words.replace(" ", "-"))
    return found


def dead_links(page: Path, root: Path) -> list[str]:
    """What a page links to and is not there: files, anchors, and from docs/ whatever lies outside of docs/."""
    dead = []
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page.read_text(encoding="utf-8"))):
        name, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", name):
            continue
        target = (page.parent / name).resolve() if name else page
        inside = target.is_relative_to(root / "docs" if page.is_relative_to(root / "docs") else root)
        there = inside and target.is_file()
        if not there or (anchor and anchor not in anchors(target.read_text(encoding="utf-8"))):
            dead.append(link)
    return dead


def in_navigation(entry: Any) -> list[str]:
    """The pages that a piece of mkdocs.yml's `nav` names, in order."""
    if isinstance(entry, str):
        return [entry]
    return [page for part in (entry.values() if isinstance(entry, dict) else entry) for page in in_navigation(part)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_no_link_is_dead(page: Path) -> None:
    assert dead_links(page, ROOT) == []


@pytest.mark.parametrize(
    ("text", "dead"),
    [
        ("[a](b.md) [b](b.md#two-words) [c](#one) [d](https://example.org/x) `[e](f.md)`", []),
        ("[a](c.md)", ["c.md"]),
        ("[a](b.md#three)", ["b.md#three"]),
        ("![a](images/none.png)", ["images/none.png"]),
        ("[a](../outside.md)", ["../outside.md"]),
        ("[a](folder/)", ["folder/"]),
        ("[a](b.md#l1--gan)", ["b.md#l1--gan"]),  # the site writes l1-gan
    ],
)
def test_dead_links_are_found(tmp_path: Path, text: str, dead: list[str]) -> None:
    (tmp_path / "docs/folder").mkdir(parents=True)
    (tmp_path / "outside.md").write_text("# outside\n", encoding="utf-8")
    (tmp_path / "docs/b.md").write_text("# B\n\n## Two words\n\n## L1 + GAN\n\n```sh\n# three\n```\n", encoding="utf-8")
    page = tmp_path / "docs/a.md"
    page.write_text(f"# One\n\n{text}\n", encoding="utf-8")
    assert dead_links(page, tmp_path) == dead


def test_every_page_is_in_the_navigation_once() -> None:
    assert sorted(in_navigation(SITE["nav"])) == sorted(
        page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")
    )


@pytest.mark.parametrize("folder", ["api", "decisions"])
def test_the_first_page_of_a_folder_lists_the_others(folder: str) -> None:
    listed = re.findall(r"\]\(([\w-]+\.md)\)", (DOCS / folder / "README.md").read_text(encoding="utf-8"))
    assert sorted(listed) == sorted(page.name for page in (DOCS / folder).glob("*.md") if page.name != "README.md")


def test_every_module_is_on_a_page_of_the_api() -> None:
    shown = {
        name
        for page in (DOCS / "api").glob("*.md")
        for name in re.findall(r"^::: (\S+)", page.read_text(encoding="utf-8"), re.M)
    }
    there = {
        f"components.{path.stem}"
        for path in (ROOT / "components").iterdir()
        if path.suffix == ".py" or (path / "__init__.py").is_file()
    }
    assert shown == there - {"components.__init__"}


class Loads(HTMLParser):
    """The addresses that a page of HTML loads without being asked."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value for name, value in attrs if name == LOADS.get(tag) and value]


def test_the_site_builds_without_a_warning_and_loads_nothing_from_other_hosts(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    done = subprocess.run(
        build, cwd=ROOT, capture_output=True, text=True, timeout=300, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    )
    assert done.returncode == 0, done.stderr
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) > 60
    for page in pages:
        loads = Loads()
        loads.feed(page.read_text(encoding="utf-8"))
        assert [address for address in loads.addresses if re.match(r"(https?:)?//", address)] == [], page
    for sheet in tmp_path.rglob("*.css"):
        assert not re.search(r"(url\(|@import )[\"']?(https?:)?//", sheet.read_text(encoding="utf-8")), sheet
    assert "faults_of_the_machine" in (tmp_path / "search/search_index.json").read_text(encoding="utf-8")
