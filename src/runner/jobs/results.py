"""Finds what distinguishes the jobs of a sweep, and which of their measures are shown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from runner.config import decisive
from runner.jobs.folder import JobFolder

GROUPS = ("model", "quant", "backend", "env", "dataset", "prompt", "sampling", "load")
ALWAYS = ("model", "quant")
# How another program made its answers (runner.jobs.imported_answers).
UNKNOWN = "unknown"
# What decides a score and not an answer: who judges names no candidate.
OF_THE_JUDGE = ("judge", "metrics.judge")
# What a model's file says of all its checkpoints, or of all models at an endpoint, tells no jobs apart.
OF_ALL_NAMES = ("model.checkpoints", "model.request_by_name", "model.thinking")
METRICS = "metrics."
# Where an endpoint is reached. It tells candidates apart only where nothing else does, and then by its host.
ADDRESS = ("backend.base_url", "backend.api_key_variable", "backend.headers")


def choices(results: Sequence[JobFolder]) -> list[dict[str, str]]:
    """Return for each result the configuration that tells it from the others: model and quant, and what else differs.

    Where a group's name differs (`prompt=plain` and `prompt=collection`) the name stands for the whole group. A judge's
    settings belong to no candidate: only where nothing else tells jobs apart `judge` says who judged, by which rubric.
    """
    return told_apart([result.config for result in results])


def besides(choice: Mapping[str, str]) -> str:
    """Return in a few words what tells a job from the others besides its model and quant; `` where nothing does.

    What is not known has no word, and the job without an adapter is called `without adapter`.
    """
    words = []
    for key, value in choice.items():
        if key in ALWAYS or value == UNKNOWN:
            continue
        name = key.rpartition(".")[2]
        if key.startswith(METRICS):
            if not value:
                continue  # another job has this option: nothing was chosen here
            name = " ".join(dict.fromkeys((key.split(".")[1], name)))
        short = Path(value).stem if name == "path" else value
        if not value:  # null: `region` alone would say the opposite
            words.append(f"without {name}")
        else:
            words.append(short if key in GROUPS or name == "path" else f"{name} {short}")
    return " ".join(" ".join(words).split())


def names(results: Sequence[JobFolder]) -> dict[Path, str]:
    """Name jobs by model and quantisation, equal ones by what else differs, or by their folders where nothing does.

    A job that a race cut short has that in its name, too: its figures are those of fewer documents.
    """
    cut = {result.path: result.cut_short for result in results}
    return {path: f"{name} [{cut[path]}]" if cut[path] else name for path, name in _names(results).items()}


def _names(results: Sequence[JobFolder]) -> dict[Path, str]:
    name_of: dict[Path, str] = {}
    more = [besides(choice) for choice in choices(results)]
    labels = [f"{result.name} ({other})" if other else result.name for result, other in zip(results, more, strict=True)]
    for result, words in zip(results, labels, strict=True):
        if sum(other.name == result.name for other in results) > 1 and labels.count(words) == 1:
            name_of[result.path] = words
            continue
        others = [other.path.resolve() for other in results if other.name == result.name and other is not result]
        parts = result.path.resolve().parts
        depth = 1
        while depth < len(parts) and any(other.parts[-depth:] == parts[-depth:] for other in others):
            depth += 1
        name_of[result.path] = f"{result.name} ({'/'.join(parts[-depth:])})" if others else result.name
    return name_of


def told_apart(configs: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return for the config of each job what `choices` does for the job."""
    flat = _with_unknown([dict(_flatten(decisive.only(config, but=("answer_columns",)))) for config in configs])
    own = [
        {
            key: value
            for key, value in each.items()
            # A metric without options is no choice that would tell candidates apart.
            if not _below(key, OF_THE_JUDGE) and not (key.startswith(METRICS) and value == "{}")
        }
        for each in flat
    ]
    chosen = _telling([{key: value for key, value in each.items() if not _below(key, ADDRESS)} for each in own])
    if _number(own, chosen) < len({tuple(each.items()) for each in own}):
        own = [each | {"backend.base_url": host} for each, host in zip(own, _hosts(own), strict=True)]
        if len({each["backend.base_url"] for each in own}) > 1:
            chosen["backend.base_url"] = "backend.base_url"
    judges = [_judge(config) for config in configs]
    if len(set(judges)) > 1 and _number(own, chosen) < len({tuple(each.items()) for each in flat}):
        own = [each | {"judge": judge} for each, judge in zip(own, judges, strict=True)]
        chosen["judge"] = "judge"
    return [{label: each.get(key, "") for key, label in chosen.items()} for each in own]


