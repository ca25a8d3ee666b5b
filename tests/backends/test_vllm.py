from __future__ import annotations

import pytest

from backends.api import EngineSpec
from backends.vllm import VllmBackend


def argv(quant: str = "native", weights: str = "real", revision: str = "", **args: str) -> tuple[str, ...]:
    spec = EngineSpec("vllm", "org/model", quant=quant, weights=weights, revision=revision, args=tuple(args.items()))
    return VllmBackend().launch(spec, 4711).argv


def has(line: tuple[str, ...], flag: str, value: str) -> bool:
    return flag in line and line[line.index(flag) + 1] == value


def test_the_whole_command() -> None:
    line = argv(
        "bf16",
        "dummy",
        "abc",
        batch_size="8",
        config_override='{"num_hidden_layers": 2}',
        trust_remote_code="true",
        **{"engine_args.max_model_len": "4096", "engine_args.enforce_eager": "true", "engine_args.async": "false"},
    )
    assert line[:5] == ("python", "-m", "vllm.entrypoints.cli.main", "serve", "org/model")
    for flag, value in {
        "--host": "127.0.0.1",
        "--port": "4711",
        "--dtype": "bfloat16",
        "--revision": "abc",
        "--load-format": "dummy",
        "--max-num-seqs": "8",
        "--hf-overrides": '{"num_hidden_layers": 2}',
        "--served-model-name": "model",
        "--max-model-len": "4096",
    }.items():
        assert has(line, flag, value), flag
    assert {"--trust-remote-code", "--enforce-eager", "--no-async", "--trust-request-mm-kwargs"} <= set(line)


def test_nothing_is_remembered_between_questions_unless_asked_for() -> None:
    assert "--no-enable-prefix-caching" in argv() and has(argv(), "--mm-processor-cache-gb", "0")
    asked = argv(prefix_cache="true", mm_cache="true")
    assert "--enable-prefix-caching" in asked and "--mm-processor-cache-gb" not in asked


@pytest.mark.parametrize(("rank", "reserved"), [("4", "8"), ("16", "16"), ("48", "64"), ("512", "512")])
def test_an_adapter_answers_under_the_name_that_is_asked(rank: str, reserved: str) -> None:
    line = argv(adapter="/lora", adapter_rank=rank)
    assert "--enable-lora" in line
    assert has(line, "--lora-modules", "model=/lora") and has(line, "--served-model-name", "base")
    assert has(line, "--max-lora-rank", reserved)


def test_requests_may_set_pixels_and_rates_of_videos_unless_the_flag_is_unknown() -> None:
    assert "--trust-request-mm-kwargs" in argv()
    older = argv(**{"engine_args.trust_request_mm_kwargs": "false"})
    assert not [flag for flag in older if "trust-request" in flag]


def test_an_adapter_of_too_high_a_rank() -> None:
    with pytest.raises(ValueError, match="rank is 1024, and vLLM serves up to 512"):
        argv(adapter="/lora", adapter_rank="1024")


def test_threads_matter_on_a_cpu_only() -> None:
    spec = EngineSpec("vllm", "m", args=(("threads", "2"),))
    variables = VllmBackend().launch(spec, 1).variables
    assert variables["OMP_NUM_THREADS"] == "2" and variables["VLLM_NO_USAGE_STATS"] == "1"


@pytest.mark.parametrize(("quant", "method"), [("bnb_nf4", "bitsandbytes"), ("awq", None), ("w4a16", None)])
def test_quantisations(quant: str, method: str | None) -> None:
    line = argv(quant)
    assert has(line, "--quantization", method) if method else "--quantization" not in line


