import pytest
import sacrebleu
from hypothesis import given
from hypothesis import strategies as st

from metrics.registry import InvalidOptionError, create

from .cases import case, cases_of, overall, quick, score

texts = st.text("абв где.,x😀", max_size=25)
filled = texts.filter(str.strip)


@pytest.mark.parametrize("options", [{}, {"word_order": 2}, {"beta": 3, "lowercase": True}])
@quick
@given(pairs=st.lists(st.tuples(texts, filled) | filled.map(lambda text: (text, text)), min_size=1, max_size=6))
def test_equal_to_sacrebleu(options, pairs):
    theirs = sacrebleu.CHRF(**options)
    predictions, references = map(list, zip(*pairs, strict=True))
    figures = overall("chrf", cases_of(pairs), options)
    assert figures["chrf"].value == pytest.approx(theirs.corpus_score(predictions, [references]).score)
    mean = sum(theirs.sentence_score(p, [r]).score for p, r in pairs) / len(pairs)
    assert figures["chrf_mean"].value == pytest.approx(mean)


@quick
@given(texts, st.lists(filled, min_size=1, max_size=4))
def test_the_best_of_several_references_counts_whatever_their_order(prediction, references):
    forward = score("chrf", case(prediction, *references))["chrf"]
    backward = score("chrf", case(prediction, *reversed(references)))["chrf"]
    assert (forward.value, forward.stats) == (backward.value, backward.stats)
    assert forward.value == pytest.approx(sacrebleu.CHRF().sentence_score(prediction, references).score)


def test_statistics_are_what_sacrebleus_own_functions_count():
    """ChrF calls these functions of sacrebleu 2.6, which are not public: a version that counts otherwise fails here."""
    unigrams_to_6, words_and_pairs = [5, 4, 1, 4, 3, 0, 3, 2, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0], [3, 2, 0, 2, 1, 0]
    of_one = score("chrf", case("Кот а.", "кит,"), {"word_order": 2})["chrf"]
    assert of_one.stats == (*unigrams_to_6, *words_and_pairs)
    theirs = sacrebleu.CHRF(word_order=2)
    assert theirs._extract_corpus_statistics(["Кот а."], [["кит,"]]) == [list(of_one.stats)]
    assert of_one.value == theirs._compute_f_score([int(count) for count in of_one.stats])
    equal = score("chrf", case("Кот, а.", "Кот, а."), {"word_order": 2})["chrf"]
    assert theirs._extract_corpus_statistics(["Кот, а."], [["Кот, а."]]) == [list(equal.stats)]


@pytest.mark.parametrize("options", [{"word_order": 3}, {"beta": 0}, {"lowercase": 1}, {"normalisation": "NFC"}])
def test_options_are_checked(options):
    with pytest.raises(InvalidOptionError, match=next(iter(options))):
        create("chrf", options)
