"""A real Docker daemon of the test's own, and a base image made here: no registry is asked for anything.

The base is Debian with Python, torch, and a folder of wheels where pip finds what our Dockerfile installs, as a
company's base image might be. All of it lies in one folder, and is gone with it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

from tests.conftest import ROOT
from tests.patience import patient

DEBIAN, PYTHON = "bookworm", "3.11"
NEEDED = ("dockerd", "docker", "debootstrap", "docker-init", "docker-registry", "tar")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def missing() -> str | None:
    """Say what this machine lacks for a daemon, None where it has everything."""
    if os.geteuid() != 0:
        return "a Docker daemon of the test's own needs root"
    lacking = [name for name in NEEDED if shutil.which(name, path=PATH) is None]
    return (
        f"not installed: {', '.join(lacking)} (apt install docker.io docker-registry debootstrap)" if lacking else None
    )


class Daemon:
    """Start it with `with`; `host` is its address."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="docker-"))  # short: a socket's path has 107 characters at most
        self.host = f"unix://{self.folder}/sock"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Daemon:
        command = ["dockerd", "--iptables=false", "--bridge=none", "-H", self.host, "-p", str(self.folder / "pid")]
        command += ["--data-root", str(self.folder / "data"), "--exec-root", str(self.folder / "exec")]
        with self._log.open("wb") as log:
            environment = os.environ | {"PATH": PATH}
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)
        try:
            self._wait(lambda: self.docker("version", check=False).returncode == 0, 60, "answer")
        except BaseException:
            self.__exit__()
            raise
        return self

    @property
    def _log(self) -> Path:
        return self.folder / "daemon.log"

    def docker(self, *arguments: str, check: bool = True, **more: object) -> subprocess.CompletedProcess[str]:
        """Run the client."""
        environment = os.environ | {"DOCKER_HOST": self.host, "DOCKER_BUILDKIT": "0"}
        done = subprocess.run(
            ["docker", *arguments], env=environment, capture_output=True, text=True, timeout=patient(300), **more
        )
        assert not check or done.returncode == 0, f"docker {' '.join(arguments)}: {done.stdout[-2000:]} {done.stderr}"
        return done

    def containers(self) -> list[str]:
        """Return the names of all containers, ended ones too."""
        return self.docker("ps", "--all", "--format", "{{.Names}}").stdout.split()

    def import_base(self, name: str) -> None:
        """Make the base image."""
        base, wheels = self.folder / "base", self.folder / "wheels"
        log = self.folder / "debootstrap.log"
        packages = "--include=python3-minimal,python3-pip,python3-distutils"
        command = ["debootstrap", "--variant=minbase", packages, DEBIAN, str(base)]
        torch = f"torch=={metadata.version('torch')}"
        for_debian = ["--python-version", PYTHON, "--only-binary=:all:", "--quiet"]
        with log.open("wb") as output:
            debian = subprocess.Popen(command, stdout=output, stderr=output)
            try:
                self._pip("download", "--dest", str(wheels), *for_debian, "-r", str(ROOT / "envs" / "hf.txt"), torch)
            finally:
                debian.wait(300)
        assert debian.returncode == 0, log.read_text()[-3000:]
        packages_of_base = base / "usr" / "local" / "lib" / f"python{PYTHON}" / "dist-packages"
        offline = ["--no-index", "--find-links", str(wheels), "--no-compile"]
        self._pip("install", "--target", str(packages_of_base), *for_debian, *offline, torch)
        for wheel in wheels.glob("torch-*"):  # as large as all others together, and installed
            wheel.unlink()
        wheels.rename(base / "wheels")
        told = (f"ENV PATH={PATH}", "ENV PIP_FIND_LINKS=/wheels PIP_NO_INDEX=1")
        changes = [part for one in told for part in ("--change", one)]
        with subprocess.Popen(["tar", "-C", str(base), "--numeric-owner", "-c", "."], stdout=subprocess.PIPE) as tar:
            self.docker("import", *changes, "-", name, stdin=tar.stdout)
        assert tar.returncode == 0
        shutil.rmtree(base)

    def build(self, name: str, dockerfile: str, **arguments: str) -> None:
        """Build an image from the repository."""
        options = [part for key, value in arguments.items() for part in ("--build-arg", f"{key}={value}")]
        self.docker("build", "--network=host", "-t", name, "-f", str(ROOT / dockerfile), *options, str(ROOT))

    @contextlib.contextmanager
    def registry(self) -> Iterator[str]:
        """Run a registry of this machine's own; give its address, which Docker trusts without a certificate."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{probe.getsockname()[1]}"
        config = self.folder / "registry.yml"
        storage = f"storage: {{filesystem: {{rootdirectory: {self.folder / 'registry'}}}}}"
        config.write_text(f"version: 0.1\n{storage}\nhttp: {{addr: '{address}'}}\n")
        with (self.folder / "registry.log").open("wb") as log:
            process = subprocess.Popen(["docker-registry", "serve", str(config)], stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + patient(30)
            while process.poll() is None and time.monotonic() < deadline:
                with contextlib.suppress(OSError), urllib.request.urlopen(f"http://{address}/v2/", timeout=1):
                    break
                time.sleep(0.1)
            yield address
        finally:
            process.terminate()
            process.wait(patient(20))

    def small_image(self, name: str) -> None:
        """Make an image of one file."""
        (self.folder / "small").write_text(name)
        command = ["tar", "-C", str(self.folder), "-c", "small"]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as tar:
            self.docker("import", "-", name, stdin=tar.stdout)

    @staticmethod
    def _pip(*arguments: str) -> None:
        command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, done.stderr[-3000:]

    def _wait(self, is_so: Callable[[], bool], within_s: float, what: str) -> None:
        deadline = time.monotonic() + patient(within_s)
        while not is_so():
            lives = self._process is not None and self._process.poll() is None
            assert lives and time.monotonic() < deadline, f"dockerd does not {what}: {self._log.read_text()[-3000:]}"
            time.sleep(0.2)

    def __exit__(self, *_: object) -> None:
        """End the daemon, and free what it mounted."""
        if self._process is not None:
            for name in self.docker("ps", "--all", "--quiet", check=False).stdout.split():
                self.docker("rm", "--force", name, check=False)
            self._process.terminate()
            try:
                self._process.wait(patient(60))
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        mounted = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
        for place in reversed([place for place in mounted if place.startswith(f"{self.folder}/")]):
            subprocess.run(["umount", "--lazy", place], check=False)
        shutil.rmtree(self.folder, ignore_errors=True)
