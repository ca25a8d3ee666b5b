"""What a reader of a job's figures must know: what they leave out, and what was odd about its answers."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any

from backends import chunks
from runner.asking.questions import Generated
from runner.jobs.figures import Seen, limited, waits

KEEPS_UP = 0.05  # share of the requests that may still be unanswered at the end of an open load that is borne
WAITED = 0.1  # share of the time of requests that they may wait without a note
GATHERED = 0.2  # share of the streamed answers whose tokens came all at once that is borne
REMARKED = 5  # pictures that a note names, the rest counted
# What requests waited for, by the cause of `waits.CAUSES`.
CAUSES = {
    "rate_limit": "for the provider's rate limits",
    "fault": "after faults, before the next attempt",
    "in_flight": "for our own limit of requests at once (backend.adapt_concurrency, load.max_in_flight)",
    "budget": "for the budget (budget_usd)",
}
# What is told of answers with a remark of `Generation.remarks`.
REMARKS = {
    "refusal": "are refusals: the model declined, and its words are scored (samples/refused)",
    "cut_before_answer": "were cut by sampling.max_tokens while the model was thinking, so there is none: raise it",
    "only_reasoning": "hold reasoning and nothing after it, and are scored as empty: does the reasoning parser fit?",
    "reasoning_in_content": "held reasoning before the answer (<think>): it is kept as `reasoning`, and not scored",
    "tool_calls": "called a tool beside their text: only the text is scored",
    "other_choices": "came with further choices: only the first (index 0) is read",
    "end_of_turn": "end with a token such as <|im_end|>, which the server left in the text: it is scored with it",
    "boxed": "held <|begin_of_box|> and <|end_of_box|>, which the server left in the text: they are taken out",
    "no_finish_reason": "came without a finish_reason: whether they were cut off is not known",
    "repeated_messages": "came as messages of which each repeats all before: the last one is read",
    "not_streamed": "were not streamed: they have no time to the first token and none per token",
}


def remarks(generated: Generated) -> Iterator[str]:
    """Yield what is odd about pictures that were shown all the same: one line for each kind, with the first names."""
    for what, names in generated.remarks.items():
        first = ", ".join(itertools.islice(names, REMARKED))
        more = f" and {len(names) - REMARKED} more" if len(names) > REMARKED else ""
        yield f"picture {first}{more}: {what}"


def _load_notes(seen: Seen, measured: Mapping[str, Any] | None) -> Iterator[str]:
    """Yield what a reader must know of an open load, and of an objective."""
    if seen.unsettled:
        yield f"{seen.unsettled} answers were due before the load had settled (load.settle_s): their times don't count"
    if measured and measured.get("held"):
        yield (
            f"{measured['held']} requests waited on our side, as many as load.max_in_flight allows being under way: "
            "the engine was offered less than the load says"
        )
    if measured and "due" in measured and measured["wall_s"]:
        ended = measured.get("ended") or measured["answered"]
        behind = measured["due"] - ended
        if behind > max(KEEPS_UP * measured["due"], 2 * math.sqrt(measured["due"])):
            yield (
                f"the engine did not keep up: {measured['due']} requests were due in the settled part of the load and "
                f"{ended} of them ended in it; the longer such a load lasts, the longer its latencies"
            )
    if seen.slo:
        limits = ", ".join(f"{limited(name)} <= {limit:g} s" for name, limit in seen.slo.items())
        yield f"goodput counts answers with {limits} (report.slo)"
    if seen.unknown:
        yield f"no goodput: of {seen.unknown} answers it is not known whether they kept within report.slo"


def _waited(measured: Mapping[str, Any] | None) -> Iterator[str]:
    """Yield what requests waited for, where that was a large share of their time."""
    known = waits(measured) if measured else {}
    if known.get("wait/share", 0.0) <= WAITED:
        return
    assert measured is not None
    causes = [f"{known[f'wait/{cause}_s']:.3g} s {what}" for cause, what in CAUSES.items() if known[f"wait/{cause}_s"]]
    where = (
        "latencies contain it, since they count from when requests were due"
        if "due" in measured
        else "no latency contains it, and throughput is lower for it"
    )
    share = f"{known['wait/share']:.0%}"
    yield f"requests waited {share} of their time: {', '.join(causes)} (summed over requests); {where}"


def _gathered(seen: Seen) -> Iterator[str]:
    """Yield that the times within answers are not the engine's, where their tokens came all at once."""
    if seen.at_once > GATHERED * seen.streamed:
        yield (
            f"in {seen.at_once} of {seen.streamed} answers all tokens came at once: a proxy gathers the stream, or an "
            "engine on the same machine keeps this program from its cores. So ttft and tpot are not the engine's; "
            "latency is"
        )


