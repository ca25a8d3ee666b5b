"""Makes the folder of a job whose answers another program made: what isn't known of them is `unknown` or absent."""

from __future__ import annotations

import copy
import time
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, open_dict

from runner import store
from runner.base import machine
from runner.jobs import costs, figures
from runner.jobs.answer_files import AnswerSet
from runner.jobs.folder import JobFolder
from runner.jobs.rows import Record
from runner.planning import prices

# Groups of the config that say how answers were made.
MAKING = ("quant", "backend", "env", "prompt", "sampling")


def make_folder(cfg: DictConfig, answers: AnswerSet, where: Path, *, sweep: str) -> None:
    """Make the folder of a job whose answers another program made."""
    where.mkdir(parents=True, exist_ok=True)
    folder = JobFolder(where)
    folder.write_config(_told(cfg, answers))
    folder.write_rows(answers.rows)
    failed = sum(row["error"] is not None for row in answers.rows)
    now, seen = time.time(), figures.Seen(answers.rows)
    record: Record = {
        "name": answers.name,
        "status": "finished",
        "error": None,
        "started_at": now,
        "finished_at": now,
        "metrics": {"samples/total": len(answers.rows), "samples/failed": failed}
        | figures.figures(seen, None, timed=True)
        | costs.figures(seen.costs, prices.of_a_model(cfg.model.price), None, None),
        "notes": [f"answers were read from {Path(answers.source).name}", *answers.notes],
        "aggregates": [],
    }
    folder.write_environment(_described(cfg, answers, sweep))
    folder.write_record(record)


def _described(cfg: DictConfig, answers: AnswerSet, sweep: str) -> dict[str, Any]:
    """Return what is known of where the answers come from."""
    # Equal answers under the same name are the same run: scoring them again adds to it.
    uid = store.digest([answers.name, [[row["sample_id"], row["repeat"], row["text"]] for row in answers.rows]])[:32]
    return machine.describe() | {
        "job_uid": uid,
        "sweep": sweep,
        "overrides": list(HydraConfig.get().overrides.task),
        "config_hash": uid[:16],
        "conditions": {},
        # The engine's environment isn't known unless it was named; where the job was started is what uploads need.
        "env": str(cfg.env.name) if "env" in _given() else "unknown",
        "cwd": str(Path.cwd()),
        "dataset_digest": answers.dataset_digest,
        "prompt_digest": None,
        **({"whole_pages": True} if answers.whole_pages else {}),
        "gpus": ["unknown"],  # of this machine it would be a lie
        "answers_from": answers.source,
        "metric_versions": {},
        "checkpoint": "unknown",
        "checkpoint_digest": None,
    }


def _given() -> set[str]:
    """Return the keys that the command line names."""
    return {override.lstrip("+").partition("=")[0] for override in HydraConfig.get().overrides.task}


def _told(composed: DictConfig, answers: AnswerSet) -> DictConfig:
    """Return the config with what is known of these answers: what the command line says, else `unknown`."""
    cfg = copy.deepcopy(composed)
    given = _given()
    with open_dict(cfg):
        if not given & {"model", "model.name"}:
            cfg.model.name = answers.name
        if "model" not in given:  # what its file says is said of another model
            cfg.model.checkpoints, cfg.model.engine_args, cfg.model.env = {}, {}, {}
            if "model.licence" not in given:
                cfg.model.licence = "unknown"
        for group in MAKING:
            if group not in given:
                cfg[group].name = "unknown"
        if not given & {"dataset", "dataset.name"}:
            cfg.dataset.name = Path(answers.source).stem
        if not given & {"dataset", "dataset.path"}:
            cfg.dataset.path = answers.source
    return cfg
