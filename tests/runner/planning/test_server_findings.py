from __future__ import annotations

from pathlib import Path

import pytest

from backends import llama_cpp_server
from backends.litellm import KEYS
from runner.planning import server_findings

FLAGS = f"processor : 0\nflags : fpu avx2 {' '.join(llama_cpp_server.BUILT_FOR)}\n"


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.system", lambda: "Linux")
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr("platform.libc_ver", lambda: ("glibc", "2.36"))
    (tmp_path / "cpuinfo").write_text(FLAGS)
    monkeypatch.setattr(llama_cpp_server, "CPU_INFO", tmp_path / "cpuinfo")
    monkeypatch.setenv("PATH", str(tmp_path))
    for variable in KEYS.values():
        monkeypatch.delenv(variable, raising=False)


def test_a_machine_that_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", "canary-of-a-provider")
    llama, litellm = server_findings.servers()
    assert llama.status == litellm.status == "ok" and "fits this machine" in llama.what
    assert "gemini (GEMINI_API_KEY)" in litellm.what and "anthropic" not in litellm.what
    assert "canary" not in litellm.what


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("platform.machine", "aarch64", "Linux on aarch64"),
        ("platform.libc_ver", ("glibc", "2.31"), "glibc 2.35, and this is 2.31"),
        ("cpuinfo", "flags : fpu avx avx2 fma\n", "AVX-512, and this one has no avx512_bf16"),
    ],
)
def test_what_is_lacking(name: str, value: object, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if name == "cpuinfo":
        (tmp_path / name).write_text(str(value))
    else:
        monkeypatch.setattr(name, lambda: value)
    llama, _ = server_findings.servers()
    assert llama.status == "warn" and words in llama.what and "engine_args.server" in (llama.remedy or "")
    program = tmp_path / "llama-server"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    llama, _ = server_findings.servers()
    assert llama.status == "ok" and str(program) in llama.what
