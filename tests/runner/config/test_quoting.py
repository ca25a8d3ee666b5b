"""Any text of a user's arrives as it was written, or is refused with the form that works; Hydra's parser judges."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.config import read_overrides
from runner.config.overrides import in_quotes
from runner.config.quoting import UnreadableValue, quoted
from tests.conftest import ROOT

PARSER = OverridesParser.create()
SIGNS = "Фё\u00a0\u00ad\u200b\\'\",:=$<>()!?#&;%*@|~^`/.-_+1 \n\tab"
# Letters that make a value no number, null or truth value; brackets and commas have tests of their own.
WORDS = st.text(alphabet=[one for one in SIGNS if one not in ",'\"()\\"], min_size=1).map(lambda text: f"Ж{text}ж")
ANY = st.text(alphabet=list(SIGNS + "[]{}"))
TYPED = settings(max_examples=200, deadline=None)


def plain(value: Any) -> Any:
    if isinstance(value, list):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    return getattr(value, "text", value)


def arrives(argument: str) -> Any:
    parsed = PARSER.parse_override(quoted(argument))
    return [plain(one) for one in parsed.value().list] if parsed.is_choice_sweep() else plain(parsed.value())


@TYPED
@given(ANY)
def test_any_cyrillic_text_arrives_or_is_refused(text: str):
    """Where it holds a comma, a bracket or an escape it may be several values, or none; it is never another text."""
    text = f"Ж{text}"
    (_, unread) = read_overrides.read([], [f"prompt.system={text}"])
    if unread:
        form = re.search(r"one text.*?: (.*)\Z", unread[0], re.DOTALL)
        assert form is not None, unread
        (argument,) = shlex.split(form[1])
        assert arrives(argument) == f"prompt.system={text}".partition("=")[2], "the form that is named works"
        return
    assert arrives(f"prompt.system={text}") == re.sub(r"\\([,\[\]{}])", r"\1", text)


@TYPED
@given(WORDS)
def test_a_text_arrives_in_every_place(text: str):
    bare = text.strip(" \t")
    assert arrives(f"a={text}") == text
    assert arrives(f"a=[{text},x]") == [bare, "x"]
    assert arrives(f"a={{question: {text}}}") == {"question": bare}
    assert arrives(f"a={text},Имя") == [bare, "Имя"]
    assert arrives(f"a={{k: [{text}, {{l: {text}}}], m: 1}}") == {"k": [bare, {"l": bare}], "m": 1}


@TYPED
@given(st.text(alphabet=list(SIGNS + "[]{}"), min_size=1))
def test_quotation_marks_of_a_users_own_are_left_alone(text: str):
    assert arrives(f"a={in_quotes(text)}") == text
    assert arrives(f"a=[{in_quotes(text)},Имя]") == [text, "Имя"]


@TYPED
@given(st.text(alphabet=list("aZ0_1/+.$%*@?|: -\\,[](){}=\t")))
def test_what_hydra_takes_means_what_it_meant(text: str):
    """ASCII that Hydra's grammar takes, escapes and functions included, is not changed by us."""
    try:
        parsed = PARSER.parse_override(f"a={text}")
        value = parsed.value()
    except (HydraException, ValueError):
        return
    again = PARSER.parse_override(quoted(f"a={text}"))
    assert plain(again.value()) == plain(value) and again.value_type == parsed.value_type


