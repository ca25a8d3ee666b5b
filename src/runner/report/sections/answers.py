"""Prepares all answers as data for the script that shows, filters and searches them (static/answers.js).

All of it is untrusted text. It reaches the page as JSON, and the script sets it only as text.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from runner.report.decision import Decision
from runner.report.drawn import Drawn
from runner.report.figures import is_percent
from runner.report.model import Candidate, CandidateAnswer, Comparison, JudgeRemark, Key, ReportSample, tracked
from runner.report.pictures import Pictures, gather

# Possible limits for the characters of an answer. The largest one applies with which all answers fit into the page.
CUTS = (20_000, 5_000, 2_000, 1_000, 500, 200)
MOST_CHARACTERS = 24_000_000
MOST_PROMPT_CHARACTERS = 8_000_000  # of the different prompts together
MOST_SAMPLES = 50_000
PHRASES = (
    "search", "all_fields", "all", "wrong", "disagree", "errors", "judged", "order", "worst", "shown", "reference",
    "question", "answers", "no_reference", "cut", "failed", "truncated", "times", "not_asked", "close", "previous",
    "next", "document", "picture", "latency", "printed", "nothing", "empty", "seconds", "field", "kind", "sort",
    "whose", "everyone", "any_of", "whole_class", "link", "prompt", "prompt_is_question", "prompt_cut", "system",
    "more_answers", "unknown", "more_columns", "boxes", "box_outside", "no_box", "boxes_more", "no_table",
    "tables_cut", "undrawn", "cell_changed", "cell_missing", "cell_extra",
)  # fmt: skip


def context(compared: Comparison, decision: Decision) -> dict[str, Any] | None:
    """Return the numbers for the template and the data for the script; None if there are no samples."""
    samples = list(compared.samples.values())[:MOST_SAMPLES]
    if not samples:
        return None
    say = compared.texts
    cut = _cut(compared)
    shown = {sample.id for sample in samples}
    rows = {candidate: _grouped(candidate, shown) for candidate in compared.candidates}
    pictures = _pictures(compared, samples, rows)
    names = _names(samples)
    prompts = _prompts(rows)
    folders = _folders(compared)
    longest = _fitting(prompts, MOST_PROMPT_CHARACTERS)
    # Rows are generated while they are written: those of a large sweep would take more memory than everything else.
    data = {
        "candidates": [candidate.label for candidate in compared.candidates],
        "models": [candidate.choice.get("model", "") for candidate in compared.candidates],
        "systems": [_system(candidate) for candidate in compared.candidates],
        "taken": compared.candidates.index(decision.taken) if decision.taken else None,
        "baseline": compared.candidates.index(compared.baseline),
        "measure": _measure(compared),
        "samples": (_sample(sample, pictures, names) for sample in samples),
        "answers": (
            _answers(rows[candidate], samples, cut, prompts, Drawn(candidate, folders, len(compared.candidates)))
            for candidate in compared.candidates
        ),
        "names": list(names),
        "prompts": [[prompt[:longest], len(prompt)] for prompt in prompts],
        "texts": {name: say(f"answers.{name}") for name in PHRASES},
    }
    return {
        "count": len(samples),
        "total": len(compared.samples),
        "pictures": pictures,
        "settings": compared.settings.pictures,
        "cut": cut if cut < _longest(compared) else None,
        "data": {"answers": data, "pictures": pictures.uris},
    }


def _measure(compared: Comparison) -> dict[str, Any] | None:
    """Return the deciding measure for the script: its name, its direction, and its perfect value."""
    measure = compared.measure
    if measure is None:
        return None
    perfect = measure.high if measure.better == "higher" else measure.low
    name = tracked(measure)
    return {
        "name": compared.texts.name(measure.name),
        "higher": measure.better == "higher",
        "perfect": perfect if perfect not in (float("inf"), float("-inf")) else None,
        "percent": is_percent(name),
    }


# ------------------------------------------------------------------------------------------------- answers


Entry = tuple[
    CandidateAnswer, int, float | None, Sequence[JudgeRemark]
]  # answer, how often, its score, what a judge said


def _grouped(candidate: Candidate, shown: Collection[str]) -> dict[str, list[Entry]]:
    """Return the distinct answers to each question shown, the most frequent first, with their counts."""
    asked: dict[str, list[Key]] = defaultdict(list)
    for key in candidate.answers:
        if key[0] in shown:
            asked[key[0]].append(key)
    return {sample: _different(candidate, keys) for sample, keys in asked.items()}


def _different(candidate: Candidate, repeats: Sequence[Key]) -> list[Entry]:
    """Return the distinct answers to a question, the most frequent first."""
    groups: dict[tuple[str | None, str], list[Key]] = defaultdict(list)
    for key in repeats:
        answer = candidate.answers[key]
        groups[answer.text, answer.error].append(key)
    entries = (
        (
            candidate.answers[keys[0]],
            len(keys),
            _mean([candidate.values[key] for key in keys if key in candidate.values]),
            next((candidate.remarks[key] for key in keys if key in candidate.remarks), ()),
        )
        for keys in groups.values()
    )
    return sorted(entries, key=lambda entry: -entry[1])


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _answers(
    rows: Mapping[str, Sequence[Entry]],
    samples: Iterable[ReportSample],
    cut: int,
    prompts: Mapping[str, int],
    drawn: Drawn,
) -> Iterator[list[list[Any]]]:
    """Yield the answers of one candidate to each question shown."""
    return (_entries(sample, rows.get(sample.id), cut, prompts, drawn) for sample in samples)


def _entries(
    sample: ReportSample, entries: Sequence[Entry] | None, cut: int, prompts: Mapping[str, int], drawn: Drawn
) -> list[list[Any]]:
    """Return [text, score] or [text, score, {further facts}] for each distinct answer."""
    made = [list(_entry(*entry, cut, prompts)) for entry in entries or ()]
    if drawn:
        for line, (answer, *_) in zip(made, entries or (), strict=True):
            if what := drawn.of(sample, answer):
                line[2:] = [(line[2] if len(line) > 2 else {}) | what]
    return made


def _entry(
    answer: CandidateAnswer,
    count: int,
    value: float | None,
    remarks: Sequence[JudgeRemark],
    cut: int,
    prompts: Mapping[str, int],
) -> Iterator[Any]:
    yield None if answer.text is None else answer.text[:cut]
    yield None if value is None else round(value, 5)
    more: dict[str, Any] = {}
    if answer.error:
        more["error"] = answer.error[:500]
    if answer.text is not None and len(answer.text) > cut:
        more["length"] = len(answer.text)
    if answer.truncated:
        more["truncated"] = True
    if count > 1:
        more["count"] = count
    if answer.latency_s is not None:
        more["s"] = round(answer.latency_s, 3)
    if answer.prompt:
        more["p"] = prompts[answer.prompt]
    if remarks:
        more["remarks"] = [[remark.measure, remark.value, remark.detail[:cut]] for remark in remarks]
    if more:
        yield more


def _cut(compared: Comparison) -> int:
    """Return the limit of characters per answer that keeps the page small enough for a browser."""
    texts = (answer.text for candidate in compared.candidates for answer in candidate.answers.values() if answer.text)
    return _fitting(texts, MOST_CHARACTERS)


def _fitting(texts: Iterable[str], most: int) -> int:
    """Return the largest of CUTS with which all texts together have at most `most` characters."""
    lengths = [len(text) for text in texts]
    return next((cut for cut in CUTS if sum(min(length, cut) for length in lengths) <= most), CUTS[-1])


def _prompts(rows: Mapping[Candidate, Mapping[str, Sequence[Entry]]]) -> dict[str, int]:
    """Assign numbers to the distinct prompts that are not just the question; many answers share a prompt."""
    prompts: dict[str, int] = {}
    for by_sample in rows.values():
        for entries in by_sample.values():
            for answer, *_ in entries:
                if answer.prompt:
                    prompts.setdefault(answer.prompt, len(prompts))
    return prompts


def _system(candidate: Candidate) -> str:
    """Return the system text of a candidate's config; empty if there is none."""
    return str((candidate.result.config.get("prompt") or {}).get("system") or "")


