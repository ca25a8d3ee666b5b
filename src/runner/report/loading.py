"""Makes the report's data from job folders: candidates grouped by dataset, their answers, scores and comparisons."""

from __future__ import annotations

import dataclasses
import functools
import logging
import sys
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from metrics.api import Measure, Metric, Score
from metrics.paired import MeanStatistics, ScoredRun
from metrics.registry import MetricError, create
from runner.config.report_settings import ReportConfig
from runner.jobs.folder import JobFolder
from runner.jobs.pages_shown import shown
from runner.jobs.results import ALWAYS, UNKNOWN, choices
from runner.jobs.rows import is_truncated
from runner.report import clean_repeats, significance
from runner.report.model import (
    VALIDITY,
    Candidate,
    CandidateAnswer,
    Comparison,
    JudgeRemark,
    Key,
    Report,
    ReportSample,
    tracked,
)
from runner.report.texts import Texts, load

log = logging.getLogger(__name__)
PREFERRED = (
    "mws_overall",
    "mws_antifraud",
    "page_overall",
    "kie_f1",
    "grounding_hit",
    "exact_match",
    "anls",
    "cer",
    "wer",
    "judge_ratio",
    "rougeL",
    "bleu",
)
# What a judge says of quality; its other figures tell of the judge.
JUDGED = ("judge/ratio", "judge/score")
# Beyond these the table grows wider than a page; the rest stands under "all figures".
MOST_MEASURES = 4


def build(results: Sequence[JobFolder], settings: ReportConfig, title: str, folder: Path) -> Report:
    """Read what the jobs left. Raise ValueError where `report.baseline` or `report.measure` names nothing."""
    texts = load(settings.language)
    datasets: dict[str, list[JobFolder]] = defaultdict(list)
    for result in results:
        datasets[_dataset(result)].append(result)
    comparisons = [_comparison(group, settings, texts) for group in datasets.values()]
    known = {name for comparison in comparisons for candidate in comparison.candidates for name in _names(candidate)}
    if settings.baseline is not None and settings.baseline not in known:
        raise ValueError(f"report.baseline: no job is called {settings.baseline!r}; jobs: {', '.join(sorted(known))}")
    for comparison in comparisons:
        comparison.others = comparisons
    return Report(title, comparisons, settings, texts, folder)


def _dataset(result: JobFolder) -> str:
    """Name the questions of a job: jobs are compared where these are the same."""
    described = result.config["dataset"]
    return str(result.environment.get("dataset_digest") or f"{described['name']}\0{described.get('path')}")


def _named(result: JobFolder) -> str:
    """Name the dataset of a job, and what its pages were made worse by."""
    return ", ".join(filter(None, [str(result.config["dataset"]["name"]), str(shown(result.config))]))


def _comparison(everything: Sequence[JobFolder], settings: ReportConfig, texts: Texts) -> Comparison:
    results, repeats = clean_repeats.once(everything)
    chosen = choices(results)
    labels = _labels(results, chosen)
    metrics = _metrics(results)
    measures = _measures(results, metrics, settings)
    samples: dict[str, ReportSample] = {}
    read = list(
        dict.fromkeys([*(measure.name for measure in measures), *(name for name in VALIDITY if name in metrics)])
    )
    candidates = [
        _candidate(result, choice, label, read, samples)
        for result, choice, label in zip(results, chosen, labels, strict=True)
    ]
    for candidate in candidates:
        if candidate.result.cut_short:  # wherever it is named, its figures stand nearby
            word = "race.stopped" if candidate.stopped else "race.ended"
            race = candidate.result.record["race"]
            mark = texts(word, documents=race["documents"], of=race["of"])
            candidate.label = f"{candidate.label} ({mark})"
            candidate.runs = {
                name: dataclasses.replace(run, name=candidate.label) for name, run in candidate.runs.items()
            }
    named = (candidate for candidate in candidates if settings.baseline in _names(candidate))
    baseline = next(named, next((candidate for candidate in candidates if candidate.ranked), candidates[0]))
    compared = Comparison(
        dataset=_named(results[0]),
        candidates=candidates,
        samples=samples,
        measures=measures,
        settings=settings,
        texts=texts,
        baseline=baseline,
        metrics=metrics,
    )
    compared.verdicts, notes = significance.against(compared)
    compared.notes = [*notes, *([texts("note.clean_repeats", n=repeats)] if repeats else [])]
    return compared


