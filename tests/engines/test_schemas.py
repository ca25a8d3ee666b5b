"""`experiment=line_items` on real engines: answers held to a JSON Schema, with log-probabilities. `make test-engines`.

All three, ours, vLLM 0.32.0 and SGLang 0.5.23, are streamed, and hold answers with llguidance, each in its own way.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from metrics import json_answers
from tests.conftest import ROOT, CommandLine, Ended
from tests.engines.room import skip_without_room
from tests.engines.test_real_engines import none_left

pytestmark = [pytest.mark.engine, pytest.mark.timeout(1200)]

SAMPLES = 4  # the fourth package has no passport
# In decimals: jsonschema 4.26 divides floats, and finds that 575754757.55 is no multiple of 0.01.
SCHEMA = json.loads(
    (ROOT / "data" / "demo_documents" / "line_items.schema.json").read_text("utf-8"), parse_float=Decimal
)
FIELDS = {f"счета[].{key}" for key in ("номер", "дата", "инн", "сумма")}


@dataclass(frozen=True)
class Job:
    """What one job left."""

    metrics: Mapping[str, float]
    rows: list[dict[str, Any]]
    scores: list[dict[str, Any]]

    def values(self, name: str) -> dict[str, float | None]:
        """Return the scores of whole answers by one measure."""
        return {row["sample_id"]: row["value"] for row in self.scores if row["name"] == name and not row["part"]}


@dataclass(frozen=True)
class Sweep:
    """The experiment on one engine: a job that was told the schema, and one that was held to it."""

    cli: CommandLine
    ended: Ended
    told: Job
    held: Job


@pytest.fixture(scope="module", params=["hf", "vllm", "sglang"])
def sweep(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    make_cli: Callable[[Path], CommandLine],
) -> Sweep:
    backend = request.param
    if backend == "sglang":
        skip_without_room(backend)
    cli = make_cli(tmp_path_factory.mktemp(backend))
    asked = (f"backend={backend}", "quant=fp32", "tracking=none", f"dataset.limit={SAMPLES}")
    ended = cli("experiment=line_items", *asked, timeout=1100)
    assert ended.code == 0, ended.err
    jobs = {}
    for path in cli.folder.rglob("metrics.json"):
        mode = path.parent.name.rpartition("schema_mode_")[2]
        answers, scores = (path.parent / name for name in ("answers.jsonl", "scores.jsonl"))
        jobs[mode] = Job(json.loads(path.read_text("utf-8"))["metrics"], _lines(answers), _lines(scores))
    assert set(jobs) == {"told", "constrained"}
    return Sweep(cli, ended, jobs["told"], jobs["constrained"])


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_every_answer_that_is_held_follows_the_schema(sweep: Sweep):
    assert len(sweep.held.rows) == SAMPLES
    for row in sweep.held.rows:
        assert row["finish_reason"] == "stop", row["text"]
        jsonschema.validate(json.loads(row["text"], parse_float=Decimal), SCHEMA)
    assert sweep.held.metrics["quality/kie_valid"] == 1.0


def test_every_answer_that_was_told_is_read_and_counted(sweep: Sweep):
    """demo_m writes no JSON by itself; whatever it writes has a score, and the score is what jsonschema says."""
    scores, validator = sweep.told.values("kie_valid"), jsonschema.Draft202012Validator(SCHEMA)
    assert len(sweep.told.rows) == len(scores) == SAMPLES
    for row in sweep.told.rows:
        value = json_answers.find(row["text"]).value
        assert scores[row["sample_id"]] == float(value is not None and validator.is_valid(value))
    assert sweep.told.metrics["quality/kie_valid"] == sum(scores.values()) / SAMPLES < 1
    assert sweep.told.metrics["samples/unscored"] == sweep.told.metrics["samples/failed"] == 0


def test_log_probabilities_are_those_of_the_answer(sweep: Sweep):
    for row in (*sweep.told.rows, *sweep.held.rows):
        tokens = row["token_logprobs"]
        assert tokens["problem"] == ""
        assert sum(tokens["lengths"]) == len(row["text"])
        assert len(tokens["lengths"]) == len(tokens["logprobs"]) > 0
        assert all(math.isfinite(one) and one <= 0 for one in tokens["logprobs"])
    for job in (sweep.told, sweep.held):
        assert job.metrics["confidence/measured"] == 1.0
        assert all(0 <= value <= 1 for value in job.values("probability").values())


def test_every_field_has_a_confidence(sweep: Sweep):
    for sample in (row["sample_id"] for row in sweep.held.rows):
        parts = {
            row["part"]: row["value"]
            for row in sweep.held.scores
            if row["name"] == "probability" and row["part"] and row["sample_id"] == sample
        }
        assert set(parts) >= FIELDS
        assert all(0 < parts[field] <= 1 for field in FIELDS)


class _Table(HTMLParser):
    """Collects the cells of the section on constraining, row by row."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self._is_inside = self._is_cell = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "section":
            self._is_inside = (dict(attrs).get("id") or "").endswith("-constraint")
        elif self._is_inside and tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self._is_cell = self._is_inside
            if self._is_cell:
                self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        self._is_cell = self._is_cell and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self._is_cell:
            self.rows[-1][-1] += data.strip()


def test_the_report_pairs_the_two(sweep: Sweep):
    (report,) = sweep.cli.folder.rglob("report.html")
    table = _Table()
    table.feed(report.read_text("utf-8"))
    rows = {row[1]: [cell.replace("\u202f", " ") for cell in row[2:]] for row in table.rows[1:]}
    assert {"valid JSON", "F1 of values", "tokens of an answer", "latency, mean"} <= set(rows)
    assert rows["valid JSON"][1] == "100.0 %" and rows["valid JSON"][0] != "100.0 %"
    assert {row[-1] for row in rows.values()} == {str(SAMPLES)}


def test_nothing_is_left(sweep: Sweep):
    assert none_left(sweep.cli.folder / "store")
