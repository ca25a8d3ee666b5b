"""What a run is called in MLflow, and what its page says: how it did, how it was set, how to repeat it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from runner.config.decisive import INDIFFERENT
from runner.jobs.folder import JobFolder

# Groups that are part of a job's name, and keys that don't tell one experiment from another.
NAMED = ("model", "quant", "backend")
SILENT = (*INDIFFERENT, "experiment", "workers", "judge")
LONGEST_NAME = 120
LEADING = ("quality/exact_match", "quality/cer", "judge/ratio", "judge/score")
COUNTS = ("samples/failed", "samples/unscored", "samples/truncated", "samples/total")
# What is said of a job, as far as it was measured: metric -> words.
FIGURES = {
    "latency/p50_s": "latency p50 {:.3f} s",
    "latency/p95_s": "p95 {:.3f} s",
    "throughput/output_tokens_per_s": "{:.1f} tokens/s",
    "cost/usd_per_1000_pages": "{:.3g} USD for 1,000 pages",
    "memory/needed_gib": "{:.2f} GiB needed",
    "memory/gpu_peak_gib": "GPU peak {:.2f} GiB",
    "memory/cpu_peak_gib": "CPU peak {:.2f} GiB",
}


def run_name(name: str, config: DictConfig, environment: Mapping[str, Any], cut_short: str | None = None) -> str:
    """Return a name that tells a run from its neighbours: model, quant, backend, and what else the command set.

    `cut_short` is what a race did to the job.
    """
    parts = [f"{name}-{config.backend.name}", *([f"[{cut_short}]"] if cut_short else [])]
    if "answers_from" not in environment:
        parts += [_short(override) for override in environment["overrides"] if _tells(override)]
    whole = " ".join(parts)
    return whole if len(whole) <= LONGEST_NAME else whole[: LONGEST_NAME - 1] + "…"


def text(job: JobFolder, config: DictConfig, environment: Mapping[str, Any]) -> str:
    """Return the description of a job's run in Markdown."""
    parts = [_verdict(job), *(f"- {_line(note)}" for note in job.notes)]
    parts += ["", "| | |", "|---|---|", *(f"| {key} | {_line(value)} |" for key, value in _set(config, environment))]
    if "answers_from" not in environment:
        commit = environment.get("git_commit") or ""
        first = f"git checkout {commit.removesuffix('-dirty')}" + ("   # with changes" if "-dirty" in commit else "")
        command = shlex.join(["python", "-m", "runner", *environment["overrides"]])
        parts += ["", "To repeat it:", "```sh", *([first] if commit else []), command, "```"]
    return "\n".join(parts)


def _verdict(job: JobFolder) -> str:
    """Say in a sentence how a job did."""
    metrics = job.metrics
    if job.status != "finished":
        reason = str(job.error or "").splitlines()
        return f"**{job.status}**: {_line(reason[0]) if reason else 'no reason is known'}"
    figures = [_quality(name, metrics) for name in _leading(metrics)]
    figures += [words.format(metrics[name]) for name, words in FIGURES.items() if name in metrics]
    counts = f"{metrics.get('samples/total', 0):.0f} answers, {metrics.get('samples/failed', 0):.0f} failed"
    unscored = f", {metrics['samples/unscored']:.0f} unscored" if metrics.get("samples/unscored") else ""
    return f"**{'; '.join(figures) or 'not scored'}** ({counts}{unscored})"


def ordered(metrics: Mapping[str, float]) -> list[str]:
    """Return the names of metrics in the order of a reader's questions.

    How good (the measures that are looked at first before the others), at what cost, how many answers failed; then
    intervals, everything else as it was measured, and last the figures of single classes and fields.
    """
    groups = ("quality/", "judge/")
    overall = [name for name in metrics if name.startswith(groups) and name.count("/") == 1]
    best = [name for name in LEADING if name in overall]
    counts = [name for name in COUNTS if name in metrics]
    costs = [name for name in FIGURES if name in metrics]
    intervals = [f"{name}/{end}" for name in overall for end in ("ci_low", "ci_high") if f"{name}/{end}" in metrics]
    parts = [name for name in metrics if "/by/" in name]
    first = [*best, *(name for name in overall if not name.endswith("_mean")), *costs, *counts, *overall, *intervals]
    rest = [name for name in metrics if name not in {*first, *parts}]
    return list(dict.fromkeys([*first, *rest, *parts]))


def _leading(metrics: Mapping[str, float]) -> list[str]:
    """Return the measures that a reader looks for first, three at most; the table of metrics has them all."""
    overall = [name for name in metrics if name.startswith(("quality/", "judge/")) and name.count("/") == 1]
    known = [name for name in LEADING if name in overall]
    return (known + [name for name in overall if name not in known and not name.endswith("_mean")])[:3]


def _quality(name: str, metrics: Mapping[str, float]) -> str:
    low, high = metrics.get(f"{name}/ci_low"), metrics.get(f"{name}/ci_high")
    interval = "" if low is None or high is None else f" [{low:.3f}, {high:.3f}]"
    return f"{name.removeprefix('quality/')} {metrics[name]:.3f}{interval}"


def _set(config: DictConfig, environment: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what was compared, and on which machine."""
    known = [("model", f"{config.model.name} ({environment['checkpoint']})")]
    known += [(group, config[group].name) for group in ("quant", "backend", "dataset", "prompt", "sampling")]
    known += [("environment", environment.get("env", "unknown")), ("concurrency", str(config.concurrency))]
    known += [("dataset digest", str(environment.get("dataset_digest") or "unknown")[:16])]
    known += [("prompt digest", str(environment.get("prompt_digest") or "unknown")[:16])]
    known += [("GPU", ", ".join(environment["gpus"]) or "none"), ("CPU", environment["cpu"])]
    return [*known, ("sweep", environment["sweep"]), ("licence", str(config.model.licence))]


def _tells(override: str) -> bool:
    key = override.lstrip("+~").partition("=")[0]
    return key not in NAMED and key.partition(".")[0].partition("/")[0] not in SILENT


def _short(override: str) -> str:
    key, equals, value = override.lstrip("+").partition("=")
    return f"{key}{equals}{Path(value).name if '/' in value else value}"


def _line(value: object) -> str:
    """Return a text that stays within a cell of a table."""
    return " ".join(str(value).split()).replace("|", "\\|")
