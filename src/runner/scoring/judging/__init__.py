"""An LLM as judge of answers that exist: what is asked is planned, forecast, paid within a budget, and stored."""

from runner.scoring.judging.forecast import before_jobs
from runner.scoring.judging.planned import Judging, plan_judging
from runner.scoring.judging.rivals import check
from runner.scoring.judging.stage import Judged, judge
from runner.scoring.judging.when import command, judges_now

__all__ = ["Judged", "Judging", "before_jobs", "check", "command", "judge", "judges_now", "plan_judging"]
