"""Formats of others: JSON lists, MERA, Parquet, datasets' folders, VLMEvalKit, OpenAI's messages, OmniDocBench."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image as Picture

from runner.base.errors import Refused
from runner.datasets import DatasetConfig, open_dataset
from runner.datasets.images import read_images
from runner.datasets.opening import LoadedDataset
from tests.metrics.cases import case, score


def png(shade: int) -> bytes:
    target = io.BytesIO()
    Picture.new("RGB", (4, 3), (shade, 0, 0)).save(target, "PNG")
    return target.getvalue()


ONE, TWO = png(10), png(20)
URL = "data:image/png;base64," + base64.b64encode(ONE).decode()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RUNNER_STORE", str(tmp_path / "store"))
    (tmp_path / "1.png").write_bytes(ONE)
    return tmp_path


def write(name: str, content: Any) -> str:
    text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
    Path(name).write_text(text, encoding="utf-8")
    return name


def opened(**keys: Any) -> LoadedDataset:
    return open_dataset(DatasetConfig(**keys))


def refusal(**keys: Any) -> str:
    with pytest.raises(Refused) as refused:
        opened(**keys)
    return str(refused.value)


def shown(dataset: LoadedDataset) -> list[bytes]:
    """Return the pictures of all samples as they are sent."""
    return [image.data for sample in dataset for image in read_images(sample.images)]


# ------------------------------------------------------------------------------------------------- JSON lists, MERA


def test_a_json_list_with_names_of_its_own_and_pictures_in_it() -> None:
    rows = [
        {"image": "1.png", "question": "Что?", "answer": 1.50},
        {"image": URL, "question": "Где?", "answer": ["а", "б"]},
    ]
    path = write("q.json", json.dumps(rows).replace("1.5", "1.50"))
    columns = {"id": None, "images": "image", "references": "answer"}
    dataset = opened(format="json", path=path, columns=columns)
    assert [(one.id, one.references) for one in dataset] == [("0", ("1.50",)), ("1", ("а", "б"))]
    assert shown(dataset) == [ONE, ONE]


def test_mera_lies_within_and_fills_its_instruction() -> None:
    row = {
        "instruction": "Вопрос: {question}\nВарианты: {a}, {b} и {что}",
        "inputs": {"image": "1.png", "question": "Что {a}?", "a": "кот", "b": "пёс"},
        "outputs": "A",
        "meta": {"id": 7, "source": "x"},
    }
    path = write(
        "mera.json",
        {"name": "t", "data": [row, row | {"inputs": "текст", "instruction": "{inputs}!", "meta": {"id": 8}}]},
    )
    columns = {"id": "meta.id", "images": "inputs.image", "question": "instruction", "references": "outputs"}
    mera = {"format": "json", "columns": columns, "options": {"records": "data", "fill": "inputs"}}
    words = refusal(path=path, **mera)
    assert "mera.json, data[1]: inputs.image is missing or empty" in words and "data[0]" not in words
    path = write("mera.json", {"data": [row]})
    (sample,) = opened(path=path, **mera)
    assert sample.question == "Вопрос: Что {a}?\nВарианты: кот, пёс и {что}" and sample.id == "7"
    assert sample.references == ("A",) and shown(opened(path=path, **mera)) == [ONE]


def test_an_instruction_is_filled_with_what_is_there() -> None:
    row = {"id": 1, "images": "1.png", "question": "Q: {inputs}{a}{b}{c}{d}"}
    asked = {"format": "json", "options": {"fill": "inputs"}}
    for content in (row, row | {"inputs": None}):
        assert "there is no 'inputs'" in refusal(path=write("q.json", [content]), **asked)
    inputs = {"a": None, "b": True, "c": 1, "d": [2, "x", {"y": False}]}
    (sample,) = opened(path=write("q.json", [row | {"inputs": inputs}]), **asked)
    assert sample.question == 'Q: {inputs}{a}true1[2, "x", {"y": false}]'


@pytest.mark.parametrize(
    ("content", "options", "words"),
    [
        ({"data": []}, {}, "is no list; its keys: data"),
        ({"rows": []}, {"records": "data"}, "has no list 'data'; its keys: rows"),
        ([1], {}, "q.json, [0]: is no JSON object"),
        ("[{", {}, "is not JSON"),
        ([], {}, "there are no rows"),
        ([{"id": 1, "images": ["2.png"], "question": "?"}], {}, "'2.png' does not exist"),
        ([{"id": 1, "images": ["data:image/png;base64,!!"], "question": "?"}], {}, "[0]: images holds no base64"),
        ([{"id": 1, "images": ["data:image/png;base64,aGVq"], "question": "?"}], {}, "[0]: images holds no picture"),
        ([{"id": 1, "images": "1.png", "question": "?", "answer": "x"}], {}, "but a key 'answer'"),
        ([], {"fil": "x"}, "unknown option: fil"),
    ],
)  # fmt: skip
def test_bad_json_is_refused_with_file_and_row(content: Any, options: dict, words: str) -> None:
    assert words in refusal(format="json", path=write("q.json", content), options=options)


# ------------------------------------------------------------------------------------------------- Parquet, datasets


def table(**more: Any) -> pa.Table:
    columns: dict[str, Any] = {
        "questionId": [7, 8],
        "question": ["Что?", "Где?"],
        "image": [{"bytes": ONE, "path": "a.png"}, {"bytes": TWO, "path": None}],
        "answers": [["1", "один"], ["2"]],
    }
    return pa.table(columns | more)


COLUMNS = {"id": "questionId", "references": "answers"}


def test_parquet_with_pictures_inside() -> None:
    pq.write_table(table(), "q.parquet")
    first, second = opened(format="parquet", path="q.parquet", columns=COLUMNS)
    assert (first.id, first.references, second.question) == ("7", ("1", "один"), "Где?")
    assert shown(opened(format="parquet", path="q.parquet", columns=COLUMNS)) == [ONE, TWO]


def test_a_folder_of_parquet_is_read_in_order_and_numbers_its_rows() -> None:
    Path("data").mkdir()
    for name in ("data/b.parquet", "data/a.parquet"):
        pq.write_table(table(answers=[[name], ["x"]]), name)
    dataset = opened(format="parquet", path=".", columns={"references": "answers"})
    assert [one.id for one in dataset] == ["0", "1", "2", "3"]
    assert dataset.samples[0].references == ("data/a.parquet",)


def test_what_datasets_saved_is_read(folder: Path) -> None:
    datasets = pytest.importorskip("datasets")
    rows = {"question": ["Что?", "Где?"], "image": [{"bytes": ONE, "path": None}] * 2, "answer": ["1", "2"]}
    features = datasets.Features(
        question=datasets.Value("string"), image=datasets.Image(), answer=datasets.Value("string")
    )
    whole = datasets.Dataset.from_dict(rows, features=features)
    whole.save_to_disk("saved")
    datasets.DatasetDict(test=whole, train=whole).save_to_disk("both")
    assert shown(opened(format="parquet", path="saved")) == [ONE, ONE]
    assert "one of: test, train" in refusal(format="parquet", path="both")
    assert len(opened(format="parquet", path="both", options={"split": "train"})) == 2
    whole.select([1]).save_to_disk("part")
    assert opened(format="parquet", path="part").samples[0].references == ("2",)


def test_numbers_of_parquet_keep_their_spelling_and_nan_is_no_value() -> None:
    floats = [[0.1, float("nan")], [1234.56, 3.0]]
    kinds = {"answers": pa.list_(pa.float32()), "price": pa.float32(), "box": pa.struct({"x": pa.float16()})}
    more = {"answers": floats, "price": [0.1, 2.5], "box": [{"x": 0.1}, {"x": 2.0}]}
    pq.write_table(table(**{name: pa.array(more[name], kind) for name, kind in kinds.items()}), "q.parquet")
    first, second = opened(format="parquet", path="q.parquet", columns=COLUMNS)
    assert (first.references, second.references) == (("0.1",), ("1234.56", "3.0"))
    assert (first.meta["price"], first.meta["box"]) == ("0.1", {"x": "0.1"})
    pq.write_table(table(answers=[[1.0], [float("inf")]]), "q.parquet")
    words = refusal(format="parquet", path="q.parquet", columns=COLUMNS)
    assert "q.parquet, row 1: inf is no number" in words and "row 0" not in words


def test_pictures_of_other_columns_are_left_out_of_the_memory() -> None:
    pictures = [{"bytes": ONE, "path": "a.png"}] * 2
    pq.write_table(table(thumbnail=pictures, raw=[ONE, TWO], several=[pictures] * 2, note=["x", "y"]), "q.parquet")
    assert opened(format="parquet", path="q.parquet", columns=COLUMNS).samples[0].meta == {"note": "x"}


@pytest.mark.parametrize(
    ("given", "columns", "words"),
    [
        ("parquet", {"images": None}, "dataset.columns: images: null, and format parquet can't do without"),
        ("json", {"images": None}, "dataset.columns: images: null"),
        ("vlmevalkit", {"images": None, "id": None}, "dataset.columns: id, images: null"),
        ("openai_messages", {"id": "nope"}, "dataset.columns: format openai_messages reads no columns"),
    ],
)
def test_columns_that_can_not_be_are_refused(given: str, columns: dict, words: str) -> None:
    write("q", "[]")
    assert words in refusal(format=given, path="q", columns=columns)


def test_a_guess_is_made_where_no_row_could_be_read() -> None:
    lines = '{"rows": [{"id": "1", "image": "2.png", "question": "?"}]}'
    asked = {"format": "json", "path": write("q.json", lines), "columns": {"images": "image"}}
    assert "looks like" not in refusal(**asked, options={"records": "rows"})  # read, and the picture is missing
    assert "looks like JSON lines" in refusal(**asked)  # the file is no list


def test_a_table_in_another_encoding_is_refused_in_our_words() -> None:
    Path("q.tsv").write_bytes("index\tвопрос\n1\tЧто?\n".encode("cp1251"))
    assert "q.tsv: is not UTF-8" in refusal(format="vlmevalkit", path="q.tsv")


def test_pictures_are_written_for_the_rows_that_are_asked_and_once(folder: Path) -> None:
    pq.write_table(table(image=[{"bytes": ONE, "path": None}, {"bytes": TWO, "path": None}]), "q.parquet")
    opened(format="parquet", path="q.parquet", columns=COLUMNS, limit=1)
    (only,) = (folder / "store" / "unpacked").iterdir()
    assert only.read_bytes() == ONE
    open_dataset(DatasetConfig(format="parquet", path="q.parquet", columns=COLUMNS), pictures=False)
    assert len(list((folder / "store" / "unpacked").iterdir())) == 1


def test_a_digest_does_not_hang_on_where_the_store_lies(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pq.write_table(table(), "q.parquet")
    digests = set()
    for store in ("a", "b"):
        monkeypatch.setenv("RUNNER_STORE", str(folder / store))
        digests.add(opened(format="parquet", path="q.parquet", columns=COLUMNS).digest())
    assert len(digests) == 1


def test_bad_parquet_is_refused_with_file_and_row() -> None:
    pq.write_table(table(), "q.parquet")
    assert "missing column: answer; found: questionId, question, image, answers" in refusal(
        format="parquet", path="q.parquet"
    )
    pq.write_table(table(image=[{"bytes": ONE, "path": None}, {"bytes": b"<html>", "path": None}]), "q.parquet")
    words = refusal(format="parquet", path="q.parquet", columns=COLUMNS)
    assert "q.parquet, row 1: image holds no picture" in words and "row 0" not in words
    write("q.parquet", "PAR1 and no more")
    assert "q.parquet: can't be read" in refusal(format="parquet", path="q.parquet", columns=COLUMNS)
    Path("empty").mkdir()
    assert "holds no *.parquet" in refusal(format="parquet", path="empty", columns=COLUMNS)


def test_a_picture_that_datasets_did_not_embed_is_a_path() -> None:
    pq.write_table(table(image=[{"bytes": None, "path": "1.png"}, {"bytes": TWO, "path": "x.png"}]), "q.parquet")
    assert shown(opened(format="parquet", path="q.parquet", columns=COLUMNS)) == [ONE, TWO]
    pq.write_table(table(image=[{"bytes": None, "path": None}, {"bytes": TWO, "path": None}]), "q.parquet")
    assert "row 0: image is missing or empty" in refusal(format="parquet", path="q.parquet", columns=COLUMNS)


@pytest.mark.parametrize("empty", [None, {"bytes": None, "path": None}])
def test_an_empty_place_among_several_pictures_is_no_page_less(empty: Any) -> None:
    one = {"bytes": ONE, "path": None}
    pq.write_table(table(image=[[one, one], [one, empty]]), "q.parquet")
    words = refusal(format="parquet", path="q.parquet", columns=COLUMNS)
    assert "q.parquet, row 1: image is a list of 2, and number 2 of it is empty" in words and "row 0" not in words


def test_what_a_column_of_parquet_does_not_tell_is_noted() -> None:
    years = pa.array([2024.0, None])
    pq.write_table(table(answers=years, image_2=table()["image"]), "q.parquet")
    notes = opened(format="parquet", path="q.parquet", columns=COLUMNS).notes
    assert "image_2: pictures that are not shown; only those of image are (dataset.columns.images)" in notes
    assert any(
        "all answers of answers are whole decimals, such as 2024.0, and some are missing" in one for one in notes
    )
    pq.write_table(table(answers=[1.5, None]), "q.parquet")
    assert not any("decimals" in one for one in opened(format="parquet", path="q.parquet", columns=COLUMNS).notes)


def test_a_map_of_parquet_is_an_object() -> None:
    pairs = pa.array([[("номер", "1")], [("номер", "2")]], pa.map_(pa.string(), pa.string()))
    pq.write_table(table(answers=pairs, kept=pairs), "q.parquet")
    words = refusal(format="parquet", path="q.parquet", columns=COLUMNS)
    assert 'answers is an object ({"номер": "1"}), not a list of answers' in words and "JSON written as a text" in words
    pq.write_table(table(kept=pairs), "q.parquet")
    assert opened(format="parquet", path="q.parquet", columns=COLUMNS).samples[0].meta["kept"] == {"номер": "1"}


# ------------------------------------------------------------------------------------------------- VLMEvalKit


def tsv(*rows: dict[str, str]) -> str:
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = ["\t".join(names), *("\t".join(row.get(name, "") for name in names) for row in rows)]
    return write("q.tsv", "\n".join(lines) + "\n")


B64 = base64.b64encode(ONE).decode()


def test_a_tsv_of_vlmevalkit() -> None:
    both = str([B64, base64.b64encode(TWO).decode()])
    path = tsv(
        {"index": "5", "image": B64, "question": "Что?", "answer": "B", "A": "Счёт", "B": "Чек", "category": "ocr"},
        {"index": "6", "image": "5", "question": "Номер?", "answer": "007", "hint": "на печати", "split": "dev"},
        {"index": "7", "image": both, "question": "Оба?"},
        {"index": "8", "image_path": "1.png", "question": "Путь?"},
    )
    first, second, third, fourth = opened(format="vlmevalkit", path=path)
    assert (first.id, first.question, first.references) == ("5", "Что?\nA. Счёт\nB. Чек", ("B",))
    assert (first.doc_class, second.references, second.context) == ("ocr", ("007",), "на печати")
    assert first.images == second.images and len(third.images) == 2 and third.references == ()
    assert shown(opened(format="vlmevalkit", path=path)) == [ONE, ONE, ONE, TWO, ONE]
    assert len(opened(format="vlmevalkit", path=path, split="dev")) == 1
    assert fourth.document == "1.png"


@pytest.mark.parametrize(
    ("cell", "answers"),
    [
        ("['7', 'семь']", ("7", "семь")),
        ('["7"]', ("7",)),
        ("['it\\'s', \"o'clock\"]", ("it's", "o'clock")),
        ("['7' 'семь']", ("7", "семь")),  # numpy's print; Python would join the two
        ("[10, 20, 30, 40]", ("[10, 20, 30, 40]",)),  # a box
        ("[{'номер': '7'}]", ("[{'номер': '7'}]",)),
        ("['7', 8]", ("['7', 8]",)),
        ("[не разобрано", ("[не разобрано",)),
        ("[]", ("[]",)),
    ],
)
def test_a_list_of_texts_in_a_tsv_holds_the_accepted_answers(cell: str, answers: tuple[str, ...]) -> None:
    path = tsv({"index": "1", "image": B64, "question": "?", "answer": cell})
    assert opened(format="vlmevalkit", path=path).samples[0].references == answers


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"index": "1", "image": B64, "question": "?", "answer": "nan"}, "q.tsv:2: column answer holds 'nan', a lost"),
        ({"index": "1", "image": "9", "question": "?"}, "q.tsv:2: column image holds '9', and no line has this index"),
        ({"index": "1", "image": "x" * 99, "question": "?"}, "q.tsv:2: column image holds no base64"),
        ({"index": "1", "image": "aGVq" * 30, "question": "?"}, "q.tsv:2: image holds no picture"),
        ({"index": "1", "image": "[" + "x" * 90, "question": "?"}, "q.tsv:2: column image holds a list that"),
        ({"index": "1", "question": "?"}, "q.tsv:2: image is missing or empty"),
        ({"image": "9", "frage": "?"}, "missing column: index, question; found: image, frage"),
    ],
)  # fmt: skip
def test_a_bad_tsv_is_refused_with_file_and_row(row: dict, words: str) -> None:
    assert words in refusal(format="vlmevalkit", path=tsv(row))


# ------------------------------------------------------------------------------------------------- OpenAI's messages


def asks(*pictures: str, answer: str | None = "7", **more: Any) -> dict[str, Any]:
    parts = [{"type": "image_url", "image_url": {"url": url}} for url in pictures]
    user = {"role": "user", "content": [*parts, {"type": "text", "text": "Какой номер?"}]}
    said = [{"role": "assistant", "content": answer}] if answer is not None else []
    return {"messages": [{"role": "system", "content": "Читай."}, user, *said]} | more


@pytest.mark.parametrize("form", ["lines", "list", "lists", "one", "batch"])
def test_messages_of_openai(form: str) -> None:
    rows = [asks(URL), asks("1.png", answer=None, id="b")]
    written = {
        "lines": "\n".join(map(json.dumps, rows)),
        "list": rows,
        "lists": [row["messages"] for row in rows],
        "one": rows[0]["messages"],
        "batch": "\n".join(json.dumps({"custom_id": f"c{n}", "body": row}) for n, row in enumerate(rows)),
    }
    dataset = opened(format="openai_messages", path=write("m.jsonl", written[form]))
    first = dataset.samples[0]
    assert (first.question, first.references, first.context) == ("Какой номер?", ("7",), "Читай.")
    assert first.id == ("c0" if form == "batch" else "0")
    assert shown(dataset) == [ONE] * (1 if form == "one" else 2)
    if form != "one":
        assert dataset.samples[1].references == ()


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (asks("https://example.org/1.png"), "lies on a server, and nothing is fetched"),
        ({"messages": [*asks(URL)["messages"], *asks(URL)["messages"]]}, "several turns (2 of the user, 2 of"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "a message has the role 'tool'"),
        ({"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}, "a part of type 'input_audio'"),
        ({"prompt": "x"}, "there is no list 'messages'"),
        (asks(), "images is missing or empty"),
        (asks("data:image/png,x"), "a data: URL that is not base64"),
    ],
)  # fmt: skip
def test_bad_messages_are_refused_with_file_and_row(row: Any, words: str) -> None:
    told = refusal(format="openai_messages", path=write("m.jsonl", json.dumps(row)))
    assert "m.jsonl:1: " in told and words in told


# ------------------------------------------------------------------------------------------------- OmniDocBench


def block(kind: str, order: int | str | None, left: int = 10, **more: Any) -> dict[str, Any]:
    poly = [left, 10, left + 80, 10, left + 80, 30, left, 30]
    return {"category_type": kind, "poly": poly, "order": order, "anno_id": order, "ignore": False} | more


def document(*blocks: Any, relation: Sequence[Any] = (), **more: Any) -> dict[str, Any]:
    info = {"image_path": "1.png", "page_attribute": {"data_source": "book", "language": "english"}}
    return {"page_info": info, "layout_dets": [*blocks], "extra": {"relation": [*relation]}} | more


def test_a_page_of_omnidocbench_is_a_layout_in_reading_order() -> None:
    page = document(
        block("table", 4, html="<table><tr><td>1</td></tr></table>", latex="x"),
        block("title", 1, text="Report"),
        block("text_block", 3, left=200, text="goes on."),
        block("text_block", 2, text="A paragraph"),
        block("equation_isolated", 5, latex="a=b"),
        block("header", None, text="Page 7"),
        block("text_block", 6, text="hidden", ignore=True),
        block("figure", 7),
        block("text_block", 8, text="Goes on."),
        relation=[
            {"source_anno_id": source, "target_anno_id": target, "relation_type": "truncated"}
            for source, target in ((2, 3), (6, 8), (3, 2))
        ],
    )
    (sample,) = opened(format="omnidocbench", path=write("o.json", json.dumps([page])), question="Read.")
    layout = json.loads(sample.references[0])
    assert [(one["category"], one["text"]) for one in layout] == [
        ("Title", "Report"), ("Text", "A paragraph goes on."), ("Table", "<table><tr><td>1</td></tr></table>"),
        ("Formula", "a=b"), ("Text", "Goes on."),
    ]  # fmt: skip
    assert layout[0]["bbox"] == [10, 10, 90, 30] and sample.id == "1.png" and sample.doc_class == "book"
    perfect = "# Report\n\nA paragraph goes on.\n\n<table><tr><td>1</td></tr></table>\n\n$$a=b$$\n\nGoes on."
    scored = score("page", case(perfect, *sample.references), {"reference_adapters": ["layout_json"]})
    assert scored["page_overall"].value == pytest.approx(1)


def test_a_part_of_a_paragraph_is_joined_to_one_beginning() -> None:
    page = document(
        *(block("text_block", order, text=text, anno_id=order - 1) for order, text in enumerate("abc", start=1)),
        relation=[
            {"source_anno_id": source, "target_anno_id": 1, "relation_type": "truncated"} for source in (0, 2)
        ],
    )  # fmt: skip
    (sample,) = opened(format="omnidocbench", path=write("o.json", json.dumps([page])), question="Read.")
    assert [one["text"] for one in json.loads(sample.references[0])] == ["a b", "c"]


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ({"page_info": {}}, 'has no "page_info" or no list "layout_dets"'),
        (document("x"), "layout_dets[0] is no JSON object"),
        (document(block("title", 1)), "layout_dets[0] (title) has no text in 'text'"),
        (document(block("table", 1, text="x")), "layout_dets[0] (table) has no text in 'html'"),
        (document(block("title", 1, text="x", poly=[1, 2])), "layout_dets[0] has no poly of eight numbers"),
        (document(block("title", "x", text="x")), "layout_dets[0] has the order 'x', which is no number"),
        (document(block("title", "inf", text="x")), "layout_dets[0] has the order 'inf', which is no number"),
        (document(page_info={"image_path": ""}), "image_path is missing or empty"),
    ],
)  # fmt: skip
def test_bad_pages_of_omnidocbench_are_refused_with_file_and_place(page: Any, words: str) -> None:
    told = refusal(format="omnidocbench", path=write("o.json", json.dumps([page])))
    assert "o.json, [0]: " in told and words in told


# ------------------------------------------------------------------------------------------------- a wrong guess


@pytest.mark.parametrize(
    ("name", "content", "asked", "word"),
    [
        ("q.json", [{"id": 1, "images": ["1.png"], "question": "?"}], "jsonl", "json_list"),
        ("q.json", [{"id": 1, "images": ["1.png"], "question": "?"}], "docvqa", "json_list"),
        ("q.json", {"data": [{"inputs": {"image": "1.png"}, "outputs": "x"}]}, "jsonl", "mera"),
        ("q.json", [{"layout_dets": [{"category_type": "title"}], "page_info": {}}], "json", "omnidocbench"),
        ("q.json", {"data": [{"questionId": 1, "question": "?"}]}, "json", "docvqa"),
        ("q.jsonl", '{"id": 1, "images": ["1.png"]}\n{"id": 2}', "json", "jsonl"),
        ("q.jsonl", json.dumps({"messages": [{"role": "user", "content": "x"}]}), "jsonl", "openai_messages"),
        ("q.tsv", "index\timage\tquestion\n1\t2\t3\n", "jsonl", "vlmevalkit"),
        ("q.csv", "data_index;image_path;question\n1;2;3\n", "jsonl", "annotations"),
        ("q.parquet", None, "jsonl", "parquet"),
        (".", None, "annotations", "images"),
    ],
)  # fmt: skip
def test_a_wrong_guess_is_told_what_it_looks_like(name: str, content: Any, asked: str, word: str) -> None:
    if content is not None:
        write(name, content)
    elif name.endswith(".parquet"):
        pq.write_table(table(), name)
    words = refusal(format=asked, path=name)
    assert f"-> dataset={word} " in words, words


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (
            {"images": [{"id": 7, "file_name": "1.png", "width": 6}], "annotations": [], "categories": []},
            "a COCO export",
        ),
        ([{"id": 1, "data": {"image": "1.png"}, "annotations": [{"completed_by": 1, "result": []}]}], "a Label Studio"),
        ([{"id": 1, "image": "1.png", "transcription": ["7"], "annotator": 1, "annotation_id": 2}], "a Label Studio"),
    ],
)
@pytest.mark.parametrize("asked", ["json", "jsonl"])
def test_an_export_of_an_annotation_program_is_known(content: Any, what: str, asked: str) -> None:
    words = refusal(format=asked, path=write("q.json", content), options={"records": "none"} if asked == "json" else {})
    assert f"this looks like {what}" in words and "docs/datasets.md" in words


def test_a_right_guess_is_told_nothing_of_other_formats() -> None:
    assert "looks like" not in refusal(format="jsonl", path=write("q.jsonl", '{"id": 1}\n{"id": 2}'))
    assert "looks like" not in refusal(format="json", path=write("q.json", [{"id": 1}]))