def _names(candidate: Candidate) -> tuple[str, ...]:
    return (candidate.result.name, candidate.label, candidate.result.path.name)


def _labels(results: Sequence[JobFolder], chosen: Sequence[Mapping[str, str]]) -> list[str]:
    """Return a short name for each job: its model, its quantisation, and what else differs, with the key's name."""
    labels = []
    for result, choice in zip(results, chosen, strict=True):
        words = [choice["model"], choice["quant"]]
        words = [word for word in words if word and word != UNKNOWN] or [result.name]
        others = [(key, word) for key, word in choice.items() if key not in ALWAYS and word not in ("", UNKNOWN)]
        words += [
            value if key in ("backend", "prompt") else f"{key.rpartition('.')[2]} {value}" for key, value in others
        ]
        labels.append(" ".join(words))
    return [
        label if labels.count(label) == 1 else f"{label} ({result.path.name})"
        for label, result in zip(labels, results, strict=True)
    ]


def _metrics(results: Sequence[JobFolder]) -> dict[str, tuple[str, Metric]]:
    """Return name and metric that yield each measure, as the first job that has it configured it."""
    by_measure: dict[str, tuple[str, Metric]] = {}
    for result in results:
        for name, options in result.config["metrics"].items():
            try:
                metric = create(name, options)
            except MetricError as error:
                log.warning("report: %s can't be made here, its figures are shown without tests: %s", name, error)
                continue
            for measure in metric.measures:
                by_measure.setdefault(measure.name, (name, metric))
    return by_measure


def _measures(
    results: Sequence[JobFolder], metrics: Mapping[str, tuple[str, Metric]], settings: ReportConfig
) -> list[Measure]:
    """Return the measures of quality that were measured and have a direction, the one that decides first."""
    measured = {name.partition("/")[2] for result in results for name in result.metrics if _overall(name)}
    known = {measure.name: measure for _, metric in metrics.values() for measure in metric.measures}
    usable = [known[name] for name in known if name in measured and known[name].better != "neither"]
    usable = [measure for measure in usable if measure.group == "quality" or tracked(measure) in JUDGED]
    # `cer_mean` says nearly what `cer` says.
    usable = [
        measure
        for measure in usable
        if not (measure.name.endswith("_mean") and measure.name.removesuffix("_mean") in measured)
    ]
    rank = {name: position for position, name in enumerate(dict.fromkeys((settings.measure, *PREFERRED)))}
    usable.sort(key=lambda measure: rank.get(measure.name, len(rank)))
    if settings.measure is not None and usable and usable[0].name != settings.measure:
        raise ValueError(f"report.measure: {settings.measure!r} was not measured; measured are: {_listed(usable)}")
    return usable[:MOST_MEASURES]


def _overall(name: str) -> bool:
    return (name.startswith("quality/") and name.count("/") == 1) or name in JUDGED


def _listed(measures: Sequence[Measure]) -> str:
    return ", ".join(measure.name for measure in measures) or "none"


# ------------------------------------------------------------------------------------------------- one job


