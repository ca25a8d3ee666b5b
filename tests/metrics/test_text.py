import math
import unicodedata

import jiwer
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.api import Case
from metrics.normalisation import Normalisation
from metrics.registry import create

from .cases import case, cases_of, overall, quick, score

TEXT = ("exact_match", "cer", "wer", "anls")
PAIRS = [
    ("353-721-310 54", "353-721-310 54"),
    ("Фамилия: ОСИПОВ", "Осипов"),
    ("", "Автоном"),
    ("The city mentioned on the document is Sevastopol.", "гор. Севастополь"),
    ("дата 25 июня 2018", "25 июня 2018 года"),
    ("😀 مرحبا", "مرحبا 😀"),
]
# Words as jiwer sees them: single spaces, no other whitespace, in NFC as our default makes them.
words = st.lists(st.text("абвёйxyz.,-№😀שم", min_size=1, max_size=6), min_size=1, max_size=6).map(" ".join)
composed = words.map(lambda text: unicodedata.normalize("NFC", text))


def test_corpus_and_mean_equal_jiwer():
    predictions, references = map(list, zip(*PAIRS, strict=True))
    cer, wer = overall("cer", cases_of(PAIRS)), overall("wer", cases_of(PAIRS))
    assert cer["cer"].value == pytest.approx(jiwer.cer(references, predictions))
    assert wer["wer"].value == pytest.approx(jiwer.wer(references, predictions))
    assert cer["cer_mean"].value == pytest.approx(sum(jiwer.cer(r, p) for p, r in PAIRS) / len(PAIRS))
    assert wer["wer_mean"].value == pytest.approx(sum(jiwer.wer(r, p) for p, r in PAIRS) / len(PAIRS))
    assert cer["cer"].value != pytest.approx(cer["cer_mean"].value)


@quick
@given(st.lists(st.tuples(composed | st.just(""), composed), min_size=1, max_size=8))
def test_error_rates_equal_jiwer_on_any_text(pairs):
    predictions, references = map(list, zip(*pairs, strict=True))
    assert overall("cer", cases_of(pairs))["cer"].value == pytest.approx(jiwer.cer(references, predictions))
    assert overall("wer", cases_of(pairs))["wer"].value == pytest.approx(jiwer.wer(references, predictions))


@quick
@given(composed, composed)
def test_bounds(prediction, reference):
    one = case(prediction, reference)
    assert score("exact_match", one)["exact_match"].value in (0, 1)
    assert 0 <= score("anls", one)["anls"].value <= 1
    for metric in ("cer", "wer"):
        value = score(metric, one)[metric].value
        assert value >= 0
        assert (value == 0) == (prediction == reference)
    assert all(
        score(metric, case(reference, reference))[metric].value == (metric in ("exact_match", "anls"))
        for metric in TEXT
    )


def test_rates_above_one_are_not_clipped():
    assert score("cer", case("Имя: Игоревич", "Игорь"))["cer"].value > 1
    assert score("wer", case("очень длинный ответ", "да"))["wer"].value == 3


def test_best_reference_counts_and_its_length_enters_the_corpus():
    scores = score("cer", case("Москва", "город Москва", "Масква"))
    assert scores["cer"].stats == (1, 6)
    assert scores["cer_mean"].stats == (pytest.approx(1 / 6), 1)
    assert "'Масква'" in scores["cer"].detail
    assert score("exact_match", case("б", "а", "б"))["exact_match"].value == 1
    assert score("anls", case("Москва", "нет", "Москва"))["anls"].value == 1


@quick
@given(composed, st.lists(composed, min_size=1, max_size=4))
def test_order_of_references_has_no_part(prediction, references):
    for metric in TEXT:
        forward = score(metric, case(prediction, *references))[metric]
        backward = score(metric, case(prediction, *reversed(references)))[metric]
        assert (forward.value, forward.stats) == (backward.value, backward.stats)


def test_anls_as_in_its_paper():
    # NL = 1/10 -> 0.9; NL = 0.5 is not below the threshold -> 0; letters are lower-cased.
    assert score("anls", case("ивановавна", "Иванованна"))["anls"].value == pytest.approx(0.9)
    assert score("anls", case("аб", "аа"))["anls"].value == 0
    assert score("anls", case("аб", "аа"), {"threshold": 0.6})["anls"].value == pytest.approx(0.5)
    assert create("anls", {"threshold": 0.6}).version != create("anls").version


def test_normalisation_default_and_options():
    spaced = case(" Пётр\u00a0\n Иванов ", "Петр Иванов")
    assert score("cer", spaced)["cer"].stats == (1, 11)
    assert score("cer", spaced, {"normalisation": {"yo": True}})["cer"].value == 0
    decomposed = unicodedata.normalize("NFD", "Йод ёж")
    assert score("exact_match", case(decomposed, "Йод ёж"))["exact_match"].value == 1
    assert score("exact_match", case("ИВАНОВ.", "Иванов"))["exact_match"].value == 0
    options = {"normalisation": {"case": "fold", "punctuation": True}}
    assert score("exact_match", case("ИВАНОВ.", "Иванов"), options)["exact_match"].value == 1
    assert Normalisation(unicode="NFD", yo=True)("Ёж") == "Еж"
    assert Normalisation(collapse_whitespace=False)(" а \n б ") == "а \n б"
    assert Normalisation(strip=False)(" а \n б ") == " а б "


@pytest.mark.parametrize(
    "options", [{}, {"case": "fold", "yo": True, "punctuation": True}, {"unicode": "NFKC", "case": "lower"}]
)
@quick
@given(text=st.text())
def test_normalising_twice_changes_nothing_more(options, text):
    normalise = Normalisation().changed(options)
    assert normalise(normalise(text)) == normalise(text)


