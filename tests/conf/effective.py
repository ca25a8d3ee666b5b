"""What an experiment comes to: the jobs of its sweep, as far as they decide results, in a text for reviewers."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationToMissingValueError

from runner import config
from runner.prompts import load_prompt

ROOT = Path(__file__).parents[2]
# Groups of conf/ that decide answers, and keys of their files that don't.
DECIDING = ("model", "quant", "backend", "prompt", "sampling")
TOLD_ELSEWHERE = ("name", "licence", "unsupported", "why_remote_code")
# Where results go, and what is done when: none of it changes a result.
SILENT = ("hydra", "tracking", "pool", "plan", "answers", "rescore", "reuse")


def jobs(conf: Path, experiment: str) -> dict[str, DictConfig]:
    """Return the config of each job of an experiment's sweep, by what the sweep sets for it."""
    config.register()
    with initialize_config_dir(version_base="1.3", config_dir=str(conf)):
        loader = GlobalHydra.instance().hydra.config_loader
        named = f"experiment={experiment}"
        master = loader.load_configuration("config", [named], run_mode=RunMode.MULTIRUN)
        # Not above: Hydra loads its plugins anew, and a class of the earlier module would not fit.
        from hydra_plugins.runner_sweeper import RunnerSweeper, composed

        given = OmegaConf.to_container(master.hydra.sweeper, resolve=False)
        sweeper = RunnerSweeper(params=given.get("params"), jobs=given.get("jobs"))
        sweeper.config = master
        batch = sweeper._combinations(OverridesParser.create(config_loader=loader), [named])
        compositions = SimpleNamespace(config=functools.partial(loader.load_sweep_config, master))
        return {
            " ".join(one for one in overrides if one != named) or "the only job": cfg
            for overrides, cfg in zip(*composed(batch, compositions), strict=True)
        }


def text(conf: Path, experiment: str) -> str:
    """Return the jobs as YAML: what each has of its own, then what all share. Null and empty values are left out."""
    found = {name: dict(decisive(cfg)) for name, cfg in jobs(conf, experiment).items()}
    first = next(iter(found.values()))
    shared = [key for key in first if all(key in job and job[key] == first[key] for job in found.values())]
    own = [{"set": name, **{key: job[key] for key in job if key not in shared}} for name, job in found.items()]
    content = {"jobs": own, "all jobs": {key: first[key] for key in shared}}
    return yaml.safe_dump(content, allow_unicode=True, sort_keys=False, width=1000)


def decisive(cfg: DictConfig) -> Iterator[tuple[str, Any]]:
    """Yield each key of a job that may change a result with its value, as it is written, and the prompt's content."""
    unused = [f"model.checkpoints.{name}" for name in cfg.model.checkpoints if name not in cfg.quant.checkpoint]
    unused += ["prompt.ocr_template", "prompt.ocr_languages"] if cfg.prompt.ocr is None else []
    unused += ["prompt.schema_mode", "prompt.schema_template"] if cfg.prompt.schema is None else []
    unused += [f"judge.{name}" for name in cfg.judge if name != "name"] if cfg.judge.kind == "none" else []
    unused += [f"load.{name}" for name in cfg.load] if cfg.load.arrivals == "closed" else []
    unused += [f"race.{name}" for name in cfg.race] if not cfg.race.active else []
    for name in cfg:
        if name not in SILENT:
            for key, value in _flat(OmegaConf.to_container(cfg, resolve=False)[name], str(name)):
                if not any(key == one or key.startswith(f"{one}.") for one in unused):
                    yield key, value
    try:
        yield "content of the prompt", load_prompt(OmegaConf.to_object(cfg.prompt), ROOT).digest
    except InterpolationToMissingValueError:  # ${dataset.path}, which the command gives
        yield "content of the prompt", "unknown: it lies in the user's data"


def words(conf: Path) -> str:
    """Return what each word of the groups that decide answers says, without comments."""
    files = [path for group in DECIDING for path in sorted((conf / group).glob("*.yaml"))]
    said = {f"{path.parent.name}={path.stem}": yaml.safe_load(path.read_text(encoding="utf-8")) for path in files}
    told = {
        word: {key: value for key, value in content.items() if key not in TOLD_ELSEWHERE}
        for word, content in said.items()
    }
    return yaml.safe_dump(told, allow_unicode=True, sort_keys=False, width=1000)


def _flat(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _flat(inner, f"{key}.{name}")
    elif value not in (None, "", [], {}):
        yield key, value


def difference(before: str, after: str) -> str:
    """Return what changed, as a pull request would show it."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), "reviewed", "now", lineterm="", n=2)
    return "\n".join(lines)
