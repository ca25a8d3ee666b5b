"""Writes what a job leaves besides its answers: config, environment, record, logs, and its run in MLflow."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from runner import store
from runner.asking.questions import Generated
from runner.base import machine
from runner.base.errors import JobFailed
from runner.config import decisive
from runner.jobs import blocks
from runner.jobs.folder import RUNNING, JobFolder, this_process
from runner.jobs.rows import Record
from runner.planning import environments, prices
from runner.planning.job import Job


class Recorder:
    """Writes what a job leaves besides its answers: its config, environment and record, its log, and its run."""

    def __init__(self, folder: JobFolder, job: Job, cfg: DictConfig) -> None:
        """Write what is known at the start: that the job runs, too, so that one which is killed is found."""
        self.folder, self.job = folder, job
        self.aggregates: list[dict[str, Any]] = []
        self.notes: list[str] = []
        self.timed = True
        self._race: dict[str, Any] | None = None
        self._blocks: dict[str, Any] | None = None
        self.started_at, self._began = time.time(), time.monotonic()
        try:
            folder.create(cfg)
        except FileExistsError:
            raise JobFailed(f"{folder.path} holds another run; give another hydra.run.dir or hydra.sweep.dir") from None
        hydra = HydraConfig.get()
        sweep = hydra.sweep.dir if hydra.mode and hydra.mode.name == "MULTIRUN" else hydra.run.dir
        remote = environments.chosen(job.config).remote
        self.environment: dict[str, Any] = (
            machine.describe()
            | {
                **({"gpus": [remote.gpu or "unknown"], "cpu": "unknown"} if remote else {}),  # ours would be a lie
                "job_uid": uuid.uuid4().hex,
                "sweep": "/".join(Path(str(sweep)).parts[-2:]),
                "overrides": list(hydra.overrides.task),
                "config_hash": store.digest([_decisive(cfg), job.digest])[:16],
                "conditions": dict(job.conditions),
                "prompt_digest": job.prompt.digest,
                "dataset_digest": job.dataset.digest(),
                "metric_versions": {name: metric.version for name, metric in job.metrics.items()},
                "env": job.spec.env,
                "cwd": str(Path.cwd()),
                **({"whole_pages": True} if job.gives_whole_pages else {}),
                "checkpoint": job.spec.checkpoint,
                **({"prices": told} if (told := prices.told(job.config)) else {}),
                "checkpoint_digest": job.spec.digest,
            }
        )
        folder.write_environment(self.environment)
        total = job.questions
        # What probes for a limit asks some of its samples.
        self.metrics: dict[str, float] = {} if job.dataset.probes else {"samples/total": total}
        self._write(RUNNING, None, ended=False)

    def generated(self, generated: Generated) -> None:
        """Take over the counts of the generation stage and the engine's log."""
        self.timed = generated.timed
        total = self.job.questions
        if self.job.dataset.probes:
            total = len(generated.keys) + len(generated.failures)  # a search asks some, a limit ends the rest
        elif self._race is not None:
            total = self._race["questions"]
        self.metrics |= {
            "samples/total": total,
            "samples/reused": generated.reused,
            "samples/failed": len(generated.failures),
            "engine/starts": generated.started,
        }
        if generated.started and generated.load_s is not None:
            self.metrics["engine/load_s"] = generated.load_s
        facts = (generated.measured or {}).get("stats", {}).get("facts", {})
        if facts:
            self.environment["engine"] = facts
            self.folder.write_environment(self.environment)
        self.folder.keep_logs(generated.log_paths)

    def raced(self, outcome: Mapping[str, Any], note: str | None) -> None:
        """Keep what became of the job in its race, as `Record` tells it, and how many questions it was asked."""
        self._race = dict(outcome)
        self.notes += [] if note is None else [note]
        self.metrics |= {"race/documents": outcome["documents"], "race/stopped": float(outcome["stopped"])}

    def measured_in_blocks(self, measured: Sequence[blocks.Block]) -> None:
        """Keep what the blocks of a job that was measured over time show, and whether they differ."""
        self._blocks = blocks.described(measured)
        figures = blocks.figures(self._blocks)
        self.notes.append(blocks.note(self._blocks, figures))
        self.metrics |= figures

    def add_version(self, metric: str, version: str) -> None:
        """Keep the version of a metric that is none of the job's own."""
        self.environment["metric_versions"][metric] = version
        self.folder.write_environment(self.environment)

    def close(self, status: str, error: str | None = None) -> None:
        """Write how it ended, which makes the folder complete, and bring it to MLflow."""
        self._write(status, error, ended=True)
        if not self.job.config.tracking.uri:
            return
        from runner.jobs import tracking

        send = tracking.background.upload_of_a_killed_job if status == "killed" else tracking.background.upload
        send(self.job.title, self.folder.path)

    def _write(self, status: str, error: str | None, *, ended: bool) -> None:
        record: Record = {
            "name": self.job.name,
            "status": status,
            "error": error,
            "started_at": self.started_at,
            # Not the clock again: it may have been set meanwhile.
            "finished_at": self.started_at + time.monotonic() - self._began if ended else None,
            "timed": self.timed,  # false: latencies are those of other conditions
            "metrics": self.metrics,
            "notes": list(dict.fromkeys(self.notes)),
            "aggregates": self.aggregates,
        }
        if self._race is not None:
            record["race"] = self._race
        if self._blocks is not None:
            record["blocks"] = self._blocks
        self.folder.write_record(record if ended else {**record, "process": this_process()})


def _decisive(cfg: DictConfig) -> Any:
    """Return the part of a config that decides results: two jobs with the same are the same experiment."""
    return OmegaConf.to_container(OmegaConf.create(decisive.only({str(k): v for k, v in cfg.items()})), resolve=False)
