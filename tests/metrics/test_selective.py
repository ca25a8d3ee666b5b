"""Calibration, risk by coverage and what may pass without a person: by hand, and simulated."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from metrics.selective import (
    Items,
    area,
    area_interval,
    bins,
    calibration_error,
    calibration_interval,
    documents_needed,
    if_calibrated,
    may_pass,
    risk_by_coverage,
)


def items(confidence, wrong, documents=None) -> Items:
    names = [str(number) for number in range(len(wrong))] if documents is None else documents
    return Items.of(list(names), list(confidence), list(wrong))


def test_risk_by_coverage_by_hand():
    found = items([0.60, 0.99, 0.90, 0.97], [True, False, True, False])
    coverage, risk = risk_by_coverage(found)
    assert coverage == pytest.approx([0.25, 0.5, 0.75, 1])
    assert risk == pytest.approx([0, 0, 1 / 3, 1 / 2])
    assert area(found) == pytest.approx(5 / 24)


def test_equal_confidences_have_the_risk_of_any_order():
    """Right before wrong and wrong before right give the same, and a constant confidence the share of wrong ones."""
    one = items([0.9, 0.5, 0.5, 0.5], [False, True, False, False])
    other = items([0.9, 0.5, 0.5, 0.5], [False, False, False, True])
    assert area(one) == area(other) == pytest.approx((0 + (1 / 3) / 2 + (2 / 3) / 3 + 1 / 4) / 4)
    assert area(items([0.7] * 10, [True] * 3 + [False] * 7)) == pytest.approx(0.3)


def test_calibration_error_by_hand():
    """Two bins of two answers: |1/2 - 0.55| and |2/2 - 0.95|, each with a weight of 1/2."""
    found = items([0.5, 0.6, 0.9, 1.0], [True, False, False, False])
    assert bins(found.measured.confidence, 2).tolist() == [1, 1, 0, 0]
    assert calibration_error(found, 2) == pytest.approx(0.05)
    assert calibration_error(items([0.8] * 10, [True] * 2 + [False] * 8), 10) == pytest.approx(0), "one bin"


def test_the_error_of_few_answers_is_said_to_be_expected():
    generator = np.random.default_rng(3)
    confidence = generator.uniform(0.5, 1, 60)
    errors = [calibration_error(items(confidence, generator.random(60) > confidence)) for _ in range(300)]
    assert if_calibrated(items(confidence, [False] * 60)) == pytest.approx(np.mean(errors), rel=0.1)
    assert np.mean(errors) > 0.1, "although the model is calibrated perfectly"


def test_unmeasured_answers_never_pass_and_count_among_all():
    found = items([None] * 50 + [0.9] * 150, [False] * 200)
    passing = may_pass(found, 0.05)
    assert passing is not None
    assert (passing.passed, passing.total, passing.threshold) == (150, 200, -1.0)
    assert passing.share == 0.75
    assert area(found) == 0
    assert len(risk_by_coverage(found)[0]) == 150
    assert may_pass(items([None] * 80, [False] * 80), 0.05) is None
    assert math.isnan(area(items([None], [False])))


@pytest.mark.parametrize(("risk", "needed"), [(0.01, 299), (0.05, 59)])
def test_the_rule_of_three(risk, needed):
    assert documents_needed(risk) == needed
    assert may_pass(items([0.9] * (needed - 1), [False] * (needed - 1)), risk) is None, "nothing can be said"
    passing = may_pass(items([0.9] * needed, [False] * needed), risk)
    assert passing is not None
    assert passing.share == 1
    wrong = may_pass(items([0.9] * needed, [True] + [False] * (needed - 1)), risk)
    assert wrong is not None
    assert wrong.passed == 0, "measured: nothing is shown to pass"


def test_equal_confidences_are_one_group_with_the_bound_of_clopper_and_pearson():
    """Three starts of the level fall on one group, so all of it is there: 95 % at once."""
    for count, errors in ((200, 4), (200, 5), (1000, 38), (1000, 39)):
        found = may_pass(items([1.0] * count, [True] * errors + [False] * (count - errors)), 0.05)
        assert found is not None
        assert (found.passed > 0) == (stats.beta.ppf(0.95, errors + 1, count - errors) <= 0.05), (count, errors)


def test_answers_on_one_document_are_one_piece_of_evidence():
    """Ten answers on each of 40 documents are 400 answers, and yet too few documents for 5 %."""
    documents = [str(number // 10) for number in range(400)]
    assert may_pass(items([0.9] * 400, [False] * 400, documents), 0.05) is None
    assert may_pass(items([0.9] * 400, [False] * 400), 0.05) is not None
    enough = [str(number // 10) for number in range(10 * documents_needed(0.05, several=True))]
    found = may_pass(items([0.9] * len(enough), [False] * len(enough), enough), 0.05)
    assert found is not None
    assert found.share == 1


def overconfident(generator, documents, answers, together):
    """Answers that are wrong more often than their confidence says; on some documents all have one fate."""
    confidence = generator.beta(8, 0.3, (documents, answers))
    alike = generator.random((documents, 1)) < together
    fate = np.where(alike, generator.random((documents, 1)), generator.random((documents, answers)))
    return confidence, fate < (1 - confidence) ** 0.7


@pytest.mark.parametrize(
    ("documents", "answers", "together", "risk"),
    [(100, 1, 0.0, 0.05), (500, 1, 0.0, 0.05), (500, 1, 0.0, 0.01), (150, 4, 0.8, 0.05), (300, 4, 0.2, 0.05)],
)
def test_what_passes_is_wrong_more_often_than_said_in_at_most_five_percent_of_data_sets(
    documents, answers, together, risk
):
    """On skewed confidences, most of them near 1. The true risk above each threshold is known from a large sample."""
    generator = np.random.default_rng(documents + answers)
    confidence, _ = overconfident(generator, 200_000, 1, 0.0)
    ranked = np.sort(confidence.ravel())[::-1]
    true = np.cumsum((1 - ranked) ** 0.7) / np.arange(1, len(ranked) + 1)
    names = np.repeat(np.arange(documents), answers)
    broken = passed = 0
    for _ in range(100):
        sure, wrong = overconfident(generator, documents, answers, together)
        found = may_pass(Items(names, sure.ravel(), wrong.ravel()), risk)
        if found is not None and found.passed:
            passed += 1
            above = len(ranked) if found.threshold < 0 else np.searchsorted(-ranked, -found.threshold)
            broken += true[above - 1] > risk
    assert broken / 100 <= 0.05
    if documents >= 300 and risk == 0.05:
        assert passed / 100 > 0.4, "and it is no bound that nothing ever meets"


@pytest.mark.parametrize("answers", [1, 3])
def test_a_confidence_that_says_nothing_lets_little_pass_at_the_edge(answers):
    """The risk is 5.5 % at every threshold, whole documents at once: whatever passes at 5 % is a false certainty."""
    generator, broken = np.random.default_rng(5), 0
    names = np.repeat(np.arange(400), answers)
    for _ in range(150):
        wrong = np.repeat(generator.random(400) < 0.055, answers)
        found = may_pass(Items(names, generator.beta(8, 0.3, 400 * answers), wrong), 0.05)
        assert found is not None
        broken += found.passed > 0
    assert broken / 150 <= 0.05


def test_intervals_hold_what_they_are_about_and_treat_documents_as_units():
    generator = np.random.default_rng(7)
    sure, wrong = overconfident(generator, 60, 1, 0.0)
    single = Items(np.arange(60), sure.ravel(), wrong.ravel())
    many = Items(np.repeat(np.arange(60), 4), np.repeat(sure.ravel(), 4), np.repeat(wrong.ravel(), 4))
    for interval, figure in ((area_interval, area), (calibration_interval, calibration_error)):
        found, again = interval(single), interval(many)
        assert found is not None and again is not None
        assert found.low <= figure(single) + 0.02 and found.high >= figure(single) - 0.02
        assert again.high - again.low == pytest.approx(found.high - found.low, abs=0.03), "copies add nothing"
        assert interval(items([0.9, 0.8], [False, True], ["a", "a"])) is None, "one document"


def test_the_interval_of_the_area_covers():
    generator = np.random.default_rng(11)
    whole = Items(np.arange(100_000), *(one.ravel() for one in overconfident(generator, 100_000, 1, 0.0)))
    true, covered = area(whole), 0
    for _ in range(100):
        sure, wrong = overconfident(generator, 80, 1, 0.0)
        found = area_interval(Items(np.arange(80), sure.ravel(), wrong.ravel()), replicates=300)
        assert found is not None
        covered += found.low <= true <= found.high
    assert covered >= 85, covered


def test_bad_settings_are_refused():
    for risk, confidence in ((0, 0.95), (1, 0.95), (0.05, 1.0)):
        with pytest.raises(ValueError, match="lie between 0 and 1"):
            may_pass(items([0.9], [False]), risk, confidence=confidence)
