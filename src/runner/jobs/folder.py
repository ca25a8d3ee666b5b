"""A job's folder: the one place that knows the names and formats of its files.

config.yaml        what was composed, secrets as the names of environment variables
environment.json   the machine, the software, what was asked of what (written at the start)
metrics.json       status, figures, notes (`Record`): written at the start as `running`, and anew at the end
answers.jsonl      `AnswerRow`s: appended as answers come, put into the order of the samples at the end
scores.jsonl       scores, or why there is none
verdicts.jsonl     what each judge said of each answer, in each order, with what it was paid for (shortened):
                   {"sample_id": "0", "repeat": 0, "judge": "gpt_4o_mini", "order": 1, "state": "valid",
                    "candidate": {"usefulness": 8.0}, "rival": {"usefulness": 9.0}, "explanation": "…", "problem": "",
                    "rival_answer": "…", "replies": ["…"], "prompt_tokens": 612, "cost_usd": 0.00014}
capacity.json      what a search for the highest rate found (load=capacity): each rate that was tried, and why it holds
scores_*.csv       the scores as tables for people
engine.log         the engine's log; engine-1.log and so on for further replicas
run_id             the id of its MLflow run

A job that was killed leaves `running`: whether its process still lives tells it from one that runs.
"""

from __future__ import annotations

import functools
import json
import os
import platform
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import psutil
from omegaconf import DictConfig, OmegaConf

from metrics.api import Case, Score
from runner.jobs.job_files import copy_log, write_config, write_json
from runner.jobs.rows import AnswerRow, Record, case

CONFIG, ENVIRONMENT, RECORD = "config.yaml", "environment.json", "metrics.json"
ANSWERS, SCORES, VERDICTS = "answers.jsonl", "scores.jsonl", "verdicts.jsonl"
LOG, RUN_ID, CAPACITY = "engine.log", "run_id", "capacity.json"
FILES = (CONFIG, ANSWERS, SCORES, VERDICTS, CAPACITY, RECORD, ENVIRONMENT, LOG)  # what a job's run in MLflow holds
TABLES = ("scores_by_id.csv", "scores_by_field.csv", "scores_by_class.csv", "scores_general.csv")
ANSWERS_TABLE = "answers.json"  # the answers as MLflow compares them; made for the upload
COPIES = "artifacts"  # MLflow keeps copies of a job's files in folders of this name
# The measures of a judge that carry its explanation.
JUDGED = ("ratio", "score")
RUNNING, UNFINISHED = "running", "unfinished"
NO_JOB = f"no job in there (no {RECORD})"
SAME_S = 60  # psutil tells a process's start by the clock, which may be set; no number is given out again so soon
Key = tuple[str, int]  # sample id, repeat

# To a key of the config; ${oc.env:NAME} is to the environment, whose values are secrets.
_REFERENCE = re.compile(r"\$\{([\w.]+)\}")


