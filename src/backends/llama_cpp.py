"""The llama.cpp engine: its own server, `llama-server`, over a GGUF file and its projector for pictures.

Settings come as `EngineSpec.args`; `engine_args.<name>` becomes the flag `--<name>`:

    batch_size threads device prefix_cache min_pixels max_pixels engine_args.*
"""

from __future__ import annotations

import re
from pathlib import Path

from backends import llama_cpp_failures
from backends.api import EngineSpec, EngineStats, Failure, Launch
from backends.engine_args import PREFIX, flags, is_true, settings
from backends.prometheus import Metrics, risen

QUANT = "gguf_"  # before the precision in the words of quant=
_MIB_PER_GIB = 1024
# `trust_remote_code` asks for nothing here: a GGUF file has no code of its repository.
_SETTINGS = ("batch_size", "threads", "device", "prefix_cache", "min_pixels", "max_pixels", "trust_remote_code")
# Flags that are ours to give, and the key that decides them.
_OURS = {
    "host": "nothing: engines listen on 127.0.0.1",
    "port": "nothing: it is chosen at the start",
    "api_key": "nothing: it is made at the start and kept out of the command line",
    "api_key_file": "nothing: the key is made at the start",
    "model": "model.path",
    "model_url": "model.path",
    "hf_repo": "model.path",
    "hf_file": "model.path",
    "mmproj": "nothing: it is found beside the model",
    "mmproj_url": "nothing: it is found beside the model",
    "alias": "nothing: it is asked by a name of ours",
    "metrics": "nothing: they are on",
    "parallel": "backend.batch_size",
    "threads": "backend.threads",
    "cache_prompt": "backend.prefix_cache",
    "cache_ram": "backend.prefix_cache",
    "image_min_tokens": "model.min_pixels",
    "image_max_tokens": "model.max_pixels",
    "log_file": "nothing: its output is engine.log",
}
_SERVER = "server"
_CONTEXT = "ctx_size"
_VERBOSITY = "verbosity"
_ONE_REQUEST = 8192  # tokens of context, where nothing is said: a page of 4,096 image tokens, a prompt and an answer
# In the order of transformers and vLLM. llama.cpp's own has the temperature last, so that top_p would cut another part
# of the distribution (b10434, GET /props: penalties, dry, top_n_sigma, top_k, typ_p, top_p, min_p, xtc, temperature).
_SAMPLERS = ("penalties", "temperature", "top_k", "top_p")
_FACTS = {
    "version.llama_cpp": re.compile(r"common_params_print_info: build (\d+ \(\w+\))"),
    "quantization": re.compile(r"print_info: file type\s+= (\S+)"),
    "bits_per_weight": re.compile(r"print_info: file size\s+=[^\n(]*\(([\d.]+) BPW\)"),
    "context_tokens": re.compile(r"n_ctx_slot = (\d+)"),
    "layers_on_gpu": re.compile(r"offloaded (\d+/\d+) layers to GPU"),
    "projector": re.compile(r"load_hparams: projector:\s+(\S+)"),
    "image_min_pixels": re.compile(r"load_hparams: image_min_pixels:\s+(\d+)"),
    "image_max_pixels": re.compile(r"load_hparams: image_max_pixels:\s+(\d+)"),
    "attention": re.compile(r"resolve_fused_ops: (Flash Attention enabled)"),
}
_OWN_LIMIT = re.compile(r"load_hparams: image_max_pixels:\s+(\d+)\s*(?:\n|$)")  # without `(custom value)`
_WEIGHTS = re.compile(r"load_tensors:\s+\S+ model buffer size =\s+([\d.]+) MiB")
_PROJECTOR = re.compile(r"load_hparams: model size:\s+([\d.]+) MiB")
_KV = re.compile(r"llama_kv_cache:\s+\S+ KV buffer size =\s+([\d.]+) MiB")
_COMPUTE = re.compile(
    r"(?:sched_reserve|reserve_compute_meta|llama_context):\s+\S+ compute buffer size =\s+([\d.]+) MiB"
)