def _telling(flat: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Return the keys that tell flat configs apart, with the words that stand for them."""
    keys = dict.fromkeys(key for each in flat for key in each)
    # What isn't known of another program's answers is no choice, and no column.
    differing = [key for key in keys if len({each.get(key) for each in flat} - {UNKNOWN}) > 1]
    named = {key.partition(".")[0] for key in differing if key.endswith(".name") and key.partition(".")[0] in GROUPS}
    chosen = {f"{group}.name": group for group in (*ALWAYS, *sorted(named - set(ALWAYS)))}
    chosen |= {key: key for key in differing if key.partition(".")[0] not in named and key not in chosen}
    # Names alone may not tell all jobs apart: the keys that differ within groups join them, at last those of which only
    # some are known.
    for joining in (differing, [key for key in keys if len({each.get(key) for each in flat}) > 1]):
        if _number(flat, chosen) == len({tuple(each.items()) for each in flat}):
            break
        within = [key for key in joining if key not in chosen and not key.startswith(OF_ALL_NAMES)]
        chosen |= {key: key.removesuffix(".name") if key.count(".") == 1 else key for key in within}
    return chosen


def _with_unknown(flat: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    """Return flat configs in which nothing is said of a group whose name is unknown.

    A job of another program's answers has the defaults of this runner in its config. They were not its settings, and
    the path of the default model is not where that program lies.
    """
    keys = dict.fromkeys(key for config in flat for key in config)
    completed = []
    for config in flat:
        dark = {group for group in GROUPS if config.get(f"{group}.name") == UNKNOWN}
        dark |= {"model"} if "backend" in dark else set()
        hidden = [key for key in keys if key.partition(".")[0] in dark and key != "model.name"]
        completed.append(dict(config) | dict.fromkeys(hidden, UNKNOWN))
    return completed


def _number(flat: Sequence[Mapping[str, str]], keys: Iterable[str]) -> int:
    """Count how many of these configs can be told apart by these keys."""
    keys = tuple(keys)
    return len({tuple(each.get(key) for key in keys) for each in flat})


def _below(key: str, groups: Sequence[str]) -> bool:
    return any(key == group or key.startswith(f"{group}.") for group in groups)


def _hosts(flat: Sequence[Mapping[str, str]]) -> list[str]:
    """Return host and port of each endpoint, and the path where several are on one host; a key in them is left out."""
    addresses = [urlsplit(each.get("backend.base_url", "")) for each in flat]
    hosts = [address.netloc.rpartition("@")[2] for address in addresses]
    several = len(set(hosts)) < len({(address.netloc, address.path) for address in addresses})
    return [f"{host}{address.path}" if several else host for host, address in zip(hosts, addresses, strict=True)]


def _judge(config: Mapping[str, Any]) -> str:
    """Say who judged by which rubric; nothing of addresses and prices."""
    judge = config.get("judge") or {}
    names = [str((model or {}).get("name") or word) for word, model in (judge.get("model") or {}).items()]
    rubric = (judge.get("prompt") or {}).get("name") or ""
    return " ".join(filter(None, [str(judge.get("name") or "none"), str(rubric), "+".join(names)]))


def _flatten(config: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(config, Mapping) and config:
        for key, value in config.items():
            yield from _flatten(value, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, "" if config is None else str(config)


def quality_names(results: Sequence[JobFolder]) -> list[str]:
    """Return the measures that stand in the short table: those of the jobs, best known first, two at most."""
    known = dict.fromkeys(
        name.removeprefix("quality/")
        for result in results
        for name in result.metrics
        if name.startswith("quality/") and name.count("/") == 1
    )
    preferred = [name for name in ("exact_match", "cer") if name in known]
    return (preferred + [name for name in known if name not in preferred])[:2]


def judge_names(results: Sequence[JobFolder]) -> list[str]:
    """Return the main measures of judges: `ratio` of a pairwise one, `score` of an absolute one."""
    return [name for name in ("ratio", "score") if any(f"judge/{name}" in result.metrics for result in results)]
