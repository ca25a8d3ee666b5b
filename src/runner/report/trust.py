"""Checks whether a candidate's figures can be trusted: one small function per reason, listed in CHECKS.

A check looks at one candidate and yields warnings. Its text is `trust.<name>` in texts/*.yaml, its limit is a key of
`report.trust`. To add a check, write a function, its line in CHECKS, and a phrase in each language.
"""

from __future__ import annotations

import functools
import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from runner.jobs.results import UNKNOWN
from runner.report import drifts, schema_modes
from runner.report.model import Candidate, Comparison
from runner.studies.parity import comparison as parity


@dataclass(frozen=True, slots=True)
class Distrust:
    """A reason not to trust a candidate's figures. `candidate` is None if it concerns all of them."""

    candidate: Candidate | None
    text: str


TOKEN_AREAS = (28 * 28, 32 * 32)  # pixels of a visual token: Qwen2-VL and Qwen2.5-VL; Qwen3-VL, Qwen3.5 and Qwen3.6

Check = Callable[[Comparison, Candidate], Iterator[str]]


def failed(compared: Comparison, candidate: Candidate) -> Iterator[str]:
    """Warn of failed answers: a candidate that fails on the hard documents looks better on the rest."""
    yield from _share(compared, candidate, "failed", "samples/failed", compared.settings.trust.failed)


def unscored(compared: Comparison, candidate: Candidate) -> Iterator[str]:
    """Warn of answers that arrived and could not be scored."""
    total, failures = candidate.metric("samples/total"), candidate.metric("samples/failed") or 0.0
    without_score, limit = candidate.metric("samples/unscored"), compared.settings.trust.unscored
    if not total or without_score is None or limit is None or compared.quality(candidate) is None:
        return
    left = without_score - failures
    if left / total > limit:
        yield _warning(compared, "unscored", left, total, limit)


def truncated(compared: Comparison, candidate: Candidate) -> Iterator[str]:
    """Warn of answers cut off at the limit of tokens."""
    yield from _share(compared, candidate, "truncated", "samples/truncated", compared.settings.trust.truncated)


def refused(compared: Comparison, candidate: Candidate) -> Iterator[str]:
    """Warn of refused questions: the endpoint marked the answer as a refusal, or its content filter blocked it."""
    yield from _share(compared, candidate, "refused", "samples/refused", compared.settings.trust.refused)


def overhead(compared: Comparison, candidate: Candidate) -> Iterator[str]:
    """Warn of time that the harness itself took: the latencies then include our own overhead."""
    share, limit = candidate.metric("harness/overhead_share"), compared.settings.trust.overhead
    if share is not None and limit is not None and share > limit:
        yield compared.texts(
            "trust.overhead", share=compared.texts.number(share, ".1%"), limit=compared.texts.number(limit, ".0%")
        )


def late(compared: Comparison, candidate: Candidate) -> Iterator[str]:
    """Warn of requests of an open load that left late: the engine then had another load than the one that is named."""
    share, limit = candidate.metric("load/late_share"), compared.settings.trust.late
    if share is not None and limit is not None and share > limit:
        say = compared.texts
        worst = say.number(1000 * (candidate.metric("load/late_p99_s") or 0.0), ".0f")
        yield say("trust.late", share=say.number(share, ".1%"), limit=say.number(limit, ".0%"), worst=worst)


def drifted(compared: Comparison, candidate: Candidate) -> Iterator[str]:
    """Warn of a candidate that became slower or faster by itself; what all do together is told of once."""
    found = drifts.look(compared)
    if found is None or (found.together is not None and drifts.matters(compared, found.together)):
        return
    own = found.alone.get(candidate)
    if own is not None and drifts.matters(compared, own):
        yield drifts.told(compared, own, candidate.label)


def swap_gap(compared: Comparison, candidate: Candidate) -> Iterator[str]:
    """Warn of a judge whose score changes when the two answers are swapped."""
    gap, limit = candidate.metric("judge/swap_gap"), compared.settings.trust.swap_gap
    if gap is not None and limit is not None and abs(gap) > limit:
        yield compared.texts(
            "trust.swap_gap", gap=compared.texts.number(gap, "+.3f"), limit=compared.texts.number(limit, "g")
        )


def other_questions(compared: Comparison, candidate: Candidate) -> Iterator[str]:
    """Warn of a job that was not asked all the questions of the others."""
    asked = {sample for sample, _ in candidate.answers}
    # What a race cut short says so in its name.
    if candidate.finished and not candidate.result.cut_short and len(asked) < len(compared.samples):
        yield compared.texts("trust.other_questions", n=len(asked), total=len(compared.samples))


def other_input(compared: Comparison, candidate: Candidate) -> Iterator[str]:
    """Warn of a backend that did not see the same input as the backend that it is compared with."""
    if (differs := _other_inputs(compared).get(candidate.result.path)) is not None:
        yield compared.texts("trust.other_input", differs=differs)


def whole_pages(compared: Comparison, candidate: Candidate) -> Iterator[str]:
    """Warn of a candidate that returns the text of whole pages, if others answer the questions themselves."""
    pages = [bool(other.result.environment.get("whole_pages")) for other in compared.candidates]
    if candidate.result.environment.get("whole_pages") and not all(pages):
        yield compared.texts("trust.whole_pages")


