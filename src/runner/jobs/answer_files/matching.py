"""Finds the samples of a dataset that another program's answers are about, so that both stand in one comparison.

A row is matched by its id; else by its document or picture (`17`, `images/17.png`, `17.png`) and its question or field.
A table without questions holds the texts of whole pages: a page's text then stands for every question about it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from backends.api import Failure
from runner.base.errors import Problem, Refused
from runner.datasets import cells
from runner.datasets.api import Sample
from runner.datasets.opening import LoadedDataset
from runner.datasets.picture_names import plain
from runner.jobs.answer_files.api import NO_REFERENCE, AnswerSet, listed, row
from runner.jobs.rows import sample_columns

Row = Mapping[str, Any]


def joined(answers: AnswerSet, dataset: LoadedDataset) -> AnswerSet:
    """Return the answers as answers to the dataset's samples, in its order; samples without one count as failed.

    Rows that belong to no sample are left out and named in a note. Raise Refused where none belongs to any, where a row
    may belong to several, and where two rows answer the same.
    """
    places, problems = _Places(dataset), list[Problem]()
    matched: dict[tuple[str, int], Row] = {}
    strangers: list[str] = []
    for given in answers.rows:
        samples = places.of(given)
        if isinstance(samples, Problem):
            problems.append(replace(samples, where=f"{answers.source}, {answers.name}"))
        elif not samples:
            strangers.append(repr(given["sample_id"]))
        else:
            for sample in samples:
                other = matched.setdefault((sample.id, given["repeat"]), given)
                if other is not given:
                    what = f"{other['sample_id']!r} and {given['sample_id']!r} both answer sample {sample.id!r}"
                    problems.append(Problem(what, f"{answers.source}, {answers.name}", "keep one of them"))
    if not matched and not problems:
        problems.append(_unknown(answers, dataset))
    shifted = (
        None
        if problems
        else _other_samples(answers, dataset, matched) or _from_one(answers, dataset, matched, strangers)
    )
    if shifted is not None:
        problems.append(shifted)
    if problems:
        raise Refused(problems)
    rows = list(_rows(answers, dataset, matched))
    kept = [note for note in answers.notes if NO_REFERENCE not in note]  # the dataset brings them
    notes = (*kept, *_notes(answers, dataset, matched, strangers), *dataset.notes)
    return replace(answers, rows=rows, notes=notes, dataset_digest=dataset.digest(), whole_pages=_shared(matched) > 0)


class _Places:
    """The samples of a dataset by what a row may call them."""

    def __init__(self, dataset: LoadedDataset) -> None:
        self._by_id = {sample.id: sample for sample in dataset}
        # From the most to the least exact; the first that has something decides.
        self._documents: dict[str, list[Sample]] = defaultdict(list)
        self._names: dict[str, list[Sample]] = defaultdict(list)
        self._stems: dict[str, list[Sample]] = defaultdict(list)
        for sample in dataset:
            self._documents[_plain(sample.document)].append(sample)
            for name, stem in {_named(plain(image)) for image in sample.images}:
                self._names[name].append(sample)
                self._stems[stem].append(sample)
        self._paths = {sample.id: [_plain(plain(image)) for image in sample.images] for sample in dataset}

    def of(self, given: Row) -> list[Sample] | Problem:
        """Return the samples that a row is about, none where there are none, or why it can't be told."""
        if (sample := self._by_id.get(given["sample_id"])) is not None:
            return self._contradiction(given, sample) or [sample]
        about = self._about(_plain(given["document"]))
        question, field = _plain(given["question"]), _plain(given["field"])
        if question or field:
            asked = [candidate for candidate in about if question and _plain(candidate.question) == question]
            asked = asked or [candidate for candidate in about if field and _plain(candidate.field) == field]
            if given["doc_class"] and len(asked) > 1:
                asked = [candidate for candidate in asked if candidate.doc_class == given["doc_class"]]
            if len(asked) > 1:
                return self._several(given, asked, "name them by id: 'answer_columns={id: COLUMN}'")
            return asked
        if len({candidate.document for candidate in about}) > 1:
            return self._several(given, about, "write the path of the picture as the dataset has it")
        return about

    def _contradiction(self, given: Row, sample: Sample) -> Problem | None:
        """Say where a row's id names one sample and the rest of it another: ids counted from 1, or of another table."""
        question, document = _plain(given["question"]), _plain(given["document"])
        other = [f"question {given['question']!r}"] if question and question != _plain(sample.question) else []
        is_named = document and document != _plain(given["sample_id"])
        if is_named and sample.id not in {candidate.id for candidate in self._about(document)}:
            other.append(f"document {given['document']!r}")
        if not other:
            return None
        what = (
            f"id {given['sample_id']!r} is document {sample.document!r}, question {sample.question!r}; the row says "
            f"{' and '.join(other)}"
        )
        return Problem(
            what, "", "ids as the dataset has them (docs/datasets.md), or leave them out: answer_columns={id: null}"
        )

    def _about(self, name: str) -> list[Sample]:
        """Return the samples about what is called so: a document, a picture's path or the end of one, its bare name."""
        last, stem = _named(name)
        if "/" in name:
            alike = {
                candidate.id: max(_common(path, name) for path in self._paths[candidate.id])
                for candidate in self._names[last]
            }
            most = max(alike.values(), default=0)
            likest = [candidate for candidate in self._names[last] if alike[candidate.id] == most > 0]
            return likest or self._documents[name]
        if name in self._documents and stem in self._stems:
            both = {candidate.id: candidate for candidate in (*self._documents[name], *self._stems[stem])}
            return list(both.values())
        return self._documents[name] or self._names[last] or self._stems[stem]

    @staticmethod
    def _several(given: Row, samples: Sequence[Sample], remedy: str) -> Problem:
        which = listed([f"{sample.id!r} ({sample.document}: {sample.question})" for sample in samples])
        return Problem(f"{given['sample_id']!r} may be about several samples: {which}", "", remedy)


