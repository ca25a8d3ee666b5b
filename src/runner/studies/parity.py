"""Did the backends see the same input, and do their answers agree? `python -m runner.parity SWEEP_DIR`.

Jobs that differ in their backend (and its environment) alone are laid side by side, sample by sample. Only greedy
answers can be expected to agree. What a backend does not report is derived, and the table says from what:

- visual tokens: counted in the prompt's token ids by the engine or our client; else the prompt's tokens less those of
  its text, which another backend with the same prompt counted;
- pixels: reported; else computed by the processor's rule, and confirmed by the number of visual tokens.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runner.asking import visual_input
from runner.base import terminal
from runner.config import decisive
from runner.jobs.folder import JobFolder
from runner.studies.summaries import again

FILE = "parity.json"
_SAMPLING = ("temperature", "top_p", "top_k", "repetition_penalty", "max_tokens", "seed")
Key = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Seen:
    """What one backend saw of one sample. None: it can't be known. `pixels` are (width, height) of each picture."""

    prompt_tokens: int | None
    prompt_digest: str | None
    visual_tokens: int | None
    pixels: tuple[tuple[int, int], ...] | None
    tokens_by: str
    pixels_by: str


@dataclass(frozen=True, slots=True)
class Divergence:
    """Where two answers part: the position of the first token that differs, None without token ids."""

    sample_id: str
    position: int | None
    texts: tuple[str, str]


@dataclass(frozen=True)
class Side:
    """One backend of a comparison."""

    folder: Path
    label: str
    rows: Mapping[Key, Mapping[str, Any]]
    seen: Mapping[Key, Seen]
    sampling: str
    is_greedy: bool


@dataclass(frozen=True)
class Comparison:
    """One backend beside the baseline. Counts are of samples; `compared` have an answer from both."""

    group: str
    baseline: Side
    other: Side
    compared: int
    same_text: int
    with_ids: int
    same_ids: int
    divergences: tuple[Divergence, ...]
    differences: Mapping[str, int] = field(default_factory=dict)  # of the input, by what differs
    proven: int = 0  # samples whose prompts are equal token for token

    @property
    def agreement(self) -> float | None:
        """Return the share of equal answers: token for token where both give ids, else by text."""
        if not self.compared:
            return None
        return self.same_ids / self.with_ids if self.with_ids == self.compared else self.same_text / self.compared


def compare(results: Sequence[JobFolder]) -> list[Comparison]:
    """Lay jobs that differ in their backend alone side by side; the HF engine, else the first, is the baseline."""
    groups: dict[str, list[JobFolder]] = {}
    for result in results:
        if result.has_answers:
            shared = decisive.only(result.config, but=["backend", "env"])
            groups.setdefault(json.dumps(shared, sort_keys=True, default=str), []).append(result)
    found = []
    for group in groups.values():
        group.sort(key=lambda result: _backend(result) != "hf")
        if len({_label(result) for result in group}) > 1:
            sides = _derived([_side(result) for result in group])
            found += [_compared(group[0].name, sides[0], other) for other in sides[1:]]
    return found


def other_inputs(results: Sequence[JobFolder]) -> dict[Path, str]:
    """Return what differs in the input of each job, by its folder, whose backend saw other than the baseline's."""
    return {one.other.folder: f"{_differing(one)}, {one.baseline.label}" for one in compare(results) if one.differences}


def warnings(results: Sequence[JobFolder]) -> list[str]:
    """Return a sentence for each pair of backends that did not see the same input, or that can't be compared."""
    said = []
    for one in compare(results):
        pair = f"{one.group}: {one.other.label} and {one.baseline.label}"
        if one.differences:
            what = _differing(one)
            said.append(f"{pair} did not see the same input ({what}): their answers and figures are not comparable")
        if one.other.sampling != one.baseline.sampling:
            said.append(f"{pair} sampled differently: {one.other.sampling} and {one.baseline.sampling}")
    return said


