import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.aggregate import Aggregate, aggregate, metric_values
from metrics.api import Measure, Score
from metrics.registry import create

from .cases import case, quick

METRICS = [create(name) for name in ("exact_match", "cer", "bleu")]
CASES = [
    case("Осипов", "Осипов", sample_id="0", document="1.jpg", doc_class="снилс", field="Фамилия"),
    case("25 июня", "25 июня 2018 года", sample_id="1", document="1.jpg", doc_class="снилс", field="Дата рождения"),
    case("Иванов", "Осипова", sample_id="2", document="2.jpg", doc_class="снилс", field="Фамилия"),
    case(None, "12", sample_id="3", document="2.jpg", doc_class="снилс", field="Дата рождения"),
    case("12", "12", sample_id="4", document="3.jpg", doc_class="паспорт", field="Номер"),
    case("12", "12", sample_id="4", document="3.jpg", doc_class="паспорт", field="Номер", repeat=1),
]


def scores_of(cases, metrics=METRICS):
    return [score for metric in metrics for score in metric.score(cases)]


def table(cases, scores=None, metrics=METRICS, **settings) -> dict[tuple, Aggregate]:
    made = aggregate(
        cases, scores_of(cases, metrics) if scores is None else scores, metrics, replicates=100, **settings
    )
    return {(one.measure, one.doc_class, one.field): one for one in made}


def figure(value: float | None, doc_class: str | None, field: str | None = None, measure: str = "cer") -> Aggregate:
    return Aggregate(measure, doc_class, field, value, None, None, 1, 0, 1)


def test_overall_by_class_and_by_field_with_counts():
    figures = table(CASES)
    whole = figures["exact_match", None, None]
    assert (whole.value, whole.n, whole.n_unscored, whole.n_documents) == (pytest.approx(3 / 5), 5, 1, 3)
    assert whole.ci_low <= whole.value <= whole.ci_high
    passport = figures["cer", "паспорт", None]
    assert (passport.value, passport.n, passport.n_documents) == (0, 2, 1)
    assert (passport.ci_low, passport.ci_high) == (None, None)
    names = figures["cer", "снилс", "Фамилия"]
    assert names.value == pytest.approx(5 / 13)
    assert len(figures) == 5 * (1 + 2 + 3)


def test_nothing_scored_has_no_value_and_no_metric():
    figures = table([replace(one, prediction=None) for one in CASES])
    whole = figures["cer", None, None]
    assert (whole.value, whole.ci_low, whole.n, whole.n_unscored, whole.n_documents) == (None, None, 0, 6, 0)
    assert metric_values(list(figures.values())) == {}
    assert metric_values(aggregate([], [], METRICS)) == {}


def test_names_of_the_design():
    values = metric_values(list(table(CASES).values()))
    assert values["quality/cer/by/снилс/Фамилия"] == pytest.approx(5 / 13)
    assert {"quality/cer", "quality/cer/ci_low", "quality/cer/ci_high", "quality/cer/by/снилс/Дата_рождения"} <= set(
        values
    )
    assert not any(name.endswith("паспорт/ci_low") for name in values)


@quick
@given(st.randoms())
def test_neither_order_of_cases_nor_of_scores_matters(shuffler: random.Random):
    cases, scores = CASES[:], scores_of(CASES)
    shuffler.shuffle(cases)
    shuffler.shuffle(scores)
    expected, shuffled = table(CASES), table(cases, scores)
    assert list(expected) == list(shuffled)
    for key, one in expected.items():
        other = shuffled[key]
        assert (one.n, one.n_unscored, one.n_documents) == (other.n, other.n_unscored, other.n_documents)
        for name in ("value", "ci_low", "ci_high"):
            assert getattr(one, name) == pytest.approx(getattr(other, name))


