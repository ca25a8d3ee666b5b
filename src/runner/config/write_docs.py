"""`python -m runner.document`: writes docs/models.md and docs/configuration.md. Tests check that they are current."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from runner.base import command_line, paths
from runner.config import model_facts, quant_support

HEAD = """[Documentation](README.md) · **Look up**

# Models

Made from `conf/model/` by `python -m runner.document`. The first column is the word for `model=`. *Checkpoints*
are the words for `quant=` that name a checkpoint of their own, each with the beginning of its pinned revision
(*not pinned*: the commit in use is recorded with every job); `fp32`, `bnb_int8` and `bnb_nf4` are made from `bf16`
while loading. *Runs on* names the backends, and the environment where one is needed. Any model can be a local
checkpoint (`model.path=FOLDER`) and have a LoRA adapter (`model.adapter=FOLDER`, docs/engines.md).

| model | good for | licence | runs on | checkpoints |
|---|---|---|---|---|
"""

QUANTISATIONS = """
## Quantisations

Made from `conf/quant_support.yaml`. *GPU 8.0 or newer* is a compute capability: 7.5 is Turing (T4, RTX 20), 8.0 and 8.6
are Ampere (A100, RTX 30), 8.9 is Ada (L4, RTX 40), 9.0 Hopper (H100). What can't work is refused before anything is
downloaded; what depends on the GPU is refused where the job would run, and `python -m runner.doctor` shows it for the
GPUs of a machine. **Only what "ran on a CPU" was run. The rest was read in the sources below; none of it has run on a
GPU.** A quantisation or backend of your own, which the table lacks, is not refused.

"""


def models(folder: Path) -> str:
    """Return the page docs/models.md for a folder of model configs."""
    files = sorted(folder.glob("*.yaml"))
    sizes = model_facts.page(folder.parent, dict(filter(None, map(_served, files))))
    return HEAD + "".join(map(_row, files)) + sizes + QUANTISATIONS + quant_support.page()


def _served(path: Path) -> tuple[str, dict[str, Any]] | None:
    """Return a model's word and its YAML; None for one without checkpoints, or that nothing runs."""
    loaded: Any = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    if not loaded.get("checkpoints") or loaded.get("unsupported"):
        return None
    return str(loaded["name"]), loaded


def _row(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    comments = (line.removeprefix("#").strip() for line in text.splitlines() if line.startswith("#"))
    about = " ".join(comment for comment in comments if not comment.startswith("@package"))
    loaded: Any = OmegaConf.load(path)
    model = loaded.get("model", loaded)  # a file that also chooses other groups has its model under `model`
    named = model.get("checkpoints") or {}
    checkpoints = "<br>".join(f"`{quant}`: {_location(where)}" for quant, where in named.items())
    checkpoints = checkpoints or _without_checkpoints(list(model.get("backends") or []))
    return f"| `{model.name}` | {about} | {model.licence} | {_runs_on(model)} | {checkpoints} |\n"


def _without_checkpoints(backends: list[str]) -> str:
    if backends == ["ocr"]:
        return "of the program"
    return "yours: `model.path=FOLDER`" if "hf" in backends else "of the endpoint"


def _runs_on(model: Any) -> str:
    if reason := model.get("unsupported"):
        return f"**nothing**: {reason}"
    environments = model.get("env") or {}
    backends = model.get("backends") or ["any backend"]
    return ", ".join(f"{name} (`env={environments[name]}`)" if name in environments else name for name in backends)


def _location(where: str) -> str:
    name, _, revision = where.partition("@")
    if revision:
        return f"{name} @ {revision[:8]}"
    return name if name.startswith("assets/") else f"{name}, not pinned"


def main(arguments: Sequence[str]) -> int:
    """Write both pages."""
    from runner.config import reference

    command_line.parser("document", __doc__).parse_args(arguments)
    docs = paths.root() / "docs"
    for name, text in (
        ("models.md", models(paths.conf_dir() / "model")),
        ("configuration.md", reference.page()),
    ):
        (docs / name).write_text(text, encoding="utf-8")
        print(f"{docs / name} written")  # noqa: T201
    return 0