def _differing(one: Comparison) -> str:
    return ", ".join(f"{name} in {count} of {one.compared}" for name, count in one.differences.items())


# ------------------------------------------------------------------------------------------------- one backend


def _backend(result: JobFolder) -> str:
    return str(result.config["backend"]["name"])


def _label(result: JobFolder) -> str:
    env = str(result.environment.get("env", "")).partition("@")[0]
    return f"{_backend(result)} ({env})" if env not in ("", "current") else _backend(result)


def _side(result: JobFolder) -> Side:
    rows = {(row["sample_id"], row["repeat"]): row for row in result.rows()}
    omitted = result.config["backend"].get("omit") or ()  # configs of old sweeps lack the key
    sampling = {**result.config["sampling"], **dict.fromkeys(omitted, "not sent")}
    given = " ".join(f"{name}={sampling.get(name)}" for name in _SAMPLING)
    rule = _rule(result)
    seen = {key: _seen(row, rule) for key, row in rows.items() if row["error"] is None}
    return Side(result.path, _label(result), rows, seen, given, is_greedy=sampling["temperature"] == 0)


def _rule(result: JobFolder) -> visual_input.ResizeRule | None:
    if result.config["dataset"].get("region") is not None:  # rows name the whole page, and a part of it was sent
        return None
    model, environment = result.config["model"], result.environment
    location, revision = str(environment.get("checkpoint", "")), str(environment.get("checkpoint_digest", ""))
    revision = revision.rpartition("@")[2] if revision.startswith(f"{location}@") else ""
    return visual_input.resize_rule(location, revision, model.get("min_pixels"), model.get("max_pixels"))


def _seen(row: Mapping[str, Any], rule: visual_input.ResizeRule | None) -> Seen:
    sizes = row.get("image_sizes")
    pixels, by = (tuple((int(w), int(h)) for w, h in sizes), "reported") if sizes else (None, "unknown")
    tokens = row.get("image_tokens")
    if pixels is None and rule is not None and row["images"]:
        originals = [_picture(name) for name in row["images"]]
        if all(originals):
            pixels, by = tuple(rule.size(*size) for size in originals if size), "by the processor's rule"
    return Seen(
        prompt_tokens=row.get("prompt_tokens"),
        prompt_digest=row.get("prompt_digest"),
        visual_tokens=tokens,
        pixels=pixels,
        tokens_by="counted in the prompt" if tokens is not None else "unknown",
        pixels_by=by if pixels is None or rule is None else _confirmed(pixels, tokens, rule, by),
    )


@functools.lru_cache(maxsize=4096)
def _picture(name: str) -> tuple[int, int] | None:
    return visual_input.picture_size(name)


def _confirmed(pixels: tuple[tuple[int, int], ...], tokens: int | None, rule: visual_input.ResizeRule, by: str) -> str:
    """Say whether the visual tokens agree with a computed size; a reported one needs no confirmation."""
    if by == "reported" or tokens is None:
        return by
    expected = sum(width * height for width, height in pixels) // rule.unit**2
    return f"{by}, confirmed by the tokens" if expected == tokens else f"{by}, REFUTED by the tokens"


def _derived(sides: Sequence[Side]) -> list[Side]:
    """Fill in visual tokens that a backend doesn't tell: its prompt less the text that another one counted."""
    text: dict[Key, tuple[int, str]] = {}
    for side in sides:
        for key, seen in side.seen.items():
            if seen.visual_tokens is not None and seen.prompt_tokens is not None:
                text.setdefault(key, (seen.prompt_tokens - seen.visual_tokens, side.label))
    filled = []
    for side in sides:
        told = {
            key: _with_text_of(seen, *text[key]) if seen.visual_tokens is None and key in text else seen
            for key, seen in side.seen.items()
        }
        filled.append(dataclasses.replace(side, seen=told))
    return filled


