r"""Pages as Markdown or HTML: how well a model reads a whole page, in text, reading order, tables and formulas.

answer "# Счёт\n\nИтого: 8", reference "Счёт\n\nИтого: 5"  ->  page_text_edit 1/10, page_order_edit 0; no table: no TEDS

`metrics.page_blocks` cuts pages into blocks, `metrics.block_matching` says which belong together, `metrics.tables`
compares tables. The definitions are those of OmniDocBench where docs/metrics.md doesn't say otherwise.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from rapidfuzz.distance import Levenshtein

from metrics import block_matching, output_adapters, page_blocks, tables
from metrics.api import Case, Measure, Score
from metrics.normalisation import Normalisation
from metrics.page_blocks import Blocks
from metrics.statistics import ratio_of_sums
from metrics.text import prepare, unscored

if TYPE_CHECKING:
    from metrics.api import Array

_OMNIDOCBENCH = 'Ouyang et al. 2024, "OmniDocBench"'
_TEDS = 'Zhong et al. 2020, "Image-based table recognition" (TEDS)'
_OURS = "this project"
_SIGNS = re.compile(r"[\W_]+")
NODES = {"omnidocbench": False, "paper": True}  # is the table itself one of the nodes that TEDS divides by?
CHARACTERS = ("letters", "all")
_SHOWN = 3  # blocks that `detail` names


def _measure(name: str, better: str, aggregate: str, formula: str, source: str) -> Measure:
    return Measure(name, better, aggregate, 0, 1, formula, source)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class _Page:
    """A page ready to be compared: `texts` and `formulas` normalised, none of them empty."""

    texts: tuple[str, ...]
    tables: tuple[tables.Table, ...]
    formulas: tuple[str, ...]
    broken: str = ""

    @property
    def unusable(self) -> str:
        """Why nothing can be compared with this page as a reference; empty where it can."""
        return self.broken or ("" if self.texts or self.tables or self.formulas else "no text, table or formula in it")

    @property
    def letters(self) -> int:
        """The length of all blocks."""
        return sum(map(len, (*self.texts, *self.formulas))) + sum(len(table.text) for table in self.tables)


@dataclass(frozen=True, slots=True)
class _Compared:
    """A page of an answer beside one of a reference. Edits are shares; `teds` has a value for each wanted table."""

    wanted: _Page
    predicted: _Page
    text_edit: float | None
    order_edit: float | None
    teds: tuple[float, ...]
    structure: tuple[float, ...]
    formula_edits: tuple[float, ...]
    missing: int
    extra: int
    detail: str

    @property
    def overall(self) -> tuple[float, ...]:
        """The sum and the number of each kind's values: text, tables, formulas."""
        text = (0.0, 0.0) if self.text_edit is None else (1 - self.text_edit, 1.0)
        formulas = (sum(1 - edit for edit in self.formula_edits), float(len(self.formula_edits)))
        return (*text, sum(self.teds), float(len(self.teds)), *formulas)


