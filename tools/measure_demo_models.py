"""Measures every variant of the demo models: `python tools/measure_demo_models.py`.

It asks the committed test split and a larger held-out set, drawn by the same rules with another seed, in all known
wordings, through stock transformers on one thread (about 15 minutes). A control shows each question with the
page of another document. The numbers go to `measured.json` beside the models and as tables into their README.
"""

import argparse
import csv
import json
import logging
import random
import time
from pathlib import Path

import numpy as np
import torch
import transformers
from PIL import Image

from demo_documents import draw_part
from demo_models.checkpoint import write_json
from demo_models.evaluate import Question, Reader, paired_difference, score, swap_pages
from demo_models.wordings import SYSTEM_TEXT, ask

MODELS = ("demo_m", "demo_s")
# name: (folder, dtype of the computation). transformers computes compressed-tensors checkpoints in bf16, whatever dtype
# it is given, so the baseline computes in bf16 too.
VARIANTS = {
    "bf16": ("bf16", torch.bfloat16),
    "fp32": ("bf16", torch.float32),
    "w8a8": ("w8a8", torch.bfloat16),
    "w4a16": ("w4a16", torch.bfloat16),
}
BASELINE = "bf16"
# name: (wording, system text)
CONDITIONS = {
    "plain": ("plain", ""),
    "plain, system text": ("plain", SYSTEM_TEXT),
    "questions": ("questions", ""),
    "detailed": ("detailed", ""),
}
HELD_OUT_DOCUMENTS, HELD_OUT_SEED = 250, "held out 1"
TABLE_START, TABLE_END = "<!-- measured: start -->", "<!-- measured: end -->"

log = logging.getLogger("measure_demo_models")


