"""Hydra's Optuna sweeper finds the better prompt by a job's objective."""

import importlib.util
import json

import pytest
from omegaconf import OmegaConf

from tests.conftest import CommandLine

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("hydra_plugins.hydra_optuna_sweeper") is None, reason="pip install 'vlm-runner[optuna]'"
)
SEARCH = (
    "-m",
    "hydra/sweeper=optuna",
    "hydra.sweeper.n_trials=6",
    "hydra.sweeper.n_jobs=1",
    "hydra.sweeper.sampler.seed=1",
)


def test_a_search_finds_the_best_choice_and_keeps_its_engine(cli: CommandLine):
    """The echo engine repeats the prompt: the one that repeats the question says what the reference does."""
    from PIL import Image

    Image.new("RGB", (56, 56)).save(cli.folder / "0.png")
    rows = [{"id": str(n), "images": ["0.png"], "question": f"q {n}", "references": [f"q {n}"]} for n in range(3)]
    (cli.folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    job = ("backend.name=echo", "dataset=jsonl", "dataset.path=rows.jsonl", "metrics=[cer]")
    ended = cli(*SEARCH, *job, "prompt=plain,describe", "sampling.top_p=interval(0.5,1.0)")
    assert ended.code == 0, ended.err
    (file,) = cli.folder.rglob("optimization_results.yaml")
    found = OmegaConf.load(file)
    assert found.best_params.prompt == "plain" and found.best_value == 0
    records = [json.loads(path.read_text()) for path in sorted(file.parent.glob("*/metrics.json"))]
    assert len(records) == 6 and sum(record["metrics"]["engine/starts"] for record in records) == 1
    assert all((path.parent / "run_id").exists() for path in file.parent.glob("*/metrics.json")), "tracked as always"
    assert cli(str(file.parent), module="runner.report").code == 0


def test_a_study_in_a_database_is_refused_with_what_to_do(cli: CommandLine):
    ended = cli(
        *SEARCH, "hydra.sweeper.storage=sqlite:///search.db", "hydra.sweeper.study_name=prompts", "prompt=plain"
    )
    assert ended.code == 2 and "can't keep a study in a database" in ended.err and not cli.left()
    assert "the same hydra.sweeper.sampler.seed and a larger hydra.sweeper.n_trials" in ended.err


def test_a_wrong_word_is_a_message(cli: CommandLine):
    ended = cli(*SEARCH, "backend.name=echo", "tracking=none", "quant=awq", "sampling.top_p=interval(0.5,1.0)")
    assert ended.code == 2 and "demo_m has no quant=awq" in ended.err and "Traceback" not in ended.err
