"""The experiments that repeat the seeds run on their real data, with a demo model in place of theirs."""

import csv
import json
from pathlib import Path

from omegaconf import OmegaConf

from tests.conftest import CommandLine

DATA = {
    "demo_mini": "demo_mini",
    "screen_annotation": "screen_annotation/images",
    "support_vqa": "vqa_phone/QA_phone.xls",
}
SHORT = ("model=demo_s", "sampling.max_tokens=8", "tracking=none")


def run(cli: CommandLine, shared: Path, name: str, *more: str) -> list[Path]:
    ended = cli(f"experiment={name}", f"dataset.path={shared / DATA[name]}", *SHORT, *more)
    assert ended.code == 0, ended.err
    assert "published:" in ended.out
    return sorted(path.parent for path in cli.folder.rglob("metrics.json"))


def answers(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "answers.jsonl").read_text(encoding="utf-8").splitlines()]


def test_demo_mini_asks_each_model_with_its_own_prompts(cli: CommandLine, shared: Path):
    folders = run(cli, shared, "demo_mini")
    configs = [OmegaConf.load(folder / "config.yaml") for folder in folders]
    assert [Path(cfg.prompt.path).stem for cfg in configs] == [cfg.prompt.name for cfg in configs]
    assert len({cfg.prompt.name for cfg in configs}) == 4
    for folder in folders:
        assert len(answers(folder)) == 22
        for table, rows in (("by_id", 22), ("by_field", 11), ("by_class", 2), ("general", 1)):
            with (folder / f"scores_{table}.csv").open(encoding="utf-8-sig", newline="") as file:
                found = list(csv.DictReader(file, delimiter=";"))
            assert len(found) >= rows, f"{table}: CER by the four aggregations"


def test_screen_annotation_asks_ten_screenshots_five_times(cli: CommandLine, shared: Path):
    (folder,) = run(cli, shared, "screen_annotation", "quant=bf16", "metrics=[text]")
    rows, cfg = answers(folder), OmegaConf.load(folder / "config.yaml")
    assert len({row["document"] for row in rows}) == 10 and len(rows) == 50
    assert cfg.sampling.temperature == 0.1 and cfg.prompt.system_role == "user"


def test_support_vqa_says_its_n(cli: CommandLine, shared: Path):
    images = shared / "vqa_phone" / "images"
    (folder,) = run(cli, shared, "support_vqa", f"dataset.images={images}", "judge=none")
    assert len(answers(folder)) == 48
    ended = cli(str(folder), module="runner.published")
    assert "(n: 48 here, 158 there)" in ended.out
