import numpy as np
import pytest
import sacrebleu
from hypothesis import given
from hypothesis import strategies as st

from metrics.registry import create

from .cases import case, cases_of, overall, quick, score

PAIRS = [
    ("Дата рождения: 25 июня 2018 года", "25 июня 2018 года"),
    ("выдан ОВД города Севастополя, 12.03.2001", "выдан ОВД гор. Севастополя 12.03.2001"),
    ("Осипов", "Осипов"),
    ("", "Автоном"),
]
sentences = st.lists(st.sampled_from(["а", "б", "в", "да,", "12.5", "нет"]), max_size=7).map(" ".join)
some_text = st.lists(st.sampled_from(["а", "б", "в", "да,", "12.5", "нет"]), min_size=1, max_size=7).map(" ".join)


def test_equals_sacrebleu_in_the_right_order():
    predictions, references = map(list, zip(*PAIRS, strict=True))
    figures = overall("bleu", cases_of(PAIRS))
    assert figures["bleu"].value == pytest.approx(sacrebleu.corpus_bleu(predictions, [references]).score)
    assert figures["bleu"].value != pytest.approx(sacrebleu.corpus_bleu(references, [predictions]).score)
    sentence = [sacrebleu.sentence_bleu(answer, [truth]).score for answer, truth in PAIRS]
    assert figures["bleu_mean"].value == pytest.approx(sum(sentence) / len(sentence))


@quick
@given(st.lists(st.tuples(sentences, some_text), min_size=1, max_size=6))
def test_combined_sums_equal_sacrebleu(pairs):
    predictions, references = map(list, zip(*pairs, strict=True))
    expected = sacrebleu.corpus_bleu(predictions, [references]).score
    assert overall("bleu", cases_of(pairs))["bleu"].value == pytest.approx(expected, abs=1e-9)


def test_combine_is_vectorised_and_undefined_without_counts():
    metric = create("bleu")
    stats = np.array([made.stats for made in metric.score(cases_of(PAIRS)) if made.name == "bleu"], dtype=float)
    stack = np.stack([stats[:1].sum(axis=0), stats.sum(axis=0), np.zeros(10)])
    one_by_one = [float(metric.combine("bleu", row)) for row in stack]
    assert metric.combine("bleu", stack) == pytest.approx(one_by_one, nan_ok=True)
    assert np.isnan(one_by_one[2])


def test_several_references_as_sacrebleu_takes_them():
    several = [
        case("25 июня 2018 года", "25.06.2018", "25 июня 2018 г.", sample_id="0"),
        case("гор. Севастополь в Крыму", "город Севастополь", sample_id="1"),
    ]
    streams = [["25.06.2018", "город Севастополь"], ["25 июня 2018 г.", None]]
    expected = sacrebleu.corpus_bleu([one.prediction for one in several], streams).score
    assert overall("bleu", several)["bleu"].value == pytest.approx(expected)


def test_options():
    upper = case("ИВАНОВ ИВАН", "Иванов Иван")
    assert score("bleu", upper)["bleu"].value == 0
    assert score("bleu", upper, {"lowercase": True})["bleu"].value == pytest.approx(100)
    yo = case("Пётр Первый", "Петр Первый")
    assert score("bleu", yo, {"normalisation": {"yo": True}})["bleu"].value == pytest.approx(100)
    assert create("bleu", {"tokenize": "char"}).version != create("bleu").version
