"""`python -m runner.plan_csv`: plans become commands, an experiment, or answers with the four tables of scores."""

import csv
import json
import shlex
from pathlib import Path

import pytest
import yaml

from runner.base.errors import Refused
from runner.sweeps.plan_csv.rows import EvaluationRun
from runner.sweeps.plan_csv.translate import Folders, translate
from tests.conftest import ROOT, CommandLine
from tests.runner.sweeps.plan_csv.test_rows import HEADER

DATA = ("--datasets", str(ROOT / "data"), "--prompts", str(ROOT / "data" / "demo_documents" / "prompts"))
ECHO = ("backend.name=echo", "tracking=none")
MODEL = "demo_documents;VQA;Hugging Face;Qwen2-VL-2B-Instruct"
ROW = MODEL + ";{system};{prompt};['CER'];{only};['by_id'];{doc_class};{field}"
TABLES = ("scores_by_id.csv", "scores_by_field.csv", "scores_by_class.csv", "scores_general.csv")


def plan(folder: Path, *rows: dict[str, str]) -> str:
    empty = {"system": "", "prompt": "", "only": "False", "doc_class": "passport", "field": "Имя"}
    lines = [HEADER, *(ROW.format(**empty | row) for row in rows)]
    (folder / "user_config.csv").write_text("\n".join(lines), encoding="utf-8")
    return "user_config.csv"


def folders(cli: CommandLine) -> list[Path]:
    return sorted(path.parent for path in cli.folder.rglob("metrics.json"))


def test_what_looks_like_a_secret_is_blanked(cli: CommandLine):
    token = "hf_" + "a1B2" * 6
    file = plan(cli.folder, {"field": token})
    printed = cli(file, *DATA, module="runner.plan_csv")
    written = cli(file, *DATA, "--write", "experiment/mine.yaml", module="runner.plan_csv")
    assert printed.code == written.code == 0, printed.err + written.err
    text = (cli.folder / "experiment" / "mine.yaml").read_text(encoding="utf-8")
    assert "***" in printed.out and "***" in text and token not in printed.out + text


def test_a_line_for_each_row_and_nothing_else(cli: CommandLine):
    file = plan(cli.folder, {"prompt": "demo_documents/demo_detailed.csv"}, {"field": ""})
    before = cli.left()
    ended = cli(file, *DATA, "tracking=none", module="runner.plan_csv")
    assert ended.code == 0, ended.err
    first, second = map(shlex.split, ended.out.splitlines())
    assert first[:3] == ["python", "-m", "runner"]
    prompts = ROOT / "data" / "demo_documents" / "prompts"
    assert {
        "model=qwen2vl_2b", "quant=bf16", "backend=hf", "dataset=annotations", "dataset.name=demo_documents",
        f"dataset.path={ROOT}/data/demo_documents", "prompt=collection", f"prompt.path={prompts}/demo_detailed.csv",
        "dataset.doc_class=passport", "dataset.field='Имя'", "metrics=[cer]", "tracking=none",
    } <= set(first)  # fmt: skip
    assert "prompt=plain" in second and not any(one.startswith("dataset.field") for one in second)
    assert cli.left() == before


def test_the_printed_line_runs(cli: CommandLine):
    ended = cli(plan(cli.folder, {}), *DATA, "--model", "demo_s", *ECHO, module="runner.plan_csv")
    assert cli(*shlex.split(ended.out)[3:]).code == 0
    (folder,) = folders(cli)
    assert json.loads((folder / "metrics.json").read_text())["metrics"]["samples/total"] == 40, "both splits"


def test_run_honours_only_evaluate_metrics(cli: CommandLine):
    """One row asks; the other scores answers of VLMHyperBench, without an engine."""
    answers = cli.folder / "ModelsAnswers"
    answers.mkdir()
    name = "demo_documents_Hugging-Face_Qwen2-VL-2B-Instruct_VQA_answers_20250124_{}.csv"
    (answers / name.format("100000")).write_text("id;model_answer\n2;old\n", encoding="utf-8")
    with (ROOT / "data" / "demo_documents" / "annotation.csv").open(encoding="utf-8-sig") as file:
        rows = [(number, row) for number, row in enumerate(csv.DictReader(file, delimiter=";"))]
    told = "".join(f"{number};{row['answer']}\n" for number, row in rows if row["question_type"] == "Имя")
    (answers / name.format("125639")).write_text("id;model_answer\n" + told, encoding="utf-8")
    file = plan(cli.folder, {}, {"only": "True"})
    ended = cli(file, "--run", *DATA, "--model", "demo_s", *ECHO, "dataset.split=test", module="runner.plan_csv")
    assert ended.code == 0, ended.err
    scored, asked = sorted(folders(cli), key=lambda folder: "multirun" in folder.parts)
    assert (asked / "engine.log").exists() and not (scored / "engine.log").exists()
    record = json.loads((scored / "metrics.json").read_text())
    assert record["metrics"]["quality/cer"] == 0 and "125639" in record["notes"][0]
    assert {path.name for path in asked.iterdir()} >= set(TABLES) <= {path.name for path in scored.iterdir()}


