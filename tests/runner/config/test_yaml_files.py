"""What libyaml makes of a config file is what OmegaConf's own loader makes of it, errors included."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from omegaconf import OmegaConf

from runner.base import paths
from runner.config import yaml_files

TEXTS = (
    "a: 1e3\nb: .5\nc: 1_000\nd: 0o17\ne: 017\nf: 0x1f\ng: 12:30:45\nh: 2024-01-31\ni: .inf\nj: -.NaN\nk: 1.\nl: 1e-5",
    "a: yes\nb: 'no'\nc: ~\nd: null\ne: on\nf: True\ng: ''\nh:",
    "a: ${b}\nb: '${oc.env:HOME,x}'\nc: \\${d}\nd: ${oc.env:A,1}",
    "a: {b: 1, c: [x, y, {z: 1}], 'd': \"e\\u0041\"}\nf: [1, 2,]\ng: {h, i}\nj: {k:1}",
    "a: &x {b: 1}\nc: *x\nd: {<<: *x, e: 2}",
    "a: |\n  text\n   more\n\nb: >-\n  one\n  two\n# a comment\nc: x # another\nd: x#none",
    "# only a comment\n",
    "",
    "---\na: 1\n",
    "a: Петров № 1 — «да»\nключ: значение 😀",
    "\ufeffa: 1",
    "? long key\n: value\n? [1, 2]\n: pair",
    "a: !!str 1\nb: !!python/object/apply:pathlib.Path [x]\nc: !!int '3'",
    # refused
    "a: 1\na: 2",
    "a: [1, 2",
    "a: {b: 1",
    "\ta: 1",
    "a:\tb",
    "a: b: c",
    "a: 'x",
    "a: !own 1",
    "a: *none",
    "a: 1\n b: 2",
    "- a\nb: 1",
    "a: \x01",
    "a: 1\n---\nb: 2",
    "%YAML 3.0\n---\na: 1",
    "a: @b",
    "a: `b`",
    "a: %b",
)


def loaded(text: str, loader: Any) -> Any:
    try:
        return repr(yaml.load(yaml_files._Named(text, "own.yaml"), Loader=loader))
    except yaml.YAMLError as error:
        return type(error), str(error)


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_gives_the_same_values_or_the_same_error(text: str) -> None:
    assert loaded(text, yaml_files.loader()) == loaded(text, yaml_files._omegaconfs_own())


def test_all_config_files_are_read_alike_and_by_libyaml(monkeypatch: pytest.MonkeyPatch) -> None:
    files = sorted(paths.conf_dir().rglob("*.yaml"))
    expected = {file: yaml.load(file.read_text("utf-8"), Loader=yaml_files._omegaconfs_own()) for file in files}
    monkeypatch.delattr(yaml.scanner.Scanner, "fetch_more_tokens")  # what parses in Python
    assert len(files) > 100
    for file in files:
        assert repr(yaml.load(file.read_text("utf-8"), Loader=yaml_files.loader())) == repr(expected[file])


def test_omegaconf_reads_by_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("a: 1e3\nb: ${a}")
    yaml_files.install()
    monkeypatch.delattr(yaml.scanner.Scanner, "fetch_more_tokens")
    assert OmegaConf.load(file).b == 1000.0
