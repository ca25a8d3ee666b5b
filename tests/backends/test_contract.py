"""What every installed backend must hold to, whoever wrote it. A new one is tested by being installed."""

from __future__ import annotations

import builtins
import os
import re
import socket
import subprocess

import pytest

from backends import registry
from backends.api import Backend, Endpoint, EngineSpec, EngineStats, Failure, Launch

SECRETS = {"OPENAI_API_KEY": "sk-canary-openai", "HF_TOKEN": "hf_canary", "VLLM_API_KEY": "canary-vllm"}
PORT = 41713

OUT_OF_MEMORY = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB."
UNKNOWN_FLAG = "serve: error: unrecognized arguments: --such-a-flag 1"
NO_DRIVER = "RuntimeError: Found no NVIDIA driver on your system."
NO_HUB = "LocalEntryNotFoundError: Cannot find the requested files in the local disk cache"


@pytest.fixture(params=registry.names())
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Backend:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    return registry.find(request.param)


def spec(backend: Backend, **args: str) -> EngineSpec:
    if backend.name == "openai":
        args = {"base_url": "http://127.0.0.1:9/v1", "api_key_variable": "OPENAI_API_KEY", **args}
    if backend.name == "ocr":
        args = {"engine_args.engine": "tesseract", **args}
    if backend.name == "litellm":
        args = {"api_key_variable": "OPENAI_API_KEY", **args}
    quant = "gguf_q8_0" if backend.name == "llama_cpp" else "native"
    return EngineSpec(backend.name, "org/model", quant=quant, args=tuple(sorted(args.items())))


def launched(backend: Backend, **args: str) -> Launch | Endpoint:
    return backend.launch(spec(backend, **args), PORT)


def command(backend: Backend) -> Launch:
    launch = launched(backend)
    if isinstance(launch, Endpoint):
        pytest.skip("starts nothing")
    return launch


def test_it_calls_itself_what_it_is_called(backend: Backend) -> None:
    assert backend.name in registry.names()


def test_launch_is_pure(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **more: object) -> None:
        raise AssertionError(f"launch touched the world: {args}")

    environment = dict(os.environ)
    for owner, name in ((builtins, "open"), (socket, "socket"), (subprocess, "Popen"), (os, "open"), (os, "system")):
        monkeypatch.setattr(owner, name, refuse)
    first, second = launched(backend), launched(backend)
    monkeypatch.undo()
    assert first == second
    assert {name: value for name, value in environment.items() if name not in SECRETS}.items() <= os.environ.items()


def test_it_listens_on_the_port_it_is_given_and_on_this_machine_alone(backend: Backend) -> None:
    line = " ".join(command(backend).argv)
    assert str(PORT) in line
    for host in re.findall(r"--host[= ](\S+)", line):
        assert host == "127.0.0.1"
    assert "0.0.0.0" not in line


def test_no_secret_is_in_what_others_can_read(backend: Backend) -> None:
    launch = launched(backend)
    seen = repr(launch) if isinstance(launch, Endpoint) else " ".join(launch.argv)
    assert not [secret for secret in SECRETS.values() if secret in seen]


def test_the_key_goes_through_a_variable_that_it_names(backend: Backend) -> None:
    launch = command(backend)
    assert re.fullmatch(r"[A-Z_]+", launch.key_variable)
    assert launch.key_variable not in launch.variables


@pytest.mark.parametrize("name", ["hf", "litellm", "llama_cpp", "ocr", "openai", "sglang", "vllm"])
def test_an_unknown_setting_is_refused_by_name(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "x")
    with pytest.raises(ValueError, match=r"no setting '?batchsize.*it has:"):
        launched(registry.find(name), batchsize="4")


@pytest.mark.parametrize("name", ["hf", "llama_cpp", "sglang", "vllm"])
def test_an_unknown_engine_argument_is_passed_on(name: str) -> None:
    argv = launched(registry.find(name), **{"engine_args.such-a-flag": "7"}).argv
    assert argv[argv.index("--such-a-flag") + 1] == "7"


@pytest.mark.parametrize("name", ["hf", "sglang", "vllm"])
def test_what_a_setting_says_can_not_be_said_twice(name: str) -> None:
    with pytest.raises(ValueError, match=r"engine_args\.dtype"):
        launched(registry.find(name), **{"dtype": "float16", "engine_args.dtype": "float32"})


@pytest.mark.parametrize("name", ["hf", "sglang", "vllm"])
def test_a_quantisation_it_does_not_know(name: str) -> None:
    with pytest.raises(ValueError, match=r"quant=int1: backend \w+ knows .*awq"):
        registry.find(name).launch(EngineSpec(name, "org/model", quant="int1"), PORT)


@pytest.mark.parametrize("name", ["hf", "sglang", "vllm"])
@pytest.mark.parametrize(
    ("log", "kind", "words"),
    [
        (OUT_OF_MEMORY, "out_of_memory", "out of GPU memory"),
        (UNKNOWN_FLAG, "start_failed", "backend.engine_args"),
        (NO_DRIVER, "start_failed", "nvidia-smi"),
        (NO_HUB, "start_failed", "HF_HOME"),
    ],
)
def test_known_failures_say_what_to_do(name: str, log: str, kind: str, words: str) -> None:
    failure = registry.find(name).translate(f"INFO starting\n{log}\n")
    assert isinstance(failure, Failure)
    assert failure.kind == kind and words in failure.message


def test_a_peaceful_log_is_no_failure(backend: Backend) -> None:
    assert backend.translate("INFO loading\nINFO serving on 127.0.0.1\n") is None
    assert backend.translate("") is None


def test_broken_statistics_are_no_numbers(backend: Backend) -> None:
    for body in ("", "<html>", "{}", "vllm:kv_cache_usage_perc NaN\n"):
        stats = backend.statistics(body, body, "")
        assert isinstance(stats, EngineStats)
        assert (stats.needed_gib, stats.weights_gib, stats.kv_used_gib, stats.prefix_hit_rate) == (None,) * 4
