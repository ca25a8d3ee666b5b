"""What doctor says of servers that others build: llama.cpp's, and LiteLLM's proxy with the keys of providers."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator

from backends import llama_cpp_server
from backends.litellm import KEYS
from backends.llama_cpp_server import PROGRAM
from runner.planning.finding import Finding

_GLIBC = (2, 35)  # of the wheel that env=llama_cpp installs: manylinux_2_35_x86_64
_OWN = "build or install llama.cpp, and name its program: +backend.engine_args.server=FILE"


def servers() -> Iterator[Finding]:
    """Say whether env=llama_cpp and env=litellm fit this machine, and which providers have a key here."""
    lacking = ", ".join(_lacking())
    own = shutil.which(PROGRAM)
    if lacking:
        said = f"env=llama_cpp needs {lacking}" + (f"; {own} is here (env=current)" if own else "")
        yield Finding("ok" if own else "warn", said, "" if own else _OWN)
    else:
        also = f"; env=current takes {own}" if own else ""
        yield Finding("ok", f"backend=llama_cpp: env=llama_cpp fits this machine{also}")
    if not hasattr(os, "memfd_create"):
        yield Finding(
            "warn", "backend=litellm runs on Linux alone", "backend=openai, where the provider has an endpoint"
        )
        return
    there = [f"{provider} ({variable})" for provider, variable in KEYS.items() if os.environ.get(variable)]
    yield Finding("ok", f"backend=litellm: keys are set for {', '.join(there) or 'none'}")


def _lacking() -> Iterator[str]:
    """Yield what the built server of env=llama_cpp needs and this machine lacks."""
    if platform.system() != "Linux" or platform.machine() not in ("x86_64", "AMD64"):
        yield f"Linux on x86-64, and this is {platform.system()} on {platform.machine()}"
        return
    name, version = platform.libc_ver()
    if name == "glibc" and tuple(map(int, version.split(".")[:2])) < _GLIBC:
        yield f"glibc {'.'.join(map(str, _GLIBC))}, and this is {version}"
    if lacking := llama_cpp_server.lacking_instructions():
        yield f"a processor with AVX-512, and this one has no {', '.join(lacking)}"