@pytest.mark.parametrize(
    ("given", "arrived"),
    [
        ("a=C:\\данные\\", "C:\\данные\\"),
        ("a=\\\\сервер\\файл", "\\\\сервер\\файл"),
        ("a=Серия\u00a0и\u00a0номер", "Серия\u00a0и\u00a0номер"),
        ("a=мяг\u00adкий", "мяг\u00adкий"),
        ('a=ООО "Ромашка"', 'ООО "Ромашка"'),
        ("a=Д'Артаньян", "Д'Артаньян"),
        ("a='Д\\'Артаньян'", "Д'Артаньян"),
        ("a=What's this?", "What's this?"),
        ("a=<1.5", "<1.5"),
        ("a=b=c", "b=c"),
        ("a=Док(1)/q.jsonl", "Док(1)/q.jsonl"),
        ("a=Серия [1,2]", "Серия [1,2]"),
        ("a=Цена {руб}", "Цена {руб}"),
        ("a=Серия\\, номер", "Серия, номер"),
        ("a={latency/p95_s: <1.5, licence: apache-2.0|mit}", {"latency/p95_s": "<1.5", "licence": "apache-2.0|mit"}),
        ("a=[Серия и номер, 12, true, null, 'x, y']", ["Серия и номер", 12, True, None, "x, y"]),
        ("a=choice(Фамилия,Имя)", ["Фамилия", "Имя"]),
        ("a=${oc.env:HOME,Дом}/данные", "${oc.env:HOME,Дом}/данные"),
        ("a=[${b},Имя]", ["${b}", "Имя"]),
        ("a=Фамилия, Имя", ["Фамилия", "Имя"]),
        ("a='Фамилия, имя',Отчество", ["Фамилия, имя", "Отчество"]),
    ],
)
def test_examples(given: str, arrived: Any):
    assert arrives(given) == arrived


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("dataset.field=[Имя", "a ']' is missing"),
        ("dataset.field=[Имя] и", "there is more behind the ']'"),
        ("dataset.field=Имя,", "a comma with nothing beside it"),
        ("dataset.field=[Имя,,Дата]", "a comma with nothing beside it"),
        ("dataset.field={Имя}", "has no value"),
        ("dataset.options={Имя: x}", "write it into a file"),
        ('dataset.field=ООО "Рога, копыта"', "quotation marks"),
        ("поле=1", "a key is ASCII letters"),
        ("prompt.system=Describe(x)", "reads as a function"),
        ("Фамилия", "no key=value"),
    ],
)
def test_what_cannot_be_read_is_told_without_words_of_a_lexer(given: str, why: str):
    _, (told,) = read_overrides.read(["-m"], [given])
    assert told.startswith(f"{given}: ") and why in told
    assert not re.search(r"Lexer|mismatched|extraneous|viable|hydra\.cc", told)


def test_a_forgotten_m_is_named_first():
    _, told = read_overrides.read([], ["model=demo_s,demo_m", "dataset.field=[Имя", "sampling.temperature=0,1"])
    assert told[0].startswith("model=demo_s,demo_m: these are several values, and -m is missing")
    assert "python -m runner -m model=demo_s,demo_m" in told[0] and "one list" not in told[0]
    assert "a decimal number has a point: sampling.temperature=0.1" in told[1]
    assert told[2].startswith("dataset.field=[Имя")
    _, told = read_overrides.read([], ["dataset.field=Фамилия,Имя", "metrics=cer,wer"])
    assert "'dataset.field=[Фамилия,Имя]'" in told[0] and "dataset.field='Фамилия,Имя'" in told[0]
    assert "'metrics=[cer,wer]'" in told[1] and "one text" not in told[1]
    assert read_overrides.read(["-m"], ["model=demo_s,demo_m"])[1] == []


def test_a_blank_behind_a_comma():
    _, told = read_overrides.read([], ["model=demo_s,", "demo_m"])
    assert "a blank after a comma ends an argument" in told[1]


def test_what_a_sweep_says_of_a_job_is_read_back_the_same():
    """plan=commands prints overrides as Hydra spells them; a user pastes them."""
    parsed = PARSER.parse_override(quoted("a=Серия и номер,a b,c:d,'x\\'y',[Я,b],C:\\данные"))
    for value, spelled in zip(parsed.value().list, parsed.sweep_string_iterator(), strict=True):
        assert arrives(f"a={spelled}") == plain(value)


COMMAND = re.compile(r"""(?P<mark>['"])(?P<argument>\+?[\w.]*columns(?:\.\w+)?=.+?)(?P=mark)(?![\w}])""")


