"""How it was made: notes on the figures, all figures, configs, versions, hardware, and the commands that repeat it."""

from __future__ import annotations

import shlex
from typing import Any

from omegaconf import OmegaConf

from runner.report.model import Report
from runner.report.table import notes


def context(report: Report) -> dict[str, Any]:
    """Return what the template shows, of all jobs."""
    results = report.results
    candidates = [one for comparison in report.comparisons for one in comparison.candidates]
    environments = [one.environment for one in results]
    return {
        "notes": notes(results, everywhere=report.texts("origin.all_jobs")),
        "names": sorted({name for one in results for name in one.metrics}),
        "candidates": candidates,
        "several_datasets": len(report.comparisons) > 1,
        "datasets": [comparison.dataset for comparison in report.comparisons for _ in comparison.candidates],
        "commands": list(dict.fromkeys(shlex.join(one["command"]) for one in environments)),
        "machines": list(dict.fromkeys(_machine(one) for one in environments)),
        "commits": list(dict.fromkeys(str(one.get("git_commit") or "–") for one in environments)),
        "software": _packages(environments),
        "engines": list(dict.fromkeys(_engine(one.environment) for one in results if _engine(one.environment))),
        "metric_versions": sorted({pair for one in environments for pair in one.get("metric_versions", {}).items()}),
        "configs": [(one, _config(one.result.config)) for one in candidates],
    }


def _machine(environment: Any) -> str:
    return f"{environment['host']}: {environment['cpu']}; GPU: {', '.join(environment['gpus']) or '–'}"


def _packages(environments: Any) -> list[str]:
    found = {(name, version) for one in environments for name, version in one.get("packages", {}).items() if version}
    pythons = sorted({f"Python {one['python']}" for one in environments})
    return [*pythons, *(f"{name} {version}" for name, version in sorted(found))]


def _engine(environment: Any) -> str:
    return ", ".join(f"{name} {value}" for name, value in (environment.get("engine") or {}).items())


def _config(config: Any) -> str:
    """Return a job's config as it was composed; secrets are still names of environment variables in there."""
    return OmegaConf.to_yaml(OmegaConf.create(dict(config)))