def not_sent(seen: Seen) -> list[str]:
    """Return the settings that an endpoint refused, so that they were left out of some requests."""
    return sorted(word.partition("=")[2] for word in seen.remarks if word.startswith("not_sent="))


def _adaptations(seen: Seen) -> Iterator[str]:
    """Yield how requests were changed because the endpoint refused parts of them."""
    for name in not_sent(seen):
        what = f"{seen.remarks[f'not_sent={name}']} answers were made without {name}, which the endpoint refuses"
        then = "so it may not count tokens" if name == "stream_options" else "its own value holds"
        yield f"{what}: {then} (++model.request.{name}=null says so beforehand)"
    for word, count in sorted(seen.remarks.items()):
        if word.startswith("sent_as="):
            name, _, other = word.partition("=")[2].partition(":")
            yield f"{name} was sent as {other} for {count} answers, since the endpoint refuses its own name"


def notes(generated: Generated, seen: Seen) -> list[str]:
    """Return what a reader of the figures must know: what they leave out, and what the engine labelled."""
    noted = [*generated.notes, *remarks(generated)]
    if failed := len(generated.failures):
        first = next(iter(generated.failures.values())).error
        noted.append(f"{failed} of {seen.total} answers failed, the first: {first.message if first else ''}"[:300])
    if seen.asked_again:
        since = "counts from when they were due" if seen.unsettled or seen.late else "is the last attempt's"
        noted.append(f"{seen.asked_again} answers took more than one attempt; their latency {since}")
    if seen.filtered:
        noted.append(f"{seen.filtered} of {seen.total} questions were refused by the endpoint's content filter")
    if seen.empty:
        noted.append(f"{seen.empty} of {seen.total} answers are empty, and are scored as such")
    if told := seen.truncated - seen.remarks["cut_before_answer"]:
        noted.append(
            f"{told} of {seen.total} answers were cut off by a limit of tokens (sampling.max_tokens, or the endpoint's "
            "own), and are scored as they stand"
        )
    noted += [f"{seen.remarks[word]} answers {what}" for word, what in REMARKS.items() if seen.remarks[word]]
    noted += _adaptations(seen)
    for word, count in sorted(seen.remarks.items()):
        raw = word.removeprefix("finish_reason=")
        if raw != word and chunks.meaning(raw) is None:
            noted.append(
                f"{count} answers ended with finish_reason {raw!r}, which is not known here: were they cut off?"
            )
    if seen.lowered:
        noted.append(
            f"{seen.lowered} answers were read at fewer pixels, memory having run out (backend.oom_policy="
            "reduce_pixels): lowered_max_pixels in answers.jsonl says which"
        )
    if not generated.timed:
        return [*noted, "answers were reused from other conditions: no latency, throughput or memory is reported"]
    noted += _gathered(seen)
    noted += _waited(generated.measured)
    noted += _load_notes(seen, generated.measured)
    if generated.measured is None:
        return [*noted, "nothing was asked anew and no measurement is stored: no throughput or memory is reported"]
    asked, needed = generated.measured["asked"], len(set(generated.keys.values()))
    if asked < needed:
        noted.append(f"throughput and memory were measured over {asked} of {needed} answers")
    return [*noted, *generated.measured["stats"].get("notes", ())]
