"""The report's words: the same keys and values to fill in, in each language; plural forms."""

import re
from string import Formatter

import pytest

from runner.report.texts import load
from runner.report_settings import LANGUAGES

FORMS = {"en": 2, "ru": 3}


def values(phrase: str) -> set[str]:
    return {name for form in phrase.split("|") for _, name, _, _ in Formatter().parse(form) if name}


def test_languages_have_the_same_phrases():
    english, russian = (load(language).phrases for language in LANGUAGES)
    assert set(english) == set(russian)
    for key, phrase in english.items():
        assert values(phrase) == values(russian[key]), key
        assert bool(phrase.strip()) and bool(russian[key].strip()), key


@pytest.mark.parametrize("language", LANGUAGES)
def test_phrases_with_forms_have_all_of_them(language: str):
    for key, phrase in load(language).phrases.items():
        assert phrase.count("|") in (0, FORMS[language] - 1), key


def test_plural_forms():
    say = load("ru")
    told = [say("page.documents", n=n) for n in (1, 2, 5, 11, 21, 104, 112)]
    assert told == [
        "1 документ",
        "2 документа",
        "5 документов",
        "11 документов",
        "21 документ",
        "104 документа",
        "112 документов",
    ]
    assert [load("en")("page.documents", n=n) for n in (1, 2)] == ["1 document", "2 documents"]


def test_russian_is_russian():
    for key, phrase in load("ru").phrases.items():
        if not key.startswith(("metric.", "unit.")) and len(re.sub(r"{\w+}", "", phrase)) > 20:
            assert re.search("[а-яё]", phrase), key
