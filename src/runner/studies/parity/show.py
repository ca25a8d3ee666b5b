"""The table of a comparison of backends, and the lines under it."""

from __future__ import annotations

import dataclasses
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from runner.base import terminal, terminal_table
from runner.studies.parity.comparison import Comparison
from runner.studies.parity.seen import Seen, Side

FILE = "parity.json"
_HEADER = ("job", "backend", "answers as the baseline's", "prompt tokens", "visual tokens", "pixels", "input")
_WEIGHTS = {"input": 3, "answers as the baseline's": 2, "visual tokens": 1}  # what stays where there is little room
_NARROW = 26  # columns


def show(comparisons: Sequence[Comparison]) -> None:
    """Print a row for each backend, how it sampled, and the first answers that part."""
    rows: list[tuple[str, ...]] = []
    numbers: set[int] = set()
    for comparison in comparisons:
        if id(comparison.baseline) not in numbers:
            numbers.add(id(comparison.baseline))
            rows.append((comparison.group, *_cells(comparison.baseline, "(the baseline)", "")))
        rows.append((comparison.group, *_cells(comparison.other, _agreement(comparison), _input(comparison))))
    columns = [
        dataclasses.replace(
            comparison, narrow=tuple(map(_narrow, comparison.cells)), weight=_WEIGHTS.get(comparison.name, 0)
        )
        for comparison in terminal_table.columns(_HEADER, rows, identity=2, text=len(_HEADER))
    ]
    terminal_table.show(terminal.console(), columns, elsewhere=FILE, title="backend parity")
    for line in _lines(comparisons):
        terminal.say(line)


def _cells(side: Side, agreement: str, same_input: str) -> tuple[str, ...]:
    seen = side.seen.values()
    return (
        side.label,
        agreement,
        _range(answer.prompt_tokens for answer in seen),
        f"{_range(answer.visual_tokens for answer in seen)}\n{_how(answer.tokens_by for answer in seen)}",
        f"{_sizes(seen)}\n{_how(answer.pixels_by for answer in seen)}"
        + (f"\n(qwen-vl-utils {side.qwen_vl_utils})" if side.qwen_vl_utils else ""),
        same_input,
    )


def _narrow(cell: str) -> str:
    return "\n".join(part for line in cell.split("\n") for part in textwrap.wrap(line, _NARROW))


def _agreement(comparison: Comparison) -> str:
    if not comparison.compared:
        return "no answer from both"
    said = f"{comparison.same_text} of {comparison.compared} texts"
    if comparison.with_ids:
        said += f"\n{comparison.same_ids} of {comparison.with_ids} token for token"
    if positions := sorted(part.position for part in comparison.divergences if part.position is not None):
        said += f"\nfirst parting: token {positions[0]} (median {positions[len(positions) // 2]})"
    return said if comparison.with_ids else f"{said}\n(no token ids)"


def _input(comparison: Comparison) -> str:
    if comparison.differences:
        return "DIFFERS: " + ", ".join(f"{name} ({count})" for name, count in comparison.differences.items())
    if comparison.proven == comparison.compared:
        return "the same, token for token"
    return "the same as far as is known"


def _lines(comparisons: Sequence[Comparison]) -> Iterator[str]:
    """Yield what the table has no room for."""
    for comparison in comparisons:
        pair = f"{comparison.group}, {comparison.baseline.label} and {comparison.other.label}"
        if comparison.baseline.sampling == comparison.other.sampling:
            greedy = "" if comparison.baseline.is_greedy else "; not greedy: answers are not expected to agree"
            yield f"{pair}: both were sent {comparison.baseline.sampling}{greedy}"
        else:
            yield f"{pair}: SAMPLING DIFFERS: {comparison.baseline.sampling} | {comparison.other.sampling}"
        for part in comparison.divergences[:3]:
            at = "" if part.position is None else f" from token {part.position}"
            yield f"  sample {part.sample_id}{at}: {part.texts[0][:80]!r} | {part.texts[1][:80]!r}"


def _range(values: Iterable[int | None]) -> str:
    known = sorted({value for value in values if value is not None})
    if not known:
        return "unknown"
    return str(known[0]) if len(known) == 1 else f"{known[0]} to {known[-1]}"


def _sizes(seen: Iterable[Seen]) -> str:
    sizes = Counter(size for answer in seen for size in answer.pixels or ())
    if not sizes:
        return "unknown"
    (width, height), _ = sizes.most_common(1)[0]
    return f"{width} x {height}" + (f" and {len(sizes) - 1} more" if len(sizes) > 1 else "")


def _how(sources: Iterable[str]) -> str:
    return ", ".join(f"({source})" for source in dict.fromkeys(sources) if source != "unknown")
