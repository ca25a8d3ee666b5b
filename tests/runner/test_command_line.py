"""The command line as a user meets it: quick, and every mistake a message without a traceback and without traces."""

import copy
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from runner import config
from runner.__main__ import parts
from runner.config import read_overrides
from runner.config.quoting import quoted
from tests.conftest import CommandLine

ECHO = ("model=demo_m", "backend=hf", "backend.name=echo", "tracking=none", "dataset=jsonl")


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """A JSONL of three questions and its pictures."""
    from PIL import Image

    folder = tmp_path / "data"
    folder.mkdir()
    for number in range(3):
        Image.new("RGB", (56, 56), (number, 0, 0)).save(folder / f"{number}.png")
    lines = [{"id": str(n), "images": [f"{n}.png"], "question": f"q {n}", "references": [f"q {n}"]} for n in range(3)]
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def refused(cli: CommandLine, *arguments: str) -> str:
    before = cli.left()
    ended = cli(*arguments)
    assert ended.code == 2, ended.err + ended.out
    assert "Traceback" not in ended.err + ended.out
    assert cli.left() == before, "nothing may be written for a refused job"
    return ended.err


@pytest.mark.parametrize("arguments", [["--help"], ["--help", "model"], ["--help", "model=demo_s"], ["--cfg", "job"]])
def test_help_imports_nothing_heavy(cli: CommandLine, arguments: list[str]):
    code = (
        "import runpy, sys; sys.argv = ['runner', *sys.argv[1:]]\n"
        "try: runpy.run_module('runner', run_name='__main__', alter_sys=True)\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'mlflow', 'pandas', 'transformers', 'numpy'} & set(sys.modules)\n"
        "print('HEAVY', sorted(heavy))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=cli.folder, env=cli.environment, capture_output=True, text=True
    )
    assert "HEAVY []" in ended.stdout, ended.stdout[-500:] + ended.stderr[-500:]
    assert "model" in ended.stdout


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    "command",
    [
        *(
            "runner --help",
            "runner --version",
            "runner --cfg job",
            "runner --hydra-help",
            "runner plan=dry model=demo_s",
        ),
        *("runner.compare --help", "runner.report --help", "runner.store --help", "runner.store ls"),
    ],
)
def test_a_reader_that_has_left_is_no_error(cli: CommandLine, command: str, unbuffered: str):
    """`python -m runner --help | head`, where head has ended before the first line came."""
    reading, writing = os.pipe()
    os.close(reading)
    module, *arguments = command.split()
    try:
        ended = subprocess.run(
            cli.command(*arguments, module=module),
            cwd=cli.folder,
            env=cli.environment | {"PYTHONUNBUFFERED": unbuffered},
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
        )
    finally:
        os.close(writing)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_help_about_an_unknown_group(cli: CommandLine):
    assert "did you mean 'model'?" in refused(cli, "--help", "modell")


def test_the_schema_is_handed_out_as_a_copy_though_the_store_is_not_copied():
    """Hydra copies the whole ConfigStore for each group of --help; ours isn't, and composing must not change it."""
    from hydra.core.config_store import ConfigStore

    config.register()
    store = ConfigStore.instance()
    assert copy.deepcopy(store) is store
    store.load("base_config.yaml").node.concurrency = 77
    assert store.load("base_config.yaml").node.concurrency == 1


def test_typo_in_a_key(cli: CommandLine):
    message = refused(cli, "concurency=2")
    assert "concurency" in message


