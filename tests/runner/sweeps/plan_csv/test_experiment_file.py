"""A plan as a file of conf/experiment: Hydra reads back the texts that stood in the cells."""

import io

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from runner.sweeps.plan_csv.experiment_file import experiment
from runner.sweeps.plan_csv.translate import PlannedJob

TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc", "Co", "Cn"]), max_size=60).filter(
    lambda text: "${" not in text
)


@given(shared=TEXTS, own=TEXTS)
@example(shared="1e3", own="1E+3")
@example(shared="1_000", own="007")
@example(shared="on", own="no")
@example(shared="12:30", own="2024-01-01")
@example(shared="null", own="~")
@example(shared="a: b #c", own=" x ")
@example(shared="слово " * 60, own="0x1F")
@settings(max_examples=60, deadline=None)
def test_a_text_stays_a_text(shared: str, own: str):
    jobs = [PlannedJob({"model": name, "prompt.system": shared, "dataset.field": own + name}) for name in ("a", "b")]
    read = OmegaConf.to_container(OmegaConf.load(io.StringIO(experiment(jobs, "plan", "plan.csv"))))
    assert read["prompt"]["system"] == shared
    assert [one["dataset.field"] for one in read["hydra"]["sweeper"]["jobs"]] == [own + "a", own + "b"]


def test_numbers_and_lists_stay_what_they_are():
    job = PlannedJob({"model": "a", "dataset.limit": 5, "metrics": ["cer"]})
    read = OmegaConf.load(io.StringIO(experiment([job], "plan", "plan.csv")))
    assert read.dataset.limit == 5


@pytest.mark.parametrize("text", ["1e3", "1_0", "0b1"])
def test_the_written_text_is_quoted(text: str):
    assert f"'{text}'" in experiment([PlannedJob({"model": "a", "dataset.field": text})], "plan", "plan.csv")
