import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from metrics.registry import InvalidOptionError, create
from metrics.tokens import Tokenizer

from .cases import case, cases_of, overall, quick, score

NAMES = ["rouge1", "rouge2", "rougeL"]
WORDS = ["покупка", "покупки", "не", "удалась", "Ozon", "588", "я,", "Я", "—", ".", "ещё"]
texts = st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join)


def official(tokenizer: Tokenizer) -> RougeScorer:
    return RougeScorer(NAMES, tokenizer=tokenizer)


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory) -> Path:
    """A small WordPiece vocabulary: letters, a few words and their continuations."""
    letters = "абвгдежзийклмнопрстуфхцчшщъыьэюяabcdefghijklmnopqrstuvwxyz0123456789.,-"
    words = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]", *letters, *(f"##{one}" for one in letters)]
    path = tmp_path_factory.mktemp("vocabulary") / "vocab.txt"
    path.write_text("\n".join([*words, "покупка", "покуп", "##ки", "##ка", "не", "удал", "##ась"]), encoding="utf-8")
    return path


@pytest.mark.parametrize("options", [{}, {"stemmer": "none"}, {"tokenizer": "wordpiece"}])
@quick
@given(prediction=texts, references=st.lists(texts.filter(str.strip), min_size=1, max_size=3))
def test_equal_to_the_official_package_on_the_same_tokens(vocabulary, options, prediction, references):
    if "tokenizer" in options:
        options = options | {"vocabulary": str(vocabulary)}
    tokenizer = Tokenizer(
        options.get("tokenizer", "words"), options.get("stemmer", "russian"), options.get("vocabulary")
    )
    ours = score("rouge", case(prediction, *references), options)
    for name, least in zip(NAMES, (1, 2, 1), strict=True):
        usable = [one for one in references if len(tokenizer.tokenize(one)) >= least]
        left_out = {one.strip() for one in references} - {one.strip() for one in usable}
        if usable and prediction.strip() not in left_out:
            theirs = official(tokenizer).score_multi(usable, prediction)[name].fmeasure
            assert ours[name].value == pytest.approx(theirs, abs=1e-12)
        else:
            assert ours[name].value is None and "words in the reference" in ours[name].reason


def test_a_reference_without_words_is_unscored_and_one_word_has_no_pairs():
    for sign in ("—", "№", "+", "…", "😀"):
        for answer in (sign, "да"):
            assert {
                (one.value, one.reason) for name, one in score("rouge", case(answer, sign)).items() if name != "rouge2"
            } == {(None, "no words in the reference")}
    one = score("rouge", case("Петров", "Петров"))
    assert (one["rouge1"].value, one["rouge2"].value, one["rougeL"].value) == (1, None, 1)
    assert one["rouge2"].reason == "no two words in the reference"
    beside = score("rouge", case("да", "—", "да"))
    assert beside["rouge1"].value == 1
    assert score("rouge", case("—", "—", "прочерк"))["rouge1"].value is None  # right, and not countable


def test_wordpiece_is_lower_cased_and_without_accents(vocabulary):
    tokenizer = Tokenizer("wordpiece", "none", str(vocabulary))
    assert tokenizer.tokenize("Покупки, Покупка") == ["покуп", "##ки", ",", "покупка"]
    assert tokenizer.tokenize("ЙОД") == tokenizer.tokenize("иод")
    assert tokenizer.tokenize("не \ud800 не")[0] == "не"  # half a character harms nobody else
    assert "vocab.txt:" in create("rouge", {"tokenizer": "wordpiece", "vocabulary": str(vocabulary)}).version


def test_googles_tokenizer_is_refused_for_cyrillic_references():
    latin = case("the cat sat", "a cat sat here")
    theirs = RougeScorer(NAMES).score("a cat sat here", "the cat sat")
    ours = score("rouge", latin, {"tokenizer": "google"})
    assert [ours[name].value for name in NAMES] == pytest.approx([theirs[name].fmeasure for name in NAMES])
    with pytest.raises(ValueError, match=r"'7'.*Use tokenizer: words or wordpiece"):
        score("rouge", case("кот 5", "кот 5", sample_id="7"), {"tokenizer": "google"})


def test_a_tokenizer_of_a_model_that_can_not_be_had_is_named(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ValueError, match="'no/such' is neither a vocabulary file nor a model"):
        score("rouge", case("кот", "кот"), {"tokenizer": "wordpiece", "vocabulary": "no/such"})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tokenizer": "bert"}, "valid: words, wordpiece, google"),
        ({"stemmer": "english"}, "valid: russian, none"),
        ({"tokenizer": "wordpiece"}, "vocabulary"),
        ({"vocabulary": "vocab.txt"}, "only with it"),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(InvalidOptionError, match=message):
        create("rouge", options)


def test_stems_make_forms_equal_and_the_mean_is_of_the_samples():
    figures = overall("rouge", cases_of([("покупки", "покупка"), ("нет", "да"), ("", "да"), (None, "да")]))
    assert (figures["rouge1"].value, figures["rouge1"].n, figures["rouge1"].n_unscored) == (pytest.approx(1 / 3), 3, 1)
    assert (figures["rouge2"].value, figures["rouge2"].n_unscored) == (None, 4)


FOLDER = Path(__file__).parents[3] / "shared" / "data" / "screen_annotation"


@pytest.mark.skipif(not FOLDER.is_dir(), reason=f"the seed data is not beside the repository: {FOLDER}")
def test_real_answers_give_the_recomputed_values_and_follow_the_stored_ones():
    pandas = pytest.importorskip("pandas")
    rows = pandas.read_excel(FOLDER / "auto_metrics_stats.xlsx", engine="calamine", keep_default_na=False)
    truth = json.loads((FOLDER / "expected.json").read_text(encoding="utf-8"))["models"]
    for options, prefix in (({}, "word_stem"), ({"stemmer": "none"}, "word")):
        cases = [
            case(row["candidate"], row["reference"], sample_id=str(number), doc_class=row["model_name"])
            for number, row in rows.iterrows()
        ]
        scores = list(create("rouge", options).score(cases))
        for name in NAMES:
            values = pandas.Series([one.value for one in scores if one.name == name])
            for model, mean in values.groupby(rows["model_name"]).mean().items():
                expected = truth[model]["auto"]["rouge_offline_tokenizers_mean"][f"{prefix}_{name}"]
                assert mean == pytest.approx(expected), (model, name, prefix)
            if not options and name == "rouge1":
                assert values.corr(rows[name]) > 0.9
