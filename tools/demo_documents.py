"""Writes the demo documents: `python tools/demo_documents.py --out data/demo_documents`.

One row of `annotation.csv` (`;`-separated, UTF-8 with BOM, CRLF), the format of the annotation folders:

    1;test;images/1.png;Напиши Фамилия;Горбунев;passport;Фамилия;[96, 39, 171, 56]

and one of `line_items.jsonl`, packages of these pictures, one page a document, with all that is printed on them:

    {"id": "package_1", "images": ["images/1.png", "images/2.png"], "question": "Выпиши ...", "references": ["{...}"]}

Everything follows from fixed seeds, so the command reproduces the committed folder. The pictures are equal pixel by
pixel; their bytes also depend on the zlib inside Pillow. Needs numpy, pillow and matplotlib (for its fonts).
"""

import argparse
import csv
import itertools
import json
import random
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from demo_models.drawing import Document, draw_document
from demo_models.values import FIELDS
from demo_models.wordings import ask

COLUMNS = ("data_index", "split", "image_path", "question", "answer", "doc_class", "question_type", "answer_bbox")
PARTS = (("test", 60, ""), ("dev", 20, "dev_"))  # split, documents, prefix of the file name
COLLECTIONS = {"demo_questions": "questions", "demo_detailed": "detailed"}
SEED = "demo_documents 1"
PACKAGE_QUESTION = "Выпиши паспорт и все счета этого пакета документов."
INVOICES = (1, 2, 1, 3, 1, 1, 2, 1, 2, 1)  # in one package, in turn
WITHOUT_PASSPORT = 4  # every fourth package has none, so that a model can invent one


def draw_part(split: str, count: int, seed: str = SEED) -> list[Document]:
    """Draw the documents of one split, passports and invoices in turn."""
    classes = tuple(FIELDS)
    return [
        draw_document(random.Random(f"{seed}/{split}/{index}"), split, classes[index % len(classes)])
        for index in range(count)
    ]


def write_table(path: Path, columns: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> None:
    """Write a table as spreadsheet programs of the region expect it: BOM, semicolons, CRLF."""
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file, delimiter=";", lineterminator="\r\n")
        writer.writerow(columns)
        writer.writerows(rows)


def write_documents(out: Path) -> None:
    """Write the pictures and the annotation of all splits."""
    (out / "images").mkdir(parents=True, exist_ok=True)
    rows = []
    data_index = 0
    for split, count, prefix in PARTS:
        for number, document in enumerate(draw_part(split, count), 1):
            data_index += 1
            image_path = f"images/{prefix}{number}.png"
            Image.fromarray(document.pixels).save(out / image_path, optimize=True)
            for field, value in document.fields.items():
                question = ask("plain", document.doc_class, field)
                box = list(document.boxes[field])
                rows.append((data_index, split, image_path, question, value, document.doc_class, field, box))
    write_table(out / "annotation.csv", COLUMNS, rows)


def write_packages(out: Path) -> None:
    """Write the packages of the test split: one to three invoices, and a passport before them in three of four."""
    split, count, prefix = PARTS[0]
    pages: dict[str, list[tuple[str, Mapping[str, str]]]] = {name: [] for name in FIELDS}
    for number, document in enumerate(draw_part(split, count), 1):
        pages[document.doc_class].append((f"images/{prefix}{number}.png", document.fields))
    lines = []
    passports, invoices = iter(pages["passport"]), iter(pages["invoice"])
    for number, size in enumerate(itertools.cycle(INVOICES), 1):
        listed = list(itertools.islice(invoices, size))
        if not listed:
            break
        shown = [] if number % WITHOUT_PASSPORT == 0 else [next(passports)]
        row = {
            "id": f"package_{number}",
            "document": f"package_{number}",
            "images": [image for image, _ in (*shown, *listed)],
            "doc_class": "package",
            "question": PACKAGE_QUESTION,
            "references": [json.dumps(reference(shown, listed), ensure_ascii=False)],
        }
        lines.append(json.dumps(row, ensure_ascii=False))
    (out / "line_items.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def reference(
    passports: Sequence[tuple[str, Mapping[str, str]]], invoices: Sequence[tuple[str, Mapping[str, str]]]
) -> dict[str, Any]:
    """Return what is printed on the pages of a package, as `line_items.schema.json` has it."""
    passport = [
        {
            "номер": fields["Номер"],
            "фамилия": fields["Фамилия"],
            "имя": fields["Имя"],
            "дата_рождения": _iso(fields["Дата рождения"]),
        }
        for _, fields in passports
    ]
    items = [
        {
            "номер": fields["Номер"],
            "дата": _iso(fields["Дата"]),
            "инн": fields["ИНН"],
            "сумма": _number(fields["Сумма"]),
        }
        for _, fields in invoices
    ]
    return ({"паспорт": passport[0]} if passport else {}) | {"счета": items}


def _number(amount: str) -> int | float:
    """389713,96 -> 389713.96, and 8519 -> 8519."""
    return float(amount.replace(",", ".")) if "," in amount else int(amount)


def _iso(date: str) -> str:
    """31.12.1999 -> 1999-12-31, as JSON Schema's format `date` wants it."""
    return "-".join(reversed(date.split(".")))


def write_prompts(out: Path) -> None:
    """Write the prompt collections: one wording per document class and field."""
    (out / "prompts").mkdir(parents=True, exist_ok=True)
    for name, wording in COLLECTIONS.items():
        rows = [
            (ask(wording, doc_class, field), f"{doc_class} {field}")
            for doc_class, fields in FIELDS.items()
            for field in fields
        ]
        write_table(out / "prompts" / f"{name}.csv", ("prompt", "doc_class_question_type"), rows)


def main() -> None:
    """Read the command line and write the folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder to write, e.g. data/demo_documents")
    out = parser.parse_args().out
    write_documents(out)
    write_packages(out)
    write_prompts(out)


if __name__ == "__main__":
    main()
