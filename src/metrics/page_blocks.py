r"""Cuts a page in Markdown or HTML into blocks of text, tables and formulas, by rules that docs/metrics.md states.

    "# Счёт\n\nИтого: 5\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n$$x$$"  ->  texts: Счёт, Итого: 5; one table; one formula

No rule depends on how long a text is, or fails on one: what doesn't close ends with the page.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from metrics import tables
from metrics.page_text import plain
from metrics.tables import Table

_COMMENT = ("<!--", "-->")
_FENCE = re.compile(r"^[ \t]*(?:```|~~~)[^\n`]{0,50}$", re.MULTILINE)
_PICTURE = re.compile(r"!\[[^\]\n]{0,500}\]\([^)\n]{0,2000}\)|<img\b[^<>]{0,2000}>", re.IGNORECASE)
_TABLE_TAG = re.compile(r"<(/?)table\b[^<>]{0,1000}>", re.IGNORECASE)
_BLOCK_TAG = re.compile(
    r"</?(?:html|head|body|main|header|footer|section|article|aside|nav|div|p|h[1-6]|ul|ol|li|dl|dt|dd|pre|blockquote|"
    r"figure|figcaption|center|address|hr|title|table|caption|thead|tbody|tfoot|tr|td|th)(?:\s[^<>\n]{0,500})?/?>",
    re.IGNORECASE,
)
_LINE_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
_ENVIRONMENT = re.compile(r"\\begin\{((?:equation|align|gather|multline|eqnarray|displaymath|alignat|flalign)\*?)\}")
_HEADING = re.compile(r"^\s{0,3}#{1,6}(?:\s|$)")
_ITEM = re.compile(r"^\s*(?:[-*+•–—]|\d{1,3}[.)])\s+\S")
_BULLET = re.compile(r"^\s*[-*+•–—]\s+")
_RULE = re.compile(r"^\s*(?:[-*_=]\s*){3,}$")
_QUOTE = re.compile(r"^\s{0,3}>\s?")


@dataclass(frozen=True, slots=True)
class Blocks:
    """What a page consists of, each in the order of the page, but HTML tables before those of Markdown.

    `broken` says what is wrong with it, for references.
    """

    texts: tuple[str, ...]
    tables: tuple[Table, ...]
    formulas: tuple[str, ...]
    broken: str = ""


def split(page: str) -> Blocks:
    """Return the blocks of a page in Markdown, HTML or a mixture of both."""
    text = page.replace("\r\n", "\n").replace("\r", "\n")
    if "<!--" in text:
        text = _without(text, lambda _: None, *_COMMENT)
    if "```" in text or "~~~" in text:
        text = _FENCE.sub("", text)
    if "![" in text or "<" in text:
        text = _PICTURE.sub("", text)
    page_tables: list[Table] = []
    broken: list[str] = []
    text = _cut_tables(text, page_tables, broken)
    formulas: list[str] = []
    for opening, closing in (("$$", "$$"), ("\\[", "\\]")):
        text = _without(text, formulas.append, opening, closing)
    text = _cut_environments(text, formulas)
    if "<" in text:
        text = _LINE_BREAK.sub("\n", _BLOCK_TAG.sub("\n\n", text))
    texts = tuple(filter(None, map(plain, _paragraphs(text, page_tables))))
    return Blocks(texts, tuple(page_tables), tuple(filter(None, map(str.strip, formulas))), "; ".join(broken))


def _without(text: str, keep: Callable[[str], object], opening: str, closing: str) -> str:
    """Return a text without what stands between two marks, each handed to `keep`. What isn't closed stays."""
    kept, place = [], 0
    while (start := text.find(opening, place)) >= 0:
        end = text.find(closing, start + len(opening))
        if end < 0:
            break
        keep(text[start + len(opening) : end])
        kept.append(text[place:start])
        place = end + len(closing)
    return "\n\n".join((*kept, text[place:])) if kept else text


