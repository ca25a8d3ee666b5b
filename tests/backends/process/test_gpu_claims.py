"""GPUs of their own for engines that run side by side."""

import multiprocessing
import os
import threading
import time
from pathlib import Path

import pytest

from backends.api import EngineFailed, Launch
from backends.process import gpu_claims
from backends.process.environments import CurrentEnvironment


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Two GPUs, and a folder of locks of this test's own."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2, GPU-1a/b")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(gpu_claims, "_POLL_S", 0.02)


def silent(_text: str) -> None:
    pass


def test_each_claim_has_other_gpus_and_a_third_waits():
    first, second = gpu_claims.claim(1, silent), gpu_claims.claim(1, silent)
    assert (first.devices, second.devices) == (("2",), ("GPU-1a/b",))
    said: list[str] = []
    got: list[gpu_claims.Claim] = []
    waiting = threading.Thread(target=lambda: got.append(gpu_claims.claim(1, said.append)))
    waiting.start()
    time.sleep(0.2)
    assert not got and said == ["waiting for 1 free of 2 GPUs"]
    second.release()
    waiting.join(5)
    assert got[0].devices == ("GPU-1a/b",)
    first.release()
    first.release()


def test_more_than_there_are():
    with pytest.raises(EngineFailed, match=r"pool.gpus=3 .* only 2 GPUs are visible \(CUDA_VISIBLE_DEVICES=2, GPU"):
        gpu_claims.claim(3, silent)


def _claim_and_die() -> None:
    gpu_claims.claim(2, silent)
    os._exit(9)


def test_a_process_that_died_holds_nothing():
    process = multiprocessing.get_context("fork").Process(target=_claim_and_die)
    process.start()
    process.join(10)
    assert process.exitcode == 9
    claim = gpu_claims.claim(2, silent)
    assert len(claim.devices) == 2
    claim.release()


def test_the_engine_sees_only_its_own():
    environment = gpu_claims.OnGpus(CurrentEnvironment(), ("1", "3"))
    launch = environment.prepare(Launch(("python", "-m", "server"), {"A": "b"}))
    assert launch.variables["CUDA_VISIBLE_DEVICES"] == "1,3" and launch.variables["A"] == "b"
    assert environment.name == "current"


def test_cuda_counts_gpus_as_nvml_does_unless_the_user_chose(monkeypatch: pytest.MonkeyPatch):
    claimed = gpu_claims.OnGpus(CurrentEnvironment(), ("1",))
    monkeypatch.delenv("CUDA_DEVICE_ORDER", raising=False)
    assert gpu_claims.order() == {}, "the user's own indexes are CUDA's"
    assert "CUDA_DEVICE_ORDER" not in claimed.prepare(Launch(("server",))).variables
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert gpu_claims.order() == {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    assert claimed.prepare(Launch(("server",))).variables["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
    monkeypatch.setenv("CUDA_DEVICE_ORDER", "FASTEST_FIRST")
    assert gpu_claims.order() == {}
    assert claimed.prepare(Launch(("server",))).variables["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID", "claims name NVML's"
