"""Each command of README, getting started and scoring is one that tools/documented_commands.py runs."""

import pytest

import documented_commands


def test_every_command_is_known():
    assert documented_commands.unknown() == []


@pytest.mark.parametrize("page", documented_commands.PAGES)
def test_pages_have_commands(page: str):
    assert list(documented_commands.commands(page))