def commands() -> list[str]:
    """Every `columns=` that docs, configs and messages tell a user to write."""
    files = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("conf/**/*.yaml"), *ROOT.glob("src/**/*.py")]
    found = [one["argument"] for file in files for one in COMMAND.finditer(Path(file).read_text(encoding="utf-8"))]
    # `{{` is half of an f-string, which is no command yet.
    return sorted({one for one in found if ("{" in one or "columns." in one) and "{{" not in one})


def test_every_command_with_columns_is_taken_as_it_is_written():
    from hydra import compose, initialize_config_dir

    from runner import config

    config.register()
    told = commands()
    assert {"dataset.columns={question: Вопрос}", "answer_columns={answer: Ответ}"} <= set(told)
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        for argument in told:
            metric = ["metrics=stored"] if "metrics.stored" in argument else []
            cfg = compose("config", overrides=[*metric, quoted(argument)])
            assert config.typed(cfg), argument


def test_not_understood_is_a_mistake_of_the_users():
    with pytest.raises(UnreadableValue):
        quoted("a=[Я")


def test_the_dataset_file_of_the_docs_reads_a_table_with_names_of_its_own(tmp_path: Path):
    import yaml
    from PIL import Image

    from runner.datasets import DatasetConfig, open_dataset

    (written,) = re.findall(
        r"```yaml\n(name: ankety.*?)```", (ROOT / "docs" / "datasets.md").read_text("utf-8"), re.DOTALL
    )
    Image.new("RGB", (56, 56)).save(tmp_path / "1.png")
    header = "Номер анкеты,Файл,Вопрос,Ответ,Вид документа,Поле"
    (tmp_path / "annotation.csv").write_text(f"{header}\n7,1.png,Кто?,Жуков,анкета,Фамилия\n", encoding="cp1251")
    (sample,) = open_dataset(DatasetConfig(**{**yaml.safe_load(written), "path": str(tmp_path)}), tmp_path)
    assert (sample.document, sample.question, sample.references) == ("7", "Кто?", ("Жуков",))
    assert (sample.doc_class, sample.field) == ("анкета", "Фамилия")


@pytest.mark.parametrize("text", ["1.10", "007", "1e3", "true", "TRUE", "1_000", "+5", "NaN"])
def test_what_looks_like_a_number_stays_as_written_where_a_key_takes_text(text: str):
    """Hydra hands on 1.1, 1000.0 and True, and a field called 1.10 would be another one."""
    keys = ("dataset.field", "dataset.name")
    (taken, unread) = read_overrides.read(["-m"], [f"{keys[0]}={text}", f"{keys[1]}={text}", f"{keys[0]}=[{text},Ж]"])
    assert not unread and [plain(PARSER.parse_override(one).value()) for one in taken] == [text, text, [text, "Ж"]]
    (swept, mapping), _ = read_overrides.read(["-m"], [f"{keys[0]}={text},5", f"model.checkpoints={{bf16: {text}}}"])
    assert [str(plain(one)) for one in PARSER.parse_override(swept).value().list] == [text, "5"]
    assert plain(PARSER.parse_override(mapping).value()) == {"bf16": text}


def test_numbers_stay_numbers_where_a_key_takes_them():
    given = ["sampling.temperature=1.10", "dataset.field=null", "+backend.engine_args.x=true", "dataset.limit=5"]
    assert read_overrides.read([], given) == (given, [])


@pytest.mark.parametrize(
    ("value", "remedy"),
    [("{question: Вопрос, мой}", "{key: 'a, b'}"), ("{question: }", "{question: null}"), ("{a: 1, b: }", "{b: null}")],
)
def test_a_mapping_that_is_cut_by_a_comma_names_the_form_that_works(value: str, remedy: str):
    with pytest.raises(UnreadableValue, match=re.escape(remedy)):
        quoted(f"dataset.columns={value}")
