"""pip's nvcc becomes a CUDA toolkit. No GPU is needed: only what is found, and what a linker makes of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

from backends.api import Launch
from backends.process import cuda_toolkit, environments
from backends.process.uv_environment import UvEnvironment

needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RUNNER_ENVS", str(tmp_path / "envs"))
    return tmp_path / "envs"


def packages_of_nvidia(site_packages: Path) -> Path:
    """What nvidia-cuda-nvcc and nvidia-cuda-runtime 13.0 put into site-packages: no lib64, no plain name."""
    found = site_packages / "nvidia" / "cu13"
    for name in ("bin", "include", "nvvm", "lib"):
        (found / name).mkdir(parents=True)
    nvcc = found / "bin" / "nvcc"
    nvcc.write_text('#!/bin/sh\necho "release 13.0, V13.0.88"\n')
    nvcc.chmod(0o755)
    (found / "include" / "cuda_runtime.h").write_text("")
    for library in ("libcudart.so.13", "libcublas.so.13"):
        (found / "lib" / library).write_text("")
    return found


@pytest.fixture
def environment(tmp_path: Path) -> UvEnvironment:
    """A built environment with those packages."""
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("")
    environment = UvEnvironment("e", requirements)
    (environment.folder / "bin").mkdir(parents=True)
    packages_of_nvidia(environment.folder / "lib" / "python3.11" / "site-packages")
    return environment


def test_an_engine_finds_the_nvcc_of_its_environment(environment: UvEnvironment, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CUDA_HOME", "/usr/local/cuda-12.4")  # of the shell: another version than the environment's
    told = environment.prepare(Launch(("python", "-m", "sglang"))).variables
    assert told["CUDA_HOME"] == told["CUDA_PATH"]
    home = Path(told["CUDA_HOME"])
    out = subprocess.run([home / "bin" / "nvcc", "--version"], capture_output=True, text=True, check=True).stdout
    assert "release 13.0" in out and (home / "include" / "cuda_runtime.h").is_file()
    folders = told["PATH"].split(os.pathsep)
    assert folders[:2] == [str(environment.folder / "bin"), str(home / "bin")]
    assert shutil.which("nvcc", path=told["PATH"]) == str(home / "bin" / "nvcc")
    assert environment.prepare(Launch(("python",))).variables["CUDA_HOME"] == told["CUDA_HOME"], "made once"
    assert [one.name for one in environments.cache_dir().glob(".cuda-*")] == [home.name]


def test_what_the_config_says_wins(environment: UvEnvironment):
    chosen = UvEnvironment("e", environment.requirements, variables={"CUDA_HOME": "/opt/cuda"})
    assert chosen.prepare(Launch(("python",))).variables["CUDA_HOME"] == "/opt/cuda"


def test_without_nvcc_nothing_is_set(environment: UvEnvironment):
    (environment.folder / "lib/python3.11/site-packages/nvidia/cu13/bin/nvcc").unlink()
    told = environment.prepare(Launch(("python",))).variables
    assert not {"CUDA_HOME", "CUDA_PATH", "LIBRARY_PATH"} & set(told)


def test_the_present_environment_has_it_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("CUDA_HOME", raising=False)
    packages_of_nvidia(tmp_path / "site")
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path / "site"))
    told = environments.find("current").prepare(Launch(("python", "-m", "vllm"))).variables
    assert (Path(told["CUDA_HOME"]) / "bin" / "nvcc").is_file()


def test_the_present_environment_keeps_a_toolkit_of_the_users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    packages_of_nvidia(tmp_path / "site")
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path / "site"))
    monkeypatch.setenv("CUDA_HOME", "/usr/local/cuda-13.0")
    told = environments.find("current").prepare(Launch(("python", "-m", "vllm"))).variables
    assert not {"CUDA_HOME", "CUDA_PATH", "PATH", "LIBRARY_PATH"} & set(told)


def test_the_newest_cuda_is_taken(tmp_path: Path):
    for name in ("cu12", "cu13", "cuda_nvcc"):
        (tmp_path / "nvidia" / name / "bin").mkdir(parents=True)
        (tmp_path / "nvidia" / name / "bin" / "nvcc").write_text("")
    assert cuda_toolkit.find_nvcc(tmp_path) == tmp_path / "nvidia" / "cu13" / "bin" / "nvcc"


@needs_compiler
def test_kernels_link_as_engines_link_them(environment: UvEnvironment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """SGLang 0.5.23's flags (kernels/jit/utils/compile/toolchain.py:244) and FlashInfer 0.7.2's (jit/cpp_ext.py:275).

    With CUDA_HOME=site-packages/nvidia/cu13 they end with `cannot find -lcudart`.
    """
    library = environment.folder / "lib/python3.11/site-packages/nvidia/cu13/lib/libcudart.so.13"
    (tmp_path / "empty.c").write_text("")
    empty = str(tmp_path / "empty.c")
    for made, soname in ((library, "libcudart.so.13"), (tmp_path / "libcuda.so.1", "libcuda.so.1")):
        subprocess.run(["cc", "-shared", f"-Wl,-soname,{soname}", "-o", str(made), empty], check=True)
    monkeypatch.setattr(cuda_toolkit, "driver_library", lambda: tmp_path / "libcuda.so.1")
    told = environment.prepare(Launch(("python",))).variables
    link = ["cc", "-shared", empty, "-o", str(tmp_path / "kernel.so")]
    home = told["CUDA_HOME"]
    sglang = [f"-L{home}/lib64", "-lcudart"]
    flashinfer = [f"-L{home}/lib64", f"-L{home}/lib64/stubs", "-lcudart", "-lcuda"]
    for flags in (sglang, flashinfer):
        subprocess.run([*link, *flags], check=True)
    by_variable = {"PATH": told["PATH"], "LIBRARY_PATH": told["LIBRARY_PATH"]}
    subprocess.run([*link, "-lcudart", "-lcuda"], env=by_variable, check=True)  # vLLM's fmha_sm100 names no folder


WSL = """1 libs found in cache `/etc/ld.so.cache'
\tlibcudart.so.13 (libc6,x86-64) => /usr/local/cuda/lib/libcudart.so.13
\tlibcuda.so.1 (libc6) => /lib/i386-linux-gnu/libcuda.so.1
\tlibcuda.so.1 (libc6,x86-64) => /usr/lib/wsl/lib/libcuda.so.1
"""


def test_the_drivers_library_is_that_of_64_bits(monkeypatch: pytest.MonkeyPatch):
    cuda_toolkit.driver_library.cache_clear()
    done = subprocess.CompletedProcess((), 0, stdout=WSL)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: done)
    assert cuda_toolkit.driver_library() == Path("/usr/lib/wsl/lib/libcuda.so.1")
    cuda_toolkit.driver_library.cache_clear()
