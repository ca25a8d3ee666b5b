"""`stage=score`: answers that exist are scored without an engine, where they lie or in folders of their own."""

from __future__ import annotations

import csv
import json
import random
import shutil
from collections import defaultdict
from pathlib import Path

import jiwer
import pytest
import sacrebleu
from omegaconf import OmegaConf

from tests.conftest import CommandLine
from tests.runner.job_folders import job_folder

LIBRARIES = {
    "cer": lambda answers, truths: jiwer.cer(truths, answers),
    "wer": lambda answers, truths: jiwer.wer(truths, answers),
    "bleu": lambda answers, truths: sacrebleu.corpus_bleu(answers, [truths]).score,
}


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file, delimiter=";"))


def only(cli: CommandLine, name: str = "metrics.json") -> Path:
    (path,) = cli.folder.glob(f"outputs/**/{name}")
    return path.parent


def group_of(row: dict[str, str]) -> str | tuple[str, str]:
    if "doc_class" not in row:
        return "general"
    return (row["doc_class"], row["field"]) if "field" in row else row["doc_class"]


def record(folder: Path) -> dict:
    return json.loads((folder / "metrics.json").read_text(encoding="utf-8"))


def test_snils_equals_the_libraries_whatever_the_order_of_rows(cli: CommandLine, shared: Path):
    (answers,), annotation = (
        (shared / "snils").glob("*answers*.csv"),
        shared / "snils" / "snils_dataset_annotations.csv",
    )
    header, *lines = answers.read_text(encoding="utf-8").splitlines()
    random.Random(3).shuffle(lines)
    shuffled = cli.folder / "model_a.csv"
    shuffled.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    ended = cli("stage=score", f"answers={shuffled}", "dataset=annotations", f"dataset.path={annotation}",
                "metrics=[cer,wer,bleu]")  # fmt: skip
    assert ended.code == 0, ended.err
    folder = only(cli)
    said = {row["id"]: row["model_answer"] for row in read(answers)}
    truth = read(annotation)
    groups = defaultdict(list)
    for number, row in enumerate(truth):
        pair = (said[str(number)], row["answer"])
        for group in ("general", row["doc_class"], (row["doc_class"], row["question_type"])):
            groups[group].append(pair)
    for name, library in LIBRARIES.items():
        found = {
            group_of(row): row["value"]
            for kind in ("general", "by_class", "by_field")
            for row in read(folder / f"scores_{kind}.csv")
            if row["measure"] == name
        }
        assert set(found) == set(groups)
        for group, pairs in groups.items():
            assert float(found[group]) == pytest.approx(library(*map(list, zip(*pairs, strict=True)))), (name, group)
    by_id = read(folder / "scores_by_id.csv")
    assert [row["sample_id"] for row in by_id] == [str(number) for number in range(9)]
    for row in by_id:
        assert float(row["cer"]) == pytest.approx(jiwer.cer(row["references"], row["answer"]))
        assert float(row["wer"]) == pytest.approx(jiwer.wer(row["references"], row["answer"]))
        sentence = sacrebleu.sentence_bleu(row["answer"], [row["references"]]).score
        assert float(row["bleu"]) == pytest.approx(sentence)
    assert record(folder)["name"] == "model_a"
    assert "latency/mean_s" not in record(folder)["metrics"], "what was not measured is absent"


@pytest.fixture
def annotation(tmp_path: Path) -> Path:
    path = tmp_path / "annotation.csv"
    path.write_text(
        "data_index;split;image_path;question;answer;doc_class;question_type\n"
        "1;a;1.jpg;Q;Иванов;passport;Фамилия\n1;a;1.jpg;Q;Иван;passport;Имя\n2;a;2.jpg;Q;;passport;Имя\n",
        encoding="utf-8",
    )
    return path


def scored(cli: CommandLine, annotation: Path, text: str, *more: str):
    path = cli.folder / "answers.csv"
    path.write_text("id;model_answer\n" + text, encoding="utf-8")
    data = ("dataset=annotations", f"dataset.path={annotation}", "metrics=[exact_match,cer]")
    return cli("stage=score", f"answers={path}", *data, *more)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0;a\n1;b\n0;c\n", ["answers.csv:4", "id 0 is there twice", "answers.csv:2"]),
        ("0;a\n7;b\n9;c\n", ["2 ids are not in the annotation: 7, 9"]),
        ("x;a\n-1;b\n", ["answers.csv:2", "'x'", "answers.csv:3", "'-1'"]),
        ("0;a;b\n", ["answers.csv:2", "3 cells"]),
        ("", ["no answer belongs to a sample"]),
    ],
)
def test_bad_answers_are_refused_by_row_and_leave_nothing(cli, annotation, text, said):
    before = cli.left() | {"answers.csv"}
    ended = scored(cli, annotation, text)
    assert ended.code == 2, ended.err + ended.out
    assert all(part in ended.err for part in said), ended.err
    assert "Traceback" not in ended.err
    assert cli.left() == before