class LlamaCppBackend:
    """Serves a GGUF file with llama.cpp."""

    name = "llama_cpp"
    pixels_at_start = True  # --image-max-tokens is a flag of the server, and no part of a request
    # b10434 leaves out a picture in WebP without a word and answers the question without it, with ffmpeg 5.1 installed,
    # too (findings/llama_cpp_webp.sh); such pictures are sent as PNG.
    unread = ("image/webp",)

    def launch(self, spec: EngineSpec, port: int) -> Launch:
        """Return the command of llama.cpp's server. Raise ValueError for a setting that it does not know."""
        chosen = settings(spec, _SETTINGS)
        if not spec.quant.startswith(QUANT):
            raise ValueError(f"quant={spec.quant}: backend llama_cpp knows gguf_q4_k_m, gguf_q8_0, gguf_f16")
        if spec.weights != "real":
            raise ValueError(f"model.weights={spec.weights}: backend llama_cpp knows real")
        slots, context = int(chosen.get("batch_size", "1")), _context(spec)
        argv = ["python", "-m", "backends.llama_cpp_server", "--precision", spec.quant.removeprefix(QUANT)]
        for flag, file in zip(("--model", "--projector"), _paths(spec), strict=False):
            argv += [flag, file]
        for name in ("min_pixels", "max_pixels"):
            argv += [f"--{name.replace('_', '-')}", chosen[name]] if name in chosen else []
        if server := spec.arg(f"{PREFIX}{_SERVER}"):
            argv += ["--server", server]
        argv += [
            "--",
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
            "--alias",
            "model",
            "--metrics",
            "--no-ui",
            "--offline",
        ]
        # Its slots share what --ctx-size says: each must hold a whole request, whatever the number of them.
        argv += ["--parallel", str(slots), "--ctx-size", str(context * slots), "--no-kv-unified"]
        if "threads" in chosen:
            argv += ["--threads", chosen["threads"], "--threads-batch", chosen["threads"]]
        argv += _device(chosen.get("device", "auto"))
        # Off unless asked for: a second question about the same picture must not be answered from the first.
        prefix = is_true("backend.prefix_cache", chosen.get("prefix_cache", ""))
        argv += ["--cache-prompt"] if prefix else ["--no-cache-prompt", "--cache-ram", "0"]
        if not spec.arg(f"{PREFIX}{_VERBOSITY}"):
            argv += ["--verbosity", "4"]  # below it the log does not say what was reserved
        argv += flags(spec, _OURS, but=(_SERVER, _CONTEXT))
        return Launch(
            tuple(argv),
            key_variable="LLAMA_API_KEY",
            statistics_path="/metrics",
            private_path="/props",  # /v1/models is answered to everybody
            token_ids=False,
            # b10434 ends a connection on which a question comes right after a stream: of 150 questions asked through
            # one connection at once after each other it dropped 32 (aiohttp 3.14), and none where each had its own.
            headers={"Connection": "close"},
            unread=self.unread,
            rename={"repetition_penalty": "repeat_penalty"},
            # Its own defaults are min_p 0.05 and penalties of the last 64 tokens; others have none, and all tokens.
            extra={"samplers": list(_SAMPLERS), "min_p": 0.0, "repeat_last_n": context},
        )

    def translate(self, log_tail: str) -> Failure | None:
        """Recognise a known failure in the end of an engine's log, in the user's words."""
        return llama_cpp_failures.translate(log_tail)

    def statistics(self, before: str, after: str, log: str) -> EngineStats:
        """Read llama.cpp's own account: what it reserved from its log, what was found in its cache from /metrics.

        It does not tell how much of the KV cache was used at most, so the need is unknown.
        """
        then, now = Metrics(before), Metrics(after)
        computed, cached = (risen(then, now, f"llamacpp:prompt_tokens{part}_total") for part in ("", "_cached"))
        facts = {name: match[1] for name, pattern in _FACTS.items() if (match := pattern.search(log))}
        notes = []
        if limit := _OWN_LIMIT.search(log):
            notes.append(
                f"llama.cpp limited pictures to {int(limit[1]):,} pixels by itself: a GGUF file does not hold the "
                "limits of the checkpoint's processor; model.max_pixels sets them"
            )
        asked = None if computed is None or cached is None else computed + cached
        return EngineStats(
            weights_gib=_gib(_WEIGHTS, log, _gib(_PROJECTOR, log)),
            kv_reserved_gib=_gib(_KV, log),
            activation_gib=_gib(_COMPUTE, log),
            prefix_hit_rate=None if not asked or cached is None else cached / asked,
            facts=facts,
            notes=tuple(notes),
        )


def _context(spec: EngineSpec) -> int:
    given = spec.arg(f"{PREFIX}{_CONTEXT}", str(_ONE_REQUEST))
    if not given.isdecimal() or not int(given):
        raise ValueError(
            f"backend.engine_args.{_CONTEXT}={given}: the tokens of one request, pictures and answer included"
        )
    return int(given)


def _device(device: str) -> list[str]:
    """Return the flags for `backend.device`. Raise ValueError for names that llama.cpp does not have."""
    if device not in ("auto", "cpu"):
        what = "auto, cpu; one of several GPUs is named as llama-server --list-devices does"
        raise ValueError(
            f"backend.device={device}: backend llama_cpp knows {what}: +backend.engine_args.device=Vulkan1"
        )
    return ["--device", "none", "--no-mmproj-offload"] if device == "cpu" else []


def _paths(spec: EngineSpec) -> list[str]:
    """Return where the files are: in the checkpoint's folder, or in the hub's cache under its commit."""
    folder = spec.checkpoint
    if spec.revision:
        from huggingface_hub import constants
        from huggingface_hub.file_download import repo_folder_name

        repository = repo_folder_name(repo_id=spec.checkpoint, repo_type="model")
        folder = f"{Path(constants.HF_HUB_CACHE).expanduser()}/{repository}/snapshots/{spec.revision}"
    return [f"{folder}/{name}" for name in spec.files]


def _gib(pattern: re.Pattern[str], log: str, more: float | None = None) -> float | None:
    """Return the sum of the figures in MiB that the log writes, in GiB; None for none."""
    found = [float(value) for value in pattern.findall(log)]
    return sum(found) / _MIB_PER_GIB + (more or 0.0) if found else None
