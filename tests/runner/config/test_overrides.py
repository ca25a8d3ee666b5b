"""Values of tables and YAML lists survive Hydra's grammar and a shell as they are."""

import shlex

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hypothesis import given
from hypothesis import strategies as st

from runner import config
from runner.base import paths
from runner.config import read_overrides
from runner.config.overrides import command, spelled


@given(st.text(alphabet=st.characters(blacklist_categories=("Cs", "Cc"))) | st.text(alphabet="'\\\"a,[]{}$ ="))
def test_any_text_is_one_text(text: str):
    parsed = OverridesParser.create().parse_override(spelled("prompt.system", text))
    value = parsed.value()
    assert getattr(value, "text", value) == text and not parsed.is_sweep_override()


@pytest.mark.parametrize("value", [None, True, 3, 0.5, [], ["cer", "два слова"], {"key": [1, "x y"]}])
def test_other_values(value):
    parsed = OverridesParser.create().parse_override(spelled("key", value)).value()
    texts = [getattr(one, "text", one) for one in parsed] if isinstance(parsed, list) else parsed
    if isinstance(value, dict):
        assert [getattr(one, "text", one) for one in texts["key"]] == value["key"]
    else:
        assert texts == value


def test_keys_of_overrides_in_a_list_of_jobs():
    jobs = [{"+metrics.cer.x": 1, "prompt.path": "/a b/ё.yaml", "hydra/launcher": "joblib"}]
    (parsed,) = OverridesParser.create().parse_override(spelled("hydra.sweeper.jobs", jobs)).value()
    assert {key: getattr(value, "text", value) for key, value in parsed.items()} == jobs[0]


def test_a_key_that_the_grammar_does_not_take():
    with pytest.raises(ValueError, match="can't be a key"):
        spelled("metrics", {"с пробелом": 1})


@pytest.mark.parametrize(
    "argument", ["dataset.field='Серия и номер'", "a='$HOME'", "a=b", "x='a\"b'", "prompt.system='it\\'s'"]
)
def test_a_command_line_survives_the_shell(argument: str):
    assert shlex.split(command(argument)) == ["python", "-m", "runner", argument]


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("+metrics.kie.at_threshold='a b'", "-> \"metrics.kie.at_threshold='a b'\""),
        ("+experiment=ocr_baseline", "-> experiment=NAME, without the +"),
    ],
)
def test_a_plus_before_what_is_there_is_told_with_a_remedy_that_can_be_pasted(override: str, words: str):
    config.register()
    with (
        initialize_config_dir(version_base="1.3", config_dir=str(paths.conf_dir())),
        pytest.raises(HydraException) as told,
    ):
        compose("config", ["metrics=[kie]", override])
    message = read_overrides.added_twice(str(told.value)) or ""
    assert words in message and "+ only adds" in message


def test_a_mapping_that_can_not_be_read_is_not_said_to_work_as_one_text():
    _, (unread,) = read_overrides.read([], ["metrics.kie.fields={дата: date}"])
    assert "conf/experiment/NAME.yaml takes any key" in unread and "as one text" not in unread
