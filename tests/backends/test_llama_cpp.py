from __future__ import annotations

import asyncio
import shutil
import struct
from pathlib import Path

import pytest
from huggingface_hub import constants

from backends import gguf_header, llama_cpp_server, wire
from backends.api import Endpoint, EngineSpec, Generation, GenerationRequest, ImagePart, Launch, Message, TextPart
from backends.client import Client
from backends.events import ServerEvent
from backends.llama_cpp import LlamaCppBackend
from backends.stream import Answer

GGUF = Path(__file__).parents[2] / "assets" / "demo_models" / "demo_m" / "gguf"
MODEL, PROJECTOR = GGUF / "demo_m-Q8_0.gguf", GGUF / "mmproj-demo_m-F16.gguf"
# What llama.cpp b10434 wrote here with demo_m-Q8_0.gguf, without its columns of time.
LOG = """I cmn  common_param: common_params_print_info: build 1 (7e4c0a9) with GNU 11.4.0 for Linux x86_64
I print_info: file type   = Q8_0
I print_info: file size   = 0.30 MiB (8.59 BPW)
I load_tensors: offloaded 3/3 layers to GPU
I load_tensors:          AMX model buffer size =     1.00 MiB
I load_tensors:   CPU_Mapped model buffer size =     3.00 MiB
I llama_kv_cache:        CPU KV buffer size =     512.00 MiB
I resolve_fused_ops: Flash Attention enabled
I sched_reserve:        CPU compute buffer size =     96.00 MiB
I load_hparams: projector:          qwen2vl_merger
I load_hparams: image_min_pixels:   6272
I load_hparams: image_max_pixels:   3211264
I load_hparams: model size:         4.00 MiB
I reserve_compute_meta:        CPU compute buffer size =    32.00 MiB
I srv    load_model: initializing, n_slots = 1, n_ctx_slot = 2048, kv_unified = 'false'
"""


def spec(quant: str = "gguf_q8_0", revision: str = "", weights: str = "real", **args: str) -> EngineSpec:
    files, given = ("m-Q8_0.gguf", "mmproj.gguf"), tuple(args.items())
    return EngineSpec("llama_cpp", "/models/m", "", revision, quant, weights=weights, args=given, files=files)


def launch(quant: str = "gguf_q8_0", **args: str) -> Launch:
    return LlamaCppBackend().launch(spec(quant, **args), 4711)


def value(argv: tuple[str, ...], flag: str) -> str | None:
    return argv[argv.index(flag) + 1] if flag in argv else None


def test_the_whole_command() -> None:
    argv = launch(batch_size="4", threads="2", max_pixels="37632", **{"engine_args.n_gpu_layers": "20"}).argv
    assert argv[:3] == ("python", "-m", "backends.llama_cpp_server")
    expected = {
        "--model": "/models/m/m-Q8_0.gguf", "--projector": "/models/m/mmproj.gguf", "--precision": "q8_0",
        "--max-pixels": "37632", "--host": "127.0.0.1", "--port": "4711", "--parallel": "4", "--ctx-size": "32768",
        "--threads": "2", "--threads-batch": "2", "--n-gpu-layers": "20", "--cache-ram": "0",
    }  # fmt: skip
    assert {flag: value(argv, flag) for flag in expected} == expected
    assert argv.index("--max-pixels") < argv.index("--") < argv.index("--host"), "ours first, then the server's"
    assert "--no-cache-prompt" in argv and "--offline" in argv


def test_each_slot_holds_a_whole_question() -> None:
    for slots, context in ((1, 4096), (3, 12288)):
        argv = launch(batch_size=str(slots), **{"engine_args.ctx_size": "4096"}).argv
        assert value(argv, "--ctx-size") == str(context) and argv.count("--ctx-size") == 1


def test_of_a_hub_model_it_loads_the_commit_in_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", "/cache")
    of_hub = EngineSpec("llama_cpp", "org/name", "d", "abc", "gguf_q8_0", files=("a/m-Q8_0.gguf", "mmproj.gguf"))
    argv = LlamaCppBackend().launch(of_hub, 1).argv
    assert value(argv, "--model") == "/cache/models--org--name/snapshots/abc/a/m-Q8_0.gguf"
    assert value(argv, "--projector") == "/cache/models--org--name/snapshots/abc/mmproj.gguf"