def test_detail_shows_what_was_compared_where_it_differs():
    assert score("exact_match", case("а", "а"))["exact_match"].detail == ""
    assert score("anls", case("ДА", "да"))["anls"].detail == "compared 'да' with 'да'"
    assert score("cer", case("ab", "ac"))["cer"].detail == "1 edits, 2 characters"
    assert len(score("anls", case("Д" * 100_000, "да"))["anls"].detail) < 300


@pytest.mark.parametrize("metric", [*TEXT, "bleu"])
@pytest.mark.parametrize(
    ("one", "reason"),
    [
        (case(None, "да", facts={"failure": "timeout"}), "no answer: timeout"),
        (case(None, "да"), "no answer: the generation failed"),
        (case("да"), "no reference"),
        (case("", "", " \n"), "empty reference"),
    ],
)
def test_unscored_with_reason_never_zero(metric, one, reason):
    scores = score(metric, one)
    assert len(scores) == len(create(metric).measures)
    assert {(made.value, made.reason, made.stats) for made in scores.values()} == {(None, reason, ())}


@pytest.mark.parametrize("answer", ["", " \t\n"])
def test_an_empty_answer_is_an_answer(answer):
    expected = {"exact_match": 0, "cer": 1, "wer": 1, "anls": 0, "bleu": 0}
    for metric, value in expected.items():
        assert score(metric, case(answer, "да нет"))[metric].value == value


def test_empty_references_beside_others_are_left_out():
    assert score("cer", case("", "", "да"))["cer"].stats == (2, 2)
    assert score("exact_match", case("", "", "да"))["exact_match"].value == 0


@pytest.mark.parametrize("metric", [*TEXT, "bleu"])
def test_unusual_text_is_scored(metric):
    texts = ("😀👍🏽 🇷🇺", "مرحبا بالعالم", "שלום 12.03", "Ivаnоv Иvaнов", "None", "nan", "а\ud800б")
    for text in texts:
        same, other = score(metric, case(text, text))[metric], score(metric, case("совсем иной ответ", text))[metric]
        assert same.value is not None
        assert other.value is not None
        assert same.value == pytest.approx({"cer": 0, "wer": 0, "bleu": 100}.get(metric, 1))


@pytest.mark.parametrize("metric", [*TEXT, "bleu"])
def test_answers_of_100_kb(metric):
    spaces, one_word = "замёрз и повторяет " * 3_000, "а" * 100_000
    for text in (spaces, one_word):
        assert math.isfinite(score(metric, case(text, "Осипов"))[metric].value)
        assert score(metric, case(text, text[::-1]))[metric].value is not None


@pytest.mark.parametrize("bad", [float("nan"), 12, b"text", ["text"]])
def test_what_is_not_text_is_an_error_before_scoring(bad):
    with pytest.raises(TypeError, match=r"'7'.*not text"):
        Case(sample_id="7", document="d", prediction=bad, references=("да",))
    with pytest.raises(TypeError, match="'7'"):
        Case(sample_id="7", document="d", prediction="да", references=(bad,))
    with pytest.raises(TypeError, match="tuple"):
        Case(sample_id="7", document="d", prediction="да", references="да")


SEEN_BY_NOBODY = (
    "Иванов\u200b",
    "Ива\u00adнов",
    "\ufeffИванов",
    "\u202bИванов\u202c",
    "Ива\u2060нов",
    "\u200eИванов\u200f",
)


@pytest.mark.parametrize("metric", ["exact_match", "cer", "wer", "anls", "bleu", "chrf", "rouge"])
@pytest.mark.parametrize("text", SEEN_BY_NOBODY)
def test_what_nobody_sees_is_no_edit(metric, text):
    first = create(metric).measures[0].name
    best = {"cer": 0, "wer": 0, "bleu": 100, "chrf": 100}.get(metric, 1)
    assert score(metric, case("Иванов", text))[first].value == pytest.approx(best)
    assert score(metric, case(text, "Иванов"))[first].value == pytest.approx(best)


def test_format_characters_that_change_what_is_seen_stay():
    from metrics.normalisation import visible

    kept = {chr(code) for code in range(0x110000) if unicodedata.category(chr(code)) == "Cf" and visible(chr(code))}
    assert {"\u200c", "\u200d"} <= kept  # joiners of scripts and emoji
    for name in (unicodedata.name(letter, "TAG") for letter in kept - {"\u200c", "\u200d"}):
        assert "TAG" in name or name.startswith(("ARABIC", "SYRIAC", "KAITHI")), name
    assert score("cer", case("👨\u200d👩", "👨👩"))["cer"].value > 0
    off = {"normalisation": {"invisible": False}}
    assert score("exact_match", case("Иванов", "Ива\u00adнов"), off)["exact_match"].value == 0
    assert score("exact_match", case("е\u200b\u0301", "е\u0301"))["exact_match"].value == 1


def test_a_reference_of_signs_alone_has_no_words():
    made = score("wer", case("да", "—"), {"normalisation": {"punctuation": True}})["wer"]
    assert (made.value, made.reason) == (None, "empty reference")
    assert score("wer", case("—", "—"))["wer"].value == 0
    skipped = score("bleu", case("да", "<skipped>"))["bleu"]  # sacrebleu's 13a drops this word
    assert (skipped.value, skipped.reason) == (None, "no words in the reference")
    assert score("bleu", case("—", "—"))["bleu"].value == pytest.approx(100)
    assert score("chrf", case("—", "—"))["chrf"].value == pytest.approx(100)
