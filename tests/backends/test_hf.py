from __future__ import annotations

import json

import pytest

from backends.api import EngineSpec
from backends.hf import HfBackend
from backends.hf_server.settings import parse_settings


def settings_of(spec: EngineSpec):
    """Return what our server understands of the command line."""
    launch = HfBackend().launch(spec, 4711)
    assert launch.argv[:3] == ("python", "-m", "backends.hf_server")
    return parse_settings(launch.argv[3:])


def spec(quant: str = "native", **args: str) -> EngineSpec:
    return EngineSpec("hf", "org/model", quant=quant, args=tuple(sorted(args.items())))


def test_the_server_understands_every_setting() -> None:
    args = {
        "attention": "eager",
        "device": "cuda:1",
        "batch_size": "4",
        "min_pixels": "3136",
        "max_pixels": "100352",
        "config_override": '{"num_hidden_layers": 2}',
        "adapter": "adapters/one",
        "trust_remote_code": "true",
        "threads": "2",
        "family": "auto",
    }
    whole = EngineSpec("hf", "org/model", revision="abc", quant="bf16", weights="dummy", args=tuple(args.items()))
    settings = settings_of(whole)
    assert (settings.model, settings.port, settings.host, settings.revision) == ("org/model", 4711, "127.0.0.1", "abc")
    assert (settings.served_model_name, settings.weights, settings.dtype) == ("model", "dummy", "bfloat16")
    assert (settings.attention, settings.device, settings.batch_size) == ("eager", "cuda:1", 4)
    assert (settings.min_pixels, settings.max_pixels, settings.threads) == (3136, 100352, 2)
    assert settings.config_override == {"num_hidden_layers": 2}
    assert (settings.adapter, settings.trust_remote_code, settings.family) == ("adapters/one", True, "auto")
    assert settings.quantization == "none"


def test_what_is_not_said_is_said_for_the_log() -> None:
    argv = HfBackend().launch(spec(), 1).argv
    assert "--trust-remote-code" not in argv
    for flag, value in {"--dtype": "auto", "--attention": "sdpa", "--batch-size": "1", "--weights": "real"}.items():
        assert argv[argv.index(flag) + 1] == value
    assert "--trust-remote-code" not in HfBackend().launch(spec(trust_remote_code="False"), 1).argv


@pytest.mark.parametrize(
    ("quant", "dtype", "quantization"),
    [
        ("fp32", "float32", "none"),
        ("fp16", "float16", "none"),
        ("w4a16", "auto", "none"),
        ("awq", "auto", "none"),
        ("bnb_int8", "auto", "bnb_int8"),
        ("bnb_nf4", "auto", "bnb_nf4"),
    ],
)
def test_the_quantisation_decides_the_number_format(quant: str, dtype: str, quantization: str) -> None:
    settings = settings_of(spec(quant))
    assert (settings.dtype, settings.quantization) == (dtype, quantization)


def test_engine_arguments_are_passed_on() -> None:
    assert settings_of(spec(**{"engine_args.threads": "3"})).threads == 3
    argv = HfBackend().launch(spec(**{"engine_args.new_flag": "x"}), 1).argv
    assert argv[argv.index("--new-flag") + 1] == "x"


