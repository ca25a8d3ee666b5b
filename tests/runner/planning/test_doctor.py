"""What `python -m runner.doctor` says of this machine, and what it removes."""

import json
from pathlib import Path

import pytest

from backends.process.uv_environment import BUILT
from runner.planning import doctor
from tests.conftest import CommandLine


def test_every_line_has_a_state_and_every_trouble_a_remedy(cli: CommandLine):
    cli.environment |= {"RUNNER_ENVS": str(cli.folder / "envs"), "HF_TOKEN": "hf_canary"}
    ended = cli(module="runner.doctor")
    assert ended.code == 0, ended.out + ended.err
    lines = ended.out.splitlines()
    for number, line in enumerate(lines):
        assert line[:4].strip() in ("ok", "warn", "fail") or line.startswith("      -> "), line
        if line.startswith(("warn", "fail")):
            assert lines[number + 1].startswith("      -> "), line
    for word in ("GPU", "disk", "memory", "hub", "tesseract", "docker", "apptainer", "environments", "tracked"):
        assert word in ended.out, word
    assert "hf_canary" not in ended.out


def test_a_dead_tracking_server_fails(cli: CommandLine):
    cli.environment |= {"RUNNER_ENVS": str(cli.folder / "envs"), "MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}
    ended = cli(module="runner.doctor")
    assert ended.code == 1 and "runner.sync" in ended.out


@pytest.fixture
def cache(cli: CommandLine) -> Path:
    """A cache with an environment that nobody names any more, and one whose build was interrupted."""
    root = cli.folder / "envs"
    for name in ("old-0123456789ab", "half-0123456789ab"):
        (root / name / "bin").mkdir(parents=True)
    record = {"label": "old", "requirements": "envs/old.txt", "built_at": 1.0}
    (root / "old-0123456789ab" / BUILT).write_text(json.dumps(record))
    (root / "old-0123456789ab.log").write_text("x")
    cli.environment["RUNNER_ENVS"] = str(root)
    return root


def test_environments_are_listed_and_pruned(cli: CommandLine, cache: Path):
    listed = cli("envs", module="runner.doctor")
    assert listed.code == 0, listed.err
    assert "outdated" in listed.out and "half-built" in listed.out and "envs/old.txt" in listed.out
    assert len(list(cache.glob("*-0123456789ab"))) == 2, "a list removes nothing"
    pruned = cli("envs", "--prune", module="runner.doctor")
    assert pruned.code == 0 and pruned.out.count("removed") == 2
    assert not list(cache.glob("*-0123456789ab")) and not list(cache.glob("*.log"))


def test_what_conf_names_is_current_and_stays_unless_named(cli: CommandLine, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RUNNER_ENVS", str(cli.folder / "envs"))
    folder = next(one for one in doctor._current() if one.name.startswith("vllm_cpu-"))
    folder.mkdir(parents=True)
    (folder / BUILT).write_text("{}")
    cli.environment["RUNNER_ENVS"] = str(cli.folder / "envs")
    assert "current" in cli("envs", "--prune", module="runner.doctor").out and folder.exists()
    assert "removed" in cli("envs", "--prune", "vllm_cpu", module="runner.doctor").out and not folder.exists()