def test_empty_none_and_missing_answers_are_each_defined(cli, annotation):
    ended = scored(cli, annotation, "1; \n0;None\n")
    assert ended.code == 0, ended.err
    rows = {row["sample_id"]: row for row in read(only(cli) / "scores_by_id.csv")}
    assert (rows["0"]["answer"], rows["0"]["cer"]) == ("None", "1.0")
    assert (rows["1"]["exact_match"], rows["1"]["cer"]) == ("0.0", "1.0")
    assert (rows["2"]["cer"], rows["2"]["answer"]) == ("", "")
    assert "no answer" in rows["2"]["unscored"]
    notes = " ".join(record(only(cli))["notes"])
    assert "1 answers are empty and are scored as such: id 1" in notes
    assert "1 answers are None or nan and are scored as that text: id 0" in notes
    assert "1 of 3 samples have no answer and count as failed: ids 2" in notes
    assert record(only(cli))["metrics"]["samples/failed"] == 1


def test_no_reference_at_all_is_unscored_and_not_zero(cli, annotation):
    annotation.write_text(annotation.read_text(encoding="utf-8").replace("Иванов;", ";").replace("Иван;", ";"))
    ended = scored(cli, annotation, "0;a\n1;b\n2;c\n")
    assert ended.code == 0, ended.err
    metrics = record(only(cli))["metrics"]
    assert not [name for name in metrics if name.startswith("quality/")]
    assert metrics["samples/unscored"] == 3


def test_formulas_in_answers_are_neutralised(cli, annotation):
    assert scored(cli, annotation, '0;"=HYPERLINK(""http://x"")"\n1;-5\n2;@a\n').code == 0
    rows = [row["answer"] for row in read(only(cli) / "scores_by_id.csv")]
    assert rows == ['\'=HYPERLINK("http://x")', "'-5", "'@a"]
    stored = [json.loads(line)["text"] for line in (only(cli) / "answers.jsonl").read_text("utf-8").splitlines()]
    assert stored == ['=HYPERLINK("http://x")', "-5", "@a"], "only the tables for spreadsheets are changed"


def test_scores_are_added_to_a_job_where_it_lies_and_older_ones_stay(cli: CommandLine):
    folder = complete_job(cli.folder / "sweep" / "0_job")
    command = ("stage=score", f"answers={cli.folder / 'sweep'}")
    assert cli(*command, "metrics=[exact_match,cer]").code == 0
    first = record(folder)["metrics"]
    assert (first["quality/exact_match"], first["samples/total"]) == (1, 2)
    # An older score that nobody could compute again stays as it is.
    text = (folder / "scores.jsonl").read_text(encoding="utf-8")
    right, wrong = (f'"name": "exact_match", "value": {value}, "stats": [{value}, 1.0]' for value in (1.0, 0.0))
    assert right in text
    (folder / "scores.jsonl").write_text(text.replace(right, wrong), encoding="utf-8")
    ended = cli(*command, "metrics=[anls,exact_match]")
    assert ended.code == 0, ended.err
    second = record(folder)["metrics"]
    assert (second["quality/exact_match"], second["quality/cer"], second["quality/anls"]) == (0, 0, 1)
    with (folder / "scores.jsonl").open("a", encoding="utf-8") as file:
        gone = {"sample_id": "0", "repeat": 0, "name": "gone", "value": 0.5, "stats": [0.5, 1.0]}
        file.write(json.dumps(gone) + "\n")
    (folder / "config.yaml").write_text((folder / "config.yaml").read_text().replace("  anls:", "  gone: {}\n  anls:"))
    second["quality/gone"] = 0.5
    (folder / "metrics.json").write_text(json.dumps(record(folder) | {"metrics": second}))
    assert cli(*command, "metrics=[exact_match]", "rescore=true").code == 0
    assert record(folder)["metrics"]["quality/gone"] == 0.5, "scores of a metric that isn't installed here stay"
    assert '"gone"' in (folder / "scores.jsonl").read_text()
    assert record(folder)["metrics"]["quality/exact_match"] == 1
    assert not (cli.folder / "outputs").exists(), "nothing is left beside the job"
    from runner.jobs import tracking

    connection = tracking.client(f"sqlite:///{cli.folder / 'mlflow.db'}")
    (run,) = connection.search_runs(["1"])
    assert run.data.metrics["quality/exact_match"] == 1
    assert run.data.metrics["quality/anls"] == 1
    assert {"metric.anls", "metric.exact_match"} <= set(run.data.params)
    (cli.folder / "files").mkdir()
    table = json.loads(
        Path(connection.download_artifacts(run.info.run_id, "answers.json", str(cli.folder / "files"))).read_text()
    )
    right = table["columns"].index("correct")
    assert [row[right] for row in table["data"]] == ["yes", ""], "each answer once, with the newest score"