@quick
@given(
    st.lists(st.tuples(st.text("абв ", min_size=1), st.text("абв", min_size=1)), min_size=2, max_size=10),
    st.integers(1, 9),
)
def test_statistics_are_additive(pairs, cut):
    metric = create("cer")
    cases = [case(answer, truth, sample_id=str(row)) for row, (answer, truth) in enumerate(pairs)]
    parts = [
        [score.stats for score in metric.score(part) if score.name == "cer"] for part in (cases[:cut], cases[cut:])
    ]
    edits, length = (sum(stats[place] for part in parts for stats in part) for place in (0, 1))
    assert table(cases, metrics=[metric])["cer", None, None].value == pytest.approx(edits / length)


def test_measures_with_other_unscored_documents_have_intervals_of_their_own():
    scores = scores_of(CASES)
    lost = [
        replace(one, value=None, stats=(), reason="lost") if (one.name, one.sample_id) == ("cer", "2") else one
        for one in scores
    ]
    before, after = table(CASES), table(CASES, lost)
    assert after["cer", None, None].n_documents == 2
    assert after["exact_match", None, None] == before["exact_match", None, None]
    assert after["cer", None, None].ci_high != before["cer", None, None].ci_high


def test_scores_of_parts_are_left_out():
    extra = Score("0", 0, "cer", 1.0, (1, 1), part="имя")
    assert table(CASES, [*scores_of(CASES), extra]) == table(CASES)


@pytest.mark.parametrize(
    ("cases", "change", "message"),
    [
        ([*CASES, CASES[0]], lambda scores: scores, "share sample_id and repeat"),
        ([*CASES[1:], replace(CASES[0], document="")], lambda scores: scores, "no document"),
        (CASES, lambda scores: scores[1:], "neither score nor reason, such as '0'"),
        (CASES, lambda scores: [*scores, scores[0]], "scored twice"),
        (CASES, lambda scores: [*scores, replace(scores[0], sample_id="99")], "'99'.*no such case"),
        (CASES, lambda scores: [*scores, replace(scores[0], name="blue")], "blue.*no such measure"),
        (CASES, lambda scores: [replace(scores[0], stats=(1.0, 2.0, 3.0)), *scores[1:]], "differ in how many"),
        (CASES, lambda scores: [replace(scores[0], stats=(float("nan"), 1.0)), *scores[1:]], "not finite"),
    ],
)
def test_cases_and_scores_that_do_not_fit_are_refused(cases, change, message):
    with pytest.raises(ValueError, match=message):
        aggregate(cases, change(scores_of(CASES)), METRICS)


def test_two_metrics_with_one_measure_are_refused():
    with pytest.raises(ValueError, match="same name"):
        aggregate(CASES, [], [create("cer"), create("cer")])


def test_groups_that_would_share_a_name_stay_apart_in_any_order():
    groups = [figure(1.0, "акт 1"), figure(2.0, "акт_1"), figure(3.0, "акт/1"), figure(4.0, "счёт")]
    values = metric_values(groups)
    assert sorted(values.values()) == [1, 2, 3, 4]
    assert values["quality/cer/by/счёт"] == 4
    assert "quality/cer/by/акт_1" not in values
    assert metric_values(groups[::-1]) == values


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a//b", "50 % (брутто), @дом", "\u0438\u0306", "日本", "x" * 400, "а\ud800", "👍"]
)
def test_mlflow_takes_every_name(name):
    validation = pytest.importorskip("mlflow.utils.validation")
    for doc_class, field in ((name, None), (name, name), ("", name)):
        for key in metric_values([figure(0.5, doc_class, field), figure(0.5, "прочее", field)]):
            validation._validate_metric(key, 0.5, 0, 0)


def test_two_figures_of_one_name_are_refused():
    with pytest.raises(ValueError, match="two figures"):
        metric_values([figure(1.0, None), figure(2.0, None)])


def test_scores_and_measures_refuse_what_is_not_a_number_or_name():
    with pytest.raises(ValueError, match="needs a reason"):
        Score("0", 0, "cer", None)
    with pytest.raises(ValueError, match="not a score"):
        Score("0", 0, "cer", float("nan"), (1.0,))
    with pytest.raises(ValueError, match="additive"):
        Score("0", 0, "cer", 0.5)
    with pytest.raises(ValueError, match="only letters"):
        Measure("c e/r", "lower", "mean", 0, 1, "")
