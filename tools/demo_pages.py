r"""Writes the demo pages: `python tools/demo_pages.py --out data/demo_pages`.

Twelve synthetic Russian pages, 992 x 1403 px (A4 at 120 dots an inch): invoices with a table of items, acts with two
columns, letters. One row of `pages.jsonl`, with the text and the place of everything that is printed:

    {"id": "act_1", "images": ["images/act_1.png"], "question": "Перепиши страницу.", "document": "act_1",
     "doc_class": "act", "references": ["[{\"bbox\": [70, 78, 240, 98], \"category\": \"Title\", \"text\": …}]"]}

Everything follows from fixed seeds, so the command reproduces the committed folder. The pictures are equal pixel by
pixel; their bytes also depend on the zlib inside Pillow. Needs pillow and matplotlib (for its fonts).
"""

import argparse
import html
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from demo_models.drawing import font_folder
from demo_models.values import draw_fields

WIDTH, HEIGHT, MARGIN = 992, 1403, 70
KINDS = ("invoice", "act", "letter")
OF_EACH = 4
SEED = "demo_pages 1"
QUESTION = "Перепиши страницу."
FACES = ("DejaVuSans.ttf", "DejaVuSerif.ttf")
SIZE = 20
GOODS = (
    ("Бумага офисная А4, 500 листов", "пач."), ("Картридж HP LaserJet 85A", "шт."), ("Кабель USB-C, 2 м", "шт."),
    ("Монитор Samsung 27\"", "шт."), ("Папка-регистратор, синяя", "шт."), ("Стол письменный, бук", "шт."),
    ("Клавиатура Logitech K120", "шт."), ("Доставка по городу", "усл."), ("Лампа настольная, 9 Вт", "шт."),
    ("Настройка сервера Dell R450", "ч."), ("Ручка шариковая, 50 шт.", "уп."), ("Маршрутизатор MikroTik hEX", "шт."),
)  # fmt: skip
COMPANIES = ("ООО «Ромашка»", "АО «Северный путь»", "ООО «Вектор-М»", "ИП Кузьмин П. С.", "ПАО «Заря»")
STREETS = ("ул. Лесная", "пр. Мира", "наб. реки Мойки", "ул. Академика Павлова")
SENTENCES = (
    "Направляем вам документы по договору и просим подтвердить их получение в течение пяти рабочих дней.",
    "Оригиналы будут высланы почтой, копии приложены к этому письму.",
    "Если в тексте найдены неточности, сообщите о них по адресу office@example.org.",
    "Просим учесть, что цены указаны с учётом налога и действительны до конца месяца.",
    "Работы выполнены полностью и в срок, стороны претензий друг к другу не имеют.",
    "Заранее благодарим за сотрудничество и остаёмся на связи по всем вопросам.",
)


