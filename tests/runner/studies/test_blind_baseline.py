"""How much of a score comes from reading: with a real model that reads, and with an engine that can't."""

import re

from tests.conftest import CommandLine


def test_a_model_that_reads_loses_everything_when_it_is_blind(cli: CommandLine):
    given = (
        "experiment=blind_baseline",
        "model=demo_s",
        "tracking=none",
        "dataset.limit=24",
        "metrics=[cer,exact_match]",
    )
    ended = cli(*given)
    assert ended.code == 0, ended.err
    assert "jobs: 3, engines: 1" in ended.err
    told = cli("multirun", module="runner.reading").out.splitlines()
    found = {(one.split(" ")[1], re.search(r"with (\w+)", one)[1]): one for one in told}
    assert set(found) == {
        (measure, blind) for measure in ("cer", "cer_mean", "exact_match") for blind in ("no_image", "other_document")
    }
    for blind in ("no_image", "other_document"):
        line = found["exact_match", blind]
        seeing, other = map(float, re.search(r"exact_match ([\d.]+), with \w+ ([\d.]+)", line).groups())
        assert seeing > 0.5 and other < 0.1
        low, high = map(float, re.search(r"reading is worth \S+ \[(\S+), (\S+)\]", line).groups())
        assert 0 < low <= seeing - other <= high + 1e-9
        assert "% of the score (24 samples, 6 documents)" in line
        assert "% of the blind error, removed by reading" in found["cer", blind]


def test_an_engine_that_never_looks_gains_nothing_from_pictures(cli: CommandLine):
    given = ("backend.name=echo", "tracking=none", "dataset.limit=16", "metrics=[exact_match,cer]")
    assert cli("experiment=blind_baseline", *given).code == 0
    told = cli("multirun", "--measure", "cer", module="runner.reading").out.splitlines()
    assert len(told) == 2 and all("reading is worth +0.000, 0% of the blind error" in one for one in told), (
        "without an interval: four documents that are all alike say nothing about others"
    )


def test_without_a_blind_job_there_is_nothing_to_say(cli: CommandLine):
    assert cli("-m", "backend.name=echo", "tracking=none", "dataset.limit=4", "metrics=[cer]").code == 0
    ended = cli("multirun", module="runner.reading")
    assert ended.code == 2 and "experiment=blind_baseline" in ended.err