def _with_text_of(seen: Seen, text_tokens: int, label: str) -> Seen:
    if seen.prompt_tokens is None:
        return seen
    visual = seen.prompt_tokens - text_tokens
    return Seen(
        seen.prompt_tokens, seen.prompt_digest, visual, seen.pixels, f"prompt less the text of {label}", seen.pixels_by
    )


# ------------------------------------------------------------------------------------------------ two backends


def _compared(group: str, baseline: Side, other: Side) -> Comparison:
    shared = [key for key in baseline.seen if key in other.seen]
    same_text = with_ids = same_ids = 0
    parted = []
    for key in shared:
        one, two = baseline.rows[key], other.rows[key]
        position = first_difference(one.get("token_ids"), two.get("token_ids"))
        has_ids = one.get("token_ids") is not None and two.get("token_ids") is not None
        same_text += one["text"] == two["text"]
        with_ids += has_ids
        same_ids += has_ids and position is None
        if one["text"] != two["text"] or position is not None:
            parted.append(Divergence(key[0], position, (one["text"], two["text"])))
    differences, proven = _input_differences([(baseline.seen[key], other.seen[key]) for key in shared])
    return Comparison(
        group, baseline, other, len(shared), same_text, with_ids, same_ids, tuple(parted), differences, proven
    )


def first_difference(one: Sequence[int] | None, other: Sequence[int] | None) -> int | None:
    """Return the position, from 0, of the first token that differs; None where they are equal or one is unknown."""
    if one is None or other is None or list(one) == list(other):
        return None
    shorter = min(len(one), len(other))
    return next((at for at in range(shorter) if one[at] != other[at]), shorter)


def _input_differences(pairs: Iterable[tuple[Seen, Seen]]) -> tuple[dict[str, int], int]:
    """Count the samples in which two backends saw something else, by what differs, and those proven equal."""
    counted: Counter[str] = Counter()
    proven = 0
    for one, other in pairs:
        facts = {
            "prompt tokens": (one.prompt_tokens, other.prompt_tokens),
            "visual tokens": (one.visual_tokens, other.visual_tokens),
            "pixels": (one.pixels, other.pixels),
            "prompt ids": (one.prompt_digest, other.prompt_digest),
        }
        counted.update(name for name, (a, b) in facts.items() if a is not None and b is not None and a != b)
        proven += one.prompt_digest is not None and one.prompt_digest == other.prompt_digest
    return dict(counted), proven


# --------------------------------------------------------------------------------------------------- the table


def show(comparisons: Sequence[Comparison]) -> None:
    """Print a row for each backend, how it sampled, and the first answers that part."""
    from rich.table import Table
    from rich.text import Text

    out = terminal.console()
    table = Table(title="backend parity", title_justify="left", header_style="bold")
    for name in ("job", "backend", "answers as the baseline's", "prompt tokens", "visual tokens", "pixels", "input"):
        table.add_column(name)
    told: set[int] = set()
    for one in comparisons:
        if id(one.baseline) not in told:
            told.add(id(one.baseline))
            table.add_row(*map(Text, (one.group, *_cells(one.baseline, "(the baseline)", ""))))
        table.add_row(*map(Text, (one.group, *_cells(one.other, _agreement(one), _input(one)))))
    out.print()
    out.print(table)
    for line in _lines(comparisons):
        out.print(line, highlight=False, markup=False, soft_wrap=True)


def _cells(side: Side, agreement: str, same_input: str) -> tuple[str, ...]:
    seen = side.seen.values()
    return (
        side.label,
        agreement,
        _range(one.prompt_tokens for one in seen),
        f"{_range(one.visual_tokens for one in seen)}\n{_how(one.tokens_by for one in seen)}",
        f"{_sizes(seen)}\n{_how(one.pixels_by for one in seen)}",
        same_input,
    )


