"""The recipes for a metric and a reader, as CONTRIBUTING.md and docs/datasets.md print them, installed and run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT, CommandLine
from tests.faults.results import last


def blocks(page: str) -> list[str]:
    """The blocks of code of a page that name the file they belong into, or add an entry point."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = re.findall(r"^```\w+\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    return [block for block in found if block.startswith(("# acme/", "[project.entry-points"))]


def test_the_recipes_of_a_metric_and_a_reader_work_as_they_are_printed(cli: CommandLine):
    source, installed = cli.folder / "source", cli.folder / "installed"
    (source / "acme").mkdir(parents=True)
    project = [
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"',
        '[project]\nname = "acme"\nversion = "1"',
    ]
    printed = [*blocks("CONTRIBUTING.md"), *blocks("docs/datasets.md")]
    assert len(printed) == 4, "two files and the entry point of each"
    for block in printed:
        if block.startswith("# "):
            (source / block.splitlines()[0].removeprefix("# ")).write_text(block, encoding="utf-8")
        else:
            project.append(block)
    (source / "acme" / "__init__.py").touch()
    (source / "pyproject.toml").write_text("\n\n".join(project), encoding="utf-8")
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*command, "--target", str(installed), str(source)], check=True, timeout=300)
    cli.environment["PYTHONPATH"] += f":{installed}"
    from PIL import Image

    Image.new("RGB", (20, 20)).save(cli.folder / "a.png")
    lines = ["a.png|signed in 1998|in 1998", "a.png|signed in 2001|in 1999", "a.png|no year|none"]
    (cli.folder / "receipts.txt").write_text("\n".join(lines), encoding="utf-8")
    ended = cli("backend=hf", "backend.name=echo", "dataset=jsonl", "dataset.format=receipts", "dataset.name=receipts",
                f"dataset.path={cli.folder / 'receipts.txt'}", "metrics=[exact_match]",
                "+metrics.same_year={}")  # fmt: skip
    assert ended.code == 0, ended.err
    metrics = last(cli.folder)["metrics"]
    assert metrics["quality/same_year"] == 0.5 and metrics["samples/unscored"] == 1
    assert metrics["samples/total"] == 3


def test_the_page_of_metrics_is_written_by_the_command_that_is_named(tmp_path: Path):
    (name,) = set(re.findall(r"`python -m metrics\.document (\S+)`", (ROOT / "CONTRIBUTING.md").read_text("utf-8")))
    page = tmp_path / "metrics.md"
    current = (ROOT / name).read_text(encoding="utf-8")
    page.write_text(re.sub(r"^\| `cer` .*\n", "", current, flags=re.MULTILINE), encoding="utf-8")
    assert page.read_text(encoding="utf-8") != current
    subprocess.run([sys.executable, "-m", "metrics.document", str(page)], check=True, timeout=300)
    assert page.read_text(encoding="utf-8") == current