class Page:
    """Compares a page in Markdown or HTML with the page of the reference.

    `characters`: of text count `letters` (and digits), or `all` with punctuation and single spaces. `nodes`: what TEDS
    divides by, see `tables.teds`. `adapters` turn what a model writes into Markdown (`metrics.output_adapters`), and
    `reference_adapters` what the references are written in.
    `normalisation` changes characters before a page is cut into blocks. A case is unscored if its reference has nothing
    to compare, a table that isn't closed, or one without cells; a measure is, if the reference has nothing of its kind.
    """

    env = "current"
    measures = (
        _measure("page_overall", "higher", "mean", "mean of 1 - text edits, TEDS, 1 - formula edits", _OURS),
        _measure(
            "page_text_edit", "lower", "mean", "mean of (edits / longer length, summed over blocks)", _OMNIDOCBENCH
        ),
        _measure("page_order_edit", "lower", "mean", "mean of (edits of the order of blocks / blocks)", _OMNIDOCBENCH),
        _measure("page_teds", "higher", "corpus", "sum of (1 - tree edits / nodes) / tables", _TEDS),
        _measure("page_teds_structure", "higher", "corpus", "the same, whatever the cells say", _TEDS),
        _measure("page_formula_edit", "lower", "corpus", "sum of (edits of LaTeX / longer length) / formulas", _OURS),
        _measure(
            "page_missing", "lower", "corpus", "characters of blocks that the answer lacks / of the references", _OURS
        ),
        _measure("page_extra", "lower", "corpus", "characters of blocks that no reference has / of the answers", _OURS),
    )

    def __init__(
        self,
        normalisation: Normalisation | Mapping[str, Any] | None = None,
        characters: str = "letters",
        nodes: str = "omnidocbench",
        adapters: Sequence[str] | None = None,
        reference_adapters: Sequence[str] | None = None,
    ) -> None:
        self.normalisation = Normalisation().with_options(normalisation)
        if self.normalisation.punctuation:
            raise ValueError("normalisation.punctuation would take the markup away; characters: letters drops it later")
        if characters not in CHARACTERS:
            raise ValueError(f"characters is {characters!r}; valid: {', '.join(CHARACTERS)}")
        if nodes not in NODES:
            raise ValueError(f"nodes is {nodes!r}; valid: {', '.join(NODES)}")
        self.characters, self.nodes, self.adapters = characters, nodes, output_adapters.checked(adapters)
        self.reference_adapters = output_adapters.checked(reference_adapters)
        self._seen = self.normalisation.changed({"collapse_whitespace": False, "strip": False})
        # A page of 3 kB takes 25 kB here and 0.7 ms to be read again: more of them would only grow with the data set.
        self._of_reference = functools.lru_cache(maxsize=1_000)(self._reference)

    @property
    def version(self) -> str:
        """Definition, normalisation and options. `adapters` only say how a model writes: models are comparable."""
        references = f" reference_adapters={','.join(self.reference_adapters)}" if self.reference_adapters else ""
        return f"3 {self.normalisation} characters={self.characters} nodes={self.nodes}{references}"

    def check_reference(self, text: str) -> str:
        """Say what is wrong with the tables or the form of a reference; empty where nothing is."""
        seen = self._seen(text)
        return self._of_reference(seen).broken if seen.strip() else ""

    def score(self, cases: Sequence[Case]) -> Iterator[Score]:
        """Yield a score for each case and measure."""
        for case in cases:
            reason, prediction, references = prepare(case, self._seen)
            wanted = [self._of_reference(text) for text in references]
            usable = [page for page in wanted if not page.unusable]
            if reason or not usable:
                yield from unscored(case, self.measures, reason or f"the reference: {wanted[0].unusable}")
                continue
            answer = self._page(output_adapters.apply(self.adapters, prediction))
            yield from self._scores(case, max((self._compared(page, answer) for page in usable), key=_rank))

    def tables_beside(self, case: Case) -> list[tuple[tables.Table | None, tables.Table | None, float]]:
        """Return (of the reference, of the answer, TEDS) for each table as the scores pair them, for drawings.

        A table that the answer lacks, or that no reference has, stands alone; then TEDS is 0.
        """
        usable = [page for page in map(self._of_reference, map(self._seen, case.references)) if not page.unusable]
        answer = self._page(output_adapters.apply(self.adapters, self._seen(case.prediction or "")))
        if len(usable) > 1:  # the one that is scored
            usable.sort(key=lambda page: _rank(self._compared(page, answer)), reverse=True)
        wanted = usable[0].tables if usable else ()
        matched = block_matching.closest(
            [table.text for table in wanted], [table.text for table in answer.tables], math.inf
        )
        beside: list[tuple[tables.Table | None, tables.Table | None, float]] = []
        for number, table in enumerate(wanted):
            other = answer.tables[matched[number]] if number in matched else None
            value = tables.teds(table, other, count_table=NODES[self.nodes]) if other else 0.0
            beside.append((table, other, value))
        used = set(matched.values())
        beside += [(None, table, 0.0) for number, table in enumerate(answer.tables) if number not in used]
        return beside

    def combine(self, name: str, totals: Array) -> Array:
        """Turn summed statistics (..., k) into figures (...): ratios, or the mean over the kinds that there are."""
        return _overall(totals) if name == "page_overall" else ratio_of_sums(totals)

    def _reference(self, text: str) -> _Page:
        if problem := output_adapters.unread(self.reference_adapters, text):
            return _Page((), (), (), problem)
        return self._page(output_adapters.apply(self.reference_adapters, text))

    def _page(self, text: str) -> _Page:
        blocks: Blocks = page_blocks.split(text)
        texts = blocks.texts
        if self.characters == "letters":
            texts = tuple(_SIGNS.sub("", block) for block in texts)
        formulas = map(page_blocks.formula, blocks.formulas)
        return _Page(tuple(filter(None, texts)), blocks.tables, tuple(filter(None, formulas)), blocks.broken)

    def _compared(self, wanted: _Page, predicted: _Page) -> _Compared:
        pairs = block_matching.match(wanted.texts, predicted.texts)
        missing, extra = _alone(wanted.texts, predicted.texts, pairs)
        teds, structure, tables_missing, tables_extra = self._tables(wanted, predicted)
        edits, formulas_missing, formulas_extra = _formulas(wanted.formulas, predicted.formulas)
        return _Compared(
            wanted=wanted,
            predicted=predicted,
            text_edit=_text_edit(wanted.texts, predicted.texts, pairs, [*missing, *extra]) if wanted.texts else None,
            order_edit=_order_edit(len(wanted.texts), pairs) if wanted.texts else None,
            teds=teds,
            structure=structure,
            formula_edits=edits,
            missing=sum(map(len, missing)) + tables_missing + formulas_missing,
            extra=sum(map(len, extra)) + tables_extra + formulas_extra,
            detail=_detail(wanted, missing, extra, len(predicted.tables)),
        )

    def _tables(self, wanted: _Page, predicted: _Page) -> tuple[tuple[float, ...], tuple[float, ...], int, int]:
        """Return TEDS and TEDS of the structure for each wanted table, and the characters missing and extra."""
        matched = block_matching.closest(
            [table.text for table in wanted.tables], [table.text for table in predicted.tables], math.inf
        )
        values: list[float] = []
        structures: list[float] = []
        for number, table in enumerate(wanted.tables):
            other = predicted.tables[matched[number]] if number in matched else None
            for kept, structure in ((values, False), (structures, True)):
                count_table = NODES[self.nodes]
                kept.append(tables.teds(table, other, structure=structure, count_table=count_table) if other else 0.0)
        missing = sum(len(table.text) for number, table in enumerate(wanted.tables) if number not in matched)
        used = set(matched.values())
        extra = sum(len(table.text) for number, table in enumerate(predicted.tables) if number not in used)
        return tuple(values), tuple(structures), missing, extra

    def _scores(self, case: Case, compared: _Compared) -> Iterator[Score]:
        """Yield the scores of one case."""
        totals = compared.overall
        yield Score(
            case.sample_id, case.repeat, "page_overall", float(_overall(np.array(totals))), totals,
            detail=compared.detail,
        )  # fmt: skip
        for name, value in (("page_text_edit", compared.text_edit), ("page_order_edit", compared.order_edit)):
            known = () if value is None else (value,)
            yield _mean(case, name, known, "no text in the reference")
        yield _mean(case, "page_teds", compared.teds, "no table in the reference")
        yield _mean(case, "page_teds_structure", compared.structure, "no table in the reference")
        yield _mean(case, "page_formula_edit", compared.formula_edits, "no formula in the reference")
        for name, part, whole in (
            ("page_missing", compared.missing, compared.wanted.letters),
            ("page_extra", compared.extra, compared.predicted.letters),
        ):
            stats = (float(part), float(whole))
            yield Score(case.sample_id, case.repeat, name, part / whole if whole else 0.0, stats)


