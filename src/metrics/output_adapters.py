"""What models write pages in, turned into Markdown with HTML tables, which `page` compares.

    "<doctag><text><loc_1><loc_2><loc_3><loc_4>Итого: 5</text></doctag>"  ->  "Итого: 5"

Which adapters a model needs is data of the model (`model.output_adapters`); they are applied one after the other. None
raises: what a format doesn't explain stays as it is.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

_CELLS = ("fcel", "ecel", "lcel", "ucel", "xcel", "ched", "rhed", "srow")
_OTSL = re.compile(r"<otsl>(.*?)(?:</otsl>|\Z)", re.DOTALL)
_OTSL_TOKEN = re.compile(rf"<({'|'.join(_CELLS)}|nl)>")
# A "<" that begins no tag within a cell: `1 <b` is text.
_NO_TAG = re.compile(r"<(?!/?(?:b|strong|i|em|u|s|sub|sup|small|span|p|br)(?:\s[^<>]{0,500})?/?>)")
_CAPTION = re.compile(r"<caption>([^<]{0,5000}(?:<(?!/caption>)[^<]{0,5000}){0,200})</caption>")
_LOCATION = re.compile(r"<loc_?\d{1,4}>")


def otsl(text: str) -> str:
    """Return a text with its OTSL tables as HTML (Lysak et al. 2023; DocTags, PaddleOCR-VL).

    `fcel` is a cell, `ecel` an empty one, `ched`, `rhed` and `srow` are heads; `lcel`, `ucel` and `xcel` belong to the
    cell on the left, above and both; `nl` ends a row. Tables stand in `<otsl>`; a text of tokens alone is a table.
    """
    if "<otsl>" in text:
        return _OTSL.sub(lambda match: _table(match[1]), text)
    return _table(text) if _OTSL_TOKEN.match(text.strip()) else text


def _table(source: str) -> str:
    """Return one OTSL table as HTML, its caption before it."""
    captions = "\n\n".join(match[1] for match in _CAPTION.finditer(source))
    parts = _OTSL_TOKEN.split(_LOCATION.sub("", _CAPTION.sub("", source)))
    rows: list[list[tuple[str, str]]] = [[]]
    for kind, text in zip(parts[1::2], parts[2::2], strict=True):
        if kind == "nl":
            rows.append([])
        else:
            rows[-1].append((kind, text.strip()))
    rows = [row for row in rows if row]
    written = "".join(f"<tr>{''.join(_cells(rows, number))}</tr>" for number in range(len(rows)))
    return f"\n\n{captions}\n\n<table>{written}</table>\n\n"


def _cells(rows: Sequence[Sequence[tuple[str, str]]], number: int) -> list[str]:
    """Return the cells of a row; one that is merged with nothing is an empty cell."""
    row, cells = rows[number], []
    for column, (kind, text) in enumerate(row):
        merged = (kind in ("lcel", "xcel") and column > 0) or (kind in ("ucel", "xcel") and number > 0)
        if merged:
            continue
        colspan = rowspan = 1
        while column + colspan < len(row) and row[column + colspan][0] == "lcel":
            colspan += 1
        while number + rowspan < len(rows) and _kind(rows[number + rowspan], column) == "ucel":
            rowspan += 1
        spans = f' colspan="{colspan}"' * (colspan > 1) + f' rowspan="{rowspan}"' * (rowspan > 1)
        cells.append(f"<td{spans}>{_NO_TAG.sub('&lt;', text)}</td>")
    return cells


def _kind(row: Sequence[tuple[str, str]], column: int) -> str:
    return row[column][0] if column < len(row) else ""


_HEADING = re.compile(r"<(?:section_header_level_\d|title)>(.{0,5000}?)</(?:section_header_level_\d|title)>", re.DOTALL)
_ITEM = re.compile(r"<list_item>(.{0,5000}?)</list_item>", re.DOTALL)
_FORMULA = re.compile(r"<formula>(.{0,5000}?)</formula>", re.DOTALL)
_DOCTAG = re.compile(
    r"</?(?:doctag|document|text|paragraph|caption|footnote|page_header|page_footer|page_break|picture|chart|code|"
    r"ordered_list|unordered_list|list_item|section_header_level_\d|title|formula|otsl|document_index|checkbox_selected|"
    r"checkbox_unselected|key_value_region|form|inline|smiles|reference|group|_[A-Za-z+#]{1,20}_)>"
)


def doctags(text: str) -> str:
    """Return DocTags (SmolDocling, Granite Docling) as Markdown: locations are dropped, tables are OTSL."""
    text = otsl(_LOCATION.sub("", text).replace("<|end_of_text|>", ""))
    if "</formula>" in text:
        text = _FORMULA.sub(lambda match: f"\n\n$${match[1]}$$\n\n", text)
    if "</section_header" in text or "</title>" in text:
        text = _HEADING.sub(lambda match: f"\n\n# {' '.join(match[1].split())}\n\n", text)
    if "</list_item>" in text:
        text = _ITEM.sub(lambda match: f"\n\n- {match[1]}\n\n", text)
    return _DOCTAG.sub("\n\n", text).strip()


def layout_json(text: str) -> str:
    """Return a JSON list of blocks with `category` and `text` (dots.ocr) as Markdown, in the order of the list.

    Of a list that was cut off (max_tokens) the whole blocks are read, and what there is of the last one's text.
    """
    start, end = text.find("["), text.rfind("]")
    try:
        blocks: Any = json.loads(text[start : end + 1])
    except (ValueError, RecursionError):
        blocks = _cut_blocks(text[start + 1 :].lstrip()) if start >= 0 else None
    if not isinstance(blocks, list) or not all(isinstance(block, dict) for block in blocks):
        return text
    if not blocks and _NO_BLOCKS.fullmatch(text) is None:  # an empty box to tick, in a text
        return text
    return "\n\n".join(filter(None, map(_block, blocks)))


_NO_BLOCKS = re.compile(r"\s*(?:```(?:json)?)?\s*\[\s*\]?\s*(?:```)?\s*")
_BETWEEN = re.compile(r"[\s,]*")
# A block that ends with the text, within a string or outside.
_CUT = re.compile(r'\{(?:[^"{}]|"(?:[^"\\]|\\.)*")*(?:"(?:[^"\\]|\\.)*)?\\?\Z', re.DOTALL)
_VALUE = r'"{}"\s*:\s*"((?:[^"\\]|\\.)*)'


def _cut_blocks(source: str) -> list[Any] | None:
    """Return the blocks of a list that was cut off; None where it is broken otherwise."""
    if not source.startswith("{"):
        return None
    decoder, blocks, at = json.JSONDecoder(), list[Any](), 0
    while source.startswith("{", at):
        try:
            block, at = decoder.raw_decode(source, at)
        except (ValueError, RecursionError):
            break
        blocks.append(block)
        at = _BETWEEN.match(source, at).end()  # type: ignore[union-attr]
    if at == len(source):
        return blocks
    if _CUT.match(source, at) is None:
        return None
    last = {key: re.search(_VALUE.format(key), source[at:], re.DOTALL) for key in ("category", "text")}
    return [*blocks, {key: _unescaped(match[1]) for key, match in last.items() if match}]


def _unescaped(text: str) -> str:
    """Return the text of a JSON string that was cut off."""
    for less in range(6):  # as long as an escape, \\u0431, that may be cut itself
        try:
            return str(json.loads(f'"{text[: len(text) - less]}"'))
        except ValueError:
            continue
    return ""


def _block(block: Mapping[str, Any]) -> str:
    content, category = block.get("text"), str(block.get("category", "")).lower()
    if not isinstance(content, str):
        return ""
    if category == "formula" and "$" not in content and "\\[" not in content:
        return f"$${content}$$"
    if category in ("title", "section-header") and not content.lstrip().startswith("#"):
        return f"# {' '.join(content.split())}"
    return content


_PLACES = re.compile(
    r"<\|ref\|>[^<]{0,200}<\|/ref\|>|<\|det\|>[^<]{0,5000}<\|/det\|>|<\|box_start\|>[^<]{0,200}<\|box_end\|>|"
    r"<box>[^<]{0,200}</box>|<\|/?(?:object_ref_start|object_ref_end|grounding|ref|det)\|>|</?ref>|</?quad>"
)


def grounding_tags(text: str) -> str:
    """Return a text without the boxes between its lines (DeepSeek-OCR's `<|det|>`, Qwen's `<|box_start|>`)."""
    return _LOCATION.sub("", _PLACES.sub("", text))


def entities(text: str) -> str:
    """Return a text in which HTML that was escaped as a whole (`&lt;table&gt;`) is HTML."""
    return html.unescape(text)


_FRONT_MATTER = re.compile(r"\s*---[ \t]*\n(?:[\w-]+:[^\n]*\n)+---[ \t]*(?:\n|\Z)")


def front_matter(text: str) -> str:
    """Return a page without the YAML before it, lines `key: value` between two lines `---` (olmOCR)."""
    return text[found.end() :] if (found := _FRONT_MATTER.match(text)) else text


ADAPTERS: Mapping[str, Callable[[str], str]] = {
    "doctags": doctags,
    "otsl": otsl,
    "layout_json": layout_json,
    "grounding_tags": grounding_tags,
    "entities": entities,
    "front_matter": front_matter,
}


def checked(names: Sequence[str] | None) -> tuple[str, ...]:
    """Return names of adapters. Raise ValueError for one that there is not."""
    if isinstance(names, str) or not all(isinstance(name, str) for name in names or ()):
        raise ValueError(f"adapters is {names!r}; give a list, such as [doctags]")
    for name in names or ():
        if name not in ADAPTERS:
            raise ValueError(f"no adapter is called {name!r}; valid: {', '.join(ADAPTERS)}")
    return tuple(names or ())


def unread(names: Sequence[str], text: str) -> str:
    """Say why adapters can't read a text that must be whole; empty where they can. Only JSON can be told from others.

    An answer may be anything; a reference that is no layout JSON would be compared as it is written, with its keys.
    """
    if "layout_json" not in names:
        return ""
    try:
        blocks = json.loads(text)
    except (ValueError, RecursionError) as error:
        return f"layout_json: no JSON list of blocks: {error}"
    if not isinstance(blocks, list) or not all(isinstance(block, dict) for block in blocks):
        return "layout_json: no list of blocks"
    for number, block in enumerate(blocks, start=1):
        if not isinstance(block.get("text", ""), str):
            return f"layout_json: block {number}: its text is no text"
    return ""


def apply(names: Sequence[str], text: str) -> str:
    """Return what a model wrote as Markdown with HTML tables, by these adapters in turn."""
    for name in names:
        text = ADAPTERS[name](text)
    return text
