"""What an engine on a GPU asks of a machine that has one, told while a job is planned. NVML is made up."""

import shutil
from pathlib import Path

import pynvml
import pytest

from backends.process.uv_environment import BUILT
from runner.base import machine, paths
from runner.base.errors import Refused
from runner.base.machine import Driver
from runner.planning import cuda, environments, gpu_findings, machine_check
from tests.runner.planning.test_machine_check import given

NEW, OLD = Driver("580.95.05", (13, 0)), Driver("550.54.14", (12, 4))
ALL_THERE = ("gcc", "c++")


@pytest.fixture(autouse=True)
def with_gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine with an H100, a driver for CUDA 13, compilers and no nvcc."""
    monkeypatch.setenv("RUNNER_ENVS", str(tmp_path / "envs"))
    for name in ("CC", "CXX", "CUDA_HOME", "CUDA_PATH", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(machine, "gpus", lambda: ("NVIDIA H100",))
    with_machine(monkeypatch, NEW, (9, 0))
    with_programs(monkeypatch, *ALL_THERE)
    (tmp_path / "Python.h").write_text("")
    monkeypatch.setattr(cuda, "_headers", lambda _: tmp_path)


def with_machine(monkeypatch: pytest.MonkeyPatch, driver: Driver, *capabilities: tuple[int, int]) -> None:
    monkeypatch.setattr(machine, "driver", lambda: driver)
    monkeypatch.setattr(machine, "capabilities", lambda: capabilities)


def with_programs(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}" if name in names else None)


ON_CUDA_13 = (["backend=vllm", "env=vllm"], ["backend=sglang", "env=sglang"], ["env=hf"], ["env=hf_gptq"])


@pytest.mark.parametrize("overrides", ON_CUDA_13, ids=str)
def test_an_old_driver_is_refused_and_a_new_one_is_not(monkeypatch: pytest.MonkeyPatch, overrides: list[str]):
    machine_check.check(given(*overrides))
    with_machine(monkeypatch, OLD, (9, 0))
    with pytest.raises(Refused, match=r"550\.54\.14 knows CUDA up to 12\.4: driver 580 or newer is needed"):
        machine_check.check(given(*overrides))


@pytest.mark.parametrize("overrides", ON_CUDA_13, ids=str)
def test_a_gpu_before_turing_is_refused(monkeypatch: pytest.MonkeyPatch, overrides: list[str]):
    with_machine(monkeypatch, NEW, (7, 0))
    with pytest.raises(Refused, match=r"compute capability 7\.0: Turing .* or newer is needed"):
        machine_check.check(given(*overrides, "quant=fp16"))
    with_machine(monkeypatch, NEW, (7, 0), (7, 5))  # which of them is used is not known here
    machine_check.check(given(*overrides, "quant=fp16"))


def test_environments_for_cuda_12_take_an_older_driver(monkeypatch: pytest.MonkeyPatch):
    with_machine(monkeypatch, OLD, (7, 0))
    machine_check.check(given("env=moondream2"))
    machine_check.check(given("backend=vllm", "env=minicpm_v_2_6", "quant=fp16"))
    with_machine(monkeypatch, Driver("470.1", (11, 4)), (8, 0))
    with pytest.raises(Refused, match="driver 525 or newer"):
        machine_check.check(given("env=moondream2"))


@pytest.mark.parametrize(
    "overrides",
    [
        ["backend=vllm", "env=vllm_cpu"],
        ["backend=sglang", "env=sglang_cpu"],
        ["env=hf", "backend.device=cpu"],
        ["env=hf_docker", "env.container.image=x:1"],
        [],  # this interpreter, whose torch may be built for anything
    ],
    ids=str,
)
def test_what_does_not_ask_for_cuda_13(monkeypatch: pytest.MonkeyPatch, overrides: list[str]):
    with_machine(monkeypatch, OLD, (6, 1))
    with_programs(monkeypatch)
    machine_check.check(given(*overrides))


@pytest.mark.parametrize("backend", ["vllm", "sglang"])
@pytest.mark.parametrize(
    ("there", "lacking"),
    [
        ((), "no C compiler (gcc or clang) and no C++ compiler"),
        (("gcc",), "no C++ compiler (c++ or $CXX)"),
        (("c++",), "no C compiler"),
        (("clang", "c++"), None),
    ],
)
def test_missing_compilers_are_refused(
    monkeypatch: pytest.MonkeyPatch, backend: str, there: tuple[str, ...], lacking: str | None
):
    with_programs(monkeypatch, *there)
    if lacking is None:
        return machine_check.check(given(f"backend={backend}", f"env={backend}"))
    with pytest.raises(Refused) as refused:
        machine_check.check(given(f"backend={backend}", f"env={backend}"))
    assert lacking in str(refused.value) and "build-essential" in str(refused.value)
    return None


def test_compilers_of_another_name_are_taken(monkeypatch: pytest.MonkeyPatch):
    with_programs(monkeypatch, "g++-13")
    monkeypatch.setenv("CC", "gcc-13")
    monkeypatch.setenv("CXX", "g++-13")
    machine_check.check(given("backend=vllm", "env=vllm"))


def test_missing_headers_of_python_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(cuda, "_headers", lambda _: tmp_path / "python3.11")
    with pytest.raises(Refused, match=r"no .*python3\.11/Python\.h"):
        machine_check.check(given("backend=sglang", "env=sglang"))
    machine_check.check(given("backend=hf"))  # it compiles nothing


def test_headers_are_those_of_the_environments_python(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.undo()
    import sys

    assert cuda._headers(None) == cuda._headers(sys.executable)
    assert cuda._headers("3.12") is None, "uv may have to download it, and brings the headers"
    assert cuda._headers(str(Path(sys._base_executable))) == cuda._headers(None)


def test_nvcc_is_looked_for_where_sglang_is_built_already(monkeypatch: pytest.MonkeyPatch):
    config = given("backend=sglang", "env=sglang")
    environment = environments.resolve(config)
    site_packages = environment.folder / "lib" / "python3.11" / "site-packages"
    (site_packages / "sglang" / "kernels" / "jit").mkdir(parents=True)
    (environment.folder / BUILT).write_text("{}")
    monkeypatch.setattr(Path, "is_file", lambda path, real=Path.is_file: "local/cuda" not in str(path) and real(path))
    with pytest.raises(Refused, match="no nvcc"):
        machine_check.check(config)
    (site_packages / "nvidia" / "cu13" / "bin").mkdir(parents=True)
    (site_packages / "nvidia" / "cu13" / "bin" / "nvcc").write_text("")
    machine_check.check(config)


def test_for_which_cuda_a_requirements_file_is(tmp_path: Path):
    pins = tmp_path / "pins.txt"
    pins.write_text("torch==2.14.0\nnvidia-cuda-runtime==13.0.96 ; platform_machine == 'x86_64'\n")
    (tmp_path / "asks.txt").write_text("-c pins.txt\nvllm==0.33.0\n")
    assert cuda.cuda_of(tmp_path / "asks.txt") == 13
    pins.write_text("torch==2.8.0\nnvidia-cuda-runtime-cu12==12.8.90\n")
    assert cuda.cuda_of(tmp_path / "asks.txt") == 12
    pins.write_text("torch==2.13.0+cpu\ncuda-toolkit==13.0.3\n")
    assert cuda.cuda_of(tmp_path / "asks.txt") is None
    pins.write_text("six==1.17.0\n")
    assert cuda.cuda_of(tmp_path / "asks.txt") is None


class Nvml:
    """What pynvml says of one GPU."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, is_divided: bool = False) -> None:
        self.is_divided = is_divided
        told = {
            "nvmlInit": lambda: None,
            "nvmlShutdown": lambda: None,
            "nvmlDeviceGetHandleByIndex": lambda index: index,
            "nvmlDeviceGetMigMode": lambda _: [int(is_divided)] * 2,
            "nvmlDeviceGetMemoryInfo": self.memory,
        }
        for name, value in told.items():
            monkeypatch.setattr(pynvml, name, value)

    def memory(self, _: int):
        if self.is_divided:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NO_PERMISSION)
        return type("Memory", (), {"free": 79 * 2**30, "total": 80 * 2**30})


