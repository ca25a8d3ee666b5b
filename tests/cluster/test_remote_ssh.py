"""conf/env/remote.yaml over a real ssh, to a network of its own (a namespace of Linux) with a real sshd in it."""

import json
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from tests.conftest import ROOT, CommandLine
from tests.faults.results import last, stored, wait_for

pytestmark = [pytest.mark.cluster]
HERE, THERE, PREFIX = "10.213.77.1", "10.213.77.2", "30"
SSHD = f"""
Port 22
ListenAddress {THERE}
HostKey {{folder}}/host
AuthorizedKeysFile {{folder}}/key.pub
StrictModes no
PasswordAuthentication no
PermitRootLogin yes
PidFile none
"""
SSH = f"""
Host {THERE}
  IdentityFile {{folder}}/key
  UserKnownHostsFile {{folder}}/known
"""


@dataclass(frozen=True)
class Machine:
    """Another network, in which only sshd listens, with the same disk."""

    namespace: str
    config: Path  # of ssh

    def overrides(self, cli: CommandLine) -> list[str]:
        shipped = OmegaConf.load(ROOT / "conf" / "env" / "remote.yaml").remote
        words = {step: ["ssh", "-F", str(self.config), *shipped[step][1:]] for step in ("run", "wait")}
        return [
            *("model=demo_m", "backend=hf", "tracking=none", "env=remote", "env.remote.gpu=none"),
            *(f"env.remote.{step}={json.dumps(given)}" for step, given in words.items()),
            f"env.remote.start=[echo,{THERE}]",
            f"env.remote.stop=[touch,'{cli.folder}/stopped-{{name}}']",
            f"env.remote.python={cli.command()[0]}",
            f"+env.variables.PYTHONPATH='{cli.environment['PYTHONPATH']}:{ROOT / 'src'}'",
            "+env.variables.OMP_NUM_THREADS='1'",
        ]

    def processes(self) -> list[str]:
        """The command lines of what runs there, besides sshd."""
        pids = subprocess.run(
            ["ip", "netns", "pids", self.namespace], capture_output=True, text=True, check=True
        ).stdout
        paths = [Path("/proc") / pid / "cmdline" for pid in pids.split()]
        lines = [path.read_text().replace("\0", " ") for path in paths if path.exists()]
        return [line for line in lines if line and not line.startswith("sshd")]


@pytest.fixture
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    missing = [program for program in ("ip", "ssh", "ssh-keygen") if shutil.which(program) is None]
    sshd = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
    if missing or sshd is None or os.geteuid() != 0:
        skip = pytest.fail if os.environ.get("RUNNER_REQUIRE_CLUSTER") else pytest.skip
        skip(f"not on this machine: {', '.join(missing) or 'sshd (openssh-server), or root'}")
    folder = tmp_path_factory.mktemp("ssh")
    namespace = f"vlm{secrets.token_hex(3)}"
    if subprocess.run(["ip", "netns", "add", namespace], capture_output=True, check=False).returncode:
        pytest.skip("a namespace of the network can't be made here")
    process = None
    try:
        inside = ["ip", "netns", "exec", namespace]
        for command in (
            ["ip", "link", "add", f"{namespace}a", "type", "veth", "peer", "name", f"{namespace}b", "netns", namespace],
            ["ip", "addr", "add", f"{HERE}/{PREFIX}", "dev", f"{namespace}a"],
            ["ip", "link", "set", f"{namespace}a", "up"],
            [*inside, "ip", "addr", "add", f"{THERE}/{PREFIX}", "dev", f"{namespace}b"],
            [*inside, "ip", "link", "set", f"{namespace}b", "up"],
            [*inside, "ip", "link", "set", "lo", "up"],
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "key")],
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "host")],
        ):
            subprocess.run(command, check=True, capture_output=True)
        (folder / "sshd_config").write_text(SSHD.format(folder=folder))
        (folder / "config").write_text(SSH.format(folder=folder))
        Path("/run/sshd").mkdir(exist_ok=True)
        process = subprocess.Popen([*inside, sshd, "-D", "-f", str(folder / "sshd_config")])
        yield Machine(namespace, folder / "config")
    finally:
        if process is not None:
            process.kill()
            process.wait()
        subprocess.run(["ip", "netns", "del", namespace], check=False)


def test_the_engine_answers_through_the_tunnel(cli: CommandLine, machine: Machine):
    ended = cli(*machine.overrides(cli), "dataset.limit=10")
    assert ended.code == 0, ended.err
    job = last(cli.folder)
    assert job["metrics"]["quality/exact_match"] > 0.8 and job["metrics"]["samples/failed"] == 0
    wait_for(lambda: not machine.processes(), 5)
    assert len(list(cli.folder.glob("stopped-vlm-*"))) == 1


def test_a_runner_that_is_killed_leaves_nothing_there(cli: CommandLine, machine: Machine):
    process = cli.start(*machine.overrides(cli), "dataset.limit=80")
    wait_for(lambda: process.poll() is not None or stored(cli.folder / "store"), 90)
    assert any("backends.hf_server" in line and "--port" in line for line in machine.processes())
    process.kill()
    process.communicate()
    wait_for(lambda: not any("backends.hf_server" in line for line in machine.processes()), 20)
    wait_for(lambda: list(cli.folder.glob("stopped-vlm-*")), 20)
    wait_for(lambda: not list((cli.folder / "store" / "machines").glob("*")), 20)