@dataclass
class Page:
    """A page that is being printed, and what stands where on it: blocks as in `references`, in reading order."""

    face: str
    blocks: list[dict[str, Any]] = field(default_factory=list)
    top: int = MARGIN

    def __post_init__(self) -> None:
        """Start with an empty page."""
        self.picture = Image.new("L", (WIDTH, HEIGHT), 255)
        self.pen = ImageDraw.Draw(self.picture)

    def font(self, size: int = SIZE) -> ImageFont.FreeTypeFont:
        """Return the page's font; BASIC needs no library beside Pillow's own."""
        return ImageFont.truetype(font_folder() / self.face, size, layout_engine=ImageFont.Layout.BASIC)

    def line(self, text: str, left: int = MARGIN, size: int = SIZE, category: str = "Text") -> None:
        """Print a line below the last one."""
        at, font = (left, self.top + size), self.font(size)
        self.pen.text(at, text, fill=0, font=font, anchor="ls")
        box = [round(edge) for edge in self.pen.textbbox(at, text, font=font, anchor="ls")]
        self.blocks.append({"bbox": box, "category": category, "text": text})
        self.top += round(1.6 * size)

    def paragraph(self, text: str, left: int = MARGIN, width: int = WIDTH - 2 * MARGIN) -> None:
        """Print a text in as many lines as it needs, and leave some room below."""
        line = ""
        for word in text.split():
            longer = f"{line} {word}".strip()
            if line and self.font().getlength(longer) > width:
                self.line(line, left)
                longer = word
            line = longer
        self.line(line, left)
        self.top += SIZE

    def table(self, rows: Sequence[Sequence[str]], widths: Sequence[int]) -> None:
        """Print a table with rules; it is one block, whose text is HTML."""
        height, top, right = 36, self.top, MARGIN + sum(widths)
        for number, row in enumerate(rows):
            left, middle = MARGIN, top + height * number + height // 2
            for text, width in zip(row, widths, strict=True):
                self.pen.rectangle((left, middle - height // 2, left + width, middle + height // 2), outline=0)
                self.pen.text((left + 8, middle), text, fill=0, font=self.font(18), anchor="lm")
                left += width
        self.top = top + height * len(rows) + 2 * SIZE
        cells = ("".join(f"<td>{html.escape(text, quote=False)}</td>" for text in row) for row in rows)
        text = f"<table>{''.join(f'<tr>{row}</tr>' for row in cells)}</table>"
        box = [MARGIN, top, right, top + height * len(rows)]
        self.blocks.append({"bbox": box, "category": "Table", "text": text})


def money(kopecks: int) -> str:
    """Write an amount as Russian documents do: 12 345,50."""
    return f"{kopecks // 100:,}".replace(",", " ") + f",{kopecks % 100:02}"


def draw_page(kind: str, number: int, seed: str = SEED) -> Page:
    """Draw one page of a kind; `number` counts from 1."""
    rng = random.Random(f"{seed}/{kind}/{number}")
    page = Page(FACES[number % len(FACES)])
    {"invoice": _invoice, "act": _act, "letter": _letter}[kind](page, rng)
    return page


def _items(rng: random.Random, count: int) -> tuple[list[list[str]], int]:
    """Draw the rows of a table of goods, and their sum in kopecks."""
    rows, total = [["№", "Товар", "Кол-во", "Ед.", "Цена", "Сумма"]], 0
    for number, (name, unit) in enumerate(rng.sample(GOODS, count), start=1):
        pieces, price = rng.randint(1, 40), rng.randint(50, 9_999) * 100 + rng.choice((0, 50, 90))
        total += pieces * price
        rows.append([str(number), name, str(pieces), unit, money(price), money(pieces * price)])
    return rows, total


def _invoice(page: Page, rng: random.Random) -> None:
    values = draw_fields(rng, "test", "invoice")
    seller, buyer = rng.sample(COMPANIES, 2)
    page.line(f"Счёт на оплату № {values['Номер']} от {values['Дата']}", size=28, category="Title")
    page.top += SIZE
    page.line(f"Поставщик: {seller}, ИНН {values['ИНН']}")
    page.line(f"Покупатель: {buyer}, {rng.choice(STREETS)}, д. {rng.randint(1, 99)}")
    page.line(f"Основание: договор № {rng.randint(10, 999)}-K")
    page.top += SIZE
    rows, total = _items(rng, rng.randint(4, 9))
    page.table(rows, (44, 366, 82, 70, 130, 160))
    page.line(f"Всего наименований {len(rows) - 1}, на сумму {money(total)} руб.")
    page.line(f"В том числе НДС 20%: {money(total * 20 // 120)} руб.")
    page.top += SIZE
    page.paragraph(" ".join(rng.sample(SENTENCES, 2)))


def _act(page: Page, rng: random.Random) -> None:
    values = draw_fields(rng, "test", "invoice")
    page.line(f"Акт № {values['Номер']}", size=28, category="Title")
    page.line(f"от {values['Дата']}")
    page.top += SIZE
    page.paragraph(" ".join(rng.sample(SENTENCES, 3)))
    rows, total = _items(rng, rng.randint(2, 4))
    page.table([[row[1], row[5]] for row in rows], (440, 160))
    page.line(f"Итого: {money(total)} руб.")
    # Two columns, each read from its top to its end.
    top, half = page.top + 2 * SIZE, WIDTH // 2
    for left, role, company in zip(
        (MARGIN, half + 30), ("Исполнитель", "Заказчик"), rng.sample(COMPANIES, 2), strict=True
    ):
        person, page.top = draw_fields(rng, "test", "passport"), top
        page.line(role, left, size=24, category="Section-header")
        page.line(company, left)
        page.line(f"ИНН {draw_fields(rng, 'test', 'invoice')['ИНН']}", left)
        page.line(f"{person['Имя']} {person['Фамилия']}", left)


def _letter(page: Page, rng: random.Random) -> None:
    person, values = draw_fields(rng, "test", "passport"), draw_fields(rng, "test", "invoice")
    page.line(rng.choice(COMPANIES), size=24, category="Title")
    page.line(
        f"{rng.choice(STREETS)}, д. {rng.randint(1, 99)}, тел. +7 495 {rng.randint(100, 999)}-{rng.randint(10, 99)}-00"
    )
    page.top += 2 * SIZE
    page.line(f"Исх. № {values['Номер']} от {values['Дата']}")
    page.top += SIZE
    page.line("О направлении документов", size=24, category="Section-header")
    page.top += SIZE
    for start in (0, 2, 4):
        page.paragraph(" ".join(rng.sample(SENTENCES, 6)[start : start + 3]))
    page.line(f"Исполнитель: {person['Фамилия']} {person['Имя']}")


def row(kind: str, number: int, page: Page) -> dict[str, Any]:
    """Return what `pages.jsonl` says of a page."""
    name = f"{kind}_{number}"
    reference = json.dumps(page.blocks, ensure_ascii=False)
    return {
        "id": name, "images": [f"images/{name}.png"], "question": QUESTION, "document": name, "doc_class": kind,
        "references": [reference],
    }  # fmt: skip


def write_pages(out: Path) -> None:
    """Write the pictures and `pages.jsonl`."""
    (out / "images").mkdir(parents=True, exist_ok=True)
    lines = []
    for kind in KINDS:
        for number in range(1, OF_EACH + 1):
            page = draw_page(kind, number)
            page.picture.save(out / "images" / f"{kind}_{number}.png", optimize=True)
            lines.append(json.dumps(row(kind, number, page), ensure_ascii=False) + "\n")
    (out / "pages.jsonl").write_text("".join(lines), encoding="utf-8")


def main() -> None:
    """Read the command line and write the folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder to write, e.g. data/demo_pages")
    write_pages(parser.parse_args().out)


if __name__ == "__main__":
    main()
