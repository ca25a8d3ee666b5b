from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from types import SimpleNamespace

import psutil
import pytest
from fake_backend import FakeBackend, spec

from backends.process import local_http
from backends.process.gpu import Gpus, _holds_device_file
from backends.process.memory import Sampler
from backends.process.server import ServedEngine, start
from tests.patience import patient

MIB = 2**20
GIB = 2**30


class FakeNvml:
    """Two GPUs; `processes[device]` lists (pid, bytes or None), `used[device]` is what the device holds in all."""

    class NVMLError(Exception):
        pass

    def __init__(self) -> None:
        self.processes: list[list[tuple[int, int | None]]] = [[], []]
        self.used = [1 * GIB, 2 * GIB]
        self.millijoules: list[int | None] = [1000, 5000]
        self.broken = False
        self.mig: dict[int, list[int | None]] = {}  # device -> its instances, None for an index without one
        self.forbidden: set[int] = set()  # devices whose memory only root is told
        self.listed = True

    def nvmlDeviceGetMigMode(self, handle: int) -> list[int]:
        if handle in self.mig:
            return [1, 1]
        raise self.NVMLError("Not Supported")

    def nvmlDeviceGetMaxMigDeviceCount(self, handle: int) -> int:
        return len(self.mig[handle])

    def nvmlDeviceGetMigDeviceHandleByIndex(self, handle: int, index: int) -> int:
        instance = self.mig[handle][index]
        if instance is None:
            raise self.NVMLError("Not Found")
        return instance

    def nvmlDeviceGetCount(self) -> int:
        return 2

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        return index

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> SimpleNamespace:
        if handle in self.forbidden:
            raise self.NVMLError("Insufficient Permissions")
        return SimpleNamespace(used=self.used[handle])

    def nvmlDeviceGetComputeRunningProcesses(self, handle: int) -> list[SimpleNamespace]:
        if self.broken:
            raise self.NVMLError("GPU is lost")
        if not self.listed or handle in self.forbidden:
            raise self.NVMLError("Not Supported")
        return [SimpleNamespace(pid=pid, usedGpuMemory=held) for pid, held in self.processes[handle]]

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: int) -> int:
        consumed = self.millijoules[handle]
        if consumed is None:
            raise self.NVMLError("not supported")
        return consumed


