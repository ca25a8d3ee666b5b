"""Which keys of a job's config can change a figure: one list that every comparison of configs reads.

Two jobs are the same experiment if all keys are equal that can change a figure; `runner.config_hash` is a hash of them.
The same list names jobs in tables, folders and `compare`, where the keys that affect timing and scoring count as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

# These keys decide what is asked, which engine answers, and how answers are scored.
DECISIVE = (
    "model", "quant", "backend", "env", "dataset", "prompt", "sampling", "metrics", "judge", "load", "concurrency",
    "warmup", "answer_columns",
)  # fmt: skip
# These keys decide how the work is done, stored or shown. They change no figure under the recorded conditions.
INDIFFERENT = (
    "tracking", "report", "pool", "reuse", "max_failed", "budget_usd", "objective", "published", "summaries", "plan",
    "stage", "answers", "rescore", "race", "repeats_over_time", "hydra",
)  # fmt: skip


def only(config: Mapping[str, Any], *, but: Iterable[str] = ()) -> dict[str, Any]:
    """Return the part of a config that decides figures, without the keys in `but`.

    A key of an older or newer version, which this version doesn't know, counts as decisive: to take equal jobs for
    different ones is a smaller fault than the reverse.
    """
    left_out = {*INDIFFERENT, *but}
    return {str(key): value for key, value in config.items() if key not in left_out}
