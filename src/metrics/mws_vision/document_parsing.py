r"""Pages to Markdown (`document parsing ru`): how alike the headings and lines of two pages are as trees.

answer '# А\nтекст', reference '# А\nтекст\nтекст'  ->  3/4: three of four nodes have a partner
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from metrics.mws_vision.task import OneScore, mean

TASK = "document parsing ru"
_MARKERS = re.compile("<bos>|<eos>|<pad>|<unk>")
_SPACED_SIGNS = re.compile(r"\s##(\S)")


class DocumentParsing(OneScore):
    """1 - edits / nodes of the larger tree, where a page is a tree of headings with the lines below each.

    The tree has a root, the headings below it, and below each heading the lines that follow; levels of headings are
    not kept. Only what has no partner costs: **what a heading or a line says is not compared** (teds_metric.py,
    `doc_parsing_evaluation`: renaming is free unless a label is empty, and none is). An empty answer is one root.
    """

    measures = (mean("mws_parsing", "mean of 1 - edits of the tree of headings and lines / nodes of the larger tree"),)

    def __init__(self, task: str | None = TASK) -> None:
        super().__init__(task)

    def _value(self, answer: str, references: Sequence[str]) -> tuple[float, str]:
        given, wanted = outline(answer), outline(references[0])
        nodes = [1 + len(tree) + sum(tree) for tree in (given, wanted)]
        paired = 1 + most_paired(given, wanted)
        detail = f"{nodes[0]} nodes, {nodes[1]} wanted, {paired} paired; texts are not compared"
        return 1 - (sum(nodes) - 2 * paired) / max(nodes), detail


def outline(page: str) -> list[int]:
    """Return for each node below the root how many lines stand below it: 0 for a line without a heading above it.

    What decides whether a line is a heading, or empty, is what the benchmark removes before it looks (`pre_clean`):
    marks of tokenizers, a space with `##` before a word, `*` and `_`. What else it changes leaves the tree as it is.
    """
    tree: list[int] = []
    below_heading = False
    for line in page.split("\n"):
        text = _SPACED_SIGNS.sub(r"\1", _MARKERS.sub("", line)).replace("*", " ").replace("_", " ").strip()
        if text.startswith("#"):
            tree.append(0)
            below_heading = True
        elif text and below_heading:
            tree[-1] += 1
        elif text:
            tree.append(0)
    return tree


def most_paired(one: Sequence[int], other: Sequence[int]) -> int:
    """Return the largest number of pairs of nodes of two outlines that keep their order and what lies below what.

    The edit distance of ordered trees (Zhang & Shasha 1989) whose renames are free is the number of nodes without a
    partner; the roots are always partners. With two levels below the root a pair of headings adds as many pairs of
    lines as both have, and what is left out of both sides is behind it. A node without a partner leaves its lines to
    the level above. So one table over the nodes in the order of the page is filled, a row of numpy at a time.
    """
    nodes = [(lines, True) if top else (0, False) for lines in one for top in (True, *[False] * lines)]
    kids = np.array([lines if top else 0 for lines in other for top in (True, *[False] * lines)], dtype=np.int32)
    behind = np.arange(1, len(kids) + 1) + kids  # the place behind a node and its lines
    row = np.zeros(len(kids) + 1, dtype=np.int32)  # most pairs of what follows, by the place in the other page
    next_heading = row  # the same where the next heading, or line without one, begins
    for lines, top in reversed(nodes):
        below = next_heading if lines else row
        paired = 1 + np.minimum(lines, kids) + below[behind]
        best = np.append(np.maximum(row[:-1], paired), 0)
        row = np.maximum.accumulate(best[::-1])[::-1]
        if top:
            next_heading = row
    return int(row[0])
