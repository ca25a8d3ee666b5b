"""OmniDocBench's JSON: pages, each with the place, kind, order and content of its blocks.

    [{"page_info": {"image_path": "a_12.jpg", "page_attribute": {"data_source": "book", "language": "english"}},
      "layout_dets": [{"category_type": "title", "poly": [70, 77, 627, 77, 627, 104, 70, 104], "order": 1,
                       "anno_id": 3, "ignore": false, "text": "Report"}],
      "extra": {"relation": [{"source_anno_id": 3, "target_anno_id": 5, "relation_type": "truncated"}]}}]

A page is one sample; its reference is a layout JSON of its blocks in reading order, which `metrics=[page]` and
`[grounding]` read with `reference_adapters=[layout_json]`. As in the benchmark, what it marks to be ignored, masks,
figures, and headers, footers, page numbers and footnotes of the page are no part of it, and a paragraph that goes on in
another column (`truncated`) is one. Format: the data set's card at Hugging Face, opendatalab/OmniDocBench (v1.5, 1.6).
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.base.errors import Problem, Refused
from runner.config.dataset import DatasetConfig
from runner.datasets.json_values import as_row, read_json
from runner.datasets.paths import show
from runner.datasets.reader import Row
from runner.datasets.tables import check_options

READS = 'a JSON list of pages with "page_info" and "layout_dets"'
NAMES = {"id": "image_path", "images": "image_path", "references": "references", "doc_class": "data_source"}
# Which key holds the content of a block, and what its category is called in a layout JSON; others hold text.
CONTENT = {"table": ("html", "Table"), "equation_isolated": ("latex", "Formula"), "title": ("text", "Title")}
# Blocks that the benchmark does not score as text, table or formula.
LEFT_OUT = frozenset(
    (
        *("figure", "header", "footer", "page_number", "page_footnote", "abandon", "need_mask", "unknown_mask"),
        *("text_mask", "table_mask", "list_mask", "organic_chemical_formula_mask", "algorithm_mask"),
    )
)


def read(config: DatasetConfig, path: Path) -> Iterator[Row | Problem]:
    """Read all pages of one file."""
    check_options(config)
    if config.columns:
        raise Refused(Problem("the keys of OmniDocBench have fixed names", "dataset.columns", "leave it out"))
    where, content = show(path), read_json(path, READS)
    if not isinstance(content, list):
        raise Refused(Problem("is no JSON list", where, f"it must hold {READS}"))
    for number, page in enumerate(content):
        place = f"{where}, [{number}]"
        row = _values(page)
        yield Problem(row, place, f"the file must hold {READS}") if isinstance(row, str) else as_row(place, row, NAMES)


def _values(page: Any) -> dict[str, Any] | str:
    """Return the values of a page's row, or what is wrong with the page."""
    info = page.get("page_info") if isinstance(page, dict) else None
    blocks = page.get("layout_dets") if isinstance(page, dict) else None
    if not isinstance(info, dict) or not isinstance(blocks, list):
        return 'has no "page_info" or no list "layout_dets"'
    read: list[_Block] = []
    for number, block in enumerate(blocks):
        if not isinstance(block, dict):
            return f"layout_dets[{number}] is no JSON object"
        if block.get("ignore") or block.get("category_type") in LEFT_OUT:
            continue
        told = _block(block)
        if isinstance(told, str):
            return f"layout_dets[{number}] {told}"
        read.append(told)
    kept = [block.layout for block in sorted(_joined(read, page), key=lambda block: block.order)]
    attributes = info.get("page_attribute")
    named = attributes.items() if isinstance(attributes, dict) else ()
    facts = {name: value for name, value in named if isinstance(value, str)}
    references = [json.dumps(kept, ensure_ascii=False)] if kept else []
    return {"data_source": "", **facts, "image_path": info.get("image_path"), "references": references}


@dataclass(frozen=True)
class _Block:
    """A block: its id (empty without one), its place in the reading order, and what a layout JSON has of it."""

    id: str
    order: float
    layout: Mapping[str, Any]


def _block(block: Mapping[str, Any]) -> _Block | str:
    """Return a block, or what is wrong with it."""
    key, category = CONTENT.get(str(block.get("category_type")), ("text", "Text"))
    content, places = block.get(key), block.get("poly")
    if not isinstance(content, str):
        return f"({block.get('category_type')}) has no text in {key!r}"
    try:  # numbers of a dataset keep their spelling (json_values): they are no numbers yet
        corners = [float(one) for one in places] if isinstance(places, list) else []
    except (TypeError, ValueError):
        corners = []
    if len(corners) != 8:
        return "has no poly of eight numbers"
    try:
        order = float(block.get("order") or 0)
    except (TypeError, ValueError):
        order = math.nan
    if not math.isfinite(order):
        return f"has the order {block['order']!r}, which is no number"
    xs, ys = corners[0::2], corners[1::2]
    layout = {"bbox": [min(xs), min(ys), max(xs), max(ys)], "category": category, "text": content}
    number = block.get("anno_id")  # 0 is one
    return _Block("" if number is None else str(number), order, layout)


def _joined(blocks: Sequence[_Block], page: Mapping[str, Any]) -> list[_Block]:
    """Join the parts of a paragraph that is `truncated`, in the place of its first; the box is that of the first.

    A part whose beginning is left out stays by itself.
    """
    extra = page.get("extra")
    relations = extra.get("relation") if isinstance(extra, dict) else None
    by_id = {block.id: block for block in blocks if block.id}
    goes_on: dict[str, str] = {}
    for one in relations if isinstance(relations, list) else ():
        if isinstance(one, dict) and one.get("relation_type") == "truncated":
            source, target = str(one.get("source_anno_id")), str(one.get("target_anno_id"))
            are_free = source not in goes_on and target not in goes_on.values()
            if source in by_id and target in by_id and are_free and source not in _following(target, goes_on):
                goes_on[source] = target
    later = set(goes_on.values())
    return [
        dataclasses.replace(block, layout={**block.layout, "text": " ".join(_texts(block, by_id, goes_on))})
        for block in blocks
        if block.id not in later
    ]


def _texts(block: _Block, by_id: Mapping[str, _Block], goes_on: Mapping[str, str]) -> list[str]:
    return [block.layout["text"], *(by_id[part].layout["text"] for part in _following(block.id, goes_on)[1:])]


def _following(first: str, goes_on: Mapping[str, str]) -> list[str]:
    """Return the ids of a paragraph's parts from one on."""
    parts = [first]
    while parts[-1] in goes_on:
        parts.append(goes_on[parts[-1]])
    return parts
