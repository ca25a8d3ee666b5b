"""The rival answers with which a pairwise judge compares: another model's answers by sample."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from metrics.api import Case
from runner.base.errors import Problem, Refused
from runner.datasets.opening import LoadedDataset
from runner.jobs.answer_files import open_answers
from runner.jobs.folder import JobFolder

KEY = "judge.reference_answers"


@dataclass(frozen=True)
class Rivals:
    """Reference answers by sample id. Of several repeats, the first non-empty answer counts."""

    source: str
    answers: Mapping[str, str]

    @property
    def digest(self) -> str:
        """A digest of the answers, for the metric's version."""
        text = json.dumps(sorted(self.answers.items()), ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


_read: dict[tuple[str, str, float], Rivals] = {}


def read_rivals(path: Path, columns: str, dataset: Callable[[], LoadedDataset]) -> Rivals:
    """Read the answers of a job's folder, or of a file with one model's answers. Raise Refused for anything else."""
    if not path.exists():
        remedy = "a job's folder or answers.jsonl, or a table: python -m runner experiment=reference_answers makes them"
        raise Refused(Problem(f"{path} does not exist", KEY, remedy))
    key = (str(path), columns, _changed(path))
    if key not in _read:  # cached, because each job of a sweep needs them
        sets = open_answers(path, json.loads(columns), dataset)
        if len(sets) > 1:
            named = ", ".join(answer_set.name for answer_set in sets[:5])
            what = f"{path} holds the answers of {len(sets)} models: {named}"
            raise Refused(Problem(what, KEY, "name the folder of one job, or a table with one model"))
        answers: dict[str, str] = {}
        for row in sorted(sets[0].rows, key=lambda row: int(row["repeat"])):
            if row["text"] is not None and row["text"].strip():
                answers.setdefault(row["sample_id"], row["text"])
        if not answers:
            raise Refused(Problem(f"{path} holds no answer", KEY, "all of them failed or are empty"))
        _read[key] = Rivals(str(path), answers)
    return _read[key]


def _changed(path: Path) -> float:
    file = JobFolder(path).answers_path if path.is_dir() else path
    return file.stat().st_mtime if file.exists() else 0.0


def check(samples: Iterable[str], rivals: Rivals | None) -> None:
    """Raise Refused if none of the samples has a reference answer."""
    if rivals is None:
        return
    first = ""
    for sample in samples:
        if sample in rivals.answers:
            return
        first = first or sample
    known = next(iter(rivals.answers))
    what = f"{rivals.source} has answers to other samples: it has {known!r}, the job asks about {first!r}"
    raise Refused(Problem(what, KEY, "take reference answers to the same dataset"))


def with_rivals(cases: Sequence[Case], rivals: Rivals | None) -> list[Case]:
    """Return cases with their rival: the answer in `rivals`; without these the case's own, or the first reference."""
    if rivals is None:
        return [
            case if case.rival is not None else replace(case, rival=next(iter(case.references), None)) for case in cases
        ]
    return [replace(case, rival=rivals.answers.get(case.sample_id)) for case in cases]