def schema_mode(compared: Comparison, candidate: Candidate) -> Iterator[str]:
    """Warn of candidates that were held to a schema, beside others that were not, unless each was run both ways."""
    modes = {schema_modes.mode(other) for other in compared.candidates}
    paired = {candidate.name for pair in schema_modes.pairs(compared) for candidate in pair}
    if len(modes) > 1 and schema_modes.ENFORCED in modes and len(paired) < len(compared.candidates):
        yield compared.texts(f"trust.schema_mode.{schema_modes.mode(candidate) or 'none'}")


def output_adapters(compared: Comparison, candidate: Candidate) -> Iterator[str]:
    """Say what turned a candidate's pages into Markdown, where others had something else (`metrics=[page]`)."""
    if "page" in candidate.result.config.get("metrics", {}) and len(set(map(_adapters, compared.candidates))) > 1:
        yield compared.texts(
            "trust.output_adapters", adapters=_adapters(candidate) or compared.texts("trust.no_adapter")
        )


def _adapters(candidate: Candidate) -> str:
    return ", ".join(candidate.result.config["model"].get("output_adapters") or ())


def pixels(compared: Comparison, candidate: Candidate) -> Iterator[str]:
    """Warn of models that saw pages of other sizes, unless each model was run with the same limits."""
    if _unlike(compared, _limits) and not _same_tokens(compared):
        yield compared.texts("trust.pixels", limits=_limits(candidate) or compared.texts("trust.own_limits"))


def _limits(candidate: Candidate) -> str:
    model = candidate.result.config["model"]
    named = (name for name in ("min_pixels", "max_pixels") if model.get(name) is not None)
    return ", ".join(f"model.{name} {model[name]}" for name in named)


def _same_tokens(compared: Comparison) -> bool:
    """Tell whether all limits come to one number of visual tokens: 1,003,520 pixels are 1280 of 28 x 28.

    The models' files limit Qwen2-VL and Qwen3-VL so. A limit is chosen in tokens, since these are what it costs.
    """
    models = [candidate.result.config["model"] for candidate in _of_known_settings(compared)]
    if any(model.get("max_pixels") is None or model.get("min_pixels") is not None for model in models):
        return False
    return bool(set.intersection(*({model["max_pixels"] / area for area in TOKEN_AREAS} for model in models)))


def prompts(compared: Comparison, candidate: Candidate) -> Iterator[str]:
    """Warn of models that were asked in other words, unless each model was asked with the same prompts."""
    if _unlike(compared, _prompt):
        prompt = candidate.result.config.get("prompt") or {}
        yield compared.texts("trust.prompts", prompt=prompt.get("name") or compared.texts("trust.no_name"))


def _prompt(candidate: Candidate) -> str:
    """Return everything that decides how questions are worded; the schema's mode has a check of its own."""
    prompt = candidate.result.config.get("prompt") or {}
    words = {name: value for name, value in prompt.items() if name != "schema_mode"}
    return json.dumps(words, sort_keys=True, ensure_ascii=False, default=str)


def _unlike(compared: Comparison, setting: Callable[[Candidate], str]) -> bool:
    """Tell whether one model was run with other values of a setting than another one.

    A setting that is swept over with every model is an axis of the comparison, and the candidates' names tell of it.
    """
    by_model: dict[str, set[str]] = defaultdict(set)
    for candidate in _of_known_settings(compared):
        by_model[str(candidate.result.config["model"]["name"])].add(setting(candidate))
    return len(set(map(frozenset, by_model.values()))) > 1


def _of_known_settings(compared: Comparison) -> list[Candidate]:
    """Return the finished candidates of this program. What another program did is not known."""
    return [one for one in compared.candidates if one.finished and UNKNOWN not in one.choice.values()]


@functools.lru_cache(maxsize=4)
def _other_inputs(compared: Comparison) -> Mapping[Path, str]:
    """Return how the input of each job differs, by its folder. Cached for all candidates; empty with one backend."""
    backends = {str(candidate.result.config["backend"]["name"]) for candidate in compared.candidates}
    return parity.other_inputs([candidate.result for candidate in compared.candidates]) if len(backends) > 1 else {}


CHECKS: Sequence[Check] = (
    *(failed, unscored, truncated, refused, overhead, late, drifted, swap_gap),
    *(other_questions, other_input, whole_pages, schema_mode, output_adapters, pixels, prompts),
)


def warnings(compared: Comparison) -> list[Distrust]:
    """Return all warnings, first those that concern all candidates."""
    distrusts: list[Distrust] = []
    limit = compared.settings.trust.documents
    if limit is not None and compared.measure is not None and 0 < compared.documents < limit:
        distrusts.append(
            Distrust(
                None, compared.texts("trust.documents", n=compared.documents, limit=compared.texts.number(limit, "g"))
            )
        )
    found = drifts.look(compared)
    if found is not None and found.together is not None and drifts.matters(compared, found.together):
        distrusts.append(Distrust(None, drifts.told(compared, found.together, compared.texts("drift.all"))))
    for candidate in compared.candidates:
        if candidate.finished:
            distrusts += [Distrust(candidate, text) for check in CHECKS for text in check(compared, candidate)]
    return distrusts


def _share(compared: Comparison, candidate: Candidate, name: str, metric: str, limit: float | None) -> Iterator[str]:
    total, count = candidate.metric("samples/total"), candidate.metric(metric)
    if total and count is not None and limit is not None and count / total > limit:
        yield _warning(compared, name, count, total, limit)


def _warning(compared: Comparison, name: str, count: float, total: float, limit: float) -> str:
    say = compared.texts
    share, allowed = say.number(count / total, ".1%"), say.number(limit, ".0%")
    return say(f"trust.{name}", found=f"{count:.0f}", total=f"{total:.0f}", share=share, limit=allowed)
