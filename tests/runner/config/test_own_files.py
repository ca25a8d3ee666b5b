"""A mistake in a YAML file of a user's own is told with its file and line, and with what was meant."""

from pathlib import Path

import pytest

from runner.config import own_files
from tests.conftest import ROOT, CommandLine

CONF = ROOT / "conf"
GLOBAL = "# @package _global_\n"


def faults(folder: Path, name: str, text: str) -> list[tuple[int, str]]:
    file = folder / f"{name}.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return list(own_files.faults(file, name.rpartition("/")[0], [CONF, folder]))


@pytest.mark.parametrize(
    ("name", "text", "line", "said"),
    [
        ("model/my", "name: my\nlicence: mit\ncheckpoint:\n  bf16: a/b\n", 3, "no key checkpoint; did you mean checkpoints?"),  # noqa: E501
        ("model/my", "name: my\nmax_pixels: many\n", 2, "max_pixels takes a whole number, not 'many'"),
        ("model/my", "name: my\nimages: ja\n", 2, "images takes true or false, not 'ja'"),
        ("model/my", "name: my\nbackends: hf\n", 2, "backends takes a list, such as [hf], not 'hf'"),
        ("model/my", "name: my\ncheckpoints: a/b\n", 2, "checkpoints takes keys of its own"),
        ("model/my", "name: my\nthreads: {cpu: 1}\n", 2, "threads takes a whole number, and has keys of its own here"),
        ("model/my", "model:\n  name: my\n", 1, "without a line `model:` above them"),
        ("model/my", "defaults:\n  - qwen2vl_2\n  - _self_\nname: my\n", 2, "there is no qwen2vl_2; did you mean qwen2vl_2b"),  # noqa: E501
        ("model/my", "- name\n", 1, "this is no mapping"),
        ("sampling/my", "name: my\ntop_p: 0,5\n", 2, "top_p takes a number with a point: 0.5, not '0,5'"),
        ("dataset/my", "name: my\ncolumns: {question: [a]}\n", 2, "columns.question takes one value, a text"),
        ("report/my", "languge: ru\n", 1, "there is no key languge; did you mean language?"),
        ("report/my", "trust: {faild: 1}\n", 1, "there is no key trust.faild; did you mean trust.failed?"),
        ("experiment/my", GLOBAL + "sampling: {temprature: 1}\n", 2, "did you mean sampling.temperature?"),
        ("experiment/my", GLOBAL + "defaults:\n  - override /modle: demo_s\n", 3, "no group /modle; did you mean /model?"),  # noqa: E501
        ("experiment/my", GLOBAL + "defaults:\n  - override /model: demo_x\n", 3, "did you mean model=demo_s or model=demo_m?"),  # noqa: E501
        ("experiment/my", GLOBAL + "defaults:\n  - /model: demo_s\n", 3, "write `override /model: demo_s`"),
        ("experiment/my", GLOBAL + "defaults:\n  - model: demo_s\n", 3, "from the root: override /model: demo_s"),
        ("experiment/my", GLOBAL + "defaults:\n  - override model: demo_s\n", 3, "from the root: override /model: demo_s"),  # noqa: E501
        ("experiment/my", GLOBAL + "model: demo_s\n", 2, "- override /model: demo_s"),
        ("experiment/my", GLOBAL + "default: []\n", 2, "did you mean defaults?"),
        ("experiment/my", "concurrency: 4\n", 1, "its first line is: # @package _global_"),
    ],
)  # fmt: skip
def test_a_mistake_has_its_line_and_its_remedy(tmp_path: Path, name: str, text: str, line: int, said: str):
    ((where, what),) = faults(tmp_path, name, text)
    assert where == line and said in what


def test_all_mistakes_of_a_file_come_at_once(tmp_path: Path):
    found = faults(tmp_path, "model/my", "nam: my\nmin_pixels: a\nchekpoints: {}\n")
    assert [line for line, _ in found] == [1, 2, 3]


# Beside config.yaml stand tables of facts, which are no configs.
CONFIGS = [file for file in sorted(CONF.rglob("*.yaml")) if file.parent != CONF or file.name == "config.yaml"]


@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: file.relative_to(CONF).as_posix())
def test_no_shipped_config_has_a_fault(file: Path):
    group = file.parent.relative_to(CONF).as_posix()
    assert group.startswith("hydra") or not list(own_files.faults(file, "" if group == "." else group, [CONF]))


def test_the_command_says_it(cli: CommandLine):
    for name, text in (
        ("model/my", "name: my\nlicence: mit\ncheckpoint: {bf16: a/b}\n"),
        ("model/twice", "name: twice\nlicence: mit\nname: other\n"),
        ("model/tab", "name: tab\ncheckpoints:\n\tbf16: a/b\n"),
        ("experiment/my", GLOBAL + "defaults:\n  - override /model: demo_x\n"),
    ):
        (cli.folder / "own" / name).parent.mkdir(parents=True, exist_ok=True)
        (cli.folder / "own" / f"{name}.yaml").write_text(text)
    for argument, said in (
        ("model=my", "own/model/my.yaml, line 3: there is no key checkpoint; did you mean checkpoints?"),
        ("model=twice", "twice.yaml, line 3, column 1: found duplicate key name"),
        (
            "model=tab",
            "tab.yaml, line 3, column 1: found character '\\t' that cannot start any token; YAML is indented",
        ),
        ("experiment=my", "own/experiment/my.yaml, line 3: there is no model=demo_x"),
    ):
        ended = cli("--config-dir", "own", argument, "plan=dry")
        assert ended.code == 2 and said in ended.err and "ModelConfig" not in ended.err, ended.err


def test_a_list_for_a_group_that_there_is_not_is_no_traceback(cli: CommandLine):
    """Hydra ends with a bare AssertionError (core/default_element.py, get_name)."""
    folder = cli.folder / "own" / "experiment"
    folder.mkdir(parents=True)
    (folder / "my.yaml").write_text(GLOBAL + "defaults:\n  - override /metric: [cer]\n")
    ended = cli("--config-dir", str(folder.parent), "experiment=my", "tracking=none")
    assert ended.code == 2 and "Traceback" not in ended.err
    assert "my.yaml, line 3: there is no group /metric; did you mean /metrics?" in ended.err


def test_texts_that_look_like_numbers_stay_as_written_in_a_sweep_of_a_file(cli: CommandLine):
    folder = cli.folder / "own" / "experiment"
    folder.mkdir(parents=True)
    sweep = 'hydra:\n  mode: MULTIRUN\n  sweeper: {params: {dataset.name: "1.10,true", dataset.limit: "1"}}\n'
    (folder / "my.yaml").write_text(GLOBAL + sweep)
    ended = cli("--config-dir", str(folder.parent), "experiment=my", "tracking=none", "plan=commands")
    assert ended.code == 0 and "'1.10'" in ended.out and "'true'" in ended.out, ended.out + ended.err