@pytest.mark.parametrize(
    ("quant", "args", "words"),
    [
        ("int3", {}, "quant=int3: backend hf knows native"),
        ("bf16", {"dtype": "float32"}, "quant=bf16 means dtype bfloat16"),
        ("bnb_nf4", {"quantization": "bnb_int8"}, "keep one"),
        ("native", {"dtype": "float8"}, r"backend\.dtype=float8"),
        ("native", {"attention": "flash"}, r"backend\.attention=flash"),
        ("native", {"batchsize": "4"}, "no setting 'batchsize'; it has: dtype"),
        ("native", {"trust_remote_code": "yes"}, "true or false"),
        ("native", {"threads": "1", "engine_args.threads": "2"}, "keep one"),
    ],
)
def test_what_it_can_not_serve(quant: str, args: dict[str, str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        HfBackend().launch(spec(quant, **args), 1)


def test_dummy_or_real() -> None:
    with pytest.raises(ValueError, match=r"model\.weights=random: .*real, dummy"):
        HfBackend().launch(EngineSpec("hf", "m", weights="random"), 1)


ACCOUNT = {
    "weights_bytes": 2**31,
    "device": "cuda:0",
    "dtype": "bfloat16",
    "quantization": None,
    "attention": "sdpa",
    "versions": {"torch": "2.13.0", "cuda": None},
    "cuda": {"name": "GPU X", "max_allocated_bytes": 2**31 + 2**29, "max_reserved_bytes": 2**32},
}


def test_statistics_of_a_gpu() -> None:
    stats = HfBackend().statistics("{}", json.dumps(ACCOUNT), "")
    assert (stats.weights_gib, stats.needed_gib, stats.activation_gib) == (2.0, 2.5, 0.5)
    assert stats.facts["gpu"] == "GPU X"
    assert stats.facts["version.torch"] == "2.13.0"
    assert stats.facts["allocator_reserved_peak_gib"] == "4.000"
    assert "version.cuda" not in stats.facts


def test_it_says_whether_qwens_own_package_gives_pictures_the_same_sizes() -> None:
    def fact(**account: object) -> str | None:
        whole = {
            **ACCOUNT,
            "qwen_vl_utils": {"version": "0.0.14", "pictures": 3, "differing": 0, "first": "", **account},
        }
        return HfBackend().statistics("{}", json.dumps(whole), "").facts.get("qwen_vl_utils")

    assert fact() == "0.0.14: the same sizes for 3 of 3 pictures"
    assert fact(differing=1, first="814 x 11: …") == "0.0.14: other sizes for 1 of 3 pictures, the first 814 x 11: …"
    assert fact(pictures=0) is None


def test_statistics_of_a_cpu_leave_out_what_nobody_knows() -> None:
    stats = HfBackend().statistics("{}", json.dumps({**ACCOUNT, "cuda": None}), "")
    assert (stats.weights_gib, stats.needed_gib, stats.activation_gib) == (2.0, None, None)


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"cuda": {}}'])
def test_broken_statistics_are_no_numbers(body: str) -> None:
    stats = HfBackend().statistics("", body, "")
    assert (stats.weights_gib, stats.needed_gib) == (None, None)


OWN = "2026-11-20 10:00:00,000 ERROR backends.hf_server: cannot load the model: "


@pytest.mark.parametrize(
    ("log", "kind", "words"),
    [
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB", "out_of_memory", "backend.batch_size"),
        ("RuntimeError: DefaultCPUAllocator: can't allocate memory: you tried", "out_of_memory", "main memory"),
        ("ModuleNotFoundError: No module named 'torch'", "start_failed", "no torch: install the extra"),
        ("ModuleNotFoundError: No module named 'transformers.models'", "start_failed", "no transformers"),
        ("ModuleNotFoundError: No module named 'compressed_tensors'", "start_failed", "package compressed_tensors"),
        ("ImportError: Using `bitsandbytes` 8-bit quantization requires bitsandbytes", "start_failed", "bitsandbytes"),
        (
            "ImportError: finegrained-fp8 kernel unavailable: `kernels` is either not installed or uses an incompatible"
            " version. Please install a compatible version (0.18.2 <= version < 0.19.0)",
            "start_failed",
            "env=hf_fp8",
        ),
        (
            "ImportError: Failed to load the finegrained-fp8 kernel — check that `kernels-community/finegrained-fp8`",
            "start_failed",
            "reach the hub",
        ),
        ("ImportError: Loading a GPTQ quantized model requires gptqmodel", "start_failed", "package gptqmodel"),
        (OWN + "--quantization bnb_nf4 needs the package bitsandbytes, which", "start_failed", "package bitsandbytes"),
        (OWN + "--attention flash_attention_2 needs the package flash_attn, which", "start_failed", "attention=sdpa"),
        ("ImportError: FlashAttention2 has been toggled on, but it cannot be used", "start_failed", "attention=sdpa"),
        ("No module named 'detectron2'", "start_failed", "package detectron2"),
        (OWN + "--model /x: there is no such folder, and a hub name has the form", "start_failed", "model.path"),
        (OWN + "m: We couldn't connect to 'https://huggingface.co' to load", "start_failed", "HF_HOME"),
        ("huggingface_hub.errors.LocalEntryNotFoundError: Cannot find", "start_failed", "model.weights=dummy"),
        ("You are trying to access a gated repo.", "start_failed", "HF_TOKEN"),
        ("OSError: x is not a local folder and is not a valid model identifier", "start_failed", "model.revision"),
        ("ValueError: model type `x` but Transformers does not recognize this architecture", "start_failed", "env="),
        ("Please pass the argument `trust_remote_code=True`", "start_failed", "trust_remote_code=true"),
        (OWN + "m has no chat template (chat_template.jinja", "start_failed", "chat_template.jinja into"),
        ("RuntimeError: The NVIDIA driver on your system is too old", "start_failed", "driver 580"),
        ("CUDA error: no kernel image is available for execution", "start_failed", "capability 7.5"),
        (OWN + "--device cuda: torch 2.13 sees 0 CUDA devices here", "start_failed", "backend.device=cpu"),
        ("__main__.py: error: unrecognized arguments: --new-flag x", "start_failed", "backend.engine_args"),
    ],
)
def test_known_failures_say_what_to_do(log: str, kind: str, words: str) -> None:
    failure = HfBackend().translate(f"INFO loading\nTraceback (most recent call last):\n{log}\n")
    assert failure is not None
    assert failure.kind == kind
    assert words in failure.message


def test_the_servers_own_words_are_kept() -> None:
    failure = HfBackend().translate(OWN + "m: the weights can't be loaded: header too large\n")
    assert failure is not None and failure.message == "m: the weights can't be loaded: header too large"
    known = HfBackend().translate("No module named 'noise'\n" + OWN + "m has no chat template (x)\n")
    assert known is not None and "chat template" in known.message and "noise" not in known.message


def test_an_unknown_log_is_left_to_speak_for_itself() -> None:
    assert HfBackend().translate("INFO ready after 3.0 s\n") is None
