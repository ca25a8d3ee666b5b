"""`python -m runner.document`: writes docs/models.md, the table of models, from conf/model. A test holds it current."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from runner import paths

HEAD = """# Models

Made from `conf/model/` by `python -m runner.document`. The first column is the word for `model=`, the third those for
`quant=` that name a checkpoint of their own; `fp32`, `bnb_int8` and `bnb_nf4` are made from `bf16` while loading.

| model | licence | checkpoints | what to know |
|---|---|---|---|
"""


def models(folder: Path) -> str:
    """Return the page for the models of a folder of configs."""
    return HEAD + "".join(_row(path) for path in sorted(folder.glob("*.yaml")))


def _row(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    about = " ".join(line.removeprefix("#").strip() for line in text.splitlines() if line.startswith("#"))
    loaded: Any = OmegaConf.load(path)
    model = loaded.get("model", loaded)  # a file that also chooses other groups has its model under `model`
    named = model.get("checkpoints") or {}
    checkpoints = "<br>".join(f"`{quant}`: {_location(where)}" for quant, where in named.items()) or "of the endpoint"
    return f"| `{model.name}` | {model.licence} | {checkpoints} | {about} |\n"


def _location(where: str) -> str:
    name, _, revision = where.partition("@")
    return f"{name} @ {revision[:8]}" if revision else name


if __name__ == "__main__":
    target = paths.root() / "docs" / "models.md"
    target.write_text(models(paths.conf_dir() / "model"), encoding="utf-8")
    print(f"{target} written")  # noqa: T201