def _mean(case: Case, name: str, values: Sequence[float], nothing: str) -> Score:
    if not values:
        return Score(case.sample_id, case.repeat, name, None, reason=nothing)
    return Score(case.sample_id, case.repeat, name, sum(values) / len(values), (sum(values), float(len(values))))


def _overall(totals: Array) -> Array:
    """Return the mean of the kinds' means; kinds that no reference has are left out, NaN where there is none."""
    sums, counts = totals[..., 0::2], totals[..., 1::2]
    means = np.divide(sums, counts, out=np.zeros_like(sums), where=counts > 0)
    kinds = (counts > 0).sum(axis=-1)
    overall: Array = np.divide(
        means.sum(axis=-1), kinds, out=np.full(np.shape(kinds), math.nan), where=np.asarray(kinds > 0)
    )
    return overall


def _rank(compared: _Compared) -> float:
    """Return the sort key by which the reference is chosen."""
    return float(_overall(np.array(compared.overall)))


def _alone(
    wanted: Sequence[str], predicted: Sequence[str], pairs: Sequence[block_matching.Pair]
) -> tuple[list[str], list[str]]:
    """Return the blocks that are missing and those that are extra."""
    missing, extra = block_matching.left(wanted, predicted, pairs)
    return [wanted[number] for number in missing], [predicted[number] for number in extra]


def _text_edit(
    wanted: Sequence[str], predicted: Sequence[str], pairs: Sequence[block_matching.Pair], alone: Sequence[str]
) -> float:
    """Return edits / length of the longer text, both summed over pairs; a block alone is edited as a whole."""
    edits = length = sum(map(len, alone))
    for pair in pairs:
        text = "".join(wanted[number] for number in pair.wanted)
        other = "".join(predicted[number] for number in pair.predicted)
        edits += Levenshtein.distance(text, other)
        length += max(len(text), len(other))
    return edits / length


def _order_edit(blocks: int, pairs: Sequence[block_matching.Pair]) -> float:
    """Return the edits between the order of the wanted blocks and the answer's order, by the number of blocks."""
    read = [number for pair in sorted(pairs, key=lambda pair: pair.predicted.start) for number in pair.wanted]
    return Levenshtein.distance(range(blocks), read) / blocks


def _formulas(wanted: Sequence[str], predicted: Sequence[str]) -> tuple[tuple[float, ...], int, int]:
    """Return the edits of each wanted formula, and the characters missing and extra."""
    matched = block_matching.closest(wanted, predicted, 1.0)
    edits = tuple(
        Levenshtein.normalized_distance(text, predicted[matched[number]]) if number in matched else 1.0
        for number, text in enumerate(wanted)
    )
    used = set(matched.values())
    missing = sum(len(text) for number, text in enumerate(wanted) if number not in matched)
    return edits, missing, sum(len(text) for number, text in enumerate(predicted) if number not in used)


def _detail(wanted: _Page, missing: Sequence[str], extra: Sequence[str], found_tables: int) -> str:
    """Say for people what was found."""
    parts = [f"{len(wanted.texts) - len(missing)} of {len(wanted.texts)} blocks"]
    if wanted.tables or found_tables:
        parts.append(f"{found_tables} tables, {len(wanted.tables)} wanted")
    for word, blocks in (("missing", missing), ("extra", extra)):
        if blocks:
            parts.append(f"{word}: " + ", ".join(block[:60] for block in blocks[:_SHOWN]))
    return "; ".join(parts)
