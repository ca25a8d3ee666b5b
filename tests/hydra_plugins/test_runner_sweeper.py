"""The order of jobs: groups that share an engine stay together, wherever their parts stand in the product."""

import itertools

from hydra_plugins.runner_sweeper import by_engine


def test_groups_stay_together_and_keep_the_users_order():
    assert by_engine(["b", "a", "b", "a", "c"]) == [0, 2, 1, 3, 4]


def test_one_job():
    assert by_engine(["a"]) == [0]


def test_whatever_the_order_the_engine_changes_as_rarely_as_possible():
    for specs in (["a", "b"] * 4, ["a"] * 4 + ["b"] * 4, list("abcabcab")):
        ordered = [specs[index] for index in by_engine(specs)]
        changes = sum(one != other for one, other in itertools.pairwise(ordered))
        assert changes == len(set(specs)) - 1
        assert sorted(by_engine(specs)) == list(range(len(specs)))
