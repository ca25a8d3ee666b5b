"""How the report was made: notes, all figures, configs, versions, hardware, and the commands that repeat it."""

from __future__ import annotations

import shlex
from typing import Any

from omegaconf import OmegaConf

from runner.report.model import Report
from runner.report.table import notes


def context(report: Report) -> dict[str, Any]:
    """Return the template's variables for all jobs."""
    results = report.results
    candidates = [candidate for comparison in report.comparisons for candidate in comparison.candidates]
    environments = [result.environment for result in results]
    return {
        "notes": notes(
            results,
            everywhere=report.texts("origin.all_jobs"),
            except_for=report.texts("origin.all_jobs_but", jobs="{jobs}"),
        ),
        "names": sorted({name for result in results for name in result.metrics}),
        "candidates": candidates,
        "several_datasets": len(report.comparisons) > 1,
        "datasets": [comparison.dataset for comparison in report.comparisons for _ in comparison.candidates],
        "commands": list(dict.fromkeys(shlex.join(environment["command"]) for environment in environments)),
        "machines": list(dict.fromkeys(_machine(environment) for environment in environments)),
        "commits": list(dict.fromkeys(str(environment.get("git_commit") or "–") for environment in environments)),
        "software": _packages(environments),
        "engines": list(
            dict.fromkeys(_engine(result.environment) for result in results if _engine(result.environment))
        ),
        "metric_versions": sorted(
            {pair for environment in environments for pair in environment.get("metric_versions", {}).items()}
        ),
        "configs": [(candidate, _config(candidate.result.config)) for candidate in candidates],
    }


def _machine(environment: Any) -> str:
    return f"{environment['host']}: {environment['cpu']}; GPU: {', '.join(environment['gpus']) or '–'}"


def _packages(environments: Any) -> list[str]:
    packages = {
        (name, version)
        for environment in environments
        for name, version in environment.get("packages", {}).items()
        if version
    }
    pythons = sorted({f"Python {environment['python']}" for environment in environments})
    return [*pythons, *(f"{name} {version}" for name, version in sorted(packages))]


def _engine(environment: Any) -> str:
    return ", ".join(f"{name} {value}" for name, value in (environment.get("engine") or {}).items())


def _config(config: Any) -> str:
    """Return a job's config as YAML. Secrets are unresolved: they appear as names of environment variables."""
    return OmegaConf.to_yaml(OmegaConf.create(dict(config)))
