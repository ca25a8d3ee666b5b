"""BLEURT: a learned similarity of answer and reference, from a checkpoint converted to RemBERT."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from metrics.api import Case, Measure, Score
from metrics.remote import WorkerMetric
from metrics.text import prepare

_PAPER = 'Sellam, Das & Parikh 2020, "BLEURT"; Pu et al. 2021 (BLEURT-20)'


class Bleurt(WorkerMetric):
    """Mean BLEURT, about 0 to 1 but not bounded. With several references the highest score counts.

    `model` is the folder into which tools/convert_bleurt.py converted a BLEURT checkpoint (the hub has no BLEURT-20
    that transformers can load). Pairs are truncated to `max_length` tokens.
    """

    task = "bleurt"
    measures = (Measure("bleurt", "higher", "mean", float("-inf"), None, "mean of BLEURT(reference, answer)", _PAPER),)

    def __init__(
        self,
        model: str = "BLEURT-20",
        revision: str | None = None,
        max_length: int = 512,
        batch_size: int = 32,
        env: str = "current",
        silence_s: float = 3600,
    ) -> None:
        super().__init__(env, silence_s)
        for name, value in (("max_length", max_length), ("batch_size", batch_size)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} is {value!r}; valid: a whole number from 1")
        self._options = {"model": model, "revision": revision, "max_length": max_length, "batch_size": batch_size}

    def options(self) -> dict[str, Any]:
        """Return the options of the worker's task."""
        return self._options

    def items(self, case: Case) -> tuple[str, list[dict[str, Any]]]:
        """Return one item for each reference."""
        reason, prediction, references = prepare(case, str)
        return reason, [{"reference": reference, "candidate": prediction} for reference in references]

    def scored(self, case: Case, replies: Sequence[Mapping[str, Any]]) -> Iterator[Score]:
        """Yield the highest score over the references."""
        value = max(reply["value"] for reply in replies)
        yield Score(case.sample_id, case.repeat, "bleurt", value, (value, 1.0))
