"""Compares our scorers of MWS-Vision-Bench with its own code.

    python tools/mws_vision_parity.py CHECKOUT --python PYTHON

CHECKOUT is a clone of github.com/mts-ai/MWS-Vision-Bench, PYTHON an interpreter with its requirements.txt and nltk's
WordNet (nltk below 3.10: 3.10.4 refuses texts above 2,000 characters, and the benchmark stops at them). The cases are
those of tests/metrics/mws_vision/parity.json; `--write` stores the scores that its code gives there, with the commit,
for the test. Nothing of the clone is kept.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from metrics.api import Case, Score
from metrics.mws_vision import antifraud, document_parsing, grounding, key_information, page_ocr, vqa
from metrics.mws_vision.task import TaskMetric
from runner.base.errors import Problem
from runner.datasets.json_values import parse
from runner.datasets.mws_vision import references

FIXTURE = Path(__file__).resolve().parents[1] / "tests" / "metrics" / "mws_vision" / "parity.json"
METRICS: Mapping[str, TaskMetric] = {
    module.TASK: made()
    for module, made in (
        (page_ocr, page_ocr.PageOcr),
        (document_parsing, document_parsing.DocumentParsing),
        (grounding, grounding.TextGrounding),
        (key_information, key_information.KeyInformation),
        (vqa, vqa.VisualQuestions),
        (antifraud, antifraud.Antifraud),
    )
}
TOLERANCE = 1e-9
# What runs in the other interpreter, in the folder of the clone. Its client strips an answer before it is scored.
THEIRS = """
import json, sys, tempfile
from src.evaluation.eval_parallel import process_single_item
from src.evaluation.get_score_ru import get_metrics
import nltk
from nltk.corpus import wordnet
given = json.load(sys.stdin)
scored = []
for item in given:
    try:
        copied = {**item, "predict": item["predict"].strip(), "answers": list(item["answers"])}
        scored.append(process_single_item(copied))
    except Exception as error:
        scored.append({"stops": type(error).__name__})
with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
    json.dump([item for item in scored if "stops" not in item], file)
    file.flush()
    figures, detailed = get_metrics(file.name)
texts = [text for item in given if item["type"] == "full-page OCR ru" for text in (item["predict"], *item["answers"])]
words = sorted({word.lower() for text in texts for word in text.split() if len(word) < 50})
found = {word: sorted({one.name() for some in wordnet.synsets(word) for one in some.lemmas()}) for word in words}
kept = ("score", "stops", "correct", "reason_score")
told = {"scores": [{name: item[name] for name in kept if name in item} for item in scored], "figures": figures}
told |= {"detailed": detailed, "nltk": nltk.__version__}
told["synonyms"] = {word: some for word, some in found.items() if some}
with open(sys.argv[1], "w", encoding="utf-8") as file:
    json.dump(told, file, ensure_ascii=False)
"""


def cases() -> list[Case]:
    """Return the questions of the benchmark's file with their answers, with references as our reader makes them."""
    made = []
    for item in parse(FIXTURE.read_text(encoding="utf-8"))["cases"]:
        found = references(item["type"], item["answers"], item)
        if isinstance(found, Problem):
            raise SystemExit(f"case {item['id']}: {found}")
        made.append(
            Case(
                sample_id=item["id"],
                document=item["id"],
                prediction=item["predict"],
                references=tuple(found),
                field=item["type"],
            )
        )
    return made


def ours() -> list[Score]:
    """Return our score of each case, of its task's first measure."""
    return [next(iter(METRICS[case.field].score([case]))) for case in cases()]


def differences(items: Sequence[Mapping[str, Any]], theirs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a line for each item that the two score differently. Where their code stops, ours must have no score."""
    lines = []
    for item, score, their in zip(items, ours(), theirs, strict=True):
        wanted = their.get("score")
        alike = (
            score.value is None
            if wanted is None
            else score.value is not None and abs(score.value - wanted) <= TOLERANCE
        )
        if not alike:
            lines.append(
                f"case {item['id']} ({item['type']}): {score.value}, theirs {their}; {score.reason or score.detail}"
            )
    return lines


def _written(told: Mapping[str, Any]) -> str:
    """Return JSON with a line for each key, and for each item of its lists."""
    parts = []
    for key, value in told.items():
        if isinstance(value, list):
            lines = ",\n  ".join(json.dumps(item, ensure_ascii=False) for item in value)
            parts.append(f' "{key}": [\n  {lines}\n ]')
        else:
            parts.append(f' "{key}": {json.dumps(value, ensure_ascii=False)}')
    return "{\n" + ",\n".join(parts) + "\n}\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run both, print every difference, and return 1 if there is one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", type=Path, help="a clone of MWS-Vision-Bench")
    parser.add_argument("--python", required=True, help="an interpreter with its requirements")
    parser.add_argument("--commit", help="the commit of the clone, where git can't tell it")
    parser.add_argument("--write", action="store_true", help="store the scores of its code in the test's file")
    options = parser.parse_args(arguments)
    fixture = json.loads(FIXTURE.read_text(encoding="utf-8"))
    items, answer = fixture["cases"], Path(FIXTURE.parent / "theirs.tmp")
    try:
        subprocess.run(
            [options.python, "-c", THEIRS, str(answer)],
            input=json.dumps(items),
            text=True,
            cwd=options.checkout,
            check=True,
            stdout=sys.stderr,
        )
        theirs = json.loads(answer.read_text(encoding="utf-8"))
    finally:
        answer.unlink(missing_ok=True)
    commit = options.commit or subprocess.check_output(["git", "-C", options.checkout, "rev-parse", "HEAD"], text=True)
    if options.write:
        told = {"source": fixture["source"], "commit": commit.strip(), **theirs, "cases": items}
        FIXTURE.write_text(_written(told), encoding="utf-8")
    found = differences(items, theirs["scores"])
    print("\n".join(found) or f"{len(items)} cases, no difference above {TOLERANCE:g}")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
