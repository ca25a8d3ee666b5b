"""Whether an answer starts with the first reference's first letter."""

from metrics.api import Measure, Score


class StartsWith:
    env = "current"
    version = "1"
    measures = (Measure("starts_with", "higher", "mean", 0, 1, "share of answers that begin like the reference"),)

    def score(self, cases):
        for case in cases:
            if case.prediction is None or not case.references:
                yield Score(case.sample_id, case.repeat, "starts_with", None, reason="nothing to compare")
            else:
                value = float(case.prediction[:1] == case.references[0][:1])
                yield Score(case.sample_id, case.repeat, "starts_with", value, (value, 1.0))

    def combine(self, name, totals):
        return totals[..., 0] / totals[..., 1]
