"""`plan=dry` tells what would be done and does nothing; `plan=commands` prints commands that do the same jobs."""

import itertools
import json
import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.sweeps.group_commands import products
from tests.conftest import CommandLine

ECHO = ("backend.name=echo", "dataset.limit=8", "metrics=[cer]", "tracking=none")
SWEEP = (*ECHO, "model=demo_s,demo_m", "sampling.seed=0,1")


def test_nothing_is_known_and_nothing_is_written(cli: CommandLine):
    ended = cli("-m", *SWEEP, "plan=dry")
    assert ended.code == 0, ended.err
    assert "jobs: 4, groups: 2, engine starts: 2" in ended.out
    assert "questions: 32, in the store: 0, to ask: 32" in ended.out
    assert "asking: unknown for demo_s-bf16, demo_m-bf16" in ended.out
    assert "starting engines: unknown for demo_s-bf16, demo_m-bf16" in ended.out
    assert cli.left() == set()


def test_what_the_store_has_and_what_earlier_runs_took(cli: CommandLine):
    assert cli(*ECHO, "model=demo_s").code == 0
    before = sorted(cli.folder.rglob("*"))
    out = cli("-m", *SWEEP, "plan=dry").out
    assert "engine starts: 2" in out and "in the store: 8, to ask: 24" in out
    assert "and unknown for demo_m-bf16" in out
    demo_s = next(line for line in out.splitlines() if "demo_s-bf16" in line and "│" in line)
    assert [cell.strip() for cell in demo_s.split("│")[-5:-1]] == ["8", "8", "0", "0 s"]
    assert "starting engines: about" in out, "the folder of the first run tells it"
    all_there = cli(*ECHO, "model=demo_s", "plan=dry").out
    assert "engine starts: 0" in all_there and "starting engines" not in all_there
    under_others = cli(*ECHO, "model=demo_s", "concurrency=2", "plan=dry").out
    assert "to ask: 8" in under_others and "* from answers under other conditions" in under_others
    assert sorted(cli.folder.rglob("*")) == before


def test_a_mistake_is_found_as_always(cli: CommandLine):
    ended = cli("-m", *SWEEP, "quant=awq", "plan=dry")
    assert ended.code == 2 and "demo_m has no quant=awq" in ended.err
    ended = cli("stage=score", "answers=x.csv", "plan=dry")
    assert ended.code == 2 and "plan" in ended.err and cli.left() == set()


def test_the_commands_do_the_same_jobs_in_one_folder(cli: CommandLine):
    ended = cli("-m", *SWEEP, "plan=commands", "hydra.sweep.dir=all", "dataset.field=Имя,Фамилия")
    assert ended.code == 0, ended.err
    lines = [shlex.split(line) for line in ended.out.splitlines()]
    assert len(lines) == 2 and cli.left() == set()
    assert [line[4] for line in lines] == ["hydra.sweep.dir=all/0", "hydra.sweep.dir=all/1"]
    for line in lines:
        assert line[:4] == ["python", "-m", "runner", "-m"]
        ended = cli(*line[3:])
        assert ended.code == 0 and "jobs: 4, engines: 1" in ended.err
    configs = [json.loads(path.read_text())["overrides"] for path in (cli.folder / "all").rglob("environment.json")]
    told = {(job[-3], job[-2], job[-1]) for job in configs}
    models, seeds, fields = ("model=demo_s", "model=demo_m"), ("sampling.seed=0", "sampling.seed=1"), ("Имя", "Фамилия")
    assert told == {(m, s, f"dataset.field='{f}'") for m, s, f in itertools.product(models, seeds, fields)}
    assert cli("all", module="runner.report").code == 0


def test_commands_of_an_experiment_with_listed_jobs(cli: CommandLine):
    own = cli.folder / "own" / "experiment"
    own.mkdir(parents=True)
    (own / "listed.yaml").write_text(
        "# @package _global_\nhydra:\n  mode: MULTIRUN\n  sweeper:\n    jobs:\n"
        "    - {model: demo_s, sampling.seed: 1}\n    - {model: demo_s, sampling.seed: 2, prompt.system: 'a, b'}\n",
        encoding="utf-8",
    )
    ended = cli("--config-dir", "own", "experiment=listed", *ECHO, "plan=commands", "hydra.sweep.dir=all")
    lines = [shlex.split(line) for line in ended.out.splitlines()]
    assert len(lines) == 2, "no product: two lines, though one engine"
    for line in lines:
        ended = cli(*line[3:])
        assert ended.code == 0 and "jobs: 1, engines: 1" in ended.err, ended.err


@pytest.mark.parametrize("arguments", [("model=demo_m",), ("-m", "model=demo_m")])
def test_a_single_job(cli: CommandLine, arguments: tuple[str, ...], tmp_path: Path):
    ended = cli(*arguments, *ECHO, "plan=commands")
    (line,) = ended.out.splitlines()
    assert "model=demo_m" in shlex.split(line) and "plan" not in line and cli.left() == set()


def test_a_key_that_is_taken_away_stays_so():
    jobs = [["model=a", "~metrics.wer"], ["model=b", "~metrics.wer="]]
    assert list(products(jobs)) == [["model=a,b", "~metrics.wer"]]


@given(st.sets(st.tuples(st.sampled_from("ab"), st.sampled_from("cde"), st.sampled_from("fg")), min_size=1))
def test_products_are_exactly_the_jobs(jobs: set[tuple[str, ...]]):
    keys = ("x", "y", "z")
    overrides = [[f"{key}={value}" for key, value in zip(keys, job, strict=True)] for job in sorted(jobs)]
    made = []
    for product in products(overrides):
        choices = [one.partition("=")[2].split(",") for one in product]
        made += list(itertools.product(*choices))
    assert sorted(made) == sorted(jobs)
