"""Lists what differs between two jobs: settings, and what else decides answers or timing (files, versions, machine)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from runner.config import decisive
from runner.jobs.folder import JobFolder

# The compared parts of environment.json. The digests detect a file that was edited under the same name.
ENVIRONMENT = ("env", "checkpoint", "checkpoint_digest", "prompt_digest", "dataset_digest", "metric_versions",
               "conditions", "host", "cpu", "gpus", "python", "git_commit", "packages")  # fmt: skip


def difference(first: JobFolder, second: JobFolder) -> dict[str, tuple[str, str]]:
    """Return both values of each key that differs, as text (empty if missing); the config's keys come first."""
    differing: dict[str, tuple[str, str]] = {}
    configs = [dict(_flat(decisive.only(result.config), "")) for result in (first, second)]
    machines = [
        dict(_flat({key: result.environment.get(key) for key in ENVIRONMENT}, "environment"))
        for result in (first, second)
    ]
    for before, after in (configs, machines):
        for key in dict.fromkeys((*before, *after)):
            if before.get(key, "") != after.get(key, ""):
                differing[key] = (before.get(key, ""), after.get(key, ""))
    return differing


def _flat(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _flat(inner, f"{path}.{key}" if path else str(key))
    else:
        yield path, "" if value is None else str(value)
