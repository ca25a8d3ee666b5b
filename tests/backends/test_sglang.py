from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from backends import sglang_server
from backends.api import EngineSpec
from backends.sglang import SglangBackend


def argv(quant: str = "native", weights: str = "real", revision: str = "", **args: str) -> tuple[str, ...]:
    spec = EngineSpec("sglang", "org/model", quant=quant, weights=weights, revision=revision, args=tuple(args.items()))
    return SglangBackend().launch(spec, 4711).argv


def has(line: tuple[str, ...], flag: str, value: str) -> bool:
    return flag in line and line[line.index(flag) + 1] == value


def test_the_whole_command() -> None:
    line = argv("fp16", "dummy", "abc", batch_size="8", max_pixels="50176", **{"engine_args.tp_size": "2"})
    assert line[:5] == ("python", "-m", "backends.sglang_server", "--model-path", "org/model")
    for flag, value in {
        "--host": "127.0.0.1",
        "--port": "4711",
        "--dtype": "float16",
        "--revision": "abc",
        "--load-format": "dummy",
        "--max-running-requests": "8",
        "--mm-process-config": '{"image": {"max_pixels": 50176}}',
        "--served-model-name": "model",
        "--tp-size": "2",
    }.items():
        assert has(line, flag, value), flag


def test_the_gauges_follow_each_step_unless_told_otherwise() -> None:
    assert has(argv(), "--decode-log-interval", "1")
    line = argv(**{"engine_args.decode_log_interval": "40"})
    assert has(line, "--decode-log-interval", "40") and line.count("--decode-log-interval") == 1
    assert SglangBackend().launch(EngineSpec("sglang", "m"), 1).peak_gauge == "sglang:full_token_usage"


def test_graphs_of_all_phases_are_added_up() -> None:
    # sglang 0.5.23, srt/observability/metrics_collector.py:1787: a sample for each phase, of each rank
    text = "".join(
        f'sglang:graph_memory_usage_gb{{tp_rank="{rank}",phase="{phase}"}} {value}\n'
        for rank, phase, value in (
            ("0", "prefill", 0.5),
            ("0", "decode", 1.25),
            ("1", "prefill", 0.25),
            ("1", "decode", 1.0),
        )
    )
    assert SglangBackend().statistics("", text, "").graphs_gib == 3.0  # of both GPUs, as NVML's peaks
    assert SglangBackend().statistics("", "", "").graphs_gib is None


def test_nothing_is_remembered_between_questions_unless_asked_for() -> None:
    spec = EngineSpec("sglang", "m")
    asked = EngineSpec("sglang", "m", args=(("mm_cache", "true"), ("prefix_cache", "true")))
    assert "--disable-radix-cache" in argv()
    assert SglangBackend().launch(spec, 1).variables["SGLANG_VLM_CACHE_SIZE_MB"] == "0"
    assert "--disable-radix-cache" not in SglangBackend().launch(asked, 1).argv
    assert "SGLANG_VLM_CACHE_SIZE_MB" not in SglangBackend().launch(asked, 1).variables


def test_an_adapter_is_asked_by_its_name() -> None:
    launch = SglangBackend().launch(EngineSpec("sglang", "m", args=(("adapter", "/lora"),)), 1)
    assert has(launch.argv, "--lora-paths", "adapter=/lora") and has(launch.argv, "--served-model-name", "model")
    assert launch.model == "model:adapter"
    assert SglangBackend().launch(EngineSpec("sglang", "m"), 1).model == "model"


