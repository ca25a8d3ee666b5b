"""Every link of the documentation leads somewhere, every page is in the index, every file that is named exists."""

from __future__ import annotations

import functools
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(
    [*ROOT.glob("*.md"), *DOCS.rglob("*.md"), ROOT / "benchmarks" / "RESULTS.md", *ROOT.glob("assets/*/README.md")]
)
LINK = re.compile(r"\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^()\s]+)\)")
# Code says where to read on: docs/engines.md in a message, a comment or a docstring.
MENTION = re.compile(r"\bdocs/[\w/]+\.md\b")
# The first line of a page: which of the three kinds it is.
KINDS = {"Learn", "Do", "Look up"}


def without_code(page: Path) -> str:
    """Return the text of a page without its code blocks and code spans, in which brackets mean something else."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]+`", "`code`", text)


@functools.cache
def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub makes of a page's headings (github.com/gjtorikian/html-pipeline, TOC filter)."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    made: dict[str, int] = {}
    found = set()
    for heading in re.findall(r"^#{1,6} +(.+?) *#*$", text, re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").replace("*", "")
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        found.add(f"{slug}-{made[slug]}" if slug in made else slug)
        made[slug] = made.get(slug, 0) + 1
    return found


def dead(page: Path) -> list[str]:
    """Return the relative links of a page that lead nowhere."""
    wrong = []
    for link in LINK.findall(without_code(page)):
        if re.match(r"[a-z]+:", link):  # https:, mailto:
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            wrong.append(link)
    return wrong


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file_and_a_heading(page: Path):
    assert dead(page) == []


def test_a_dead_link_is_found(tmp_path: Path):
    page = tmp_path / "page.md"
    page.write_text("# A `b` c\n[x](#a-b-c) [x](#a) [x](page.md#a-b-c) [x](none.md) `[x](code.md)`\n", encoding="utf-8")
    assert dead(page) == ["#a", "none.md"]


def test_every_page_that_code_and_configs_name_exists():
    files = [
        file
        for folder in ("src", "conf", "tools", "benchmarks", "docker", "envs", "tests")
        for file in (ROOT / folder).rglob("*")
        if file.suffix in (".py", ".yaml", ".md", ".txt", ".toml", ".Dockerfile") and file != Path(__file__)
    ]
    named = {
        (name, str(file.relative_to(ROOT)))
        for file in [*files, *PAGES, ROOT / "Makefile", ROOT / "pyproject.toml"]
        for name in MENTION.findall(file.read_text(encoding="utf-8", errors="replace"))
    }
    assert len(named) > 50
    assert sorted(one for one in named if not (ROOT / one[0]).is_file()) == []


def test_every_page_is_in_the_index_and_says_its_kind():
    index = (DOCS / "README.md").read_text(encoding="utf-8")
    sections = re.split(r"^## ", index, flags=re.MULTILINE)[1:]
    kinds = {link: section.splitlines()[0].partition(":")[0] for section in sections for link in LINK.findall(section)}
    for page in sorted(DOCS.glob("*.md")):
        if page.name == "README.md":
            continue
        assert kinds.get(page.name) in KINDS, f"{page.name} has no line in docs/README.md"
        first = page.read_text(encoding="utf-8").splitlines()[0]
        assert first.startswith(f"[Documentation](README.md) · **{kinds[page.name]}**"), page.name
    assert set(kinds.values()) >= KINDS
    for page in sorted((DOCS / "ru").glob("*.md")):
        assert f"](ru/{page.name})" in index, f"{page.name} has no link in docs/README.md"
