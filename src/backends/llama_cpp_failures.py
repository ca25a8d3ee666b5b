"""What the log of llama.cpp's server means: known failures, each with what to do."""

from __future__ import annotations

from backends.api import Failure
from backends.known_failures import GPU_OUT_OF_MEMORY, OUT_OF_MAIN_MEMORY, PORT_IN_USE, first, known
from backends.llama_cpp_server import WORDS

# The first that matches wins: from the special to the general. Words of llama.cpp b10434 and b11434.
_FAILURES = (
    known(rf"{WORDS}([^\n]+)", "{name}"),
    known(
        r"error: invalid argument: ([^\n]*)|error while handling argument \"?([^\n]*)",
        "llama-server refuses its command line ({name}): compare backend.engine_args with `llama-server --help` of "
        "this environment's version",
    ),
    known(
        r"(?:unknown|unsupported) model architecture: '?([\w.-]+)",
        "this llama.cpp does not know the architecture {name}: take a newer one (env.requirements, or "
        "+backend.engine_args.server=FILE), or another backend",
    ),
    known(
        r"unknown pre-tokenizer type: '?([\w.-]+)",
        "this llama.cpp does not know the tokenizer {name} of the file: take a newer one, or a file made for this one",
    ),
    known(
        r"unknown projector type: ?([\w.-]*)|(?:failed to load|error: failed to load) multimodal model",
        "this llama.cpp can't load the projector for pictures {name}: it must be of the same model as the language "
        "model's file, and of a kind that this version knows",
    ),
    known(
        r"mismatch between text model \(n_embd = (\d+)\)",
        "the projector for pictures belongs to another model (the language model has n_embd={name}): keep files of one "
        "model in a folder",
    ),
    known(
        GPU_OUT_OF_MEMORY + r"|ErrorOutOfDeviceMemory|failed to allocate (?:Vulkan|CUDA)\S* buffer",
        "out of GPU memory: lower backend.engine_args.ctx_size or backend.batch_size, take a smaller quant, or keep "
        "layers in main memory: +backend.engine_args.n_gpu_layers=N",
        "out_of_memory",
    ),
    known(
        OUT_OF_MAIN_MEMORY + r"|failed to allocate (?:CPU\S* )?buffer|unable to allocate CPU",
        "out of main memory: lower backend.engine_args.ctx_size or backend.batch_size, or take a smaller quant or "
        "model",
        "out_of_memory",
    ),
    known(
        r"version `(GLIBC\w*_[\d.]+)' not found",
        "this llama-server was built for a newer system (it needs {name}): env=llama_cpp needs glibc 2.35, as Ubuntu "
        "22.04 and Debian 12 have; elsewhere +backend.engine_args.server=FILE names one of your own",
    ),
    known(
        r"(Illegal instruction)|exit code -4\b",
        "this llama-server was built for another processor, whose instructions this one lacks: build llama.cpp here, "
        "and name its program by +backend.engine_args.server=FILE",
    ),
    known(
        r"(?:invalid magic characters|failed to read magic|tensor '[^']*' data is not within the file bounds|"
        r"model is corrupted or incomplete)",
        "the GGUF file is damaged or was not fetched whole: fetch it again",
    ),
    known(PORT_IN_USE + r"|couldn't bind HTTP server socket", "another process took the port in between; run it again"),
)


def translate(log_tail: str) -> Failure | None:
    """Recognise a known failure in the end of the server's log, in the user's words."""
    return first(_FAILURES, log_tail)
