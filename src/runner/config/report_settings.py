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
from runner.config.values import within

LANGUAGES = ("en", "ru")
# The first parts of the names of tracked metrics; docs/report.md explains these names.
METRIC_GROUPS = (
    "quality", "text", "judge", "latency", "ttft", "tpot", "throughput", "memory", "energy", "cost", "engine", "cache",
    "samples", "harness", "repeats", "confidence", "parity", "load", "goodput", "capacity", "ocr", "race",
    "drift", "wait", "rate_limit",
)  # fmt: skip
# All metrics of these groups are known. The metrics of the other groups depend on the chosen scorers.
METRICS = {
    "latency": ("mean_s", "p50_s", "p95_s", "p99_s"),
    "ttft": ("p50_s", "p95_s", "answer_p50_s", "answer_p95_s"),
    "tpot": ("p50_s",),
    "throughput": ("requests_per_s", "output_tokens_per_s", "chars_per_s"),
    "memory": ("gpu_peak_gib", "cpu_peak_gib", "weights_gib", "kv_reserved_gib", "kv_used_gib", "activation_gib",
               "graphs_gib", "needed_gib"),
    "energy": ("joules_per_request",),
    "cost": ("usd", "usd_per_1000_pages", "paid_usd"),
    "engine": ("load_s", "starts"),
    "cache": ("prefix_hit_rate", "mm_hit_rate"),
    "samples": ("total", "reused", "failed", "unscored", "truncated", "refused"),
    "harness": ("overhead_share",),
    "load": ("offered_per_s", "in_flight_mean", "late_p99_s", "late_share", "held_share"),
    "goodput": ("requests_per_s", "share"),
    "capacity": ("requests_per_second", "pages_per_hour", "usd_per_1000_pages", "at_least_requests_per_second",
                 "below_requests_per_second", "at_least_pages_per_hour", "below_pages_per_hour", "steps", "requests"),
    "wait": ("rate_limit_s", "fault_s", "in_flight_s", "budget_s", "share"),
    "rate_limit": ("concurrency", "refused", "pauses", "waited_s"),
    "ocr": ("mean_s",),
    "race": ("documents", "stopped"),
    "drift": ("spread", "at_least", "at_most", "p50_low_s", "p50_high_s", "p95_low_s", "p95_high_s"),
}  # fmt: skip
TIMES = ("latency", "ttft", "tpot")  # that a service level objective may limit
_WRITTEN = re.compile(r"\s*(<=|>=|==|!=|<|>|=)?\s*(.*?)\s*", re.DOTALL)


@dataclass
class TrustConfig:
    """Limits beyond which the report warns that a figure can't be trusted. Shares are 0 to 1; null: not checked."""

    failed: float | None = 0.01  # share of questions that got no answer
    unscored: float | None = 0.01  # share of answers without a score, not counting failed questions
    truncated: float | None = 0.02  # share of answers cut at sampling.max_tokens
    refused: float | None = 0.02  # share of answers that the model refused or a content filter withheld
    swap_gap: float | None = 1.0  # points by which a judge's score changes when the two answers swap places
    overhead: float | None = 0.1  # share of the request time that is spent in the runner itself
    late: float | None = 0.01  # share of an open load's requests that left more than 10 ms after they were due
    drift: float | None = 0.05  # share by which latencies are shown to differ between blocks (repeats_over_time)
    documents: float | None = 20  # with fewer documents than this, differences are rarely significant


@dataclass
class PicturesConfig:
    """Which pictures are embedded in the report."""

    limit: int = 400  # most distinct pictures; 0: none
    pixels: int = 1000  # length of the longer side, to which larger pictures are reduced
    mib: float = 16.0  # limit for all pictures together


@dataclass
class ReportConfig:
    """How the report decides, and what it shows. Each file in conf/report/ sets these keys."""

    name: str = "default"
    measure: str | None = None  # the measure of quality that decides; null: exact_match, else cer, else the first
    # non-inferiority margin, in units of the measure: a cheaper candidate wins if it is shown to be worse by less
    margin: float = 0.01
    cost: list[str] = field(
        default_factory=lambda: ["cost/usd_per_1000_pages", "memory", "latency/p95_s"]
    )  # the figures that make a candidate cheaper, the most important first
    constraints: dict[str, str] = field(default_factory=dict)  # what a candidate must meet: {latency/p95_s: "<1.5"}
    # service level objective: what users must not wait longer for, in seconds: {ttft/p95_s: 1, latency/p95_s: 3}
    slo: dict[str, float] = field(default_factory=dict)
    pages_per_day: float | None = within(None, 1)  # with load=capacity: how many engines carry so many?
    # the share of a day's pages that come in its busiest hour; null: they come evenly, 1/24 in each
    busiest_hour_share: float | None = within(None, 1 / 24, 1)
    baseline: str | None = None  # a job's name or folder; null: the first job
    confidence: float = 0.95  # of intervals and tests
    language: str = "en"  # en or ru
    trust: TrustConfig = field(default_factory=TrustConfig)
    pictures: PicturesConfig = field(default_factory=PicturesConfig)