def test_a_run_id_brings_its_files_and_takes_the_scores(cli: CommandLine):
    folder = complete_job(cli.folder / "job")
    assert cli("stage=score", f"answers={folder}", "metrics=[cer]").code == 0
    run_id = (folder / "run_id").read_text().strip()
    shutil.rmtree(folder)
    ended = cli("stage=score", f"answers={run_id}", "metrics=[wer]")
    assert ended.code == 0, ended.err
    from runner.jobs import tracking

    (run,) = tracking.client(f"sqlite:///{cli.folder / 'mlflow.db'}").search_runs(["1"])
    assert run.info.run_id == run_id
    assert {"quality/cer", "quality/wer"} <= set(run.data.metrics)


def complete_job(folder: Path) -> Path:
    """A job as `stage=generate` leaves it."""
    job_folder(folder, "metrics=[]")
    (folder / "scores.jsonl").write_text("")
    kept = {"samples/total": 2, "samples/failed": 1}
    (folder / "metrics.json").write_text(json.dumps(record(folder) | {"metrics": kept}))
    environment = json.loads((folder / "environment.json").read_text())
    (folder / "environment.json").write_text(json.dumps(environment | {"metric_versions": {}}))
    return folder


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["stage=score"], "belong together"),
        (["answers=x.csv"], "belong together"),
        (["stage=score", "answers=nowhere.csv"], "does not exist"),
        (["-m", "stage=score", "answers=a,b"], "without -m"),
    ],
)
def test_what_does_not_fit_is_refused(cli: CommandLine, arguments, said):
    ended = cli(*arguments, "tracking=none")
    assert ended.code == 2, ended.err
    assert said in ended.err
    assert cli.left() == set()


def test_columns_of_a_table_can_be_taken_over_one_after_the_other(cli: CommandLine):
    table = cli.folder / "table.csv"
    table.write_text("model_name;Image;candidate;P;Q\na;1;x;1;10\na;2;y;3;20\n", encoding="utf-8")
    command = ("stage=score", "metrics=[stored]", "tracking=none")
    assert cli(*command, f"answers={table}", "+metrics.stored.columns={p: P}").code == 0
    folder = only(cli)
    ended = cli(*command, f"answers={folder}", "+metrics.stored.columns={q: {column: Q, better: lower}}")
    assert ended.code == 0, ended.err
    metrics = record(folder)["metrics"]
    assert (metrics["quality/p"], metrics["quality/q"]) == (2, 15)


def test_options_on_the_command_line_replace_scores_and_others_are_kept_and_said(cli: CommandLine):
    folder = complete_job(cli.folder / "job")
    command = ("stage=score", f"answers={folder}", "tracking=none")
    assert cli(*command, "metrics=[exact_match,anls]").code == 0
    kept = (folder / "scores.jsonl").read_text()
    made = json.loads((folder / "environment.json").read_text())
    made["metric_versions"]["exact_match"] = "0"
    (folder / "environment.json").write_text(json.dumps(made))
    ended = cli(*command, "metrics=[exact_match,anls]", "+metrics.anls.threshold=0.9")
    assert ended.code == 0, ended.err
    assert "exact_match: older scores were kept (made by 0; now it is" in ended.out
    assert "anls: older scores" not in ended.out
    config = (folder / "config.yaml").read_text()
    assert "threshold: 0.9" in config
    versions = json.loads((folder / "environment.json").read_text())["metric_versions"]
    assert "threshold=0.9" in versions["anls"] and versions["exact_match"] == "0"
    assert (folder / "scores.jsonl").read_text() == kept, "equal values here: the answer is right at any threshold"


def test_what_the_environment_holds_stays_a_name_in_the_config(cli: CommandLine):
    folder = complete_job(cli.folder / "job")
    cli.environment["STRICTNESS"] = "0.9173"
    command = ("stage=score", f"answers={folder}", "tracking=none")
    option = "+metrics.anls.threshold='${oc.decode:${oc.env:STRICTNESS}}'"
    for given in (("metrics=[anls]", option), ("metrics=[cer]",)):  # the second finds it among the older ones
        ended = cli(*command, *given)
        assert ended.code == 0, ended.err
        config = (folder / "config.yaml").read_text()
        assert "${oc.env:STRICTNESS}" in config and "0.9173" not in config
    assert "threshold=0.9173" in json.loads((folder / "environment.json").read_text())["metric_versions"]["anls"]


