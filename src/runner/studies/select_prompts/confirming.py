"""Runs the chosen collection and the baseline prompt on another split, to see how much of the gain remains."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import QuotedString

from metrics.paired import Paired, compare
from runner.base.errors import JobFailed
from runner.config.overrides import config_dir_option, spelled
from runner.studies.compare.jobs import Scored, find_jobs
from runner.studies.select_prompts.candidates import key_of, prompt_config
from runner.studies.select_prompts.choosing import Estimate, Selection, combined, joined

# The keys of the prompt's text, which the collection replaces. The other keys, such as `ocr`, stay.
TEXT = ("template", "collection", "default", "system", "path", "name", "version")


@dataclass(frozen=True)
class Confirmation:
    """Figures on the split of the confirmation, per (doc_class, field) and overall, and the test against the baseline.

    A gap is how much worse a figure is here than on the split of the choice, in units of the measure. It has two
    causes: choosing the best of several prompts overestimates it, and the splits differ in difficulty. The baseline was
    not chosen by its figures, so its gap has only the second cause. The difference of the two gaps is overfitting.
    """

    split: str
    figures: Mapping[tuple[str, str], Estimate]
    overall: Estimate
    baseline: Estimate | None
    against_baseline: Paired | None

    def gap(self, selection: Selection, pair: tuple[str, str] | None = None) -> float | None:
        """Return the gap of a (doc_class, field), or overall."""
        here = self.figures.get(pair) if pair else self.overall
        chosen = {choice.pair: choice.figure for choice in selection.choices}
        there = chosen.get(pair) if pair else selection.overall
        if here is None or there is None:
            return None
        return _worse(selection, here, there)

    def baseline_gap(self, selection: Selection) -> float | None:
        """Return the gap of the baseline prompt, overall."""
        return _worse(selection, self.baseline, selection.baseline) if self.baseline else None

    def overfitting(self, selection: Selection) -> float | None:
        """Return the overall gap of the chosen prompts minus that of the baseline."""
        gap, baseline = self.gap(selection), self.baseline_gap(selection)
        return None if gap is None or baseline is None else gap - baseline


def _worse(selection: Selection, here: Estimate, there: Estimate) -> float:
    worse = here.value - there.value
    return worse if selection.candidate.measure.better == "lower" else -worse


def confirm(
    selections: Sequence[Selection], files: Sequence[Path], split: str, folder: Path, extra: Sequence[str]
) -> list[Confirmation]:
    """Run the chosen collections and the baseline prompts on a split, and compare. Raise JobFailed if a run fails."""
    jobs = []
    for selection, file in zip(selections, files, strict=True):
        baseline = selection.candidate.tried[0].job
        jobs += [_chosen_job(baseline, file, split), _settings(baseline) | {"dataset.split": split}]
    sweep = folder / "confirmation"
    first = selections[0].candidate.tried[0].job.result.environment
    try:
        listed = spelled("hydra.sweeper.jobs", jobs)
    except ValueError as error:
        raise JobFailed(f"the jobs of the confirmation can't be written as a command: {error}") from error
    command = [sys.executable, "-m", "runner", "-m", *config_dir_option(first["command"]), listed]
    command += [spelled("hydra.sweep.dir", str(sweep.absolute())), *extra]
    # In the working directory of the sweep, because its relative paths, store and database are meant.
    ended = subprocess.run(command, cwd=first["cwd"], check=False)
    if ended.returncode:
        raise JobFailed(f"the confirmation ended with status {ended.returncode}; what was answered is in {sweep}")
    finished = find_jobs([sweep])
    return [_compared(selection, file, split, finished) for selection, file in zip(selections, files, strict=True)]


def _chosen_job(job: Scored, file: Path, split: str) -> dict[str, Any]:
    """Return the overrides of a job that differs from `job` in having the collection as its prompt."""
    unchanged = {
        key: value
        for key, value in _settings(job).items()
        if key not in ("prompt", *(f"prompt.{key_name}" for key_name in TEXT))
    }
    emptied = {f"prompt.{key_name}": None for key_name in TEXT[:4]}
    role = prompt_config(job).system_role
    named = {"prompt": "collection", "prompt.path": str(file.absolute()), "prompt.name": file.parent.name}
    return {**unchanged, **emptied, **named, "prompt.system_role": role, "dataset.split": split}


def _settings(job: Scored) -> dict[str, Any]:
    """Return the overrides of a job as a dict from key to value."""
    parsed = OverridesParser.create().parse_overrides(list(job.result.environment["overrides"]))
    return {override.get_key_element(): _plain(override.value()) for override in parsed}


def _plain(value: Any) -> Any:
    if isinstance(value, QuotedString):
        return value.text
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {_plain(key): _plain(item) for key, item in value.items()}
    return value


def _compared(selection: Selection, file: Path, split: str, jobs: Sequence[Scored]) -> Confirmation:
    candidate = selection.candidate
    own = [job for job in jobs if key_of(job) == candidate.key and job.result.status == "finished"]
    chosen = next((job for job in own if prompt_config(job).path == str(file.absolute())), None)
    if chosen is None:
        raise JobFailed(f"{candidate.name}: the job with {file} is not among those of the confirmation")
    baseline = next((job for job in own if job is not chosen), None)
    run = chosen.run(candidate.measure.name)
    samples: dict[tuple[str, str], list[str]] = {}
    for case in chosen.cases:
        if case.sample_id in run.stats and case.repeat == 0:
            samples.setdefault((case.doc_class, case.field), []).append(case.sample_id)
    if not samples:
        raise JobFailed(f"{candidate.name}: nothing was scored by {candidate.measure.name} on {split}")
    other = baseline.run(candidate.measure.name) if baseline else None
    return Confirmation(
        split,
        {pair: joined(candidate, [(run, own)]) for pair, own in samples.items()},
        joined(candidate, [(run, list(run.stats))]),
        joined(candidate, [(other, list(other.stats))]) if other and other.stats else None,
        compare(candidate.measure, combined(candidate), other, run) if other and other.stats else None,
    )
