"""The report's part of a config (`report.*`), and the syntax of its constraints.

constraints: {latency/p95_s: "<1.5", quality/cer: "<=0.05", licence: "apache-2.0|mit", model.family: "!=legacy"}
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from runner.base.errors import Problem

LANGUAGES = ("en", "ru")
# First parts of the names of tracked metrics: DESIGN of names is in docs/report.md.
METRIC_GROUPS = (
    "quality", "text", "judge", "latency", "ttft", "tpot", "throughput", "memory", "energy", "engine", "cache",
    "samples", "harness", "repeats", "parity",
)  # fmt: skip
# The metrics of these groups are all known; those of the others depend on what scores.
METRICS = {
    "latency": ("mean_s", "p50_s", "p95_s", "p99_s"),
    "ttft": ("p50_s", "p95_s"),
    "tpot": ("p50_s",),
    "throughput": ("requests_per_s", "output_tokens_per_s", "chars_per_s"),
    "memory": ("gpu_peak_gib", "cpu_peak_gib", "weights_gib", "kv_reserved_gib", "kv_used_gib", "activation_gib",
               "graphs_gib", "needed_gib"),
    "energy": ("joules_per_request",),
    "engine": ("load_s", "starts"),
    "cache": ("prefix_hit_rate", "mm_hit_rate"),
    "samples": ("total", "reused", "failed", "unscored", "truncated", "refused"),
    "harness": ("overhead_share",),
}  # fmt: skip
_WRITTEN = re.compile(r"\s*(<=|>=|==|!=|<|>|=)?\s*(.*?)\s*", re.DOTALL)


@dataclass
class TrustConfig:
    """From which value on a figure is not to be trusted. Shares are 0 to 1; null: not looked at."""

    failed: float | None = 0.01  # answers that never came
    unscored: float | None = 0.01  # answers without a score, beyond those that failed
    truncated: float | None = 0.02  # answers cut at sampling.max_tokens
    refused: float | None = 0.02  # answers that decline, and questions that a content filter withheld the answer of
    swap_gap: float | None = 1.0  # points by which a judge's score moves when the two answers change places
    overhead: float | None = 0.1  # of the request time that the harness itself takes
    documents: float | None = 20  # fewer documents than this decide little


@dataclass
class PicturesConfig:
    """Which pictures travel with the page."""

    limit: int = 400  # different pictures; 0: none
    pixels: int = 1000  # of the longer side; larger ones are made smaller
    mib: float = 16.0  # all of them together


@dataclass
class ReportConfig:
    """What decides, and how the report looks. One file in conf/report/."""

    name: str = "default"
    measure: str | None = None  # the measure of quality that decides; null: exact_match, else cer, else the first
    margin: float = 0.01  # a cheaper candidate is taken if it is shown to be worse by less than this (in its units)
    cost: list[str] = field(default_factory=lambda: ["memory", "latency/p95_s"])  # what `cheaper` means, in this order
    constraints: dict[str, str] = field(default_factory=dict)  # what a candidate must meet: {latency/p95_s: "<1.5"}
    baseline: str | None = None  # a job's name or folder; null: the first job
    confidence: float = 0.95  # of intervals and tests
    language: str = "en"  # en or ru
    trust: TrustConfig = field(default_factory=TrustConfig)
    pictures: PicturesConfig = field(default_factory=PicturesConfig)


@dataclass(frozen=True, slots=True)
class Constraint:
    """What a candidate must meet: the figure (or key of the config) `name`, compared by `sign` with `bound`."""

    name: str
    sign: str
    bound: str

    @property
    def is_metric(self) -> bool:
        """Tell a measured figure from a key of the config."""
        return "/" in self.name

    def holds(self, value: float | str) -> bool:
        """Compare a measured figure, or what a config says."""
        if isinstance(value, str):
            known = [one.strip().lower() for one in self.bound.split("|")]
            return (value.strip().lower() in known) == (self.sign == "=")
        bound = float(self.bound)
        compared = {"<": value < bound, "<=": value <= bound, ">": value > bound, ">=": value >= bound}
        return compared.get(self.sign, (value == bound) == (self.sign == "="))

    def __str__(self) -> str:
        """Return the constraint as people write it."""
        return f"{self.name} {self.sign} {self.bound}"


def report_problems(cfg: Any) -> Iterator[Problem]:
    """Yield what is wrong with the report's part of a config, a ReportConfig or the same as composed."""
    if cfg.language not in LANGUAGES:
        yield Problem(f"{cfg.language!r} is not valid", "report.language", f"one of: {', '.join(LANGUAGES)}")
    if not 0 < cfg.confidence < 1:
        yield Problem(f"{cfg.confidence!r} is out of range", "report.confidence", "between 0 and 1, such as 0.95")
    if not cfg.margin > 0:
        yield Problem(
            f"{cfg.margin!r} is out of range", "report.margin", "above 0, in units of the measure that decides"
        )
    yield from constraint_problems(cfg.constraints)


def parse_constraints(written: Mapping[str, Any]) -> list[Constraint]:
    """Read constraints; those that `constraint_problems` refuses raise ValueError."""
    if problems := list(constraint_problems(written)):
        raise ValueError("; ".join(f"{one.where}: {one.what}" for one in problems))
    return [_parse(name, value) for name, value in written.items()]


def constraint_problems(written: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield what is wrong with constraints."""
    for name, value in written.items():
        one, where = _parse(name, value), f"report.constraints.{name}"
        group = name.partition("/")[0]
        if one.is_metric and group not in METRIC_GROUPS:
            near = difflib.get_close_matches(group, METRIC_GROUPS, n=1)
            hint = f"did you mean {near[0]}/…? " if near else ""
            yield Problem(f"no metric begins with {group!r}", where, f"{hint}known: {', '.join(METRIC_GROUPS)}")
        elif one.is_metric and (told := unknown_metric(name)):
            yield Problem(told, where)
        elif not one.bound:
            yield Problem("it says nothing to compare with", where, 'such as "<1.5"')
        elif one.is_metric or one.sign in ("<", "<=", ">", ">="):
            try:
                float(one.bound)
            except ValueError:
                yield Problem(f"{one.bound!r} is not a number", where, 'a metric is compared with one, such as "<1.5"')


def unknown_metric(name: str, measured: Iterable[str] = ()) -> str | None:
    """Say what was meant by the name of a metric that there is not; None where there is one, or may be.

    `measured` are names that jobs have: with them a name of any group is looked up.
    """
    group, _, rest = name.partition("/")
    known = {f"{group}/{one}" for one in METRICS.get(group, ())} | {
        one for one in measured if one.startswith(f"{group}/")
    }
    if name in known or not known or (group not in METRICS and not measured):
        return None
    near = difflib.get_close_matches(name, sorted(known), n=1) or [one for one in sorted(known) if one.startswith(name)]
    hint = f"; did you mean {near[0]}?" if near and rest else ""
    return f"there is no metric {name}{hint or '; there are: ' + ', '.join(sorted(known))}"


def _parse(name: str, value: Any) -> Constraint:
    found = _WRITTEN.fullmatch(str(value))
    assert found is not None, "the pattern takes any text"
    sign, bound = found.groups()
    return Constraint(name, {None: "=", "==": "="}.get(sign, sign), bound)