def _cut_environments(text: str, formulas: list[str]) -> str:
    """Return a text without LaTeX's environments of formulas, which are added to `formulas`."""
    kept, place, unclosed = [], 0, set()
    for begin in _ENVIRONMENT.finditer(text):
        if begin.start() < place or begin[1] in unclosed:
            continue
        closing = f"\\end{{{begin[1]}}}"
        end = text.find(closing, begin.end())
        if end < 0:
            unclosed.add(begin[1])
            continue
        formulas.append(text[begin.end() : end])
        kept.append(text[place : begin.start()])
        place = end + len(closing)
    return "\n\n".join((*kept, text[place:])) if kept else text


def _cut_tables(text: str, page_tables: list[Table], broken: list[str]) -> str:
    """Return a text with a mark in place of each HTML table, which are added to `page_tables`."""
    kept, place, start, depth = [], 0, 0, 0
    for tag in _TABLE_TAG.finditer(text):
        depth += -1 if tag[1] else 1
        if depth == 1 and not tag[1]:
            start = tag.start()
        elif depth == 0:
            _add(tables.of_html(text[start : tag.end()]), page_tables, broken)
            kept.append(text[place:start])
            place = tag.end()
        elif depth < 0:  # closed and never opened
            depth = 0
    if depth:
        _add(tables.of_html(text[start:]), page_tables, broken)
        broken.append(f"table {len(page_tables)}: <table> is not closed")
        kept.append(text[place:start])
        place = len(text)
    return "\n\n".join((*kept, text[place:])) if kept else text


def _add(table: Table, page_tables: list[Table], broken: list[str]) -> None:
    """Add a table that has cells. One without is no table."""
    if table.cells:
        page_tables.append(table)
    else:
        broken.append("a table has no cells")


def _paragraphs(text: str, page_tables: list[Table]) -> Iterator[str]:
    """Yield paragraphs, headings and items of lists. Markdown's tables are added to `page_tables`."""
    lines = text.strip().split("\n")
    # Where no line is empty, each is a paragraph: programs of recognition write pages so.
    by_lines = not any(not line or line.isspace() for line in lines)
    gathered: list[str] = []
    place = 0
    while place < len(lines):
        line = lines[place]
        if "|" in line and (end := _table_end(lines, place)):
            yield " ".join(gathered)
            gathered = []
            page_tables.append(tables.of_pipes(lines[place:end]))
            place = end
            continue
        place += 1
        if not line or line.isspace() or _RULE.match(line):
            yield " ".join(gathered)
            gathered = []
            continue
        line = _QUOTE.sub("", line)
        if _HEADING.match(line):
            yield " ".join(gathered)
            yield line.strip().strip("#")
            gathered = []
            continue
        if gathered and (by_lines or _ITEM.match(line)):
            yield " ".join(gathered)
            gathered = []
        gathered.append(_BULLET.sub("", line))
    yield " ".join(gathered)


def _table_end(lines: Sequence[str], start: int) -> int:
    """Return the number of the line after the Markdown table that begins here; 0 where none does."""
    if start + 1 >= len(lines) or "-" not in lines[start + 1] or not tables.DELIMITER.match(lines[start + 1]):
        return 0
    if "|" not in lines[start + 1] and not lines[start].lstrip().startswith("|"):
        return 0
    end = start + 2
    while end < len(lines) and "|" in lines[end]:
        end += 1
    return end


_LAYOUT = re.compile(
    r"\\(?:tag|hspace|vspace|label)\*?\{[^{}]{0,200}\}|\\(?:begin|end)\{[^{}]{0,50}\}|"
    r"\\(?:left|right|displaystyle|textstyle|mathrm|mathbf|mathit|mathsf|mathtt|boldsymbol|bm|operatorname|text|textbf|"
    r"textrm|rm|bf|limits|nolimits|quad|qquad|notag|nonumber|big|Big|bigg|Bigg|bigl|bigr|Bigl|Bigr)(?![a-zA-Z])|"
    r"\\[,;:!> ]|[\s$~&]"
)


def formula(source: str) -> str:
    """Return a formula's LaTeX without what only places or dresses it: spaces, fonts, sizes, numbers, alignment."""
    return _LAYOUT.sub("", html.unescape(source)).strip(".,;").removesuffix("\\\\")