@pytest.mark.parametrize(
    ("argument", "remedy"),
    [
        ("modle=demo_s", "there is no key modle; did you mean model?"),
        ("sampling.temprature=1", "there is no key sampling.temprature; did you mean sampling.temperature?"),
        ("limit=3", "there is no key limit; did you mean dataset.limit?"),
        ("temprature=1", "there is no key temprature; did you mean sampling.temperature or "),
        ("metrics=[cer,exat_match]", "there is no metrics=exat_match; did you mean metrics=exact_match?"),
        ("env.container.image=x", "the chosen env has no settings env.container; there are some with env=apptainer or"),
        ("env.remote.start=[x]", "the chosen env has no settings env.remote; there are some with env=remote or"),
        ("quant=bf61", "there is no quant=bf61; did you mean quant=bf16?"),
        ("report.zzzz=1", "there is no key report.zzzz; there are: report.baseline, report."),
        ("model=[demo_s,demo_m]", "would merge them. To run each: -m model=demo_s,demo_m"),
        ("+model=[demo_s,demo_m]", "To run each: -m model=demo_s,demo_m"),
        ("+a.b=1", "there is no such key"),
        ("++model.foo=1", "model.foo"),
        ("judge.model.name=x", "entries with keys of their own: judge/model=[NAME] judge.model.NAME.name=..."),
        ("+judge.model.base_url=x", "judge/model=[NAME] judge.model.NAME.base_url=..."),
        ("dataset=/data/q.jsonl", "and no path: dataset=jsonl dataset.path=/data/q.jsonl"),
        ("dataset=q.xlsx", "dataset=spreadsheet dataset.path=q.xlsx"),
        ("prompt=prompts/best.csv", "prompt=collection prompt.path=prompts/best.csv"),
        (
            "report.constraints=[latency/p95_s<2]",
            "takes a mapping: 'report.constraints={NAME: VALUE}'",
        ),
        ("backend.engine_args.x=1", "backend.engine_args has no x yet; a + adds it: +backend.engine_args.x=..."),
    ],
)
def test_a_mistyped_argument_is_told_what_was_meant(cli: CommandLine, argument: str, remedy: str):
    assert remedy in refused(cli, "model=demo_s", argument)


def test_unknown_word(cli: CommandLine):
    message = refused(cli, "model=demo_xl")
    assert "demo_xl" in message and "demo_m" in message, "the valid words are named"


def test_wrong_type(cli: CommandLine):
    assert "concurrency=many: concurrency takes a whole number" in refused(cli, "concurrency=many")


@pytest.mark.parametrize("text", ["Цена ${руб}", "Цена ${"])
def test_an_interpolation_that_was_not_meant(cli: CommandLine, text: str):
    assert "for the characters themselves write \\${...}" in refused(cli, f"prompt.system={text}")


def test_an_environment_variable_that_is_not_there_is_told_of_once(cli: CommandLine):
    message = refused(cli, "dataset.path=${oc.env:NOT_SET_HERE}/scans")
    assert "dataset.path: there is no environment variable NOT_SET_HERE\n      -> export NOT_SET_HERE=..." in message
    assert message.count("NOT_SET_HERE") == 2 and "full_key" not in message


def test_a_forgotten_m_is_named_also_where_an_experiment_might_bring_it(cli: CommandLine):
    message = refused(cli, "experiment=reference_answers", "dataset.path=x", "model=demo_s,demo_m")
    assert message.startswith("model=demo_s,demo_m: these are several values, and -m is missing")


def test_value_out_of_range(cli: CommandLine):
    message = refused(cli, "sampling.top_p=1.5", "reuse=sometimes")
    assert "sampling.top_p" in message and "reuse" in message and "same_conditions" in message


def test_missing_value(cli: CommandLine):
    assert "dataset.path" in refused(cli, "dataset=annotations")


def test_yaml_syntax_error(cli: CommandLine):
    (cli.folder / "own" / "model").mkdir(parents=True)
    (cli.folder / "own" / "model" / "broken.yaml").write_text("name: [unclosed\n")
    message = refused(cli, "--config-dir", "own", "model=broken")
    assert "broken.yaml" in message and "line" in message


def test_quantisation_that_a_model_lacks(cli: CommandLine):
    message = refused(cli, "-m", "model=demo_s,demo_m", "quant=bf16,awq")
    assert "demo_s has no quant=awq" in message and "demo_m has no quant=awq" in message
    assert "w4a16" in message, "what is valid is named"


def test_hub_model_that_cannot_be_had(cli: CommandLine):
    message = refused(cli, "-m", "model=qwen2vl_2b,qwen2vl_7b", "quant=bf16,awq")
    assert all(word in message for word in ("HF_HOME", "model.path", "model.weights=dummy"))
    assert message.count("is not in the cache") == 4


def test_all_problems_come_at_once(cli: CommandLine):
    message = refused(cli, "quant=awq", "dataset=jsonl", "dataset.path=nowhere.jsonl", "+metrics.cer.no_option=1")
    assert "awq" in message and "nowhere.jsonl" in message and "no_option" in message


