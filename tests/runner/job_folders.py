"""Makes job folders as `runner.sweeps.run` leaves them, for tests of what reads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf, open_dict

from runner import config
from runner.base import paths


def job_folder(folder: Path, *overrides: str, text: str = "Петров", error: str | None = None, **metrics: float) -> Path:
    """Write the folder of a job with two answers, the second of which failed."""
    config.register()
    with initialize_config_dir(version_base="1.3", config_dir=str(paths.conf_dir())):
        cfg = compose("config", list(overrides))
    folder.mkdir(parents=True)
    with open_dict(cfg):
        OmegaConf.save(cfg, folder / "config.yaml")
    answer: dict[str, Any] = {
        "sample_id": "0", "repeat": 0, "document": "1", "doc_class": "passport", "field": "Фамилия",
        "question": "Напиши Фамилия", "references": ["Петров"], "images": ["images/1.png"], "context": "",
        "answerable": None, "prompt": "Напиши Фамилия", "key": "k", "text": text, "error": None,
        "timing": {"latency_s": 0.1, "ttft_s": 0.05}, "finish_reason": "stop", "prompt_tokens": 9,
        "completion_tokens": 3, "conditions": {"concurrency": "1"}, "attempts": 1,
    }  # fmt: skip
    failed = answer | {"sample_id": "1", "text": None, "error": {"kind": "timeout", "message": "after 3 s"}}
    _lines(folder / "answers.jsonl", [answer, failed])
    score = {"sample_id": "0", "repeat": 0, "name": "exact_match", "value": float(text == "Петров"), "part": "",
             "stats": [float(text == "Петров"), 1.0]}  # fmt: skip
    unscored = score | {"sample_id": "1", "value": None, "stats": [], "reason": "the generation failed"}
    _lines(folder / "scores.jsonl", [score, unscored])
    record = {
        "name": f"{cfg.model.name}-{cfg.quant.name}",
        "status": "failed" if error else "finished",
        "error": error,
        "started_at": 1_700_000_000.0,
        "finished_at": 1_700_000_060.0 + len(folder.name),
        "metrics": {"samples/total": 2, "samples/failed": 1, "quality/cer": 0.25, "quality/cer/ci_low": 0.2,
                    "quality/cer/ci_high": 0.3} | metrics,
        "notes": [],
        "aggregates": [],
    }  # fmt: skip
    environment = {
        "host": "here", "cpu": "a processor", "gpus": [], "git_commit": None, "python": "3.11", "packages": {},
        "command": ["python", "-m", "runner"], "job_uid": folder.name, "sweep": "day/time", "config_hash": "abc",
        "overrides": list(overrides), "metric_versions": {"cer": "1"}, "checkpoint": "folder",
        "env": "current",
    }  # fmt: skip
    (folder / "metrics.json").write_text(json.dumps(record))
    (folder / "environment.json").write_text(json.dumps(environment))
    return folder


def _lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
