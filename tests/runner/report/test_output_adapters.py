"""The verdict says where pages were turned into Markdown in different ways."""

from types import SimpleNamespace

from runner.report import trust
from runner.report.texts import load


def candidate(adapters: list[str] | None, metric: str = "page") -> SimpleNamespace:
    model = {"name": "m"} | ({} if adapters is None else {"output_adapters": adapters})
    return SimpleNamespace(result=SimpleNamespace(config={"metrics": {metric: {}}, "model": model}))


def told(*candidates: SimpleNamespace) -> list[list[str]]:
    compared = SimpleNamespace(candidates=candidates, texts=load("en"))
    return [list(trust.output_adapters(compared, one)) for one in candidates]


def test_candidates_with_other_adapters_are_told_of():
    (first,), (second,) = told(candidate(["doctags"]), candidate(None))
    assert first == "what turned its pages into Markdown (doctags) is not what turned those of others"
    assert "(nothing)" in second


def test_the_same_adapters_and_other_metrics_are_not():
    assert told(candidate(["otsl"]), candidate(["otsl"])) == [[], []]
    assert told(candidate(["otsl"], "cer"), candidate([], "cer")) == [[], []]
