"""Comparisons of runs: what is paired, what the interval covers, what the verdict says."""

import numpy as np
import pytest

from metrics.api import Measure, Score
from metrics.paired import MeanStatistics, ScoredRun, compare
from metrics.paired_verdict import verdicts
from metrics.registry import create
from metrics.statistics import ratio_of_sums
from tests.metrics.cases import case, cases_of

QUALITY = Measure("quality", "higher", "mean", 0, 1, "given")
ERRORS = Measure("errors", "lower", "mean", 0, 1, "given")


def run(name, values, *, repeats=1, measure="quality", per_document=1):
    """A run with a score for each value, or unscored for None; sample i lies in document i // per_document."""
    cases, scores = [], []
    for row, value in enumerate(values):
        for repeat in range(repeats):
            cases.append(case("", sample_id=str(row), document=str(row // per_document), repeat=repeat))
            stats, reason = ((), "lost") if value is None else ((value, 1.0), "")
            scores.append(Score(str(row), repeat, measure, value, stats, reason))
    return ScoredRun.of(name, measure, cases, scores)


def paired(baseline, candidate, measure=QUALITY, **settings):
    return compare(measure, ratio_of_sums, baseline, candidate, **{"replicates": 500, **settings})


def test_only_what_both_have_scored_is_compared():
    one = paired(run("a", [0.5, 0.5, None, 0.5]), run("b", [0.7, None, 0.9, 0.5, 0.1]))
    assert (one.samples, one.unpaired, one.documents) == (2, 3, 2)
    assert one.difference == pytest.approx(0.1)
    with pytest.raises(ValueError, match="share no scored sample"):
        paired(run("a", [None]), run("b", [1.0]))


def test_repeats_are_averaged_and_don_t_count_as_evidence():
    values = np.random.default_rng(0).uniform(size=8)
    once = paired(run("a", values), run("b", values + 0.1))
    often = paired(run("a", values, repeats=5), run("b", values + 0.1, repeats=3))
    assert (once.wilcoxon.p, once.samples) == (often.wilcoxon.p, often.samples)
    assert (once.ci_low, once.ci_high) == pytest.approx((often.ci_low, often.ci_high))


def test_what_is_hard_for_both_cancels():
    values = np.random.default_rng(0).uniform(0, 0.9, size=30)
    other = paired(run("a", values), run("b", values + np.tile([0.04, 0.06], 15)))
    assert other.spread == pytest.approx(0.01017, abs=1e-4)
    one = paired(run("a", values), run("b", values + 0.05))
    # All alike: what was not seen is bounded by the range alone. 2.5% ** (1 / 30) is the share surely seen.
    unseen = 1 - 0.025 ** (1 / 30)
    assert (one.ci_low, one.ci_high) == pytest.approx((0.05 - 1.05 * unseen, 0.05 + 0.95 * unseen), abs=0.01)


def test_lower_is_better_turns_the_word_and_not_the_difference():
    values = np.random.default_rng(0).uniform(size=10)
    noise = np.random.default_rng(1).normal(0, 0.1, 10)
    before, after = run("a", values, measure="errors"), run("b", values + 0.2 + noise, measure="errors")
    (verdict,) = verdicts([paired(before, after, ERRORS)])
    assert verdict.word == "worse"
    assert verdict.paired.difference > 0 > verdict.paired.gain


def test_the_verdict_names_test_family_and_confidence():
    values = np.random.default_rng(0).uniform(size=10)
    baseline = run("base", values)
    noise = np.linspace(-0.15, 0.15, 10)
    shifts = [("up", noise + 0.2), ("down", noise - 0.2), ("same", 0)]
    family = [paired(baseline, run(name, values + shift)) for name, shift in shifts]
    made = verdicts(family)
    assert [one.word for one in made] == ["better", "worse", "not distinguishable"]
    assert "paired randomisation, exact, and skew-corrected t test on 10 documents" in str(made[0])
    assert "after Holm over the 3 comparisons of 'candidates against base by quality', 95% confidence" in str(made[0])
    with pytest.raises(ValueError, match="same name"):
        verdicts([family[0], family[0]])


def test_too_few_documents_say_so():
    (verdict,) = verdicts([paired(run("a", [0.1, 0.2, 0.3]), run("b", [0.9, 0.9, 0.9]))])
    assert verdict.word == "not distinguishable"
    assert "3 documents are too few to show any difference: it takes at least 6" in str(verdict)
    assert verdict.documents_needed is not None


def test_one_document_has_no_interval():
    one = paired(run("a", [0.1, 0.2], per_document=2), run("b", [0.3, 0.4], per_document=2), margin=0.1)
    assert (one.ci_low, one.test, one.non_inferiority, one.effect) == (None, None, None, None)
    assert verdicts([one])[0].word == "not distinguishable"


def test_mcnemar_where_each_document_has_one_answer():
    before, after = [1.0] * 20 + [0.0] * 20, [1.0] * 19 + [0.0] + [1.0] * 12 + [0.0] * 8
    (verdict,) = verdicts([paired(run("a", before), run("b", after))])
    assert (verdict.test, verdict.word) == ("McNemar, exact", "better")
    (clustered,) = verdicts([paired(run("a", before, per_document=2), run("b", after, per_document=2))])
    assert clustered.test.startswith("paired randomisation")
    assert clustered.paired.mcnemar is not None


def test_non_inferiority_with_a_margin():
    random = np.random.default_rng(2)
    values = random.uniform(0.2, 0.4, 240)
    noisy = values + random.normal(0, 0.02, 240)
    before, after = run("a", values, measure="errors"), run("b", noisy, measure="errors")
    close, strict = (paired(before, after, ERRORS, margin=margin).non_inferiority for margin in (0.02, 0.01))
    assert close.holds and close.fewest == 149
    assert not strict.holds and strict.fewest == 299
    assert 0 < close.bound < 0.02
    higher = paired(run("a", values), run("b", noisy), margin=0.02).non_inferiority
    assert higher.holds
    assert -0.02 < higher.bound < 0
    with pytest.raises(ValueError, match="margin"):
        paired(before, after, ERRORS, margin=-1)


def test_equal_answers_to_few_documents_prove_nothing():
    (verdict,) = verdicts([paired(run("a", [0.0] * 12), run("b", [0.0] * 12), margin=0.01)])
    assert verdict.paired.non_inferiority.bound == pytest.approx(-(1 - 0.05 ** (1 / 12)), abs=0.02)
    assert (verdict.paired.non_inferiority.holds, verdict.word) == (False, "not distinguishable")
    assert "12 documents are too few to show it: at least 299 would be needed" in str(verdict)


def test_without_a_range_nothing_can_be_shown():
    unbounded = Measure("errors", "lower", "mean", 0, None, "given")
    values = np.random.default_rng(2).uniform(0.2, 0.4, 240)
    one = paired(run("a", values, measure="errors"), run("b", values, measure="errors"), unbounded, margin=0.1)
    assert (one.non_inferiority.bound, one.non_inferiority.holds, one.ci_low) == (None, False, None)
    assert "can't be shown" in str(verdicts([one])[0])
    cer = Measure("errors", "lower", "corpus", 0, None, "given", worst=1)
    assert paired(run("a", values, measure="errors"), run("b", values, measure="errors"), cer, margin=0.1).ci_low < 0
    beyond = np.where(np.arange(240) == 3, 2.5, values)  # a document that is worse than an empty answer
    one = paired(run("a", values, measure="errors"), run("b", beyond, measure="errors"), cer, margin=0.1)
    assert one.non_inferiority.bound is None


def test_documents_that_differ_all_alike_need_to_be_many():
    made = {}
    for documents in (20, 240):
        values = [0.1] * documents
        before, after = run("a", values, measure="errors"), run("b", [0.05] * documents, measure="errors")
        (made[documents],) = verdicts([paired(before, after, ERRORS)])
    assert [one.word for one in made.values()] == ["not distinguishable", "better"]
    assert "differ so evenly" in str(made[20]) and made[20].documents_needed == 76  # ln(40) / ln(1.05)
    assert made[20].paired.wilcoxon.p < 1e-5


def test_a_corpus_measure_is_compared_by_its_own_figure():
    metric = create("cer")
    made = {}
    for name, answers in {"a": ["абв", "абвг"], "b": ["абв", "абвгд"]}.items():
        cases = cases_of(list(zip(answers, ["аб", "абвгд"], strict=True)))
        made[name] = ScoredRun.of(name, "cer", cases, metric.score(cases))
    one = compare(metric.measures[0], lambda totals: metric.combine("cer", totals), made["a"], made["b"])
    assert (one.value_baseline, one.value_candidate) == pytest.approx((2 / 7, 1 / 7))
    assert one.mean == pytest.approx((0 - 1 / 5) / 2)


def test_runs_of_different_datasets_are_refused():
    with pytest.raises(ValueError, match="different documents"):
        paired(run("a", [1.0, 1.0]), run("b", [1.0, 1.0], per_document=2))


def test_the_interval_covers_the_true_difference():
    """Clustered truth: 40 documents of 3 questions; both runs share the documents' difficulty."""
    random, covered = np.random.default_rng(5), 0
    for seed in range(150):
        hard = np.repeat(random.normal(0, 1, 40), 3)
        taste = np.repeat(random.normal(0.3, 0.5, 40), 3)
        first = hard + random.normal(0, 0.3, 120)
        second = hard + taste + random.normal(0, 0.3, 120)
        one = paired(run("a", first, per_document=3), run("b", second, per_document=3), replicates=400, seed=seed)
        covered += one.ci_low <= 0.3 <= one.ci_high
    assert 0.88 <= covered / 150 <= 0.99


def test_seven_quantised_candidates_against_one_baseline_on_real_judge_scores(shared):
    """Ten screenshots, five answers each: the ratio candidate / reference of rows whose scores lie in 0 to 10."""
    pandas = pytest.importorskip("pandas")
    table = pandas.read_excel(shared / "screen_annotation" / "judgement_scores.xlsx", engine="calamine")
    runs = {}
    for name, rows in table.groupby("model_name"):
        cases, scores = [], []
        for row, (image, candidate, reference) in enumerate(
            zip(rows["Image"], rows["Candidate_Score"], rows["Reference_Score"], strict=True)
        ):
            cases.append(case("", sample_id=image, document=image, repeat=row))
            kept = 0 <= candidate <= 10 and 0 < reference <= 10
            ratio = candidate / reference if kept else None
            scores.append(Score(image, row, "quality", ratio, (ratio, 1.0) if kept else (), "" if kept else "outlier"))
        runs[name] = ScoredRun.of(name, "quality", cases, scores)
    baseline = runs.pop("Qwen2-VL-7B-Instruct")
    made = {one.paired.candidate: one for one in verdicts([paired(baseline, run) for run in runs.values()])}
    assert len(made) == 7
    assert {one.family for one in made.values()} == {"candidates against Qwen2-VL-7B-Instruct by quality"}
    for name, one in made.items():
        assert (one.paired.documents, one.paired.test.unseen) == (10, None)
        assert one.word == ("worse" if "2B" in name else "not distinguishable"), str(one)
    assert made["Qwen2-VL-7B-Instruct-AWQ"].paired.wilcoxon.p == pytest.approx(0.361328125)  # two documents tie
    assert made["Qwen2-VL-2B-Instruct-AWQ"].p_adjusted < 0.05
    assert made["Qwen2-VL-7B-Instruct-AWQ"].documents_needed > 10


def test_statistics_of_several_measures_share_the_places_of_their_samples():
    rows: dict[str, int] = {}
    first, second = MeanStatistics(rows), MeanStatistics(rows)
    for sample, value in (("a", 1.0), ("b", 0.0), ("a", 0.0)):
        first.add(sample, (value, 1.0))
    second.add("c", (5.0,))
    second.add("b", (3.0,))
    assert {sample: list(stats) for sample, stats in first.items()} == {"a": [0.5, 1.0], "b": [0.0, 1.0]}
    assert sorted(second) == ["b", "c"] and len(second) == 2 and "a" not in second and list(second["c"]) == [5.0]
    with pytest.raises(KeyError):
        first["c"]
    with pytest.raises(ValueError, match="1 statistics, and 2 of others"):
        first.add("b", (1.0,))


def test_no_interval_of_a_share_is_wider_than_shares_can_differ():
    one = paired(run("a", [0.0, 0.0, 0.1]), run("b", [1.0, 0.0, 0.1]))
    assert (one.ci_low, one.ci_high) == (-1.0, 1.0)


def test_a_number_of_documents_that_did_not_settle_it_is_not_said_to_settle_it():
    unbounded = Measure("errors", "lower", "mean", 0, None, "given")
    values = np.full(12, 0.1)
    even = paired(run("a", values, measure="errors"), run("b", values + 0.1, measure="errors"), unbounded)
    (verdict,) = verdicts([even])
    assert (verdict.word, verdict.documents_needed) == ("not distinguishable", None)
    # All that was counted is on one document of eleven: without it there is no figure.
    documents = {str(row): str(row) for row in range(11)}
    sides = [
        ScoredRun(name, documents, {row: np.array([edits, 10.0] if row == "0" else [0.0, 0.0]) for row in documents}, 0)
        for name, edits in (("a", 1.0), ("b", 5.0))
    ]
    (verdict,) = verdicts([paired(*sides, ERRORS)])
    assert (verdict.test, verdict.documents_needed) == ("no test", None)
    assert "without one of the documents there is no figure" in str(verdict) and "would settle" not in str(verdict)


def test_what_judges_nothing_is_higher_or_lower_and_never_better():
    length = Measure("length", "neither", "mean", 0, None, "given")
    values = np.random.default_rng(0).uniform(50, 90, size=30)
    noise = np.random.default_rng(1).normal(0, 2, 30)
    base = run("a", values, measure="length")
    others = [run(name, values + way * 20 + noise, measure="length") for name, way in (("up", 1), ("down", -1))]
    made = verdicts([paired(base, one, length, margin=1) for one in others])
    assert [one.word for one in made] == ["higher", "lower"]
    assert made[0].paired.non_inferiority is None


def test_statistics_that_are_no_numbers_are_refused():
    documents = {str(row): str(row) for row in range(3)}
    good, bad = ({row: np.array([value, 1.0]) for row in documents} for value in (0.5, np.nan))
    with pytest.raises(ValueError, match="errors: statistics of a or b are not finite"):
        paired(ScoredRun("a", documents, good, 0), ScoredRun("b", documents, bad, 0), ERRORS)