def test_answers_of_other_conditions_get_no_figures_of_speed_when_they_are_scored_again(cli: CommandLine):
    folder = complete_job(cli.folder / "job")
    (folder / "metrics.json").write_text(json.dumps(record(folder) | {"timed": False}))
    assert cli("stage=score", f"answers={folder}", "metrics=[text]", "tracking=none").code == 0
    assert "text/length_mean" in record(folder)["metrics"] or "text/chars" in str(record(folder)["metrics"])
    assert not [name for name in record(folder)["metrics"] if "_per_s" in name or name.startswith("latency/")]


def test_tracking_none_on_the_command_line_wins_over_the_job_and_leaves_its_config(new_cli: CommandLine):
    cli = new_cli
    folder = complete_job(cli.folder / "job")
    assert cli("stage=score", f"answers={folder}", "metrics=[cer]", "tracking=none").code == 0
    assert not (cli.folder / "mlflow.db").exists() and not (folder / "run_id").exists()
    assert "name: mlflow" in (folder / "config.yaml").read_text()


def test_a_given_path_of_the_dataset_stays(cli: CommandLine):
    table = cli.folder / "table.csv"
    table.write_text("Image;candidate;reference\n1;x;x\n2;y;x\n")
    assert cli("stage=score", f"answers={table}", "dataset.path=pages", "tracking=none", "metrics=[cer]").code == 0
    assert "path: pages" in (only(cli) / "config.yaml").read_text()


def test_generate_and_score_apart_give_what_one_job_gives(cli: CommandLine):
    from PIL import Image

    for number in range(3):
        Image.new("RGB", (56, 56), (number, 0, 0)).save(cli.folder / f"{number}.png")
    lines = [{"id": str(n), "images": [f"{n}.png"], "question": f"q {n}", "references": [f"q {n}"]} for n in range(3)]
    rows = cli.folder / "rows.jsonl"
    rows.write_text("".join(json.dumps(line) + "\n" for line in lines))
    made_by = ("model=demo_m", "backend=hf", "backend.name=echo", "tracking=none", "dataset=jsonl")
    one, apart = cli.folder / "one", cli.folder / "apart"
    for folder, stage in ((one, "all"), (apart, "generate")):
        ended = cli(*made_by, f"dataset.path={rows}", f"stage={stage}", f"hydra.run.dir={folder}")
        assert ended.code == 0, ended.err + ended.out
    assert (apart / "scores.jsonl").read_text() == ""
    assert not [name for name in record(apart)["metrics"] if name.startswith("quality/")]
    before = (apart / "answers.jsonl").read_bytes()
    assert cli("stage=score", f"answers={apart}", "tracking=none").code == 0
    assert (apart / "answers.jsonl").read_bytes() == before
    figures = [{k: v for k, v in record(job)["metrics"].items() if k.startswith("quality/")} for job in (one, apart)]
    assert figures[0] == figures[1] != {}
    assert (one / "scores_by_id.csv").read_bytes() == (apart / "scores_by_id.csv").read_bytes()


def test_a_name_in_a_table_never_reads_the_environment(cli: CommandLine):
    (cli.folder / "a.csv").write_text("model_name,Image,candidate\nplain,1,x\n${oc.env:HOME},1,x\npri${ce,1,x\n")
    ended = cli("stage=score", "answers=a.csv", "metrics=[text]")
    assert ended.code == 2 and "the name '${oc.env:HOME}' holds '${'" in ended.err and "'pri${ce'" in ended.err
    assert not list(cli.folder.rglob("config.yaml")), "nothing was written"


def test_options_that_refer_to_a_model_are_those_of_the_job_and_the_command_line_wins(cli: CommandLine):
    tables = "<doctag><otsl><ched>a<ched>b<nl><fcel>1<fcel>2<nl></otsl></doctag>"
    job = job_folder(cli.folder / "job", "model.output_adapters=[doctags]", text=tables)
    rows = [json.loads(line) for line in (job / "answers.jsonl").read_text().splitlines()]
    reference = "<table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table>"
    lines = [json.dumps(row | {"references": [reference]}) + "\n" for row in rows]
    (job / "answers.jsonl").write_text("".join(lines))
    command = ("stage=score", f"answers={job}", "metrics=[page]", "tracking=none")
    for more, adapters, teds in (
        ((), ["doctags"], 1.0),
        (("model.output_adapters=[]",), [], 0.0),
        (("model.output_adapters=[doctags]",), ["doctags"], 1.0),
    ):
        ended = cli(*command, *more)
        assert ended.code == 0, ended.err
        assert OmegaConf.load(job / "config.yaml").metrics.page.adapters == adapters
        assert record(job)["metrics"]["quality/page_teds"] == teds