@pytest.mark.parametrize(
    ("quant", "args", "words"),
    [
        ("bnb_int8", {}, "quant=bnb_int8: backend vllm knows native"),
        ("native", {"device": "cuda:1"}, "no setting device=cuda:1"),
        ("native", {"attention": "eager"}, "no setting attention=eager"),
        ("native", {"engine_args.api_key": "x"}, r"engine_args\.api_key: set nothing"),
        ("native", {"engine_args.max-num-seqs": "4"}, "set backend.batch_size instead"),
        ("native", {"engine_args.quantization": "fp8"}, "engine_args.quantization: set quant instead"),
        ("native", {"engine_args.config": "f.yaml"}, "set engine_args one by one instead"),
        ("bf16", {"dtype": "float32"}, "keep one"),
        ("native", {"prefix_cache": "yes"}, "true or false"),
    ],
)
def test_what_it_can_not_serve(quant: str, args: dict[str, str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        argv(quant, **args)


BEFORE = """# TYPE vllm:prefix_cache_queries counter
vllm:prefix_cache_queries_total{engine="0"} 100.0
vllm:prefix_cache_hits_total{engine="0"} 0.0
vllm:request_queue_time_seconds_sum{engine="0"} 1.0
vllm:request_queue_time_seconds_count{engine="0"} 10
"""
AFTER = """vllm:prefix_cache_queries_total{engine="0"} 300.0
vllm:prefix_cache_hits_total{engine="0"} 50.0
vllm:request_queue_time_seconds_sum{engine="0"} 2.0
vllm:request_queue_time_seconds_count{engine="0"} 14
vllm:cache_config_info{block_size="16",kv_cache_memory_bytes="8589934592",engine="0"} 1.0
runner_peak 0.25
"""
# As vLLM 0.33 writes them on a GPU; the lines of a CPU lack what only a GPU profiles.
GPU_LOG = """INFO Initializing a V1 LLM engine (v0.33.0) with config: model='m', dtype=torch.bfloat16, max_seq_len=4096, quantization=awq_marlin, enforce_eager=False
INFO Using FLASH_ATTN attention backend out of potential backends: ['FLASH_ATTN']
INFO Model loading took 15.51 GiB memory and 3.5 seconds
INFO Estimated CUDA graph memory: 0.50 GiB total
INFO CUDA graph memory profiling is enabled (default since v0.21.0).
INFO Available KV cache memory: 8.0 GiB
INFO GPU KV cache size: 123,456 tokens, Maximum concurrency for 4,096 tokens per request: 30.14x
INFO Graph capturing finished in 5 secs, took 0.45 GiB
INFO Free memory on device (79.0/80.0 GiB) on startup. Desired GPU memory utilization is (0.92, 73.6 GiB). Actual usage is 16.0 GiB for consumed memory (weights + non-torch), 2.5 GiB for peak activation, and 0.45 GiB for CUDAGraph memory. Replace gpu_memory_utilization
"""  # noqa: E501
# What 0.33's two model runners write of graphs, by the format strings of its wheel: v1/worker/gpu_model_runner.py:6410
# and :6517 (V1), v1/worker/gpu/model_runner.py:1164 (V2, the default, twice), v1/worker/gpu_worker.py:788 to :1049.
CAPTURED = "INFO Graph capturing finished in %.0f secs, took %.2f GiB"
ESTIMATED = "INFO Estimated CUDA graph memory: %.2f GiB total"
COUNTED = "INFO CUDA graph memory profiling is enabled (default since v0.21.0). The current utilization=%.4f is"
NOT_COUNTED = "INFO CUDA graph memory profiling is disabled (VLLM_MEMORY_PROFILER_ESTIMATE_CUDAGRAPHS=0)."
COMPARED = "INFO CUDA graph pool memory: %s GiB (actual), %s GiB (estimated), difference: %s GiB (%.1f%%)."
USED = (
    "INFO Actual usage is {} GiB for consumed memory (weights + non-torch), {} GiB for peak activation, "
    "and {} GiB for CUDAGraph memory. Replace"
)
CPU_LOG = """INFO Initializing a V1 LLM engine (v0.32.0) with config: model='m', dtype=torch.float32, max_seq_len=2048, quantization=None
INFO CPU KV cache size: 699,008 tokens, Maximum concurrency
"""  # noqa: E501


def test_needed_memory_is_not_what_was_reserved() -> None:
    stats = VllmBackend().statistics(BEFORE, AFTER, GPU_LOG)
    assert (stats.weights_gib, stats.kv_reserved_gib, stats.kv_used_gib) == (15.51, 8.0, 2.0)
    assert (stats.activation_gib, stats.graphs_gib) == (2.0, 0.45)
    assert stats.needed_gib == pytest.approx(16.0 + 2.0 + 0.45 + 2.0)
    assert stats.prefix_hit_rate == 0.25 and stats.mm_hit_rate is None
    assert stats.facts["mean_queue_s"] == "0.250000"
    assert (stats.facts["version.vllm"], stats.facts["quantization"]) == ("0.33.0", "awq_marlin")
    assert (stats.facts["attention"], stats.facts["kv_cache_tokens"]) == ("FLASH_ATTN", "123456")


@pytest.mark.parametrize(
    ("lines", "activation", "graphs"),
    [
        ([ESTIMATED % 0.5, COUNTED % 0.9, CAPTURED % (5, 0.45), USED.format("16.0", "2.5", "0.45")], 2.0, 0.45),
        (
            [CAPTURED % (1, 0.9), COUNTED % 0.9, CAPTURED % (5, 0.45), COMPARED % (0.45, 0.5, 0.05, 11.1),
             USED.format("16.0", "2.5", "0.45")],
            2.0,
            0.45,
        ),
        (
            [CAPTURED % (1, 0.9), NOT_COUNTED, CAPTURED % (5, 0.45), COMPARED % (0.45, 0.5, 0.05, 11.1),
             USED.format("16.0", "2.5", "0.45")],
            2.5,
            0.45,
        ),
        ([CAPTURED % (1, 0.9), CAPTURED % (5, 0.45)], None, 0.45),
    ],
    ids=["V1 runner", "V2 runner", "V2 runner, the estimate is not counted", "the size of the KV cache was given"],
)  # fmt: skip
def test_what_graphs_and_activations_took(lines: list[str], activation: float | None, graphs: float) -> None:
    stats = VllmBackend().statistics(BEFORE, AFTER, "\n".join(lines))
    assert (stats.activation_gib, stats.graphs_gib) == (activation, graphs)


@pytest.mark.parametrize(("tensor", "pipeline", "gpus"), [(1, 1, 1), (4, 1, 4), (2, 2, 4)])
def test_memory_is_that_of_all_gpus_as_nvmls_peaks_are(tensor: int, pipeline: int, gpus: int) -> None:
    # vllm 0.33.0, config/vllm.py:2823; with its V2 runner each rank writes what it loaded, else the first
    sizes = f"tensor_parallel_size={tensor}, pipeline_parallel_size={pipeline}, data_parallel_size=1, enforce_eager"
    log = GPU_LOG.replace("enforce_eager", sizes, 1)
    stats = VllmBackend().statistics(BEFORE, AFTER, log)
    assert (stats.weights_gib, stats.kv_reserved_gib, stats.kv_used_gib) == (15.51 * gpus, 8.0 * gpus, 2.0 * gpus)
    assert (stats.activation_gib, stats.graphs_gib) == (2.0 * gpus, 0.45 * gpus)
    assert stats.needed_gib == pytest.approx(gpus * (16.0 + 2.0 + 0.45 + 2.0))
    assert bool(stats.notes) == (gpus > 1) and stats.facts.get("gpus") == (str(gpus) if gpus > 1 else None)


def test_the_lines_of_the_release_that_minicpm_needs() -> None:
    # vllm 0.11.0, envs/minicpm-v-2-6.txt: v1/worker/gpu_model_runner.py:2653, platforms/cuda.py:325, gpu_worker.py:298,
    # and :379, which is written with VLLM_LOGGING_LEVEL=DEBUG only
    log = """INFO Model loading took 15.5123 GiB and 3.500000 seconds
INFO Using Flash Attention backend on V1 engine.
INFO Available KV cache memory: 8.25 GiB
INFO GPU KV cache size: 123,456 tokens
INFO Graph capturing finished in 5 secs, took 0.45 GiB
"""
    stats = VllmBackend().statistics("", "runner_peak 0.5", log)
    assert (stats.weights_gib, stats.kv_reserved_gib, stats.graphs_gib) == (15.5123, 8.25, 0.45)
    assert (stats.facts["attention"], stats.activation_gib, stats.needed_gib) == ("Flash Attention", None, None)
    log += (
        "DEBUG Actual usage is 15.51 GiB for weight, 1.5 GiB for peak activation, 0.25 GiB for non-torch memory, and "
        "0.45 GiB for CUDAGraph memory. Replace gpu_memory_utilization"
    )
    stats = VllmBackend().statistics("", "runner_peak 0.5", log)
    assert (stats.activation_gib, stats.needed_gib) == (1.5, pytest.approx(15.51 + 0.25 + 1.5 + 0.45 + 4.125))


def test_the_context_is_what_fits_unless_it_is_said() -> None:
    def line(**args: str) -> tuple[str, ...]:
        return VllmBackend().launch(EngineSpec("vllm", "m", args=tuple(args.items())), 1).argv

    assert line()[line().index("--max-model-len") + 1] == "auto"
    given = line(**{"engine_args.max_model_len": "4096"})
    assert given.count("--max-model-len") == 1 and given[given.index("--max-model-len") + 1] == "4096"
    assert "--max-model-len" not in line(**{"engine_args.max_model_len": "model"})
    # vllm 0.33.0, v1/core/kv_cache_planning.py:1405
    fitted = "Auto-fit max_model_len: reduced from 262144 to 40960 to fit in available KV cache memory (8.0 GiB)"
    assert VllmBackend().statistics(BEFORE, AFTER, f"{GPU_LOG}{fitted}").facts["context_tokens"] == "40960"


def test_it_reserves_memory_for_the_largest_picture_that_is_sent() -> None:
    def line(limit: int | None, **args: str) -> tuple[str, ...]:
        return VllmBackend().launch(EngineSpec("vllm", "m", args=tuple(args.items()), largest_pixels=limit), 1).argv

    assert has(line(1003520), "--mm-processor-kwargs", '{"images_kwargs": {"max_pixels": 1003520}}')
    assert "--mm-processor-kwargs" not in line(None)  # a request without a limit would be shown smaller pictures
    own = line(1003520, **{"engine_args.mm_processor_kwargs": '{"max_pixels": 3136}'})
    assert own.count("--mm-processor-kwargs") == 1 and has(own, "--mm-processor-kwargs", '{"max_pixels": 3136}')


def test_on_a_cpu_the_need_is_unknown() -> None:
    stats = VllmBackend().statistics(BEFORE, AFTER, CPU_LOG)
    assert (stats.kv_reserved_gib, stats.kv_used_gib) == (8.0, 2.0)
    assert (stats.weights_gib, stats.activation_gib, stats.graphs_gib, stats.needed_gib) == (None,) * 4


@pytest.mark.parametrize(
    ("log", "kind", "words"),
    [
        (
            "ValueError: User-specified max_model_len (9999) is greater than the derived",
            "start_failed",
            "=9999 is more",
        ),
        ("ValueError: To serve at least one request with the model's max seq len (4096), (2", "out_of_memory", "=4096"),
        # 0.11.0, v1/core/kv_cache_utils.py:717
        (
            "ValueError: To serve at least one request with the models's max seq len (4096), (2",
            "out_of_memory",
            "=4096",
        ),
        ("ValueError: No available memory for the cache blocks. Try", "out_of_memory", "gpu_memory_utilization"),
        ("Free memory on device cuda:0 (1/80 GiB) on startup is less than desired", "out_of_memory", "somebody else"),
        ("ValueError: Unknown quantization method: int1. Must be one of", "start_failed", "here int1"),
        ("ValueError: gguf quantization is currently not supported in cpu.", "start_failed", "here gguf"),
        ("RuntimeError: Failed to infer device type, please set", "start_failed", "env=vllm_cpu"),
        ("ImportError: libcuda.so.1: cannot open shared object file", "start_failed", "CUDA does not work"),
        ("OSError: [Errno 98] Address already in use", "start_failed", "port"),
        ("RuntimeError: operator torchvision::nms does not exist", "start_failed", "env=vllm_cpu"),
        ("python: Error while finding module: No module named 'vllm'", "start_failed", "has no vllm"),
        ("ModuleNotFoundError: No module named 'soxr'", "start_failed", "package soxr"),
    ],
)
def test_known_failures(log: str, kind: str, words: str) -> None:
    failure = VllmBackend().translate(f"INFO x\n(APIServer pid=1) {log}\n")
    assert failure is not None
    assert failure.kind == kind and words in failure.message