def test_unknown_backend_and_environment(cli: CommandLine):
    message = refused(cli, "backend.name=tgi", "model.path=nowhere")
    assert "tgi" in message and "hf" in message and "nowhere" in message
    message = refused(cli, "env=moon")
    assert "moon" in message and "current" in message


def test_own_conf_outside_the_clone(cli: CommandLine, rows: Path):
    (cli.folder / "own" / "dataset").mkdir(parents=True)
    (cli.folder / "own" / "dataset" / "mine.yaml").write_text(f"name: mine\nformat: jsonl\npath: {rows}\n")
    ended = cli("--config-dir", "own", "dataset=mine", *ECHO[:-1])
    assert ended.code == 0, ended.err
    assert "1.000" in ended.out


def test_third_party_backend_metric_and_dataset(cli: CommandLine):
    ended = cli(*ECHO[:-1], "dataset=jsonl", "dataset.format=numbers", "dataset.path=.",
                "+dataset.options.count=4", "metrics=[]", "+metrics.starts_with={}")  # fmt: skip
    assert ended.code == 0, ended.err
    metrics = json.loads(next(cli.folder.rglob("metrics.json")).read_text())
    assert metrics["metrics"]["quality/starts_with"] == 1.0
    assert metrics["metrics"]["samples/total"] == 4


def test_remote_code_needs_a_reason(cli: CommandLine):
    assert "why_remote_code" in refused(cli, "model.trust_remote_code=true")


def test_version(cli: CommandLine):
    assert cli("--version").out.startswith("vlm-runner 0.")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("dataset.field=Фамилия", "dataset.field='Фамилия'"),
        ("dataset.field=Фамилия,Имя", "dataset.field='Фамилия','Имя'"),
        ("dataset.field=[Серия и номер,Имя]", "dataset.field=['Серия и номер','Имя']"),
        ("dataset.field='Фамилия'", "dataset.field='Фамилия'"),
        ("dataset.path=/данные/a b", "dataset.path='/данные/a b'"),
        ("dataset.path=Док(1)/q.jsonl", "dataset.path='Док(1)/q.jsonl'"),
        ("--config-dir=конфиг", "--config-dir=конфиг"),
        ("model=a,b", "model=a,b"),
        ("--help", "--help"),
    ],
)
def test_russian_values_need_no_quotes(given: str, expected: str):
    assert quoted(given) == expected


@pytest.mark.parametrize(
    ("flag", "said"),
    [
        ("--model=openai", "a key has no dashes before it: model=openai"),
        ("--dataset.path=a b", "a key has no dashes before it: 'dataset.path=a b'"),
        ("-plan", "a key has no dashes before it: plan=VALUE"),
        ("--cfg", None),
        ("--config-dir=x", None),
        ("-m", None),
    ],
)
def test_a_key_that_is_written_like_an_option(flag: str, said: str | None):
    assert read_overrides.read([flag], []) == ([], [f"{flag}: {said}"] if said else [])


def test_flags_may_stand_anywhere():
    given = ["model=a", "-m", "--config-dir", "own", "quant=b"]
    assert parts(given) == (["-m", "--config-dir", "own"], ["model=a", "quant=b"])


def test_config_saved_by_a_windows_editor(cli: CommandLine):
    (cli.folder / "own" / "model").mkdir(parents=True)
    (cli.folder / "own" / "model" / "mine.yaml").write_bytes("# модель\nname: mine\n".encode("cp1251"))
    message = refused(cli, "--config-dir", "own", "model=mine")
    assert "mine.yaml" in message and "UTF-8" in message


def test_settings_of_a_model_that_do_not_fit(cli: CommandLine):
    message = refused(cli, "+model.config_override.text_config.num_hidden_layers=1", "model.adapter=nowhere")
    assert "model.weights=dummy" in message and "adapter_config.json" in message


def test_password_in_a_tracking_address(cli: CommandLine):
    message = refused(cli, "tracking.uri=postgresql://me:secret@host/db")
    assert "MLFLOW_TRACKING_URI" in message and "secret" not in message


def test_empty_tracking_address(cli: CommandLine):
    cli.environment["MLFLOW_TRACKING_URI"] = ""
    assert "tracking=none" in refused(cli)
