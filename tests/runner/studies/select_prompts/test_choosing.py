"""What decides between prompts: shared samples only, the order of the sweep among equals, the measure's direction."""

from types import SimpleNamespace

import numpy as np
import pytest

from metrics.paired import ScoredRun
from metrics.registry import create
from runner.base.errors import Refused
from runner.datasets.api import Sample
from runner.prompts import Prompt
from runner.prompts.template import Template
from runner.studies.select_prompts.candidates import ModelTrials, TriedPrompt
from runner.studies.select_prompts.choosing import select
from runner.studies.select_prompts.collection_file import as_template

PAIR = ("passport", "Имя")


def candidate(measure: str, **prompts: list[float | None]) -> ModelTrials:
    """Make a candidate whose prompts scored so on documents 0, 1, ...; None: unscored."""
    metric = create("cer" if measure.startswith("cer") else measure, {})
    described = next(one for one in metric.measures if one.name == measure)
    tried = []
    for label, values in prompts.items():
        documents = {str(number): f"d{number}" for number in range(len(values))}
        stats = {str(number): np.array([value, 1.0]) for number, value in enumerate(values) if value is not None}
        run = ScoredRun(label, documents, stats, len(documents) - len(stats))
        prompt = Prompt(label, "1", label, template=Template(label, label))
        tried.append(TriedPrompt(label, SimpleNamespace(), prompt, run, dict.fromkeys(documents, PAIR)))
    return ModelTrials("demo", "", described, metric, tuple(tried))


def test_the_lowest_error_wins_and_the_highest_score():
    assert select(candidate("cer", a=[0.5, 0.5], b=[0.1, 0.1])).choices[0].chosen.label == "b"
    assert select(candidate("exact_match", a=[1, 1], b=[0, 1])).choices[0].chosen.label == "a"


def test_among_equals_the_first_stays():
    (choice,) = select(candidate("cer", first=[0.2, 0.4], second=[0.4, 0.2])).choices
    assert choice.chosen.label == "first" and choice.paired.difference == pytest.approx(0)


def test_a_prompt_gains_nothing_by_failing_where_it_is_hard():
    (choice,) = select(candidate("cer", honest=[0.1, 0.1, 0.9], failing=[0.2, 0.2, None])).choices
    assert choice.chosen.label == "honest" and choice.left_out == 1
    assert choice.figure.samples == 2 and choice.figures["failing"].value == pytest.approx(0.2)


def test_where_nothing_was_scored_with_every_prompt_nothing_is_chosen():
    with pytest.raises(Refused, match="no question was scored by cer with every prompt"):
        select(candidate("cer", a=[None, 0.1], b=[0.1, None]))


def test_literal_braces_survive():
    literal = Template("{{ not a variable }}", "", literal=True)
    sample = Sample("1", "d", (), "q")
    assert Template(as_template(literal), "").render(sample) == literal.text
    assert as_template(Template("100 %", "", literal=True)) == "100 %"
