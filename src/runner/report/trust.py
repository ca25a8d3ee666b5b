"""When a candidate's figures are not to be trusted: one small function per reason, listed in CHECKS.

A check looks at one candidate and yields warnings; its text is `trust.<name>` in texts/*.yaml, its limit a key of
`report.trust`. To add one: a function, its line in CHECKS, a phrase in each language.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from runner.report.model import Candidate, Comparison
from runner.studies import parity


@dataclass(frozen=True, slots=True)
class Distrust:
    """Why a candidate is not to be trusted. `candidate` is None where it concerns all of them."""

    candidate: Candidate | None
    text: str


Check = Callable[[Comparison, Candidate], Iterator[str]]


def failed(compared: Comparison, candidate: Candidate) -> Iterator[str]:
    """Answers that never came: who fails on the hard documents looks better on the rest."""
    yield from _share(compared, candidate, "failed", "samples/failed", compared.settings.trust.failed)


def unscored(compared: Comparison, candidate: Candidate) -> Iterator[str]:
    """Answers that came and could not be scored, where others could."""
    total, failures = candidate.metric("samples/total"), candidate.metric("samples/failed") or 0.0
    found, limit = candidate.metric("samples/unscored"), compared.settings.trust.unscored
    if not total or found is None or limit is None or compared.quality(candidate) is None:
        return
    left = found - failures
    if left / total > limit:
        yield _told(compared, "unscored", left, total, limit)


def truncated(compared: Comparison, candidate: Candidate) -> Iterator[str]:
    """Answers cut at the limit of tokens."""
    yield from _share(compared, candidate, "truncated", "samples/truncated", compared.settings.trust.truncated)


def refused(compared: Comparison, candidate: Candidate) -> Iterator[str]:
    """Questions that were declined: by the model in words marked as such, or by the endpoint's content filter."""
    yield from _share(compared, candidate, "refused", "samples/refused", compared.settings.trust.refused)


def overhead(compared: Comparison, candidate: Candidate) -> Iterator[str]:
    """Time that the harness itself took: latencies are then partly ours."""
    share, limit = candidate.metric("harness/overhead_share"), compared.settings.trust.overhead
    if share is not None and limit is not None and share > limit:
        yield compared.texts(
            "trust.overhead", share=compared.texts.number(share, ".1%"), limit=compared.texts.number(limit, ".0%")
        )


def swap_gap(compared: Comparison, candidate: Candidate) -> Iterator[str]:
    """Tell of a judge whose score moves when the two answers change places."""
    gap, limit = candidate.metric("judge/swap_gap"), compared.settings.trust.swap_gap
    if gap is not None and limit is not None and abs(gap) > limit:
        yield compared.texts(
            "trust.swap_gap", gap=compared.texts.number(gap, "+.3f"), limit=compared.texts.number(limit, "g")
        )


def other_questions(compared: Comparison, candidate: Candidate) -> Iterator[str]:
    """Tell of a job that did not answer all the questions that the others did."""
    asked = {sample for sample, _ in candidate.answers}
    if candidate.finished and len(asked) < len(compared.samples):
        yield compared.texts("trust.other_questions", n=len(asked), total=len(compared.samples))


def other_input(compared: Comparison, candidate: Candidate) -> Iterator[str]:
    """Tell of a backend that did not see the same input as the one it is compared with."""
    if (differs := _other_inputs(compared).get(candidate.result.path)) is not None:
        yield compared.texts("trust.other_input", differs=differs)


def whole_pages(compared: Comparison, candidate: Candidate) -> Iterator[str]:
    """Tell of texts of whole pages beside answers to the questions: something has to take the value out of them yet."""
    pages = [bool(one.result.environment.get("whole_pages")) for one in compared.candidates]
    if candidate.result.environment.get("whole_pages") and not all(pages):
        yield compared.texts("trust.whole_pages")


@functools.lru_cache(maxsize=4)
def _other_inputs(compared: Comparison) -> Mapping[Path, str]:
    """Lay the backends side by side once for all candidates; nothing is read where there is only one."""
    backends = {str(candidate.result.config["backend"]["name"]) for candidate in compared.candidates}
    return parity.other_inputs([one.result for one in compared.candidates]) if len(backends) > 1 else {}


CHECKS: Sequence[Check] = (
    *(failed, unscored, truncated, refused, overhead, swap_gap),
    *(other_questions, other_input, whole_pages),
)


def warnings(compared: Comparison) -> list[Distrust]:
    """Return all that speaks against trusting the figures, first what concerns all candidates."""
    found: list[Distrust] = []
    limit = compared.settings.trust.documents
    if limit is not None and compared.measure is not None and 0 < compared.documents < limit:
        found.append(
            Distrust(
                None, compared.texts("trust.documents", n=compared.documents, limit=compared.texts.number(limit, "g"))
            )
        )
    for candidate in compared.candidates:
        if candidate.finished:
            found += [Distrust(candidate, text) for check in CHECKS for text in check(compared, candidate)]
    return found


def _share(compared: Comparison, candidate: Candidate, name: str, metric: str, limit: float | None) -> Iterator[str]:
    total, found = candidate.metric("samples/total"), candidate.metric(metric)
    if total and found is not None and limit is not None and found / total > limit:
        yield _told(compared, name, found, total, limit)


def _told(compared: Comparison, name: str, found: float, total: float, limit: float) -> str:
    say = compared.texts
    share, allowed = say.number(found / total, ".1%"), say.number(limit, ".0%")
    return say(f"trust.{name}", found=f"{found:.0f}", total=f"{total:.0f}", share=share, limit=allowed)
