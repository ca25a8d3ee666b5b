"""Gives engines the CUDA compiler that pip installed, as a folder that they take for a CUDA toolkit.

The package nvidia-cuda-nvcc, which humming-kernels[cu13] brings with vLLM 0.33.0 and SGLang 0.5.23, puts nvcc into
`site-packages/nvidia/cu13/bin`. Nobody looks there: SGLang (kernels/jit/utils/compile/toolchain.py:43), tvm-ffi 0.1.11
(cpp/extension.py:136), FlashInfer 0.7.2 (jit/cpp_ext.py:48) and vLLM (utils/flashinfer.py:61) look at CUDA_HOME,
CUDA_PATH, PATH and /usr/local/cuda. CUDA_HOME=site-packages/nvidia/cu13 alone is not enough: they link with
`-L$CUDA_HOME/lib64 -lcudart` and `-L$CUDA_HOME/lib64/stubs -lcuda`, and the packages bring `lib/libcudart.so.13` only,
under no other name, and no libcuda. So a folder of links is made, with the names that a toolkit has:

    .cuda-3f9a0c21d4e7/bin, include, nvvm      links to those of site-packages/nvidia/cu13
    .cuda-3f9a0c21d4e7/lib64                   each library, also under its name without a version
    .cuda-3f9a0c21d4e7/lib64/stubs/libcuda.so  the driver's
"""

from __future__ import annotations

import functools
import hashlib
import json
import logging
import os
import re
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

logger = logging.getLogger(__name__)
_LDCONFIG = ("/sbin/ldconfig", "-p")
_LDCONFIG_TIMEOUT_S = 30.0
# A library of 64 bits has more than `libc6` in the parentheses: `libcuda.so.1 (libc6,x86-64) => /lib/.../libcuda.so.1`
_LIBCUDA = re.compile(r"^\s*libcuda\.so\.1 \(libc6,[^)]*\) => (\S+)$", re.MULTILINE)


def find_nvcc(site_packages: Path) -> Path | None:
    """Return the nvcc that packages put into site-packages, of the newest CUDA there; None if there is none."""
    compilers = sorted(site_packages.glob("nvidia/cu[0-9]*/bin/nvcc"), key=_cuda_version)
    return compilers[-1] if compilers else None


def variables(site_packages: Path, cache: Path) -> dict[str, str]:
    """Return the variables under which an engine finds nvcc and what it links against; empty without an nvcc there.

    They are CUDA_HOME, CUDA_PATH, LIBRARY_PATH, and PATH with nvcc's folder in front. The folder of links is made in
    `cache`. A CUDA_HOME of the caller's shell is replaced: another nvcc would give an environment other kernels.
    """
    nvcc = find_nvcc(site_packages)
    if nvcc is None:
        return {}
    try:
        home = _toolkit(nvcc.parents[1], cache)
    except OSError as error:
        logger.warning("%s is not used, no links to it can be made in %s: %s", nvcc, cache, error)
        return {}
    libraries = (str(home / "lib64"), str(home / "lib64" / "stubs"))
    return {
        "CUDA_HOME": str(home),
        "CUDA_PATH": str(home),
        "LIBRARY_PATH": _joined(*libraries, os.environ.get("LIBRARY_PATH", "")),  # where compilers look for -lNAME
        "PATH": _joined(str(home / "bin"), os.environ.get("PATH", "")),
    }


@functools.cache
def driver_library() -> Path | None:
    """Return the driver's libcuda.so.1 where the dynamic linker finds it (WSL: /usr/lib/wsl/lib); None without one."""
    try:
        done = subprocess.run(_LDCONFIG, check=False, capture_output=True, text=True, timeout=_LDCONFIG_TIMEOUT_S)
    except (OSError, subprocess.SubprocessError):
        return None
    match = _LIBCUDA.search(done.stdout)
    return Path(match[1]) if match else None


def _toolkit(nvcc: Path, cache: Path) -> Path:
    """Return the folder of links to `site-packages/nvidia/cu13`, made where it is missing."""
    driver = driver_library()
    libraries = sorted((nvcc / "lib").iterdir())
    decisive = json.dumps([str(nvcc), str(driver), [file.name for file in libraries]])
    home = cache / f".cuda-{hashlib.sha256(decisive.encode()).hexdigest()[:12]}"
    if home.is_dir():
        return home
    half = home.with_name(f"{home.name}.{os.getpid()}")
    shutil.rmtree(half, ignore_errors=True)
    stubs = half / "lib64" / "stubs"
    stubs.mkdir(parents=True)
    (half / "lib").symlink_to("lib64")  # nvcc.profile of CUDA 13 says lib
    for name in ("bin", "include", "nvvm"):
        (half / name).symlink_to(nvcc / name)
    for file in libraries:
        (half / "lib64" / file.name).symlink_to(file)
    for file in libraries:
        plain, so, _ = file.name.partition(".so.")
        if so and not (half / "lib64" / f"{plain}.so").exists():
            (half / "lib64" / f"{plain}.so").symlink_to(file.name)
    if driver is not None:
        (stubs / "libcuda.so").symlink_to(driver)
    with suppress(OSError):  # another process was quicker
        half.rename(home)
    shutil.rmtree(half, ignore_errors=True)
    return home


def _cuda_version(nvcc: Path) -> int:
    digits = nvcc.parents[1].name.removeprefix("cu")
    return int(digits) if digits.isdecimal() else 0


def _joined(*folders: str) -> str:
    return os.pathsep.join(filter(None, folders))
