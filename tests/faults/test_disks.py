"""Disks that fill up and folders that can't be written."""

import shutil
import subprocess

import pytest

from tests.conftest import CommandLine, Ended
from tests.faults.results import ECHO, jobs, last
from tests.patience import patient

_CAN = shutil.which("unshare") and subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode == 0
own_mounts = pytest.mark.skipif(not _CAN, reason="needs `unshare -rm`: mounts of its own")


def mounted(cli: CommandLine, mount: str, *arguments: str) -> Ended:
    """Run the command line where something is mounted that nobody else sees; afterwards copy the store out of it."""
    command = " ".join(f"'{part}'" for part in cli.command(*arguments))
    script = f"{mount} && {command}; code=$?; cp -r store kept 2>/dev/null; exit $code"
    ended = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script],
        cwd=cli.folder, env=cli.environment, capture_output=True, text=True, timeout=patient(120),
    )  # fmt: skip
    return Ended(ended.returncode, ended.stdout, ended.stderr)


@own_mounts
def test_a_full_disk_ends_the_job_and_keeps_what_was_answered(cli: CommandLine):
    (cli.folder / "store").mkdir()
    disk = "mount -t tmpfs -o size=20k none store"
    ended = mounted(cli, disk, *ECHO, "tracking=none", "dataset.limit=60", "sampling.repeats=2")
    assert ended.code == 1 and "Traceback" not in ended.err
    assert "the store can't be written: No space left on device" in ended.out and "RUNNER_STORE" in ended.out
    failed = last(cli.folder)
    assert failed["status"] == "failed" and "No space left" in failed["error"]
    assert len(failed["rows"]) >= 3
    # What did not fit was taken back whole, and with room again the same command asks only the rest.
    shutil.rmtree(cli.folder / "store")
    shutil.move(cli.folder / "kept", cli.folder / "store")
    assert cli("verify", module="runner.store").code == 0
    record = cli.folder / "asked"
    cli.environment["ECHO_RECORD"] = str(record)
    ended = cli(*ECHO, "tracking=none", "dataset.limit=60", "sampling.repeats=2")
    assert ended.code == 0, ended.err
    assert last(cli.folder)["metrics"]["samples/reused"] == len(failed["rows"])
    assert len(record.read_text().splitlines()) == 120 - len(failed["rows"])


@own_mounts
def test_a_store_that_may_only_be_read_serves_what_it_has(cli: CommandLine):
    assert cli(*ECHO, "tracking=none").code == 0
    readonly = "mount --bind store store && mount -o remount,ro,bind store"
    ended = mounted(cli, readonly, *ECHO, "tracking=none")
    assert ended.code == 0, ended.err
    assert last(cli.folder)["metrics"]["samples/reused"] == 8
    ended = mounted(cli, readonly, *ECHO, "tracking=none", "sampling.seed=1")
    assert ended.code == 1 and "Traceback" not in ended.err
    assert "Read-only file system" in ended.out + ended.err


@own_mounts
def test_a_folder_for_results_that_can_not_be_written_is_said_at_once(cli: CommandLine):
    (cli.folder / "outputs").mkdir()
    readonly = "mount --bind outputs outputs && mount -o remount,ro,bind outputs"
    ended = mounted(cli, readonly, *ECHO, "tracking=none")
    assert ended.code == 1 and "Traceback" not in ended.err
    assert "Read-only file system" in ended.err and "outputs" in ended.err
    assert jobs(cli.folder) == []
