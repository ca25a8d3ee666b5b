"""conf/model_facts.yaml: size, memory and architecture of the models, to choose by. Nothing in it changes a job.

docs/models.md shows it, and tools/zoo.py holds the architectures against the registries of engines.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

FILE = "model_facts.yaml"
ENGINES = ("hf", "vllm", "sglang")
GB_PER_BILLION = 2.0  # bfloat16 has two bytes

HEAD = """
## By size

Made from `conf/model_facts.yaml`, which names the source of each figure; what no source at hand tells is left out. *GPU
memory* is the least in bf16, in GB, that the source names for serving the model; with **>** only the weights could be
reckoned (two bytes for each parameter), and pictures, cache and activations come on top. A mixture of experts keeps all
its parameters in memory and computes with the active ones alone. *Prompt* is what the model's card asks for, and is
never sent by itself: write it into `conf/prompt/` or the question. **None of these models has been run by us, save the
demo models**: *built* means that the tests build its architecture with a few thousand random weights and ask it through
the HF server; *registry* that the architecture stands in the registry of the engine's release, by
`python tools/zoo.py PACKAGE` (docs/engines.md). *Boxes*, *pages* and *thinking* are `box_frame`, `output_adapters` and
the words of `thinking` in the model's YAML, which names their sources: what the numbers of its boxes count, what turns
its pages into Markdown, and what `sampling.thinking` takes. Empty: no source at hand tells, or, for pages and thinking,
there is nothing to tell. *Context* is in tokens.

| model | parameters, billions | GPU memory in bf16, GB | context | boxes | pages | thinking | checked | prompt |
|---|---|---|---|---|---|---|---|---|
"""


@dataclass(frozen=True)
class Facts:
    """What is known of one model. None: not known. Sizes are in thousand millions of parameters, memory in GB."""

    architecture: str | None = None  # the class that config.json names
    parameters: float | None = None
    active: float | None = None
    gpu_gb: float | None = None
    context: int | None = None
    source: str | None = None
    prompt: str | None = None
    prompt_source: str | None = None


@dataclass(frozen=True)
class Table:
    """The whole file."""

    sources: Mapping[str, str]
    built: frozenset[str]  # architectures of which the tests build and ask a tiny model
    models: Mapping[str, Facts]


def table(conf: Path) -> Table:
    """Read the table of a conf folder. Raise ValueError for a source that is not explained."""
    loaded: Any = yaml.safe_load((conf / FILE).read_text(encoding="utf-8"))
    models = {name: Facts(**entry) for name, entry in loaded["models"].items()}
    for name, facts in models.items():
        for source in (facts.source, facts.prompt_source):
            if source is not None and source not in loaded["sources"]:
                raise ValueError(f"{FILE}: {name} names the source {source!r}, which `sources` doesn't explain")
    return Table(loaded["sources"], frozenset(loaded["built"]), models)


def page(conf: Path, models: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the part of docs/models.md about sizes. `models` holds the YAML of each model that has checkpoints."""
    facts = table(conf)
    shown = {name: facts.models.get(name, Facts()) for name in models}
    rows = [
        _row(name, shown[name], models[name], facts) for name in sorted(shown, key=lambda name: _order(name, shown))
    ]
    sources = "".join(f"- `{name}`: {text}\n" for name, text in facts.sources.items())
    return HEAD + "".join(rows) + "\nThe sources, as the table names them:\n\n" + sources


def _order(name: str, shown: Mapping[str, Facts]) -> tuple[bool, float, str]:
    size = shown[name].parameters
    return size is None, size or 0.0, name


def _row(name: str, facts: Facts, model: Mapping[str, Any], known: Table) -> str:
    size = "" if facts.parameters is None else f"{facts.parameters:g}"
    size += f" ({facts.active:g} active)" if facts.active is not None else ""
    size += f" ({facts.source})" if facts.source else ""
    memory = "" if facts.gpu_gb is None else f"{facts.gpu_gb:g}"
    if not memory and facts.parameters is not None:
        memory = f"> {facts.parameters * GB_PER_BILLION:g}"
    prompt = f"{facts.prompt} ({facts.prompt_source})" if facts.prompt else ""
    prompt = prompt.replace("|", "\\|")
    context = "" if facts.context is None else f"{facts.context}"
    boxes = model.get("box_frame") or ""
    pages, thinking = (", ".join(model.get(key) or ()) for key in ("output_adapters", "thinking"))
    checked = _checked(facts, list(model.get("backends") or []), known)
    cells = (f"`{name}`", size, memory, context, boxes, pages, thinking, checked, prompt)
    return f"| {' | '.join(cells)} |\n"


def _checked(facts: Facts, backends: list[str], known: Table) -> str:
    engines = [name for name in ENGINES if name in backends or not backends]
    if facts.architecture is None:
        return "no"
    ways = ["built (hf)"] if "hf" in engines and facts.architecture in known.built else []
    listed = [name for name in engines if name != "hf" or not ways]
    return ", ".join([*ways, *([f"registry ({', '.join(listed)})"] if listed else [])]) or "no"