def _rows(
    answers: AnswerSet, dataset: LoadedDataset, matched: Mapping[tuple[str, int], Row]
) -> Iterator[dict[str, Any]]:
    repeats: dict[str, list[int]] = defaultdict(list)
    for name, repeat in matched:
        repeats[name].append(repeat)
    fewest = min(map(len, repeats.values()))
    lost = Failure("bad_input", f"{answers.source.rpartition('/')[2]} has no answer to this sample")
    for sample in dataset:
        for repeat in sorted(repeats.get(sample.id, ())):
            yield {**matched[sample.id, repeat], **sample_columns(sample)}
        if sample.id not in repeats:
            yield from (row(sample, None, repeat=repeat, failure=lost) for repeat in range(fewest))


def _references(dataset: LoadedDataset, matched: Mapping[tuple[str, int], Row]) -> tuple[int, list[str]]:
    """Return how many answers came with a reference where the dataset has one, and those whose reference differs."""
    samples = {sample.id: sample for sample in dataset}
    both = [(name, row) for (name, _), row in matched.items() if row["references"] and samples[name].references]
    other = [
        repr(name)
        for name, row in both
        if not {_plain(reference) for reference in row["references"]}
        & {_plain(reference) for reference in samples[name].references}
    ]
    return len(both), other


def _shared(matched: Mapping[tuple[str, int], Row]) -> int:
    """Count the rows that stand for several questions: texts of whole pages."""
    return sum(count > 1 for count in Counter(id(given) for given in matched.values()).values())


