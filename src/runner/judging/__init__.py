"""An LLM as judge of answers that exist: what is asked is planned, forecast, paid within a budget, and stored."""

from runner.judging.forecast import before_jobs
from runner.judging.planned import Judging, plan_judging
from runner.judging.rivals import check
from runner.judging.stage import Judged, judge
from runner.judging.when import command, judges_now

__all__ = ["Judged", "Judging", "before_jobs", "check", "command", "judge", "judges_now", "plan_judging"]
