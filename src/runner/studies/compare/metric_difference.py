"""The tracked figures of two jobs side by side."""

from __future__ import annotations

from dataclasses import dataclass

from metrics.paired_verdict import PairedVerdict
from runner.jobs.folder import JobFolder

# The order in which the groups of metrics are shown.
GROUPS = ("quality", "judge", "latency", "ttft", "tpot", "throughput", "memory", "energy", "text", "repeats", "samples")


@dataclass(frozen=True, slots=True)
class Difference:
    """A metric of two jobs; None if a job did not measure it. `verdict` is set if the difference was tested."""

    name: str
    first: float | None
    second: float | None
    verdict: PairedVerdict | None = None

    @property
    def change(self) -> float | None:
        """Second minus first: on the shared samples if these were tested, else between the tracked values."""
        if self.verdict is not None:
            return self.verdict.paired.difference
        return None if self.first is None or self.second is None else self.second - self.first

    @property
    def share(self) -> float | None:
        """The change as a share of the first value; None if that is 0 or unknown."""
        return None if self.change is None or not self.first else self.change / abs(self.first)


def differences(
    first: JobFolder, second: JobFolder, tested: dict[str, PairedVerdict], *, groups: bool = False
) -> list[Difference]:
    """Return the overall metrics that either job has, in the order of `GROUPS`; with `groups` also those by class.

    `tested` maps the tracked name of a measure to its verdict.
    """
    names = [name for name in {**first.metrics, **second.metrics} if _shown(name, groups)]
    order = {group: position for position, group in enumerate(GROUPS)}
    names.sort(key=lambda name: order.get(name.partition("/")[0], len(GROUPS)))
    return [Difference(name, first.metric(name), second.metric(name), tested.get(name)) for name in names]


def _shown(name: str, groups: bool) -> bool:
    return not name.endswith(("/ci_low", "/ci_high")) and (groups or "/by/" not in name)