def _longest(compared: Comparison) -> int:
    texts = (answer.text for candidate in compared.candidates for answer in candidate.answers.values() if answer.text)
    return max(map(len, texts), default=0)


# ------------------------------------------------------------------------------------------------- samples


def _names(samples: Iterable[ReportSample]) -> dict[str, int]:
    """Assign numbers to the texts that many samples share: documents, classes, fields, questions."""
    names: dict[str, int] = {}
    for sample in samples:
        for name in _shared(sample):
            names.setdefault(name, len(names))
    return names


def _shared(sample: ReportSample) -> tuple[str, ...]:
    return sample.document, sample.doc_class, sample.field, sample.question


def _sample(sample: ReportSample, pictures: Pictures, names: Mapping[str, int]) -> list[Any]:
    """Return a sample as a list, in which numbers stand for the shared texts."""
    numbers = [names[name] for name in _shared(sample)]
    shown = [pictures.places[name] for name in sample.images if name in pictures.places]
    # Boxes lie on the first picture; the page must know where that one could not be had.
    first = [] if not shown or sample.images[0] in pictures.places else [False]
    return [sample.id, *numbers, list(sample.references), shown, *first]


def _pictures(
    compared: Comparison, samples: Sequence[ReportSample], rows: Mapping[Candidate, Mapping[str, Sequence[Entry]]]
) -> Pictures:
    """Collect pictures, first those of samples whose answers differ or failed."""

    def calm(sample: ReportSample) -> bool:
        texts = {entry[0].text for candidate in compared.candidates for entry in rows[candidate].get(sample.id, ())}
        return len(texts) < 2 and None not in texts

    ordered = sorted(samples, key=calm)
    names = [name for sample in ordered for name in sample.images]
    return gather(names, _folders(compared), compared.settings.pictures)


def _folders(compared: Comparison) -> list[Path]:
    """Return the folders in which the jobs ran, where relative names of pictures start."""
    cwds = dict.fromkeys(str(candidate.result.environment.get("cwd", ".")) for candidate in compared.candidates)
    return list(map(Path, cwds))
