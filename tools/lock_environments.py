"""Locks the environments of engines on a GPU: envs/NAME.txt becomes all packages that envs/asked/NAME.txt needs.

    python tools/lock_environments.py              all of envs/asked
    python tools/lock_environments.py vllm sglang  those

Only metadata of packages is downloaded. uv is asked with its own configuration, and not with pip's, whose folder of
wheels may hold a torch for CPUs. The versions hold for Python 3.11 to 3.13 on Linux, x86-64 and ARM. No address is
written.

A file in `BOTH` is for CPUs, too: what only torch for CUDA needs is kept apart, in a file of constraints, so that it is
not installed beside a torch for CPUs.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from itertools import product
from pathlib import Path

from packaging.markers import Marker
from packaging.requirements import Requirement
from uv import find_uv_bin

ENVS = Path(__file__).resolve().parents[1] / "envs"
PYTHONS = ("3.11", "3.12", "3.13")
MACHINES = ("x86_64", "aarch64")
BOTH = {"hf-torch": "hf-cuda", "hf-gptq": "hf-cuda", "hf-fp8": "hf-cuda"}
_OF_CUDA = ("nvidia-", "cuda-", "triton")
_PROJECT = """[project]
name = "envs"
version = "0"
requires-python = ">=3.11"
[tool.uv]
environments = [{}]
"""
# Conditions that are simpler than the ones that uv writes, which name the whole platform.
_SIMPLE = (
    "platform_machine == 'x86_64'",
    "platform_machine == 'aarch64'",
    "python_full_version < '3.12'",
    "python_full_version >= '3.12'",
    "python_full_version < '3.13'",
    "python_full_version >= '3.13'",
)


def main(names: list[str]) -> int:
    """Write the files that are named, or all."""
    # Those of BOTH first: they share a file of constraints.
    known = [*BOTH, *sorted({file.stem for file in (ENVS / "asked").glob("*.txt")} - set(BOTH))]
    for name in names or known:
        asked = ENVS / "asked" / f"{name}.txt"
        apart = ENVS / f"{BOTH[name]}.txt" if name in BOTH else None
        # What an earlier file of constraints holds is kept, unless it is the first that writes it.
        is_first = name == next(iter(BOTH))
        pins = list(locked(asked, apart if apart and not is_first else None))
        if apart is not None:
            of_cuda = [pin for pin in pins if pin.startswith(_OF_CUDA)]
            pins = [pin for pin in pins if pin not in of_cuda]
            if is_first:
                what = "# What torch for CUDA brings with it: constraints, of which a torch for CPUs takes none."
                _write(apart, [what, _origin(name)], of_cuda)
            pins = [f"-c {apart.name}", *pins]
        _write(ENVS / f"{name}.txt", [*comments(asked), _origin(name)], pins)
    return 0


def locked(asked: Path, constraints: Path | None = None) -> Iterator[str]:
    """Yield a line for each package that the file needs, with a condition where not every machine needs it."""
    with tempfile.TemporaryDirectory() as folder:
        linux = (
            "python_full_version < '3.14' and sys_platform == 'linux' and implementation_name == 'cpython' "
            "and platform_machine == '{}'"
        )
        environments = ", ".join(f'"{linux.format(machine)}"' for machine in MACHINES)
        Path(folder, "pyproject.toml").write_text(_PROJECT.format(environments))
        command = [
            os.fsdecode(find_uv_bin()),
            "pip",
            "compile",
            "--universal",
            "--quiet",
            "--python-version",
            PYTHONS[0],
        ]
        command += ["--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links", str(asked)]
        if constraints is not None:
            command += ["--constraints", str(constraints)]
        done = subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE, text=True)
    for line in done.stdout.splitlines():
        if line and not line.startswith(("#", "-")):
            yield simplified(line)


def simplified(line: str) -> str:
    """Write a requirement with the simplest condition that holds on the same machines."""
    requirement = Requirement(line)
    if requirement.marker is None:
        return str(requirement)
    holds = _holds(requirement.marker)
    condition = next((one for one in _SIMPLE if _holds(Marker(one)) == holds), str(requirement.marker))
    requirement.marker = None if all(holds) else Marker(condition)
    return str(requirement).replace('"', "'")


def comments(asked: Path) -> list[str]:
    """Return the comments at the top of a file."""
    return [line for line in asked.read_text(encoding="utf-8").partition("\n-r")[0].splitlines() if line[:1] == "#"]


def _holds(marker: Marker) -> tuple[bool, ...]:
    return tuple(marker.evaluate(machine) for machine in machines())


def machines() -> Iterator[dict[str, str]]:
    """Yield what decides conditions, for each Python and machine."""
    for python, machine in product(PYTHONS, MACHINES):
        yield {
            "python_version": python,
            "python_full_version": f"{python}.5",
            "platform_machine": machine,
            "sys_platform": "linux",
            "platform_system": "Linux",
            "os_name": "posix",
            "implementation_name": "cpython",
            "platform_python_implementation": "CPython",
        }


def _origin(name: str) -> str:
    return f"# Locked from envs/asked/{name}.txt: python tools/lock_environments.py {name}"


def _write(file: Path, heading: Iterable[str], lines: Iterable[str]) -> None:
    file.write_text("\n".join((*heading, *lines)) + "\n", encoding="utf-8")
    print(f"{file.name}: {sum(1 for _ in file.open())} lines")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