def _candidate(
    result: JobFolder,
    choice: Mapping[str, str],
    label: str,
    measures: Sequence[str],
    samples: dict[str, ReportSample],
) -> Candidate:
    """Read a job's answers and scores. What a killed job did not write is absent."""
    read: dict[Key, CandidateAnswer] = {}
    documents: dict[str, str] = {}
    for row in result.rows():
        if row["sample_id"] not in samples:
            samples[row["sample_id"]] = _sample(row)
        sample = samples[row["sample_id"]]
        read[sample.id, row["repeat"]] = _answer(row)
        documents[sample.id] = sys.intern(row["document"])
    candidate = Candidate(result, choice, label, read)
    judged = {figure["measure"] for figure in result.aggregates if figure.get("measure_group") == "judge"}
    _take_scores(candidate, documents, measures, judged, result.scores())
    return candidate


def _answer(row: Mapping[str, Any]) -> CandidateAnswer:
    error, prompt, timing = row["error"], row.get("prompt") or "", row["timing"] or {}
    return CandidateAnswer(
        text=row["text"],
        error=f"{error['kind']}: {error['message']}" if error else "",
        truncated=is_truncated(row),
        # What was due before an open load had settled is not measured.
        latency_s=None if timing.get("settled") is False else timing.get("latency_s"),
        prompt_tokens=row["prompt_tokens"],
        completion_tokens=row["completion_tokens"],
        prompt=sys.intern(prompt) if prompt != row["question"] else "",
        seen=_size(row.get("image_sizes")),
    )


@functools.lru_cache(maxsize=1000)
def _same(width: int, height: int) -> tuple[int, int]:
    """Return a size that many answers share."""
    return width, height


def _size(sizes: Sequence[Sequence[int]] | None) -> tuple[int, int] | None:
    return _same(sizes[0][0], sizes[0][1]) if sizes else None


def _sample(row: Mapping[str, Any]) -> ReportSample:
    return ReportSample(
        id=row["sample_id"],
        document=sys.intern(row["document"]),  # what many rows share is held once
        doc_class=sys.intern(row["doc_class"]),
        field=sys.intern(row["field"]),
        question=sys.intern(row["question"]),
        references=tuple(map(sys.intern, row["references"])),
        images=tuple(map(sys.intern, row["images"])),
        warp=tuple(warp) if (warp := row.get("warp")) else None,
    )


def _take_scores(
    candidate: Candidate,
    documents: Mapping[str, str],
    measures: Sequence[str],
    judged: Collection[str],
    scores: Iterable[Score],
) -> None:
    """Keep, of all scores, what the page needs: statistics per sample, each answer's value, a judge's words."""
    keys = {key: key for key in candidate.answers}  # one object for an answer, however many scores it has
    rows: dict[str, int] = {}
    stats = {name: MeanStatistics(rows) for name in measures}
    values: dict[Key, float] = {}
    remarks: dict[Key, list[JudgeRemark]] = defaultdict(list)
    for score in scores:
        key = keys.get((score.sample_id, score.repeat))
        if score.part or key is None:
            continue
        if score.name in stats and score.value is not None:
            stats[score.name].add(key[0], score.stats)
            if score.name == measures[0]:
                values[key] = score.value
        # Of a judge's many figures those that explain themselves, or say why there is none.
        if score.name in judged and (score.detail or score.reason):
            remarks[key].append(JudgeRemark(score.name, score.value, score.detail or score.reason))
    candidate.values, candidate.remarks = values, dict(remarks)
    candidate.runs = {
        name: ScoredRun(candidate.label, documents, value, len(documents) - len(value))
        for name, value in stats.items()
        if value
    }


def settings_of(results: Sequence[JobFolder], **given: Any) -> ReportConfig:
    """Return the settings that the first job was composed with, and what the command line says instead."""
    from omegaconf import OmegaConf

    composed = results[0].config.get("report") or {}
    merged = OmegaConf.merge(OmegaConf.structured(ReportConfig), OmegaConf.create(dict(composed)))
    made = OmegaConf.to_object(merged)
    assert isinstance(made, ReportConfig)
    return dataclasses.replace(made, **{name: value for name, value in given.items() if value is not None})
