"""`--help GROUP` lists a group's words with what each is for, without composing a job."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.base import paths
from runner.config import help_page


def page(*arguments: str) -> str | None:
    return help_page.page(arguments, paths.conf_dir())


def test_the_overview_has_all_groups_all_words_and_the_keys_of_none() -> None:
    said = page("--help")
    assert said is not None
    for group, files in help_page.groups([paths.conf_dir()]).items():
        assert f"\n{group}: {', '.join(files)}\n" in said
    assert "--help GROUP" in said and "\nconcurrency: 1 " in said and "\n  max_engines: 1 " in said
    assert "hydra/" not in said and "defaults" not in said and "subdir" not in said


@pytest.mark.parametrize(
    ("group", "line"),
    [
        ("model", "demo_m                       About 1 M parameters"),
        ("quant", "bf16                         Weights and activations in bfloat16"),
        ("judge/prompt", "usefulness                   Two answers, one criterion"),
        ("experiment", "demo                         Two small models, each as trained"),  # not its command, above that
        ("workers", "joblib                       Several workers on this machine"),  # nor its package
    ],
)
def test_a_group_says_what_each_word_is_for(group: str, line: str) -> None:
    said = page("-h", group)
    assert said is not None and f"\n  {line}" in said


@pytest.mark.parametrize("group", help_page.groups([paths.conf_dir()]))
def test_every_word_says_what_it_is_for(group: str) -> None:
    nothing = [
        word for word, file in help_page.groups([paths.conf_dir()])[group].items() if not help_page.purpose(file)
    ]
    assert nothing == []


def test_groups_below_a_group_are_named() -> None:
    assert "below it: judge/model, judge/prompt" in str(page("--help", "judge"))


@pytest.mark.parametrize(
    ("word", "hint"),
    [("modell", "did you mean 'model'?"), ("judge/promt", "did you mean 'judge/prompt'?"), ("w4a16", "--help quant")],
)
def test_an_unknown_group_gets_a_hint(word: str, hint: str) -> None:
    with pytest.raises(help_page.NoSuchGroup) as raised:
        page("--help", word)
    assert hint in str(raised.value) and "judge/model" in str(raised.value)


def test_own_files_come_first(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.yaml").write_text("# What we trained.\nname: mine\n")
    (tmp_path / "model" / "demo_s.yaml").write_text("# Our own demo_s.\nname: demo_s\n")
    said = str(page("--config-dir", str(tmp_path), "--help", "model"))
    assert "What we trained." in said and "Our own demo_s." in said and "demo_m " in said
    assert page(f"--config-dir={tmp_path}", "--help", "model") == said


@pytest.mark.parametrize("arguments", [(), ("model",), ("--help", "model=demo_s"), ("--help", "-m"), ("--hydra-help",)])
def test_everything_else_is_left_to_hydra(arguments: tuple[str, ...]) -> None:
    assert page(*arguments) is None