def committed_questions(folder: Path, split: str = "test") -> list[Question]:
    """Read one split of the committed documents."""
    with (folder / "annotation.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = [row for row in csv.DictReader(file, delimiter=";") if row["split"] == split]
    pages = {path: np.asarray(Image.open(folder / path)) for path in {row["image_path"] for row in rows}}
    return [
        Question(
            row["data_index"],
            pages[row["image_path"]],
            row["question"],
            row["answer"],
            row["doc_class"],
            row["question_type"],
        )
        for row in rows
    ]


def held_out_questions() -> list[Question]:
    """Draw documents of the test split's values that are not committed."""
    return [
        Question(str(index), document.pixels, ask("plain", document.doc_class, field), value, document.doc_class, field)
        for index, document in enumerate(draw_part("test", HELD_OUT_DOCUMENTS, HELD_OUT_SEED))
        for field, value in document.fields.items()
    ]


def reword(questions: list[Question], wording: str) -> list[Question]:
    """Ask the same in another wording."""
    return [
        Question(**vars(question) | {"prompt": ask(wording, question.doc_class, question.field)})
        for question in questions
    ]


def measure_variant(
    folder: Path, dtype: torch.dtype, sets: dict[str, list[Question]]
) -> tuple[dict, dict[str, list[str]]]:
    """Measure one checkpoint; also return its answers per set under the plain question."""
    begun = time.process_time()
    reader = Reader(folder, dtype)
    result: dict = {"file_bytes": (folder / "model.safetensors").stat().st_size}
    answers: dict[str, list[str]] = {}
    for set_name, questions in sets.items():
        result[set_name] = {}
        for condition, (wording, system) in CONDITIONS.items():
            asked = reword(questions, wording)
            given = reader.answer(asked, system)
            result[set_name][condition] = score(asked, given)
            if condition == "plain":
                answers[set_name] = given
        log.info("%s %s %s", folder, set_name, result[set_name])
    swapped = swap_pages(sets["test"])
    result["wrong_image"] = score(swapped, reader.answer(swapped))
    result["cpu_s_per_answer"] = cpu_seconds_per_answer(reader, sets["test"])
    result["measuring_cpu_s"] = round(time.process_time() - begun)
    return result, answers


def cpu_seconds_per_answer(reader: Reader, questions: list[Question], count: int = 40) -> float:
    """Ask one by one; the median of CPU time, which other work on the machine disturbs less than latency."""
    reader.answer(questions[:2], batch_size=1)
    times = []
    for question in random.Random(0).sample(questions, count):
        begun = time.process_time()
        reader.answer([question], batch_size=1)
        times.append(time.process_time() - begun)
    return round(sorted(times)[count // 2], 4)


def measure(models: Path, documents: Path, names: list[str], measured: dict) -> dict:
    """Measure all variants of the named models; what was measured of the others stays."""
    sets = {"test": committed_questions(documents), "held_out": held_out_questions()}
    measured |= {
        "transformers": transformers.__version__,
        "torch": torch.__version__,
        "documents": {name: len({question.document for question in questions}) for name, questions in sets.items()},
    }
    for name in names:
        reference: dict[str, list[str]] = {}
        entry: dict = {"variants": {}, "test_answers": {}}
        for variant, (folder, dtype) in VARIANTS.items():
            result, answers = measure_variant(models / name / folder, dtype, sets)
            reference = reference or answers
            if variant != BASELINE:
                result["versus_bf16"] = {
                    set_name: paired_difference(questions, reference[set_name], answers[set_name])
                    for set_name, questions in sets.items()
                }
            entry["variants"][variant] = result
            entry["test_answers"][variant] = answers["test"]
        measured.setdefault("models", {})[name] = entry
    return measured


def tables(measured: dict) -> str:
    """Render the numbers as Markdown tables."""
    lines = []
    for set_name, count in measured["documents"].items():
        heads = " | ".join(f"{condition}: EM (95%) / CER" for condition in CONDITIONS)
        title = "committed test split" if set_name == "test" else "larger held-out set"
        lines += [f"**{title}: {count} documents**", "", f"| model | {heads} |", "|---" * (len(CONDITIONS) + 1) + "|"]
        for name, entry in sorted(measured["models"].items()):
            for variant, result in entry["variants"].items():
                cells = [_cell(result[set_name][condition]) for condition in CONDITIONS]
                lines.append(f"| {name} {variant} | {' | '.join(cells)} |")
        lines.append("")
    heads = (
        "model",
        "file, kB",
        "wrong image: EM",
        "CPU ms an answer",
        "held-out EM minus bf16 (95%), answers changed",
    )
    lines += ["**other**", "", f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for name, entry in sorted(measured["models"].items()):
        for variant, result in entry["variants"].items():
            lines.append(_other_row(f"{name} {variant}", result))
    return "\n".join(lines)


def _cell(scores: dict) -> str:
    low, high = scores["exact_match_95"]
    return f"{scores['exact_match']:.3f} ({low:.3f}-{high:.3f}) / {scores['cer']:.3f}"


def _other_row(name: str, result: dict) -> str:
    versus = result.get("versus_bf16", {}).get("held_out")
    difference = "-"
    if versus:
        low, high = versus["difference_95"]
        difference = f"{versus['difference']:+.3f} ({low:+.3f} to {high:+.3f})"
        difference += f", {versus['changed']} of {versus['questions']}"
    wrong, speed = result["wrong_image"]["exact_match"], 1000 * result["cpu_s_per_answer"]
    return f"| {name} | {result['file_bytes'] // 1000} | {wrong:.3f} | {speed:.0f} | {difference} |"


def main() -> None:
    """Read the command line, measure, and write both files."""
    root = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, default=root / "assets" / "demo_models")
    parser.add_argument("--documents", type=Path, default=root / "data" / "demo_documents")
    parser.add_argument("--model", choices=MODELS, action="append", help="measure only this one; may be repeated")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(1)
    record = arguments.models / "measured.json"
    measured = json.loads(record.read_text(encoding="utf-8")) if record.exists() and arguments.model else {}
    measured = measure(arguments.models, arguments.documents, arguments.model or list(MODELS), measured)
    write_json(record, measured)
    card = arguments.models / "README.md"
    before, _, rest = card.read_text(encoding="utf-8").partition(TABLE_START)
    after = rest.partition(TABLE_END)[2]
    card.write_text(f"{before}{TABLE_START}\n{tables(measured)}\n{TABLE_END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