class JobFolder:
    """What one job left, or leaves while it runs. Files are read when they are asked for, the small ones once."""

    def __init__(self, path: Path) -> None:
        """Read nothing yet."""
        self.path = path

    @classmethod
    def paths_below(cls, path: Path) -> Iterator[Path]:
        """Yield the folders of jobs at or below a path, in no order."""
        return (file.parent for file in path.rglob(RECORD) if file.parent.name != COPIES)

    @classmethod
    def below(cls, path: Path) -> list[JobFolder]:
        """Return the jobs at or below a path in the order in which they ended; those that have not come last."""
        return sorted(map(cls, cls.paths_below(path)), key=lambda job: (job._ended(), job.path))

    @classmethod
    def find(cls, path: Path) -> JobFolder | None:
        """Return the job whose folder, or whose answers, a path names; None where it names no complete folder."""
        folder = path if path.is_dir() else path.parent
        is_job = (path.is_dir() or path.name == ANSWERS) and all(
            (folder / name).is_file() for name in (CONFIG, ENVIRONMENT, RECORD)
        )
        return cls(folder) if is_job else None

    @classmethod
    def with_answers(cls, path: Path) -> list[JobFolder]:
        """Return the folders at or below a path that hold answers, by name, complete folders of a job or not."""
        if (path / ANSWERS).is_file():
            return [cls(path)]
        return [cls(file.parent) for file in sorted(path.rglob(ANSWERS)) if file.parent.name != COPIES]

    def __eq__(self, other: object) -> bool:
        """Tell whether it is the same folder."""
        return isinstance(other, JobFolder) and self.path == other.path

    def __hash__(self) -> int:
        """Agree with `==`."""
        return hash(self.path)

    def __repr__(self) -> str:
        """Name the folder."""
        return f"JobFolder({str(self.path)!r})"

    # ---------------------------------------------------------------------------------------- what it says

    @functools.cached_property
    def record(self) -> Record:
        """What metrics.json holds."""
        return cast(Record, _json(self.path / RECORD))

    @functools.cached_property
    def composed(self) -> DictConfig:
        """Its config as it was composed; references to the environment are resolved when a value is taken."""
        config = OmegaConf.load(self.path / CONFIG)
        assert isinstance(config, DictConfig)
        return config

    @functools.cached_property
    def config(self) -> Mapping[str, Any]:
        """Its config as plain values; a secret is the name of an environment variable."""
        config = OmegaConf.to_container(self.composed, resolve=False)
        assert isinstance(config, dict)
        plain = {str(key): value for key, value in config.items()}
        if isinstance(plain.get("metrics"), dict):
            plain["metrics"] = {name: self._options(options) for name, options in plain["metrics"].items()}
        return plain

    def _options(self, options: Any) -> Any:
        """Return a metric's options with the values of the keys that they refer to, such as ${model.box_frame}."""
        if not isinstance(options, dict):
            return options
        keys = {name: _REFERENCE.fullmatch(value) for name, value in options.items() if isinstance(value, str)}
        values = {name: OmegaConf.select(self.composed, key[1]) for name, key in keys.items() if key}
        return options | {
            name: OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
            for name, value in values.items()
        }

    @functools.cached_property
    def environment(self) -> dict[str, Any]:
        """What environment.json holds."""
        return _json(self.path / ENVIRONMENT)

    @property
    def run_id(self) -> str | None:
        """The id of its MLflow run; None where it was not tracked."""
        file = self.path / RUN_ID
        return file.read_text(encoding="utf-8").strip() if file.exists() else None

    @property
    def name(self) -> str:
        """What people call it: its model and quantisation."""
        return self.record["name"]

    @functools.cached_property
    def status(self) -> str:
        """How it ended: finished, failed, killed; else `running`, or `unfinished` where its process is gone."""
        status = self.record["status"]
        return status if status != RUNNING or _lives(self._process) else UNFINISHED

    @property
    def is_open(self) -> bool:
        """Whether it has not ended: it still runs, or was killed."""
        return self.status in (RUNNING, UNFINISHED)

    @functools.cached_property
    def error(self) -> str | None:
        """Why it did not finish; of a job that has not ended, what it has so far."""
        if not self.is_open:
            return self.record["error"]
        total = self.metric("samples/total")
        has = f"{self.count_answers()} of {'?' if total is None else f'{total:.0f}'} answers"
        who = f"process {self._process.get('pid')} on {self._process.get('host')}"
        if self.status == RUNNING:
            return f"still running ({who}): {has} so far"
        if self._process.get("host") != platform.node():
            return f"unfinished, with {has}; whether its process still runs can't be seen from here ({who})"
        return (
            f"unfinished, with {has}: its process ended before the job did ({who}). "
            "The same command finds them in the store and asks the rest"
        )

    @functools.cached_property
    def capacity(self) -> dict[str, Any] | None:
        """What a search for the highest rate found, as jobs.capacity.Found describes it; None where there was none."""
        return _json(self.path / CAPACITY) if (self.path / CAPACITY).is_file() else None

    @property
    def metrics(self) -> Mapping[str, float]:
        """Its figures; what was not measured is absent."""
        return self.record["metrics"]

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of its figures must know."""
        return tuple(self.record["notes"])

    @property
    def aggregates(self) -> tuple[Mapping[str, Any], ...]:
        """The summed-up scores, as fields of metrics.aggregate.Aggregate."""
        return tuple(self.record["aggregates"])

    def metric(self, name: str) -> float | None:
        """Return a figure, or None where it was not measured."""
        return self.metrics.get(name)

    @property
    def race(self) -> Mapping[str, Any] | None:
        """What became of it in a race, as `Record` tells it; None where it did not race."""
        return self.record.get("race")

    @property
    def cut_short(self) -> str | None:
        """Say that a race left it with figures of fewer documents than there are; None where it did not."""
        race = self.race
        if race is None or race["documents"] == race["of"]:
            return None
        return f"{'stopped' if race['stopped'] else 'ended'} at {race['documents']} of {race['of']} documents"

    @property
    def changed_at(self) -> float:
        """When its record was written last, Unix time."""
        return (self.path / RECORD).stat().st_mtime

    @property
    def ended_at(self) -> float:
        """When it ended, Unix time; of a job that did not, when it wrote its last answer."""
        if (ended := self.record["finished_at"]) is not None:
            return ended
        files = [self.path / name for name in (RECORD, ANSWERS)]
        return max(file.stat().st_mtime for file in files if file.exists())

    @property
    def _process(self) -> Mapping[str, Any]:
        return self.record.get("process") or {}

    @property
    def _may_be_torn(self) -> bool:
        return (self.path / RECORD).exists() and self.record["status"] == RUNNING

    def _ended(self) -> float:
        ended = self.record["finished_at"]
        return float("inf") if ended is None else float(ended)

    # ---------------------------------------------------------------------------------------- answers and scores

    @property
    def answers_path(self) -> Path:
        """Where its answers lie."""
        return self.path / ANSWERS

    @property
    def scores_path(self) -> Path:
        """Where its scores lie."""
        return self.path / SCORES

    @property
    def has_answers(self) -> bool:
        """Whether it has a file of answers."""
        return self.answers_path.is_file()

    @property
    def has_scores(self) -> bool:
        """Whether it was scored."""
        return self.scores_path.is_file()

    def rows(self) -> Iterator[AnswerRow]:
        """Yield its answers; none where there is no file. The torn last line of a job that was killed is left out."""
        if not self.has_answers:
            return
        with self.answers_path.open(encoding="utf-8") as file:
            for line in file:
                if line.endswith("\n") or not self._may_be_torn:
                    yield json.loads(line)

    def cases(self) -> Iterator[Case]:
        """Yield its answers as metrics score them."""
        return map(case, self.rows())

    def count_answers(self) -> int:
        """Count its answers."""
        if not self.has_answers:
            return 0
        with self.answers_path.open("rb") as file:
            return sum(block.count(b"\n") for block in iter(lambda: file.read(2**20), b""))

    def scores(self, *names: str) -> Iterator[Score]:
        """Yield its scores, those of these measures alone where some are named; none where it was not scored."""
        if not self.has_scores:
            return
        quoted = [f'"{name}"' for name in names]
        with self.scores_path.open(encoding="utf-8") as file:
            for text in file:
                # There are millions: reading all of them for one measure takes seconds.
                if quoted and not any(mark in text for mark in quoted):
                    continue
                row: dict[str, Any] = json.loads(text)
                if not names or row["name"] in names:
                    yield Score(**{**row, "stats": tuple(row.get("stats", ()))})

    def correct(self) -> dict[Key, bool]:
        """Return which answers match a reference exactly, where that metric was asked for."""
        whole = (score for score in self.scores("exact_match") if not score.part and score.value is not None)
        return {(score.sample_id, score.repeat): bool(score.value) for score in whole}

    def judged(self) -> dict[Key, tuple[float | None, str]]:
        """Return each answer's score by judges and their explanations, where it was judged."""
        return {
            (score.sample_id, score.repeat): (score.value, score.detail)
            for score in self.scores(*JUDGED)
            if score.detail
        }

    def verdicts(self) -> Iterator[dict[str, Any]]:
        """Yield what judges said; nothing where it was not judged."""
        if (self.path / VERDICTS).exists():
            with (self.path / VERDICTS).open(encoding="utf-8") as file:
                yield from map(json.loads, file)

    # ---------------------------------------------------------------------------------------- writing

    def create(self, cfg: DictConfig) -> None:
        """Make the folder and write its config. Raise FileExistsError where it holds another run."""
        self.path.mkdir(parents=True, exist_ok=True)
        write_config(self.path / CONFIG, cfg, new=True)

    def release(self) -> None:
        """Let another run have the folder."""
        (self.path / CONFIG).unlink(missing_ok=True)  # marks it as taken

    def write_config(self, cfg: DictConfig) -> None:
        """Write its config, unresolved."""
        write_config(self.path / CONFIG, cfg)

    def write_environment(self, described: Mapping[str, Any]) -> None:
        """Write environment.json."""
        write_json(self.path / ENVIRONMENT, described)

    def write_capacity(self, described: Mapping[str, Any]) -> None:
        """Write capacity.json."""
        write_json(self.path / CAPACITY, described)

    def write_record(self, record: Record) -> None:
        """Write metrics.json in one step."""
        write_json(self.path / RECORD, record)

    def write_rows(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write all answers of another program."""
        with self.answers_path.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)

    def write_verdicts(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write the verdicts, all at once: a kill leaves the older ones."""
        fresh = self.path / f"{VERDICTS}.tmp"
        with fresh.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        fresh.replace(self.path / VERDICTS)

    def write_run_id(self, run_id: str) -> None:
        """Keep which MLflow run is its own."""
        (self.path / RUN_ID).write_text(run_id + "\n", encoding="utf-8")

    def keep_logs(self, logs: Sequence[Path]) -> None:
        """Copy the logs of its engines, the end of long ones."""
        for number, log in enumerate(logs):
            if log.exists():
                copy_log(log, self.path / (f"engine-{number}.log" if number else LOG))


def this_process() -> dict[str, Any]:
    """Name the process that runs a job; its start tells it from a later one with the same number."""
    return {"pid": os.getpid(), "started_at": psutil.Process().create_time(), "host": platform.node()}


def _lives(process: Mapping[str, Any]) -> bool:
    """Tell whether a process, as `this_process` named it, lives here."""
    if process.get("host") != platform.node():
        return False
    try:
        running = psutil.Process(int(process["pid"]))
        return running.status() != psutil.STATUS_ZOMBIE and abs(running.create_time() - process["started_at"]) < SAME_S
    except (psutil.NoSuchProcess, KeyError, TypeError, ValueError):
        return False


def _json(file: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return content