@pytest.mark.parametrize(
    ("quant", "args", "words"),
    [
        ("bf16", {}, "quant=bf16: backend llama_cpp knows gguf_q4_k_m"),
        ("gguf_q8_0", {"device": "cuda:1"}, r"backend.device=cuda:1.*engine_args.device=Vulkan1"),
        ("gguf_q8_0", {"mm_cache": "true"}, "no setting mm_cache=true"),
        ("gguf_q8_0", {"adapter": "/lora"}, "no setting adapter=/lora"),
        ("gguf_q8_0", {"attention": "sdpa"}, "no setting attention=sdpa"),
        ("gguf_q8_0", {"dtype": "float16"}, "no setting dtype=float16"),
        ("gguf_q8_0", {"engine_args.parallel": "4"}, r"engine_args\.parallel: set backend.batch_size instead"),
        ("gguf_q8_0", {"engine_args.image-max-tokens": "4"}, r"image_max_tokens: set model.max_pixels instead"),
        ("gguf_q8_0", {"engine_args.ctx_size": "all"}, "ctx_size=all: the tokens of one request"),
        ("gguf_q8_0", {"weights": "dummy"}, "model.weights=dummy: backend llama_cpp knows real"),
    ],
)
def test_what_it_can_not_serve(quant: str, args: dict[str, str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        launch(quant, **args)


def test_sampling_is_that_of_other_engines() -> None:
    """Its own defaults would be min_p 0.05, penalties of 64 tokens, and a top_p before the temperature (GET /props)."""
    made = launch()
    endpoint = Endpoint("http://127.0.0.1:1/v1", "model", rename=made.rename, extra=made.extra)
    question = GenerationRequest("k", (Message("user", (TextPart("?"),)),))
    body = wire.body(question, endpoint)
    assert b'"repeat_penalty":1.0' in body and b"repetition_penalty" not in body
    assert b'"min_p":0.0' in body and b'"repeat_last_n":8192' in body
    assert b'"samplers":["penalties","temperature","top_k","top_p"]' in body


def test_each_question_has_a_connection_of_its_own() -> None:
    """b10434 ends a kept one on which a question comes right after a stream: 32 of 150 were dropped here."""
    assert launch().headers == {"Connection": "close"}


def test_a_picture_that_it_would_leave_out_is_never_sent() -> None:
    picture = ImagePart(b"RIFF....WEBP", "image/webp")
    question = GenerationRequest("k", (Message("user", (picture, TextPart("Which surname?"))),))
    endpoint = Endpoint("http://127.0.0.1:9/v1", "model", unread=launch().unread)

    async def ask() -> Generation:
        async with Client(endpoint) as client:
            return await client.ask(question)

    answer = asyncio.run(ask())
    assert answer.error is not None and answer.error.kind == "bad_request" and "image/webp" in answer.error.message


def test_its_account_comes_from_its_log_and_its_counters() -> None:
    before = "llamacpp:prompt_tokens_total 100\nllamacpp:prompt_tokens_cached_total 0\n"
    after = "llamacpp:prompt_tokens_total 130\nllamacpp:prompt_tokens_cached_total 10\n"
    stats = LlamaCppBackend().statistics(before, after, LOG)
    assert (stats.weights_gib, stats.kv_reserved_gib, stats.activation_gib) == (8 / 1024, 0.5, 0.125)
    assert stats.prefix_hit_rate == 0.25 and stats.needed_gib is None and stats.kv_used_gib is None
    assert stats.facts["version.llama_cpp"] == "1 (7e4c0a9)" and stats.facts["quantization"] == "Q8_0"
    assert stats.facts["context_tokens"] == "2048" and stats.facts["image_max_pixels"] == "3211264"
    assert "3,211,264 pixels by itself" in stats.notes[0] and "model.max_pixels" in stats.notes[0]
    set_by_us = LOG.replace("3211264", "37632 (custom value)")
    assert LlamaCppBackend().statistics(before, after, set_by_us).notes == ()


def test_times_of_its_stream_are_kept_in_seconds() -> None:
    answer = Answer()
    answer.add(ServerEvent("", b'{"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]}'))
    answer.add(
        ServerEvent("", b'{"choices":[],"usage":{"prompt_tokens":61},"timings":{"prompt_ms":90.5,"predicted_ms":2}}')
    )
    assert answer.timing == {"prefill_s": 0.0905, "decode_s": 0.002}


@pytest.mark.parametrize(
    ("log", "kind", "words"),
    [
        ("error: invalid argument: --such-a-flag", "start_failed", "backend.engine_args"),
        ("E llama_model_load: error loading model: unknown model architecture: 'qwen9'", "start_failed", "qwen9"),
        ("unknown pre-tokenizer type: 'mine'", "start_failed", "tokenizer mine"),
        ("clip_init: failed to load model 'x': load_hparams: unknown projector type: y9", "start_failed", "y9"),
        ("mismatch between text model (n_embd = 96) and mmproj (n_embd = 64)", "start_failed", "n_embd=96"),
        ("ggml_vulkan: Device memory allocation failed: ErrorOutOfDeviceMemory", "out_of_memory", "n_gpu_layers"),
        ("failed to allocate CPU buffer of size 9999", "out_of_memory", "ctx_size"),
        ("/lib/libm.so.6: version `GLIBC_2.35' not found (required by x)", "start_failed", "GLIBC_2.35"),
        (
            "gguf_init_from_file_impl: invalid magic characters: 'abcd', expected 'GGUF'",
            "start_failed",
            "fetch it again",
        ),
        ("llama_cpp_server: m.gguf holds q4_0, and quant=gguf_q8_0 was asked for", "start_failed", "m.gguf holds q4_0"),
    ],
)
def test_known_failures_say_what_to_do(log: str, kind: str, words: str) -> None:
    failure = LlamaCppBackend().translate(f"0.00.1 I srv loading\n{log}\n")
    assert failure is not None and failure.kind == kind and words in failure.message


def test_the_head_of_a_file_says_what_it_holds() -> None:
    head = gguf_header.read(MODEL)
    assert head["general.architecture"] == "qwen2vl" and gguf_header.precision(head) == "q8_0"
    assert head["tokenizer.ggml.tokens"] == 514, "of an array, how long it is"
    assert gguf_header.precision(gguf_header.read(GGUF / "demo_m-Q4_K_M.gguf")) == "q4_k_m"
    assert gguf_header.is_projector(gguf_header.read(PROJECTOR)) and not gguf_header.is_projector(head)


@pytest.mark.parametrize(
    "content", [b"", b"GGUF", b"PK\x03\x04 a zip", b"GGUF" + struct.pack("<IQQ", 3, 0, 5), b"GGUF" + b"\xff" * 60]
)
def test_what_is_no_gguf_file_is_said_so(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.gguf").write_bytes(content)
    with pytest.raises(ValueError, match=r"x\.gguf"):
        gguf_header.read(tmp_path / "x.gguf")


def test_a_file_of_another_precision_is_not_measured_under_the_wrong_name(tmp_path: Path) -> None:
    renamed = shutil.copy(GGUF / "demo_m-Q4_K_M.gguf", tmp_path / "demo_m-Q8_0.gguf")
    with pytest.raises(ValueError, match=r"holds q4_k_m, and quant=gguf_q8_0 was asked for: quant=gguf_q4_k_m"):
        llama_cpp_server.file_flags(Path(renamed), PROJECTOR, "q8_0")
    for model, projector in ((PROJECTOR, None), (MODEL, MODEL)):
        with pytest.raises(ValueError, match="projector"):
            llama_cpp_server.file_flags(model, projector, "q8_0")


def test_limits_on_pixels_become_limits_on_tokens_within_them() -> None:
    flags = llama_cpp_server.file_flags(MODEL, PROJECTOR, "q8_0", 5000, 37_700)
    assert flags[-4:] == ["--image-min-tokens", "7", "--image-max-tokens", "48"]  # of 28 x 28 pixels each
    with pytest.raises(ValueError, match="less than the 784 pixels of one token"):
        llama_cpp_server.file_flags(MODEL, PROJECTOR, "q8_0", None, 700)
    with pytest.raises(ValueError, match="no sure meaning for a projector of kind gemma3"):
        gguf_header.image_tokens({"clip.projector_type": "gemma3", "clip.vision.patch_size": 14}, None, 50_000)


def test_the_built_program_is_refused_where_it_would_die(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / llama_cpp_server.BUILT
    (package / "bin").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "bin" / "llama-server").write_text("#!/bin/sh\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(llama_cpp_server, "CPU_INFO", tmp_path / "cpuinfo")
    (tmp_path / "cpuinfo").write_text("flags : fpu avx2 avx512f avx512vl avx512_vbmi avx512_vnni\n")
    with pytest.raises(ValueError, match=r"built for processors with AVX-512, and this one has no avx512_bf16: build"):
        llama_cpp_server.find(None)
    (tmp_path / "cpuinfo").unlink()
    assert llama_cpp_server.find(None) == package / "bin" / "llama-server", "where it can't be read it is tried"


def test_a_program_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "llama-server"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert llama_cpp_server.find(str(program)) == program
    monkeypatch.setenv("PATH", str(tmp_path))
    assert llama_cpp_server.find(None) == program
    program.unlink()
    with pytest.raises(ValueError, match="env=llama_cpp"):
        llama_cpp_server.find(None)
    with pytest.raises(ValueError, match=r"engine_args\.server=/none"):
        llama_cpp_server.find("/none")
