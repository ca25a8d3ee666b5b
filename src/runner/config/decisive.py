"""Which keys of a job's config decide what, in one list that every comparison of configs reads.

Two jobs are the same experiment where all that decides a figure is equal: that is `runner.config_hash`. What tells jobs
apart in tables, folders and `compare` is the same list, with what decides timing and how scores were made.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

# Decides what is asked, whom, and how it is scored.
DECISIVE = (
    "model", "quant", "backend", "env", "dataset", "prompt", "sampling", "metrics", "judge", "concurrency", "warmup",
    "answer_columns",
)  # fmt: skip
# Decides how the work is done, kept or shown, and no figure that was measured under the conditions that are recorded.
INDIFFERENT = (
    "tracking", "report", "pool", "reuse", "max_failed", "objective", "published", "summaries", "plan", "stage",
    "answers", "rescore", "hydra",
)  # fmt: skip


def only(config: Mapping[str, Any], *, but: Iterable[str] = ()) -> dict[str, Any]:
    """Return the part of a config that decides figures, without the keys in `but`, by which jobs may differ.

    A key that an older or newer version has and this one does not know counts: better two groups than a wrong one.
    """
    left_out = {*INDIFFERENT, *but}
    return {str(key): value for key, value in config.items() if key not in left_out}