@pytest.mark.parametrize(
    ("quant", "args", "words"),
    [
        ("bnb_nf4", {}, "quant=bnb_nf4: backend sglang knows native"),
        ("native", {"engine_args.api-key": "x"}, r"engine_args\.api_key: set nothing"),
        ("native", {"engine_args.quantization": "fp8"}, "engine_args.quantization: set quant instead"),
        ("native", {"device": "cuda:1"}, "no setting device=cuda:1"),
    ],
)
def test_what_it_can_not_serve(quant: str, args: dict[str, str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        argv(quant, **args)


def test_the_key_reaches_the_server_and_neither_command_line_nor_log(tmp_path: Path) -> None:
    fake = tmp_path / "sglang"
    fake.mkdir()
    (fake / "__init__.py").write_text("")
    (fake / "launch_server.py").write_text(
        "import argparse, logging, os, pathlib, sys\n"
        "parser = argparse.ArgumentParser()\n"  # as SGLang's own (0.5.23, server_args.py:prepare_server_args)
        "parser.add_argument('--api-key')\n"
        "parser.add_argument('--port')\n"
        "logging.basicConfig(level='INFO', force=True)\n"
        "logging.info(f'server_args={sys.argv}')\n"
        "print('key', parser.parse_args().api_key == '-canary-7')\n"
        "print('seen', 'canary-7' in pathlib.Path('/proc/self/cmdline').read_text(), 'canary-7' in str(os.environ))\n"
    )
    path = os.pathsep.join((str(tmp_path), str(Path(sglang_server.__file__).parents[1])))
    done = subprocess.run(
        [sys.executable, "-m", "backends.sglang_server", "--port", "1"],
        env={**os.environ, "PYTHONPATH": path, sglang_server.VARIABLE: "-canary-7"},
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == ["key", "True", "seen", "False", "False"], done.stderr
    assert "'--api-key=***'" in done.stderr and "canary" not in done.stderr


METRICS = """sglang:weight_memory_usage_gb{tp_rank="0"} 14.5
sglang:kv_cache_memory_usage_gb{tp_rank="0"} 8.0
sglang:prompt_tokens_total{m="x"} 200.0
sglang:cached_tokens_total{m="x"} 50.0
runner_peak 0.25
"""


def test_statistics() -> None:
    before = 'sglang:prompt_tokens_total{m="x"} 100.0\nsglang:cached_tokens_total{m="x"} 0.0\n'
    stats = SglangBackend().statistics(before, METRICS, "max_total_num_tokens=8192, context_len=2048")
    assert (stats.weights_gib, stats.kv_reserved_gib, stats.kv_used_gib) == (14.5, 8.0, 2.0)
    assert stats.prefix_hit_rate == 0.5 and stats.needed_gib is None
    lost_in_noise = SglangBackend().statistics("x 1", "sglang:weight_memory_usage_gb -0.0035", "")
    assert lost_in_noise.weights_gib is None
    assert stats.facts["kv_cache_tokens"] == "8192"


@pytest.mark.parametrize(
    ("arguments", "samples", "gpus"),
    [
        ("'tp_size': 1, 'pp_size': 1, 'dp_size': 1", [("0", "0")], 1),
        ("'tp_size': 4, 'pp_size': 1, 'dp_size': 1", [("0", "0")], 4),  # one rank of the four reports
        ("'tp_size': 2, 'pp_size': 2, 'dp_size': 1", [("0", "0"), ("0", "1")], 4),  # one of each stage
        ("'tp_size': 2, 'pp_size': 1, 'dp_size': 1", [("0", "0"), ("1", "0")], 2),  # all, where that is asked for
        ("'tp_size': 4, 'pp_size': 1, 'dp_size': 2, 'enable_dp_attention': True", [("0", "0"), ("2", "0")], 4),
    ],
)
def test_memory_is_that_of_all_gpus(arguments: str, samples: list[tuple[str, str]], gpus: int) -> None:
    # sglang 0.5.23, srt/entrypoints/engine.py:311 and srt/observability/metrics_collector.py:1362
    log = f"server_args={{{arguments}, 'nccl_tp_size': 9}}"
    text = "runner_peak 0.5\n" + "".join(
        f'sglang:{part}_memory_usage_gb{{tp_rank="{tp}",pp_rank="{pp}"}} {value}\n'
        for tp, pp in samples
        for part, value in (("weight", 10.0), ("kv_cache", 8.0))
    )
    stats = SglangBackend().statistics("", text, log)
    assert (stats.weights_gib, stats.kv_reserved_gib, stats.kv_used_gib) == (10.0 * gpus, 8.0 * gpus, 4.0 * gpus)
    assert bool(stats.notes) == (gpus > 1) and stats.facts.get("gpus") == (str(gpus) if gpus > 1 else None)
