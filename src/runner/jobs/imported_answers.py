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
from runner.config import typed
from runner.jobs import costs, figures
from runner.jobs.answer_files import AnswerSet
from runner.jobs.folder import JobFolder
from runner.jobs.rows import Record
from runner.planning import prices

# Groups of the config that say how answers were made.
MAKING = ("quant", "backend", "env", "prompt", "sampling")


def make_folder(cfg: DictConfig, one: AnswerSet, where: Path, *, sweep: str) -> None:
    """Make the folder of a job whose answers another program made."""
    where.mkdir(parents=True, exist_ok=True)
    folder = JobFolder(where)
    folder.write_config(_told(cfg, one))
    folder.write_rows(one.rows)
    failed = sum(row["error"] is not None for row in one.rows)
    now, seen = time.time(), figures.Seen(one.rows)
    record: Record = {
        "name": one.name,
        "status": "finished",
        "error": None,
        "started_at": now,
        "finished_at": now,
        "metrics": {"samples/total": len(one.rows), "samples/failed": failed}
        | figures.figures(seen, None, timed=True)
        | costs.figures(seen.costs, prices.of_tokens(typed(cfg)), None, None),
        "notes": [f"answers were read from {Path(one.source).name}", *one.notes],
        "aggregates": [],
    }
    folder.write_environment(_described(cfg, one, sweep))
    folder.write_record(record)


def _described(cfg: DictConfig, one: AnswerSet, sweep: str) -> dict[str, Any]:
    """Return what is known of where the answers come from."""
    # Equal answers under the same name are the same run: scoring them again adds to it.
    uid = store.digest([one.name, [[row["sample_id"], row["repeat"], row["text"]] for row in one.rows]])[:32]
    return machine.describe() | {
        "job_uid": uid,
        "sweep": sweep,
        "overrides": list(HydraConfig.get().overrides.task),
        "config_hash": uid[:16],
        "conditions": {},
        # The engine's environment isn't known unless it was named; where the job was started is what uploads need.
        "env": str(cfg.env.name) if "env" in _given() else "unknown",
        "cwd": str(Path.cwd()),
        "dataset_digest": one.dataset_digest,
        "prompt_digest": None,
        **({"whole_pages": True} if one.whole_pages else {}),
        "gpus": ["unknown"],  # of this machine it would be a lie
        "answers_from": one.source,
        "metric_versions": {},
        "checkpoint": "unknown",
        "checkpoint_digest": None,
    }


def _given() -> set[str]:
    """Return the keys that the command line names."""
    return {override.lstrip("+").partition("=")[0] for override in HydraConfig.get().overrides.task}


def _told(composed: DictConfig, one: AnswerSet) -> DictConfig:
    """Return the config with what is known of these answers: what the command line says, else `unknown`."""
    cfg = copy.deepcopy(composed)
    given = _given()
    with open_dict(cfg):
        if not given & {"model", "model.name"}:
            cfg.model.name = one.name
        if "model" not in given:  # what its file says is said of another model
            cfg.model.checkpoints, cfg.model.engine_args, cfg.model.env = {}, {}, {}
            if "model.licence" not in given:
                cfg.model.licence = "unknown"
        for group in MAKING:
            if group not in given:
                cfg[group].name = "unknown"
        if not given & {"dataset", "dataset.name"}:
            cfg.dataset.name = Path(one.source).stem
        if not given & {"dataset", "dataset.path"}:
            cfg.dataset.path = one.source
    return cfg