@dataclass(frozen=True, slots=True)
class Constraint:
    """A condition that a candidate must meet: a figure or key of the config, `name`, compared by `sign` to `bound`."""

    name: str
    sign: str
    bound: str

    @property
    def is_metric(self) -> bool:
        """Whether `name` is a measured figure, and not a key of the config."""
        return "/" in self.name

    def holds(self, value: float | str) -> bool:
        """Return whether a measured figure, or the value of a key of the config, meets the condition."""
        if isinstance(value, str):
            accepted = [text.strip().lower() for text in self.bound.split("|")]
            return (value.strip().lower() in accepted) == (self.sign == "=")
        bound = float(self.bound)
        compared = {"<": value < bound, "<=": value <= bound, ">": value > bound, ">=": value >= bound}
        return compared.get(self.sign, (value == bound) == (self.sign == "="))

    def __str__(self) -> str:
        """Return the constraint as text, such as `latency/p95_s < 1.5`."""
        return f"{self.name} {self.sign} {self.bound}"


def report_problems(cfg: Any) -> Iterator[Problem]:
    """Yield what is wrong with the report's part of a config: a ReportConfig, or the composed DictConfig."""
    if cfg.language not in LANGUAGES:
        yield Problem(f"{cfg.language!r} is not valid", "report.language", f"one of: {', '.join(LANGUAGES)}")
    if not 0 < cfg.confidence < 1:
        yield Problem(f"{cfg.confidence!r} is out of range", "report.confidence", "between 0 and 1, such as 0.95")
    if not cfg.margin > 0:
        yield Problem(
            f"{cfg.margin!r} is out of range", "report.margin", "above 0, in units of the measure that decides"
        )
    yield from constraint_problems(cfg.constraints)
    yield from _slo_problems(cfg.slo)


def _slo_problems(written: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield what is wrong with a service level objective."""
    known = [f"{group}/{name}" for group in TIMES for name in METRICS[group]]
    for name, limit in written.items():
        where = f"report.slo.{name}"
        if name not in known:
            yield Problem("it is no time that a user waits for", where, f"known: {', '.join(known)}")
        elif not limit > 0:
            yield Problem(f"{limit!r} is out of range", where, "seconds, above 0")


def parse_constraints(written: Mapping[str, Any]) -> list[Constraint]:
    """Parse constraints. Raise ValueError if `constraint_problems` finds a problem."""
    if problems := list(constraint_problems(written)):
        raise ValueError("; ".join(f"{problem.where}: {problem.what}" for problem in problems))
    return [_parse(name, value) for name, value in written.items()]


def constraint_problems(written: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield what is wrong with constraints."""
    for name, value in written.items():
        constraint, where = _parse(name, value), f"report.constraints.{name}"
        group = name.partition("/")[0]
        if constraint.is_metric and group not in METRIC_GROUPS:
            near = difflib.get_close_matches(group, METRIC_GROUPS, n=1)
            hint = f"did you mean {near[0]}/…? " if near else ""
            yield Problem(f"no metric begins with {group!r}", where, f"{hint}known: {', '.join(METRIC_GROUPS)}")
        elif constraint.is_metric and (unknown := unknown_metric(name)):
            yield Problem(unknown, where)
        elif not constraint.is_metric and (unknown := _unknown_key(name)):
            yield Problem(unknown, where, "figures have their group before them: quality/exact_match, latency/p95_s")
        elif not constraint.bound:
            yield Problem("it has no value to compare with", where, 'such as "<1.5"')
        elif constraint.is_metric or constraint.sign in ("<", "<=", ">", ">="):
            try:
                float(constraint.bound)
            except ValueError:
                number = _as_number(constraint.bound)
                remedy = f"write {constraint.sign}{number}" if number else 'a number is needed, such as "<1.5"'
                yield Problem(f"{constraint.bound!r} is not a number", where, remedy)


def unknown_metric(name: str, measured: Iterable[str] = ()) -> str | None:
    """Return the message for a name that is no metric, with a suggestion; None if the name is, or may be, a metric.

    `measured` are the names of metrics that jobs have. With them a name of any group can be checked.
    """
    group, _, rest = name.partition("/")
    known = {f"{group}/{metric}" for metric in METRICS.get(group, ())} | {
        metric for metric in measured if metric.startswith(f"{group}/")
    }
    if name in known or not known or (group not in METRICS and not measured):
        return None
    near = difflib.get_close_matches(name, sorted(known), n=1)
    near = near or [metric for metric in sorted(known) if metric.startswith(name)]
    hint = f"; did you mean {near[0]}?" if near and rest else ""
    return f"there is no metric {name}{hint or '; there are: ' + ', '.join(sorted(known))}"


def _unknown_key(name: str) -> str | None:
    """Return the message for a name without a group that is no key of the config either; None for a key."""
    from runner.config import lookup  # imports this module

    if name in ("licence", "license") or lookup.kind_at(name) is not None:
        return None
    groups = [group for group, metrics in METRICS.items() if name in metrics]
    return f"{name} is no key of the config; did you mean {groups[0] if groups else 'quality'}/{name}?"


def _as_number(text: str) -> str | None:
    """Return `0,5` and `90%` as they are written here, 0.5 and 0.9; None for anything else."""
    match = re.fullmatch(r"([+-]?\d+(?:[.,]\d+)?)\s*(%?)", text)
    if match is None:
        return None
    value = float(match[1].replace(",", "."))
    return f"{value / 100 if match[2] else value:g}"


def _parse(name: str, value: Any) -> Constraint:
    match = _WRITTEN.fullmatch(str(value))
    assert match is not None, "the pattern matches any text"
    sign, bound = match.groups()
    return Constraint(name, {None: "=", "==": "="}.get(sign, sign), bound)
