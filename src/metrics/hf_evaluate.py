"""Any metric script of the `evaluate` library, from a local path or the hub."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any, Literal

from metrics.api import Case, Measure, Score
from metrics.remote import WorkerMetric
from metrics.text import prepare


class HfEvaluate(WorkerMetric):
    """Mean of what a script returns for each pair of answer and reference. With several references the best counts.

    `path` is a folder, a script or a hub name. `result` selects one of the script's results (default: the script's
    name) and names the measure `evaluate_<result>`. `better` is higher or lower. `arguments` are passed to `compute`.
    `config_name` selects a configuration of the script. Corpus figures that are no mean of samples (corpus BLEU) are
    not available.
    """

    task = "hf_evaluate"

    def __init__(
        self,
        path: str = "google_bleu",
        result: str | None = None,
        better: Literal["higher", "lower"] = "higher",
        arguments: Mapping[str, Any] | None = None,
        config_name: str | None = None,
        batch_size: int = 32,
        env: str = "current",
        silence_s: float = 3600,
    ) -> None:
        super().__init__(env, silence_s)
        if not isinstance(path, str) or not path.strip():
            raise ValueError(f"path is {path!r}; valid: a folder, a script or a hub name")
        if better not in ("higher", "lower"):
            raise ValueError(f"better is {better!r}; valid: higher, lower")
        if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
            raise ValueError(f"batch_size is {batch_size!r}; valid: a whole number from 1")
        result = result or PurePath(path).stem
        self._best = max if better == "higher" else min
        self._options = {
            "path": path,
            "result": result,
            "arguments": dict(arguments or {}),
            "config_name": config_name,
            "batch_size": batch_size,
        }
        name = "evaluate_" + re.sub(r"[^\w.\-]", "_", result)
        formula = f"mean of `{result}` of the script {PurePath(path).name}"
        # The range of a script's numbers is not known.
        self.measures = (Measure(name, better, "mean", float("-inf"), None, formula, "Hugging Face evaluate"),)

    def options(self) -> dict[str, Any]:
        """Return the options of the worker's task."""
        return self._options

    def items(self, case: Case) -> tuple[str, list[dict[str, Any]]]:
        """Return one item for each reference."""
        reason, prediction, references = prepare(case, str)
        return reason, [{"reference": reference, "candidate": prediction} for reference in references]

    def scored(self, case: Case, replies: Sequence[Mapping[str, Any]]) -> Iterator[Score]:
        """Yield the best score over the references."""
        value = self._best(reply["value"] for reply in replies)
        yield Score(case.sample_id, case.repeat, self.measures[0].name, value, (value, 1.0))
