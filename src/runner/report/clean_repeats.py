"""Shows jobs about clean pages once, where a sweep over dataset.degrade asked about them several times.

`dataset.degrade=phone,scan dataset.degrade_strength=0,1` has two jobs of strength 0, which are the same job: as
candidates they would compete with themselves.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from runner.config import decisive
from runner.jobs.folder import JobFolder
from runner.jobs.pages_shown import CLEAN, KEYS, shown, without


def once(results: Sequence[JobFolder]) -> tuple[list[JobFolder], int]:
    """Return the jobs without repeats of another one, and how many were left out. Unfinished jobs are all kept.

    A repeat differs in what has no effect on clean pages. A job that was run twice with the same settings is none.
    """
    kept: list[JobFolder] = []
    first: dict[str, tuple[object, ...]] = {}
    for result in results:
        if shown(result.config) == CLEAN and result.status == "finished":
            settings = decisive.only(result.config)
            rest = settings | {"dataset": without(settings["dataset"])}
            said = tuple(settings["dataset"].get(key) for key in KEYS)
            key = json.dumps(rest, sort_keys=True, ensure_ascii=False, default=str)
            if first.setdefault(key, said) != said:
                continue
        kept.append(result)
    return kept, len(results) - len(kept)
