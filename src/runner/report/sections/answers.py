"""All answers side by side, as data for the script that shows, filters and searches them (static/answers.js).

Everything here is untrusted text; it reaches the page as JSON and is only ever set as text.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from runner.report.decision import Decision
from runner.report.figures import is_percent
from runner.report.model import Answer, Candidate, Comparison, Key, Remark, Sample, tracked
from runner.report.pictures import Pictures, gather

# Characters of one answer that the page carries: the most that all answers together leave room for.
CUTS = (20_000, 5_000, 2_000, 1_000, 500, 200)
MOST_CHARACTERS = 24_000_000
MOST_PROMPT_CHARACTERS = 8_000_000  # of the different prompts together
MOST_SAMPLES = 50_000
PHRASES = (
    "search", "all_fields", "all", "wrong", "disagree", "errors", "judged", "order", "worst", "shown", "reference",
    "question", "answers", "no_reference", "cut", "failed", "truncated", "times", "not_asked", "close", "previous",
    "next", "document", "picture", "latency", "printed", "nothing", "empty", "seconds", "field", "kind", "sort",
    "whose", "everyone", "any_of", "whole_class", "link", "prompt", "prompt_is_question", "prompt_cut", "system",
    "more_answers", "unknown", "more_columns",
)  # fmt: skip


def context(compared: Comparison, decision: Decision) -> dict[str, Any] | None:
    """Return the numbers for the template and the data for the script; None where nothing was answered."""
    samples = list(compared.samples.values())[:MOST_SAMPLES]
    if not samples:
        return None
    say = compared.texts
    cut = _cut(compared)
    shown = {sample.id for sample in samples}
    rows = {one: _grouped(one, shown) for one in compared.candidates}
    pictures = _pictures(compared, samples, rows)
    names = _names(samples)
    prompts = _prompts(rows)
    longest = _fitting(prompts, MOST_PROMPT_CHARACTERS)
    # Rows are made when they are written: those of a large sweep take more memory than all the rest.
    data = {
        "candidates": [one.label for one in compared.candidates],
        "models": [one.choice.get("model", "") for one in compared.candidates],
        "systems": [_system(one) for one in compared.candidates],
        "taken": compared.candidates.index(decision.taken) if decision.taken else None,
        "baseline": compared.candidates.index(compared.baseline),
        "measure": _measure(compared),
        "samples": (_sample(one, pictures, names) for one in samples),
        "answers": (_answers(rows[one], samples, cut, prompts) for one in compared.candidates),
        "names": list(names),
        "prompts": [[one[:longest], len(one)] for one in prompts],
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
    """Return what the script needs of the measure that decides: its name, its direction, and what is perfect."""
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


Entry = tuple[Answer, int, float | None, Sequence[Remark]]  # answer, how often, its score, what a judge said


def _grouped(candidate: Candidate, shown: Collection[str]) -> dict[str, list[Entry]]:
    """Return the different answers to each question shown, the most frequent first; repeats are counted."""
    asked: dict[str, list[Key]] = defaultdict(list)
    for key in candidate.answers:
        if key[0] in shown:
            asked[key[0]].append(key)
    return {sample: _different(candidate, keys) for sample, keys in asked.items()}


def _different(candidate: Candidate, repeats: Sequence[Key]) -> list[Entry]:
    """Return the different ones among the answers to one question."""
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
    rows: Mapping[str, Sequence[Entry]], samples: Iterable[Sample], cut: int, prompts: Mapping[str, int]
) -> Iterator[list[list[Any]]]:
    """Yield the answers of one candidate to each question shown."""
    return (_entries(rows.get(sample.id), cut, prompts) for sample in samples)


def _entries(found: Sequence[Entry] | None, cut: int, prompts: Mapping[str, int]) -> list[list[Any]]:
    """Return [text, score, what else is known] for each different answer; mostly there is nothing else."""
    return [list(_entry(*one, cut, prompts)) for one in found or ()]


def _entry(
    answer: Answer,
    count: int,
    value: float | None,
    remarks: Sequence[Remark],
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
        more["remarks"] = [[one.measure, one.value, one.detail[:cut]] for one in remarks]
    if more:
        yield more


def _cut(compared: Comparison) -> int:
    """Return to how many characters answers are cut, so that the page stays of a size that a browser opens."""
    texts = (answer.text for one in compared.candidates for answer in one.answers.values() if answer.text)
    return _fitting(texts, MOST_CHARACTERS)


def _fitting(texts: Iterable[str], most: int) -> int:
    """Return the largest cut with which texts have no more characters together."""
    lengths = [len(one) for one in texts]
    return next((cut for cut in CUTS if sum(min(length, cut) for length in lengths) <= most), CUTS[-1])


def _prompts(rows: Mapping[Candidate, Mapping[str, Sequence[Entry]]]) -> dict[str, int]:
    """Give numbers to the prompts that are not just the question; many answers share one."""
    prompts: dict[str, int] = {}
    for found in rows.values():
        for entries in found.values():
            for answer, *_ in entries:
                if answer.prompt:
                    prompts.setdefault(answer.prompt, len(prompts))
    return prompts


def _system(candidate: Candidate) -> str:
    """Return a candidate's system text, as its config has it; "" where there is none."""
    return str((candidate.result.config.get("prompt") or {}).get("system") or "")


def _longest(compared: Comparison) -> int:
    texts = (answer.text for one in compared.candidates for answer in one.answers.values() if answer.text)
    return max(map(len, texts), default=0)


# ------------------------------------------------------------------------------------------------- samples


def _names(samples: Iterable[Sample]) -> dict[str, int]:
    """Give numbers to what many samples share: documents, classes, fields, questions."""
    names: dict[str, int] = {}
    for sample in samples:
        for one in _shared(sample):
            names.setdefault(one, len(names))
    return names


def _shared(sample: Sample) -> tuple[str, ...]:
    return sample.document, sample.doc_class, sample.field, sample.question


def _sample(sample: Sample, pictures: Pictures, names: Mapping[str, int]) -> list[Any]:
    """Return a question; what many samples share is named by a number."""
    numbers = [names[one] for one in _shared(sample)]
    shown = [pictures.places[name] for name in sample.images if name in pictures.places]
    return [sample.id, *numbers, list(sample.references), shown]


def _pictures(
    compared: Comparison, samples: Sequence[Sample], rows: Mapping[Candidate, Mapping[str, Sequence[Entry]]]
) -> Pictures:
    """Gather pictures, first of the samples where a look is worth most."""

    def calm(sample: Sample) -> bool:
        texts = {entry[0].text for one in compared.candidates for entry in rows[one].get(sample.id, ())}
        return len(texts) < 2 and None not in texts

    ordered = sorted(samples, key=calm)
    cwds = dict.fromkeys(str(one.result.environment.get("cwd", ".")) for one in compared.candidates)
    names = [name for sample in ordered for name in sample.images]
    return gather(names, [Path(one) for one in cwds], compared.settings.pictures)