def test_doctor_names_what_an_old_driver_can_not_start(monkeypatch: pytest.MonkeyPatch):
    Nvml(monkeypatch)
    assert {finding.status for finding in gpu_findings.gpus()} == {"ok"}
    with_machine(monkeypatch, OLD, (7, 0))
    driver, gpu = gpu_findings.gpus()
    assert driver.status == "warn" and "driver 580 or newer" in driver.what
    assert "env=vllm" in driver.remedy and "env=sglang" in driver.remedy and "env=moondream2" not in driver.remedy
    assert "compute capability 7.0" in gpu.what


def test_doctor_says_that_a_gpu_is_divided(monkeypatch: pytest.MonkeyPatch):
    Nvml(monkeypatch, is_divided=True)
    _, gpu = gpu_findings.gpus()
    assert gpu.status == "warn" and "MIG" in gpu.what and "energy is not" in gpu.remedy


def test_doctor_on_wsl_without_nvml(monkeypatch: pytest.MonkeyPatch):
    def no_library() -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    monkeypatch.setattr(pynvml, "nvmlInit", no_library)
    monkeypatch.setattr(machine_check, "_DEVICES", ())
    (finding,) = gpu_findings.gpus()
    assert "no NVIDIA GPU" in finding.what
    monkeypatch.setattr(machine_check, "gpu_device", lambda: "/dev/dxg")
    (finding,) = gpu_findings.gpus()
    assert "a GPU seems to be there (/dev/dxg)" in finding.what and "WSL 2" in finding.remedy


def test_doctor_looks_for_compilers(monkeypatch: pytest.MonkeyPatch):
    assert [finding.status for finding in gpu_findings.compilers()] == ["ok"]
    with_programs(monkeypatch)
    (finding,) = gpu_findings.compilers()
    assert finding.status == "warn" and "no C compiler" in finding.what and "build-essential" in finding.remedy


def test_every_environment_says_for_which_cuda_it_is():
    known = {file.stem: file for file in (paths.root() / "envs").glob("*.txt")}
    told = {name: cuda.cuda_of(file) for name, file in known.items()}
    assert {name for name, version in told.items() if version == 13} >= {"vllm", "sglang", "hf-torch", "hf-gptq"}
    assert {name for name, version in told.items() if version == 12} == {"minicpm-v-2-6", "moondream2"}
