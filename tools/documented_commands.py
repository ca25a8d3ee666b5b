"""Runs the commands that README, docs/getting_started.md and docs/scoring.md tell a newcomer to give, tracking on.

python tools/documented_commands.py [--list]

A clone of this checkout is made, `make demo` builds its environment, and every command runs in an empty folder. What a
page calls FOLDER or FILE is made here, small. A command of a page that this script doesn't know is an error, so that no
command is added without being run. Ends with 1 where one does not do what is written beside it below.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import openpyxl

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("README.md", "docs/getting_started.md", "docs/scoring.md")
COMMAND = re.compile(r"(?:make|python -m) \w")
NO_HUB = "HF_HOME"  # what a refusal names where weights would have to be downloaded


@dataclass(frozen=True)
class Known:
    """A command as a page writes it, and what to run in its place.

    `run` is the command with what stands for its placeholders; empty: as written. `code` is its exit status, `says` a
    part of its output. `left_out` is why it isn't run here.
    """

    written: str
    run: str = ""
    code: int = 0
    says: str = ""
    left_out: str = ""


DATA = "{root}/data/demo_documents"
KNOWN = (
    Known("make demo", says="report:"),
    Known("make test", left_out="it is a target of its own, and takes minutes"),
    Known("python -m runner --help", says="demo_m, demo_s"),
    Known("python -m runner --help model", says="qwen2vl_2b"),
    Known("python -m runner --cfg job model=demo_s", says="name: demo_s"),
    Known("python -m runner -m model=demo_s,demo_m quant=bf16,w4a16", says="report:"),
    Known("python -m runner -m model=demo_s,demo_m quant=bf16,w4a16 plan=dry", says="jobs"),
    Known(
        "python -m runner --config-dir my_conf model=my_model",
        "python -m runner --config-dir my_conf model=my_model dataset.limit=2",
        says="my_model",
    ),
    Known("python -m runner model=demo_m dataset=jsonl dataset.path=my/questions.jsonl", says="0 of 1"),
    Known("python -m runner.doctor", says="disk"),
    Known("python -m runner model=qwen2vl_2b dataset=jsonl dataset.path=my/questions.jsonl", code=2, says=NO_HUB),
    Known(
        "python -m runner -m model=qwen2vl_2b,qwen2vl_7b quant=bf16,awq backend=hf,vllm dataset=jsonl "
        "dataset.path=my/questions.jsonl",
        code=2,
        says=NO_HUB,
    ),
    Known(
        "python -m runner model=qwen2vl_2b dataset=annotations dataset.path=FOLDER",
        f"python -m runner model=qwen2vl_2b dataset=annotations dataset.path={DATA}",
        code=2,
        says=NO_HUB,
    ),
    Known(
        "python -m runner -m model=qwen2vl_2b,qwen2vl_7b quant=bf16,awq dataset=… dataset.path=…",
        f"python -m runner -m model=qwen2vl_2b,qwen2vl_7b quant=bf16,awq dataset=annotations dataset.path={DATA}",
        code=2,
        says=NO_HUB,
    ),
    Known("python -m runner.sync FOLDER", "python -m runner.sync {job}"),
    Known("python -m runner.report FOLDER", "python -m runner.report {sweep}", says="report"),
    Known("python -m runner.compare A B", "python -m runner.compare {job} {other}", says="demo_s"),
    Known("python -m runner.export SWEEP_DIR --to DIR", "python -m runner.export {sweep} --to exported"),
    Known("python -m runner stage=score answers=…", "python -m runner stage=score answers={job}"),
    Known(
        "python -m runner stage=score answers=FILE [metrics=[cer,wer]] [dataset=… dataset.path=…]",
        "python -m runner stage=score answers=answers.csv metrics=[cer,wer]",
        says="Reader",
    ),
    Known(
        "python -m runner stage=score answers=judgement_scores.xlsx metrics=[stored] "
        "'+metrics.stored.columns={judge_ratio: {column: Candidate_Score, divide_by: Reference_Score, "
        "valid: [0, 10]}}'",
        says="judge_ratio",
    ),
    Known(
        "python -m runner stage=score answers=summary.xlsx metrics=[stored] "
        '"+metrics.stored.columns={perplexity: {column: Perplexity, better: lower}, '
        "spelling_errors: 'Errors (cnt)'}\"",
        says="perplexity",
    ),
)


def commands(page: str) -> Iterator[str]:
    """Yield the commands of a page: the lines of its code blocks, continued ones joined, and commands within text."""
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    for block in (block for language, block in blocks if language in ("", "sh")):
        for line in block.replace("\\\n", "").splitlines():
            said = re.sub(r"\s+#\s.*$", "", " ".join(line.split()))
            if COMMAND.match(said):
                yield said
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    for said in re.findall(r"`([^`]+)`", prose):
        words = " ".join(said.split())
        if COMMAND.match(words) and words.startswith("python -m") and " " in words.removeprefix("python -m "):
            yield words


def documented() -> dict[str, list[str]]:
    """Return each command with the pages that tell it."""
    found: dict[str, list[str]] = {}
    for page in PAGES:
        for command in commands(page):
            found.setdefault(command, []).append(page)
    return found


def unknown() -> list[str]:
    """Return the commands of pages that KNOWN lacks, and those of KNOWN that no page has."""
    pages, here = documented(), {one.written for one in KNOWN}
    return [f"{', '.join(pages[one])}: {one}" for one in pages if one not in here] + [
        f"no page has: {one}" for one in sorted(here - set(pages))
    ]


def make_inputs(folder: Path) -> None:
    """Make what the pages take for granted: questions about a scan, and answers of other programs."""
    (folder / "my" / "scans").mkdir(parents=True)
    picture = next((ROOT / "data" / "demo_documents").rglob("*.png"))
    shutil.copy(picture, folder / "my" / "scans" / "passport_01.jpg")
    page = (ROOT / "docs" / "getting_started.md").read_text(encoding="utf-8")
    (line,) = re.findall(r"^```json\n(.*?)\n```", page, re.MULTILINE | re.DOTALL)
    (folder / "my" / "questions.jsonl").write_text(line + "\n", encoding="utf-8")
    (folder / "answers.csv").write_text(
        "model_name;Image;candidate;reference\nReader;1.png;Иванов;Иванов\nReader;2.png;Петров;Сидоров\n",
        encoding="utf-8",
    )
    (folder / "my_conf" / "model").mkdir(parents=True)
    model = (
        (ROOT / "conf" / "model" / "demo_s.yaml").read_text(encoding="utf-8").replace("name: demo_s", "name: my_model")
    )
    (folder / "my_conf" / "model" / "my_model.yaml").write_text(model, encoding="utf-8")
    _workbook(folder / "judgement_scores.xlsx", ["Candidate_Score", "Reference_Score"], [[7, 8], [9, 9]])
    _workbook(folder / "summary.xlsx", ["Perplexity", "Errors (cnt)"], [[15.5, 1], [12.25, 0]])


def _workbook(path: Path, header: list[str], rows: list[list[float]]) -> None:
    book = openpyxl.Workbook()
    assert book.active is not None
    book.active.append(["model_name", "Image", "candidate", "reference", *header])
    for number, row in enumerate(rows):
        book.active.append(["Reader", f"{number}.png", "да", "да", *row])
    book.save(path)


def run(known: Known, folder: Path, environment: dict[str, str], words: dict[str, str]) -> str:
    """Run one command and return what is wrong with it, or nothing."""
    command = (known.run or known.written).format_map(words) if known.run else known.written
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    said = done.stdout + done.stderr
    if done.returncode != known.code:
        return f"exit status {done.returncode}, not {known.code}: {command}\n{said[-3000:]}"
    if known.says not in said or "Traceback" in said:
        return f"{known.says!r} is missing, or a traceback is there: {command}\n{said[-3000:]}"
    if "not tracked" in said:
        return f"it was not tracked: {command}\n{said[-3000:]}"
    return ""


def main() -> int:
    """Run them all; return 0 where each did what it should."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list", action="store_true", help="show the commands and where they stand")
    if parser.parse_args().list:
        print("\n".join(f"{', '.join(pages)}: {command}" for command, pages in documented().items()))
        return 0
    if problems := unknown():
        print("commands and tools/documented_commands.py differ:", *problems, sep="\n  ")
        return 1
    failed = 0
    with tempfile.TemporaryDirectory(prefix="documented-") as name:
        clone, folder = Path(name) / "vlm-runner", Path(name) / "empty"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        folder.mkdir()
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("MLFLOW", "RUNNER_"))}
        environment |= {"PATH": f"{clone / '.venv' / 'bin'}:{environment['PATH']}", "HF_HUB_OFFLINE": "1"}
        environment |= {"HF_HOME": str(Path(name) / "hub")}
        words = {"root": str(clone)}
        for known in KNOWN:
            if known.left_out:
                print(f"left out  {known.written}: {known.left_out}", flush=True)
                continue
            is_make = known.written.startswith("make")
            problem = run(known, clone if is_make else folder, environment, words)
            if known.written == "make demo" and not problem:
                sweep = max(clone.glob("multirun/*/*"))
                jobs = sorted(path.parent for path in sweep.glob("*/metrics.json"))
                words |= {"sweep": str(sweep), "job": str(jobs[0]), "other": str(jobs[-1])}
                make_inputs(folder)
            failed += bool(problem)
            print(f"{'FAILED' if problem else 'ok':8}  {known.written}{problem and chr(10) + problem}", flush=True)
            if problem and is_make:
                break  # nothing else can run
    print(f"{len(KNOWN) - failed - sum(bool(one.left_out) for one in KNOWN)} passed, {failed} failed")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
