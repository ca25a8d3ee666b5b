"""One list says which keys of a job decide figures; everything that compares jobs reads it."""

import dataclasses

from runner.config import Config, decisive


def test_every_key_of_a_job_is_classified_once():
    keys = [field.name for field in dataclasses.fields(Config)]
    assert sorted([*decisive.DECISIVE, *decisive.INDIFFERENT]) == sorted([*keys, "hydra"])


def test_what_is_left():
    config = {"model": 1, "report": {"language": "ru"}, "tracking": 2, "prompt": 3, "a_newer_key": 4}
    assert decisive.only(config) == {"model": 1, "prompt": 3, "a_newer_key": 4}
    assert decisive.only(config, but=["prompt"]) == {"model": 1, "a_newer_key": 4}
