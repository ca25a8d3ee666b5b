"""Writes the jobs of a plan as a file of conf/experiment: what they share once, what tells them apart as a list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from omegaconf import OmegaConf

from runner.sweeps.plan_csv.translate import PlannedJob

GROUPS = ("model", "quant", "backend", "dataset", "prompt", "metrics")


def experiment(jobs: Sequence[PlannedJob], name: str, source: str) -> str:
    """Return the text of an experiment that runs the jobs which ask; those that only score are not part of it."""
    asking = [job.overrides for job in jobs if not job.scores]
    first = asking[0]
    shared = {key: value for key, value in first.items() if all(settings.get(key) == value for settings in asking)}
    # A job that chooses a group's word would lose what the file says within that group: it says all of it itself.
    chosen = {key.partition(".")[0] for settings in asking for key in settings if "." not in key and key not in shared}
    shared = {key: value for key, value in shared.items() if key.partition(".")[0] not in chosen}
    own = [{key: value for key, value in settings.items() if key not in shared} for settings in asking]
    words = [{f"override /{key}": value} for key, value in shared.items() if key in GROUPS]
    body: dict[str, Any] = {"defaults": words} if words else {}
    for key, value in shared.items():
        if key not in GROUPS:
            group, dot, rest = key.partition(".")
            body.setdefault(group, {})[rest] = value if dot else None
            if not dot:
                body[group] = value
    body["hydra"] = {"mode": "MULTIRUN"} | ({"sweeper": {"jobs": own}} if any(own) else {})
    # OmegaConf writes texts so that OmegaConf, which reads them for Hydra, takes them for texts: '1e3', '1_000', 'on'.
    text = OmegaConf.to_yaml(OmegaConf.create(body))
    head = ["# @package _global_", f"# python -m runner experiment={name}", f"# Made from {source}."]
    return "\n".join(head) + "\n" + text
