import pytest

from metrics.language import english_words, language_switches, script
from metrics.registry import InvalidOptionError, create
from metrics.repetition import loop

from .cases import case, overall, score


def test_the_example_of_the_module():
    scores = score("text", case("Покупка на Ozon не удалась", facts={"latency_s": 0.5, "finish_reason": "stop"}))
    assert {name: one.value for name, one in scores.items()} == {
        "length_mean": 26,
        "chars_per_s_overall": 52,
        "chars_per_s": 52,
        "foreign_letters": 0,
        "latin_share": 4 / 22,
        "latin_share_of_chars": 4 / 26,
        "en_chars_pct": 100 / 26,
        "english_words": 1,
        "refusals": 0,
        "truncated": 0,
        "repetitions": 0,
        "language_switches": 0,
    }
    assert scores["english_words"].detail == "Ozon"


def test_no_reference_is_needed_and_a_failed_generation_is_unscored():
    scores = score("text", case(None, facts={"failure": "timeout"}))
    assert {(one.value, one.reason) for one in scores.values()} == {(None, "no answer: timeout")}
    assert score("spelling", case(None))["spelling_errors"].reason == "no answer: the generation failed"


def test_what_can_not_be_known_is_unscored_never_zero():
    scores = score("text", case(""))
    assert scores["length_mean"].value == 0
    unscored = {name: one.reason for name, one in scores.items() if one.value is None}
    assert unscored == {
        "chars_per_s_overall": "no latency",
        "chars_per_s": "no latency",
        "latin_share": "no letters",
        "latin_share_of_chars": "no characters",
        "en_chars_pct": "no characters",
        "truncated": "no finish reason",
    }
    assert score("text", case("353-721-310 54"))["latin_share"].reason == "no letters"


def test_shares_of_a_run_are_ratios_of_sums():
    cases = [case("абв", sample_id="1"), case("Ozon абвгде", sample_id="2"), case(None, sample_id="3")]
    figures = overall("text", cases)
    assert figures["latin_share"].value == pytest.approx(4 / 13)
    assert figures["en_chars_pct"].value == pytest.approx(100 / 14)
    assert figures["latin_share"].measure_group == "text"
    assert figures["length_mean"].n_unscored == 1


@pytest.mark.parametrize(
    ("letter", "expected"),
    [("я", "cyrillic"), ("ё", "cyrillic"), ("Z", "latin"), ("é", "latin"), ("中", "other"), ("ש", "other")]
    + [(sign, "") for sign in "5 №₽😀.ºµ\n"],
)
def test_scripts(letter, expected):
    assert script(letter) == expected


def test_foreign_letters_are_counted_and_listed():
    found = score("text", case("Привет 你好 hello 你 ש"))["foreign_letters"]
    assert (found.value, set(found.detail)) == (4, {"你", "好", "ש"})


def test_english_words_as_the_original_counted_them():
    assert english_words("The card, the card The Ozon. Ozon-bank naïve") == ["The", "card", "the"]


@pytest.mark.parametrize(
    ("text", "switches"),
    [
        ("Покупка на Ozon не удалась", 0),
        ("Покупка на сумму не удалась. Please help me with this", 1),
        ("раз два три one two three раз два три", 2),
        ("", 0),
    ],
)
def test_language_switches_need_a_passage(text, switches):
    assert language_switches(text, 3) == switches


@pytest.mark.parametrize(
    "text",
    [
        "Извините, я не могу помочь с этим.",
        "I’m sorry, but I can’t read it",
        "Как языковая модель, I can't assist",
        "Я не могу просматривать изображения",
    ],
)
def test_refusals(text):
    assert score("text", case(text))["refusals"].value == 1


@pytest.mark.parametrize("text", ["Извините за беспокойство", "Не могу видеть мои покупки", "Иванов", "", "Sorry"])
def test_polite_or_complaining_is_no_refusal(text):
    assert score("text", case(text))["refusals"].value == 0


def test_further_refusals_are_added():
    assert score("text", case("Отказ в ответе"), {"refusals": ["отказ"]})["refusals"].detail == "Отказ"
    assert create("text", {"refusals": ["отказ"]}).version != create("text").version
    for bad in ("отказ", ["("], [1]):
        with pytest.raises(InvalidOptionError, match="refusals"):
            create("text", {"refusals": bad})
    with pytest.raises(InvalidOptionError, match="min_repeats"):
        create("text", {"min_repeats": 1})


@pytest.mark.parametrize(
    "text",
    [
        "Сумма: 100 руб. " * 4,
        "Ответ: " + "да, " * 20,
        "0" * 60,
        "Начало текста. " + "а потом ещё раз тот же текст и " * 10 + "конец",
        "замёрз и повторяет " * 6_000,
    ],
)
def test_loops_are_found(text):
    assert loop(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "да да да да",
        "Поле: ______________________________________________ подпись",
        "-" * 100,
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
        "Обычный ответ без повторов о покупке на сумму 100 ₽.",
    ],
)
def test_layout_and_ordinary_text_are_no_loops(text):
    assert loop(text) == ""


def test_a_loop_says_what_and_how_often():
    assert loop("Сумма: 100. " * 5) == "5 x 'Сумма: 100. '"


def test_100_kb_are_searched_for_loops_at_all():
    """Work that grows with the square of the length would not end in time; benchmarks/metrics_speed.py measures it."""
    for text in ("абвгдежз" * 12_500, " ".join(map(str, range(18_000))), "а" * 100_000):
        assert score("text", case(text))