def _agreement(one: Comparison) -> str:
    if not one.compared:
        return "no answer from both"
    said = f"{one.same_text} of {one.compared} texts"
    if one.with_ids:
        said += f"\n{one.same_ids} of {one.with_ids} token for token"
    if positions := sorted(part.position for part in one.divergences if part.position is not None):
        said += f"\nfirst parting: token {positions[0]} (median {positions[len(positions) // 2]})"
    return said if one.with_ids else f"{said}\n(no token ids)"


def _input(one: Comparison) -> str:
    if one.differences:
        return "DIFFERS: " + ", ".join(f"{name} ({count})" for name, count in one.differences.items())
    if one.proven == one.compared:
        return "the same, token for token"
    return "the same as far as is known"


def _lines(comparisons: Sequence[Comparison]) -> Iterator[str]:
    """Yield what the table has no room for."""
    for one in comparisons:
        pair = f"{one.group}, {one.baseline.label} and {one.other.label}"
        if one.baseline.sampling == one.other.sampling:
            greedy = "" if one.baseline.is_greedy else "; not greedy: answers are not expected to agree"
            yield f"{pair}: both were sent {one.baseline.sampling}{greedy}"
        else:
            yield f"{pair}: SAMPLING DIFFERS: {one.baseline.sampling} | {one.other.sampling}"
        for part in one.divergences[:3]:
            at = "" if part.position is None else f" from token {part.position}"
            yield f"  sample {part.sample_id}{at}: {part.texts[0][:80]!r} | {part.texts[1][:80]!r}"


def _range(values: Iterable[int | None]) -> str:
    known = sorted({value for value in values if value is not None})
    if not known:
        return "unknown"
    return str(known[0]) if len(known) == 1 else f"{known[0]} to {known[-1]}"


def _sizes(seen: Iterable[Seen]) -> str:
    sizes = Counter(size for one in seen for size in one.pixels or ())
    if not sizes:
        return "unknown"
    (width, height), _ = sizes.most_common(1)[0]
    return f"{width} x {height}" + (f" and {len(sizes) - 1} more" if len(sizes) > 1 else "")


def _how(sources: Iterable[str]) -> str:
    return ", ".join(f"({source})" for source in dict.fromkeys(sources) if source != "unknown")


# -------------------------------------------------------------------------------------------------- the command


def summarise(folder: Path, results: Sequence[JobFolder]) -> list[Path]:
    """Print the table, keep all that it rests on beside the sweep's report, and return that file."""
    comparisons = compare(results)
    if not comparisons:
        terminal.say(f"no backends to compare in {folder}: it needs jobs that differ in backend alone")
        return []
    show(comparisons)
    for warning in warnings(results):
        terminal.say(f"WARNING: {warning}")
    told = [_record(one) for one in comparisons]
    (folder / FILE).write_text(json.dumps(told, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    terminal.say(f"parity:  {folder / FILE}")
    return [folder / FILE]


def _record(one: Comparison) -> dict[str, Any]:
    sides = {"baseline": one.baseline, "other": one.other}
    return {
        "job": one.group,
        **{name: side.label for name, side in sides.items()},
        "compared": one.compared,
        "same_text": one.same_text,
        "with_ids": one.with_ids,
        "same_ids": one.same_ids,
        "agreement": one.agreement,
        "input_differs": dict(one.differences),
        "input_proven_equal": one.proven,
        "sampling": {name: side.sampling for name, side in sides.items()},
        "divergences": [dataclasses.asdict(part) for part in one.divergences],
        "seen": {
            name: [
                {"sample_id": key[0], "repeat": key[1], **dataclasses.asdict(seen)} for key, seen in side.seen.items()
            ]
            for name, side in sides.items()
        },
    }


def main(arguments: Sequence[str]) -> int:
    """Compare the backends of a sweep that has ended. Return 1 where they did not see the same input."""
    return 1 if warnings(again("parity", __doc__, arguments)) else 0
