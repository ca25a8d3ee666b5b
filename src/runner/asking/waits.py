"""How long requests waited without an engine working on them, by what they waited for."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from backends.api import Failure

# What a request may wait for, as it is named in the figures `wait/<cause>_s`.
CAUSES = ("rate_limit", "fault", "in_flight", "budget")


@dataclass(slots=True)
class Waits:
    """Seconds, by cause; of many requests the sum, so that it may exceed the time on the clock.

    `rate_limit_s`: the provider had asked for it, by a refusal or by its headers. `fault_s`: an attempt had failed, and
    the next one is made later; or it was looked whether the engine still lives. `in_flight_s`: as many requests were
    under way as we allow ourselves. `budget_s`: what is left of the budget was reserved by other requests.
    """

    rate_limit_s: float = 0.0
    fault_s: float = 0.0
    in_flight_s: float = 0.0
    budget_s: float = 0.0

    @property
    def total_s(self) -> float:
        """Return the sum over all causes."""
        return self.rate_limit_s + self.fault_s + self.in_flight_s + self.budget_s

    def between_attempts(self, error: Failure | None, seconds: float) -> None:
        """Count a wait between an attempt that ended in `error` and the next one."""
        if error is not None and error.kind == "rate_limited":
            self.rate_limit_s += seconds
        else:
            self.fault_s += seconds

    def add(self, other: Waits) -> None:
        """Add the waits of another request."""
        for field in dataclasses.fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))