@pytest.fixture
def child() -> Iterator[int]:
    """A process below this one, so that the sampler has a tree to look at."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process.pid
        process.kill()


def sampler(nvml: FakeNvml, uses_gpu: bool = True) -> Sampler:
    return Sampler(psutil.Process(), Gpus(nvml, uses_gpu=lambda _: uses_gpu))


def test_gpu_memory_is_summed_over_the_tree_and_all_devices(child: int) -> None:
    nvml = FakeNvml()
    tree = sampler(nvml)
    window = tree.mark()
    nvml.processes = [[(child, 3 * GIB), (999_999_999, 40 * GIB)], [(child, 2 * GIB)]]
    tree._read_all()
    nvml.processes = [[(child, 1 * GIB)], []]
    nvml.millijoules = [4000, 6000]
    usage = tree.since(window)
    assert usage["gpu_peak_bytes"] == 5 * GIB
    assert usage["energy_joules"] == pytest.approx(4.0)
    assert any("whole GPU 0, 1" in note for note in usage["notes"])
    assert not any("risen" in note or "more than before" in note for note in usage["notes"])
    later = tree.mark()
    assert tree.since(later)["gpu_peak_bytes"] == 1 * GIB
    assert tree.since(window)["gpu_peak_bytes"] == 5 * GIB


def test_unmatched_pids_fall_back_to_the_rise_over_the_baseline_and_say_so(child: int) -> None:
    nvml = FakeNvml()
    tree = sampler(nvml)
    window = tree.mark()
    nvml.processes[1] = [(4_000_000, None)]  # the host's pid
    nvml.used = [1 * GIB, 9 * GIB]
    nvml.millijoules = [4000, None]
    usage = tree.since(window)
    assert usage["gpu_peak_bytes"] == 7 * GIB
    assert any("more than before the start" in note for note in usage["notes"])
    assert usage["energy_joules"] is None  # only device 1 works for us, and it does not count its energy


def test_a_tree_without_a_gpu_is_not_blamed_for_the_neighbours(child: int) -> None:
    nvml = FakeNvml()
    tree = sampler(nvml, uses_gpu=False)
    window = tree.mark()
    nvml.used = [30 * GIB, 2 * GIB]
    usage = tree.since(window)
    assert usage["gpu_peak_bytes"] is None
    assert usage["energy_joules"] is None


def test_a_gpu_that_stops_answering_is_unknown(child: int) -> None:
    nvml = FakeNvml()
    tree = sampler(nvml)
    window = tree.mark()
    nvml.broken = True
    window_later = tree.mark()
    assert tree.since(window_later)["gpu_peak_bytes"] is None
    assert tree.since(window)["cpu_peak_bytes"] > 0


def divided(instances: list[int | None]) -> FakeNvml:
    """One GPU in MIG mode, as NVML shows it to who is not root; its instances are devices of their own."""
    nvml = FakeNvml()
    nvml.nvmlDeviceGetCount = lambda: 1  # type: ignore[method-assign]
    nvml.mig, nvml.forbidden = {0: instances}, {0}
    nvml.used, nvml.processes, nvml.millijoules = [0, 5 * GIB, 1 * GIB], [[], [], []], [1000, None, None]
    return nvml


@pytest.mark.parametrize("are_listed", [True, False])
def test_the_memory_of_a_mig_instance_is_measured_and_its_energy_said_to_be_unknown(
    child: int, are_listed: bool
) -> None:
    nvml = divided([None, 1, None, 2])
    tree = sampler(nvml)
    window = tree.mark()
    nvml.processes[2] = [(child if are_listed else 4_000_000, 6 * GIB)]
    nvml.used[2] += 6 * GIB
    nvml.millijoules[0] = 9000  # of the whole card: others' instances, too
    usage = tree.since(window)
    assert usage["gpu_peak_bytes"] == 6 * GIB
    assert usage["energy_joules"] is None and any("MIG" in note for note in usage["notes"])


def test_a_gpu_in_use_that_tells_nothing_is_noted(child: int) -> None:
    for nvml, reason in ((divided([]), "MIG"), (FakeNvml(), "Insufficient Permissions")):
        nvml.forbidden = {0, 1}
        tree = sampler(nvml)
        usage = tree.since(tree.mark())
        assert usage["gpu_peak_bytes"] is None and usage["energy_joules"] is None
        assert any(reason in note and "unknown" in note for note in usage["notes"]), usage["notes"]
        unused = sampler(nvml, uses_gpu=False)
        assert not unused.since(unused.mark())["notes"], "an engine on the CPU is not told of GPUs"


def test_one_gpu_that_tells_nothing_does_not_hide_the_other(child: int) -> None:
    nvml = FakeNvml()
    nvml.forbidden = {0}
    tree = sampler(nvml)
    window = tree.mark()
    nvml.processes[1] = [(child, 3 * GIB)]
    assert tree.since(window)["gpu_peak_bytes"] == 3 * GIB


def test_without_a_list_of_processes_as_on_wsl_the_rise_counts(child: int) -> None:
    nvml = FakeNvml()
    nvml.listed = False
    tree = sampler(nvml)
    window = tree.mark()
    nvml.used = [4 * GIB, 2 * GIB]
    usage = tree.since(window)
    assert usage["gpu_peak_bytes"] == 3 * GIB and any("WSL" in note for note in usage["notes"])
    assert usage["energy_joules"] == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("target", "is_gpu"),
    [
        ("/dev/nvidia0", True),
        ("/dev/nvidia-caps/nvidia-cap21", True),  # an instance of a divided GPU
        ("/dev/dxg", True),  # WSL 2 has no /dev/nvidia0
        ("/dev/nvmap", True),  # Jetson
        ("/dev/nvidiactl", False),
        ("/dev/null", False),
    ],
)
def test_what_a_process_that_uses_a_gpu_has_open(monkeypatch: pytest.MonkeyPatch, target: str, is_gpu: bool) -> None:
    monkeypatch.setattr("backends.process.gpu.os.readlink", lambda _: target)
    assert _holds_device_file({psutil.Process().pid}) == is_gpu


def test_without_nvml_nothing_is_known(child: int) -> None:
    tree = Sampler(psutil.Process(), None)
    usage = tree.since(tree.mark())
    assert usage["gpu_peak_bytes"] is None and usage["energy_joules"] is None
    assert usage["cpu_peak_bytes"] > MIB


def test_a_forgotten_mark_is_no_zero(child: int) -> None:
    tree = Sampler(psutil.Process(), None)
    first = tree.mark()
    for _ in range(20):
        tree.mark()
    usage = tree.since(first)
    assert "cpu_peak_bytes" not in usage and "forgotten" in usage["notes"][0]


@pytest.fixture
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedEngine]:
    engine = start(
        FakeBackend(), spec(), log_path=tmp_path_factory.mktemp("engine") / "engine.log", timeout_s=patient(20)
    )
    yield engine
    engine.close()


def tell(engine: ServedEngine, path: str) -> None:
    port = int(engine.endpoint.url.split(":")[2].split("/")[0])
    assert local_http.ask(port, path, engine.endpoint.api_key, 10)[0] == 200


def test_a_peak_between_two_marks_is_seen_and_a_new_mark_forgets_it(engine: ServedEngine) -> None:
    before = engine.mark()
    tell(engine, "/allocate/200")
    time.sleep(0.15)  # the sampler looks every 50 ms
    tell(engine, "/free")
    high = engine.since(before)
    low = engine.since(engine.mark())
    assert high.cpu_peak_gib is not None and low.cpu_peak_gib is not None
    assert high.cpu_peak_gib - low.cpu_peak_gib == pytest.approx(200 / 1024, rel=0.1)
    assert engine.since(before).cpu_peak_gib == high.cpu_peak_gib
    assert not high.notes
