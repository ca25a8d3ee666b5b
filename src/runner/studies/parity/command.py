"""Did the backends see the same input, and do their answers agree? `python -m runner.parity SWEEP_DIR`.

Jobs that differ in their backend (and its environment) alone are laid side by side, sample by sample. Only greedy
answers can be expected to agree. What a backend does not report is derived, and the table says from what.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from runner.base import terminal
from runner.jobs.folder import JobFolder
from runner.studies.parity.comparison import Comparison, compare, warnings
from runner.studies.parity.show import FILE, show
from runner.studies.summaries import again


def summarise(folder: Path, results: Sequence[JobFolder]) -> list[Path]:
    """Print the table, keep all that it rests on beside the sweep's report, and return that file."""
    comparisons = compare(results)
    if not comparisons:
        terminal.say(f"no backends to compare in {folder}: it needs jobs that differ in backend alone")
        return []
    show(comparisons)
    for warning in warnings(results):
        terminal.say(f"WARNING: {warning}")
    records = [_record(comparison) for comparison in comparisons]
    (folder / FILE).write_text(json.dumps(records, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    terminal.say(f"parity:  {folder / FILE}")
    return [folder / FILE]


def _record(comparison: Comparison) -> dict[str, Any]:
    sides = {"baseline": comparison.baseline, "other": comparison.other}
    return {
        "job": comparison.group,
        **{name: side.label for name, side in sides.items()},
        "compared": comparison.compared,
        "same_text": comparison.same_text,
        "with_ids": comparison.with_ids,
        "same_ids": comparison.same_ids,
        "agreement": comparison.agreement,
        "input_differs": dict(comparison.differences),
        "input_proven_equal": comparison.proven,
        "sampling": {name: side.sampling for name, side in sides.items()},
        "qwen_vl_utils": {name: side.qwen_vl_utils for name, side in sides.items() if side.qwen_vl_utils},
        "divergences": [dataclasses.asdict(part) for part in comparison.divergences],
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