def _notes(
    answers: AnswerSet, dataset: LoadedDataset, matched: Mapping[tuple[str, int], Row], strangers: Sequence[str]
) -> Iterator[str]:
    answered = {name for name, _ in matched}
    used = Counter(id(given) for given in matched.values())
    yield f"{len(used)} of {len(answers.rows)} rows answer {len(answered)} of {len(dataset)} samples of {dataset.name}"
    if pages := _shared(matched):
        yield (
            f"{pages} rows name no question: the text of each stands for every question about its document, which "
            "metrics=[found] measures"
        )
    if strangers:
        yield f"{len(strangers)} rows belong to no sample of {dataset.name} and are left out: {listed(strangers)}"
    if absent := [repr(sample.id) for sample in dataset if sample.id not in answered]:
        yield f"{len(absent)} of {len(dataset)} samples have no answer and count as failed: {listed(absent)}"
    if _begins_at_one(answers, dataset, matched):
        yield f"the ids begin at 1, those of {dataset.name} at 0, and no other column shows that the same is meant"
    if other := _references(dataset, matched)[1]:
        yield f"{len(other)} answers came with another reference than {dataset.name} has, which counts: {listed(other)}"


def _other_samples(
    answers: AnswerSet, dataset: LoadedDataset, matched: Mapping[tuple[str, int], Row]
) -> Problem | None:
    """Say where most references of a table aren't those of the samples that its rows were matched with."""
    compared, differing = _references(dataset, matched)
    if len(differing) <= compared / 2:
        return None
    sentence = f"{len(differing)} of {compared} answers came with another reference than {dataset.name} has"
    remedy = "do the ids name other samples? Leave out the table's references: answer_columns={references: null}"
    return Problem(f"{sentence}: {listed(differing)}", f"{answers.source}, {answers.name}", remedy)


def _begins_at_one(answers: AnswerSet, dataset: LoadedDataset, matched: Mapping[tuple[str, int], Row]) -> bool:
    """Say whether only numbers from 1 on name samples, and the dataset's sample 0 has no answer."""
    answered, samples = {name for name, _ in matched}, {sample.id for sample in dataset}
    if "1" not in answered or "0" not in samples - answered or _references(dataset, matched)[0]:
        return False
    return all(not row["question"] and row["document"] == row["sample_id"] for row in answers.rows)


def _from_one(
    answers: AnswerSet, dataset: LoadedDataset, matched: Mapping[tuple[str, int], Row], strangers: Sequence[str]
) -> Problem | None:
    """Say where all rows are counted from 1 and all samples from 0, so that each answer would stand one sample off."""
    last = len(dataset)
    if strangers != [repr(str(last))] or not _begins_at_one(answers, dataset, matched):
        return None
    what = f"ids go from 1 to {last}, and those of {dataset.name} from 0 to {last - 1}"
    return Problem(what, f"{answers.source}, {answers.name}", "write them as the dataset has them (docs/datasets.md)")


def _unknown(answers: AnswerSet, dataset: LoadedDataset) -> Problem:
    asked, known = answers.rows[0], next(iter(dataset))
    pictures = ", ".join(plain(image) for image in known.images[:1]) or "none"
    what = (
        f"no row belongs to a sample of {dataset.name}. A row: id {asked['sample_id']!r}, document "
        f"{asked['document']!r}, question {asked['question']!r}. A sample: id {known.id!r}, document "
        f"{known.document!r}, picture {pictures}, question {known.question!r}"
    )
    return Problem(what, f"{answers.source}, {answers.name}", "is it the right dataset.path? Columns: docs/scoring.md")


def _plain(text: str) -> str:
    """Return a name or question without what doesn't tell it apart: composed letters, single spaces, one slash."""
    return cells.label(str(text)).replace("\\", "/")


def _named(path: str) -> tuple[str, str]:
    """Return the name of a file, and without its ending; a page of a PDF keeps its page."""
    name = PurePosixPath(_plain(path)).name
    bare, _, page = name.partition("#")
    stem = PurePosixPath(bare).stem
    return name, f"{stem}#{page}" if page else stem


def _common(path: str, name: str) -> int:
    """Count the parts that two paths share at their ends; 0 where they are in folders of different names."""
    first, second = PurePosixPath(path).parts, PurePosixPath(name.removeprefix("./")).parts
    shared = 0
    while shared < min(len(first), len(second)) and first[-1 - shared] == second[-1 - shared]:
        shared += 1
    return shared if shared >= min(2, len(first), len(second)) else 0