def test_an_experiment_is_written_once_and_runs(cli: CommandLine):
    file = plan(cli.folder, {"prompt": "demo_detailed.csv"}, {"prompt": "demo_questions.csv"}, {"only": "True"})
    (cli.folder / "ModelsAnswers").mkdir()
    (cli.folder / "ModelsAnswers" / "demo_documents_HF_Qwen2-VL-2B-Instruct_VQA_answers_1.csv").write_text("id")
    write = (file, *DATA, "--model", "demo_s", "--write", "own/experiment/mine.yaml")
    ended = cli(*write, module="runner.plan_csv")
    assert ended.code == 0 and "--config-dir own experiment=mine" in ended.out and "stage=score" in ended.out
    text = (cli.folder / "own" / "experiment" / "mine.yaml").read_text(encoding="utf-8")
    content = yaml.safe_load(text)
    assert content["dataset"]["field"] == "Имя", "what all rows share stands once"
    assert [job["prompt.name"] for job in content["hydra"]["sweeper"]["jobs"]] == ["demo_detailed", "demo_questions"]
    ended = cli("--config-dir", "own", "experiment=mine", *ECHO)
    assert ended.code == 0, ended.err
    assert "jobs: 2, engines: 1" in ended.err
    again = cli(*write, module="runner.plan_csv")
    assert again.code == 2 and "exists" in again.err
    assert (cli.folder / "own" / "experiment" / "mine.yaml").read_text(encoding="utf-8") == text


def test_what_is_not_there_is_named_with_row_and_column(tmp_path: Path):
    run = EvaluationRun("plan.csv:2", "moon", "VQA", "hf", "Qwen9", "s.txt", "../p.csv", ("cer",), True, "", "")
    with pytest.raises(Refused) as refused:
        translate([run], Folders(tmp_path))
    columns = [problem.what.partition(":")[0] for problem in refused.value.problems]
    wrong = ("model_name", "dataset", "prompt_collection", "system_prompt", "only_evaluate_metrics")
    assert columns == [f"column {name}" for name in wrong]
    assert all(problem.where == "plan.csv:2" for problem in refused.value.problems)


def test_a_system_prompt_is_text_and_no_template(tmp_path: Path):
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "annotation.csv").touch()
    (tmp_path / "s.txt").write_text("Answer as {{ json }}.\n")
    run = EvaluationRun("plan.csv:2", "demo", "VQA", "hf", "Qwen2-VL-7B-Instruct-AWQ", "s.txt", "", (), False, "", "")
    (job,) = translate([run], Folders(tmp_path))
    assert job.overrides["prompt.system"] == "{% raw %}Answer as {{ json }}.{% endraw %}"
    assert (job.overrides["model"], job.overrides["quant"]) == ("qwen2vl_7b", "awq")
    assert job.overrides["stage"] == "generate", "without metrics the row is not scored, as there"


@pytest.mark.parametrize("name", ["model", "prompt"])
def test_real_plans_convert_and_give_the_four_tables(cli: CommandLine, shared: Path, name: str):
    """With a demo model in place of theirs: it can't read photographs of passports, the tables are the point."""
    file = str(shared / "demo_mini" / f"user_config_{name}_eval.csv")
    lines = cli(file, module="runner.plan_csv").out.splitlines()
    assert len(lines) == {"model": 2, "prompt": 1}[name] and "model=qwen2vl_2b quant=bf16" in lines[0]
    ended = cli(file, "--run", "--model", "demo_s", "tracking=none", module="runner.plan_csv")
    assert ended.code == 0, ended.err
    assert len(folders(cli)) == len(lines)
    for folder in folders(cli):
        for table in TABLES:
            with (folder / table).open(encoding="utf-8-sig", newline="") as opened:
                assert list(csv.DictReader(opened, delimiter=";")), f"{table} has rows"
        by_id = (folder / "scores_by_id.csv").read_text(encoding="utf-8-sig").splitlines()
        assert len(by_id) - 1 == {"model": 22, "prompt": 2}[name]
