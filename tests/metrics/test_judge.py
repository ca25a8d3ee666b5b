"""From verdicts to scores: ratios, both orders, both policies, several judges."""

import numpy as np
import pytest

from metrics.api import Case, Score
from metrics.judge import Judge, JudgeVerdict


def case(*verdicts: JudgeVerdict, **more) -> Case:
    values = {"sample_id": "1", "document": "1", "prediction": "ours", "references": ("truth",), "rival": "rival's"}
    return Case(**(values | more), facts={"verdicts": verdicts})


def valid(order: int, candidate: float, rival: float | None = None, judge: str = "judge", **criteria) -> JudgeVerdict:
    other = {} if rival is None else {"quality": rival}
    return JudgeVerdict(judge, order, "valid", {"quality": candidate, **criteria}, other, explanation="because")


def bad(order: int = 1, state: str = "invalid", judge: str = "judge") -> JudgeVerdict:
    return JudgeVerdict(judge, order, state, problem="told so")


def scores(judge: Judge, *cases: Case) -> dict[str, Score]:
    found = {one.name: one for one in judge.score(cases)}
    assert set(found) == {measure.name for measure in judge.measures}
    return found


def values(judge: Judge, *cases: Case) -> dict[str, float | None]:
    return {name: one.value for name, one in scores(judge, *cases).items()}


def test_the_example_of_the_module():
    found = values(Judge(), case(valid(1, 8, 9), valid(2, 7, 9)))
    assert found["ratio"] == pytest.approx(15 / 18)
    assert found["swap_gap"] == 0.5
    assert found["position_bias"] == 0.5  # ours gained a point by coming first, theirs none
    assert (found["invalid"], found["failed"]) == (0, 0)


def test_a_judge_that_always_favours_the_first_is_found_out():
    found = values(Judge(), case(valid(1, 9, 5), valid(2, 5, 9)))
    assert found["ratio"] == 1, "the two orders cancel out"
    assert (found["swap_gap"], found["position_bias"]) == (4, 4)


def test_points_against_a_reference():
    judge = Judge("absolute")
    assert values(judge, case(valid(1, 7)))["score"] == 7
    assert "swap_gap" not in values(judge, case(valid(1, 7)))


def test_invalid_and_failed_are_dropped_and_counted_as_worst():
    for state in ("invalid", "failed"):
        found = scores(Judge(), case(valid(1, 8, 8), bad(2, state)))
        assert found["ratio"].value is None and "told so" in found["ratio"].reason
        assert found["ratio_worst"].value == 0
        assert found[state].value == 0.5
    assert values(Judge("absolute", scale=(1, 5)), case(bad()))["score_worst"] == 1


def test_what_was_not_asked_is_unscored_under_both_policies():
    found = scores(Judge("absolute"), case(bad(state="not_asked")))
    assert found["score"].value is found["score_worst"].value is found["failed"].value is None
    assert "not asked" in found["score"].reason


@pytest.mark.parametrize(
    ("kind", "more", "reason", "worst"),
    [
        ("pairwise", {"prediction": None}, "no answer", 0),
        ("absolute", {"prediction": None}, "no answer", 0),
        ("pairwise", {"rival": None}, "no reference answer", None),
        ("pairwise", {"rival": " "}, "no reference answer", None),
        ("absolute", {"references": ()}, "no reference", None),
        ("absolute", {"references": (), "prediction": None}, "no answer", None),
        ("absolute", {"references": ("\t",)}, "empty reference", None),
    ],
)
def test_what_can_not_be_judged_is_unscored_with_the_reason(kind, more, reason, worst):
    judge = Judge(kind)
    found = scores(judge, case(**more))
    assert found[judge.main].value is None and reason in found[judge.main].reason
    assert found[f"{judge.main}_worst"].value == worst
    assert found["invalid"].value is None


def test_a_reference_answer_without_points_has_no_ratio():
    found = scores(Judge(), case(valid(1, 5, 0), valid(2, 5, 0)))
    assert found["ratio"].value is None and "0 points" in found["ratio"].reason
    assert found["ratio_worst"].value is None, "it is not the candidate's fault"


def test_criteria_are_measures_of_their_own():
    judge = Judge("absolute", criteria=("quality", "clarity"))
    found = values(judge, case(valid(1, 8, clarity=4)))
    assert (found["score"], found["score.quality"], found["score.clarity"]) == (6, 8, 4)


def test_several_judges_are_averaged_and_told_apart():
    judge = Judge("absolute", judges={"a": "m", "b": "n"})
    found = scores(judge, case(valid(1, 8, judge="a"), valid(1, 4, judge="b")))
    assert [found[name].value for name in ("score", "score.by.a", "score.by.b")] == [6, 8, 4]
    assert "a: 8: because\nb: 4: because" in found["score"].detail
    found = scores(judge, case(valid(1, 8, judge="a"), bad(judge="b")))
    assert [found[name].value for name in ("score", "score.by.a", "score.by.b")] == [8, 8, None]
    assert found["score_worst"].value == 4
    assert found["invalid"].value == 0.5


def test_agreement_is_krippendorffs_alpha():
    judge = Judge("absolute", judges={"a": "m", "b": "n"})

    def alpha(*pairs):
        cases = [
            case(
                *(valid(1, p, judge=name) for name, p in zip("ab", pair, strict=True) if p is not None),
                sample_id=str(n),
            )
            for n, pair in enumerate(pairs)
        ]
        return judge.agreement(cases).get("alpha")

    assert alpha((1, 1), (5, 5), (9, 9)) == 1
    # The example of interval data in Krippendorff's "Computing alpha-reliability" has this form: 1 - Do / De.
    ratings = [(1, 1), (2, 2), (3, 3), (3, 4), (9, None)]
    pooled = np.array([1, 1, 2, 2, 3, 3, 3, 4], dtype=float)
    observed = np.mean([(a - b) ** 2 for a, b in ratings[:4]])
    expected = np.mean([(a - b) ** 2 for i, a in enumerate(pooled) for j, b in enumerate(pooled) if i != j])
    assert alpha(*ratings) == pytest.approx(1 - observed / expected)
    assert alpha((5, 5), (5, 5)) is None, "a constant tells nothing of agreement"
    assert Judge().agreement([case(valid(1, 5, 5))]) == {}


def test_one_order_is_shown_by_turns():
    judge = Judge(orders="alternate")
    shown = {judge.shown_in(case(sample_id=str(number))) for number in range(10)}
    assert shown == {(1,), (2,)}
    assert "swap_gap" not in {measure.name for measure in judge.measures}
    assert values(judge, case(valid(2, 8, 4)))["ratio"] == 2


def test_other_judges_rubrics_and_rivals_are_other_versions():
    made = [Judge(), Judge(judges={"judge": "x"}), Judge(rubric="r"), Judge(rival="v"), Judge(orders="alternate")]
    assert len({one.version for one in made}) == 5
