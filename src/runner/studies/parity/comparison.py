"""Lays jobs that differ in their backend alone side by side, sample by sample, and counts what differs.

Only greedy answers can be expected to agree.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from runner.config import decisive
from runner.jobs.folder import JobFolder
from runner.studies.parity.seen import Seen, Side, backend, derived, is_gguf, label, quant, side

_WHOLE = ("fp32", "bf16", "fp16", "native")  # beside which a GGUF file is put: the first of them that was asked


@dataclass(frozen=True, slots=True)
class Divergence:
    """Where two answers part: the position of the first token that differs, None without token ids."""

    sample_id: str
    position: int | None
    texts: tuple[str, str]


@dataclass(frozen=True)
class Comparison:
    """One backend beside the baseline. Counts are of samples; `compared` have an answer from both."""

    group: str
    baseline: Side
    other: Side
    compared: int
    same_text: int
    with_ids: int
    same_ids: int
    divergences: tuple[Divergence, ...]
    differences: Mapping[str, int] = field(default_factory=dict)  # of the input, by what differs
    proven: int = 0  # samples whose prompts are equal token for token

    @property
    def agreement(self) -> float | None:
        """Return the share of equal answers: token for token where both give ids, else by text."""
        if not self.compared:
            return None
        return self.same_ids / self.with_ids if self.with_ids == self.compared else self.same_text / self.compared


def compare(results: Sequence[JobFolder]) -> list[Comparison]:
    """Lay jobs that differ in their backend alone side by side; the HF engine, else the first, is the baseline.

    GGUF files are read by no backend but llama.cpp, so its jobs stand beside the HF engine's of the whole precision.
    """
    comparisons = []
    for group in _groups(results, ["backend", "env"]):
        group.sort(key=lambda result: backend(result) != "hf")
        if not is_gguf(group[0]) and len({label(result) for result in group}) > 1:
            sides = derived([side(result) for result in group])
            comparisons += [_compared(group[0].name, sides[0], other) for other in sides[1:]]
    for group in _groups(results, ["backend", "env", "quant"]):
        whole = [result for result in group if backend(result) == "hf" and quant(result) in _WHOLE]
        of_gguf = [result for result in group if is_gguf(result)]
        if whole and of_gguf:
            baseline = min(whole, key=lambda result: _WHOLE.index(quant(result)))
            sides = derived([side(result) for result in (baseline, *of_gguf)])
            comparisons += [_compared(baseline.name, sides[0], other) for other in sides[1:]]
    return comparisons


def _groups(results: Sequence[JobFolder], but: list[str]) -> list[list[JobFolder]]:
    groups: dict[str, list[JobFolder]] = {}
    for result in results:
        if result.has_answers:
            shared = decisive.only(result.config, but=but)
            groups.setdefault(json.dumps(shared, sort_keys=True, default=str), []).append(result)
    return list(groups.values())


def other_inputs(results: Sequence[JobFolder]) -> dict[Path, str]:
    """Return what differs in the input of each job, by its folder, whose backend saw other than the baseline's."""
    return {
        comparison.other.folder: f"{_differing(comparison)}, {comparison.baseline.label}"
        for comparison in compare(results)
        if comparison.differences
    }


def warnings(results: Sequence[JobFolder]) -> list[str]:
    """Return a sentence for each pair of backends that did not see the same input, or that can't be compared."""
    said = []
    for comparison in compare(results):
        pair = f"{comparison.group}: {comparison.other.label} and {comparison.baseline.label}"
        if comparison.differences:
            what = _differing(comparison)
            said.append(f"{pair} did not see the same input ({what}): their answers and figures are not comparable")
        if comparison.other.sampling != comparison.baseline.sampling:
            said.append(f"{pair} sampled differently: {comparison.other.sampling} and {comparison.baseline.sampling}")
    return said


def _differing(comparison: Comparison) -> str:
    return ", ".join(f"{name} in {count} of {comparison.compared}" for name, count in comparison.differences.items())


def _compared(group: str, baseline: Side, other: Side) -> Comparison:
    shared = [key for key in baseline.seen if key in other.seen]
    same_text = with_ids = same_ids = 0
    parted = []
    for key in shared:
        first, second = baseline.rows[key], other.rows[key]
        position = first_difference(first.get("token_ids"), second.get("token_ids"))
        has_ids = first.get("token_ids") is not None and second.get("token_ids") is not None
        same_text += first["text"] == second["text"]
        with_ids += has_ids
        same_ids += has_ids and position is None
        if first["text"] != second["text"] or position is not None:
            parted.append(Divergence(key[0], position, (first["text"], second["text"])))
    differences, proven = _input_differences([(baseline.seen[key], other.seen[key]) for key in shared])
    return Comparison(
        group, baseline, other, len(shared), same_text, with_ids, same_ids, tuple(parted), differences, proven
    )


def first_difference(first: Sequence[int] | None, second: Sequence[int] | None) -> int | None:
    """Return the position, from 0, of the first token that differs; None where they are equal or one is unknown."""
    if first is None or second is None or list(first) == list(second):
        return None
    shorter = min(len(first), len(second))
    return next((at for at in range(shorter) if first[at] != second[at]), shorter)


def _input_differences(pairs: Iterable[tuple[Seen, Seen]]) -> tuple[dict[str, int], int]:
    """Count the samples in which two backends saw something else, by what differs, and those proven equal."""
    counted: Counter[str] = Counter()
    proven = 0
    for first, second in pairs:
        facts = {
            "prompt tokens": (first.prompt_tokens, second.prompt_tokens),
            "visual tokens": (first.visual_tokens, second.visual_tokens),
            "pixels": (first.pixels, second.pixels),
            "prompt ids": (first.prompt_digest, second.prompt_digest),
        }
        counted.update(name for name, (a, b) in facts.items() if a is not None and b is not None and a != b)
        proven += first.prompt_digest is not None and first.prompt_digest == second.prompt_digest
    return dict(counted), proven
