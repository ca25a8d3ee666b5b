"""LLM-as-a-judge for existing answers: plans the requests, forecasts their cost, keeps a budget, stores replies."""

from runner.scoring.judging.forecast import announce_costs
from runner.scoring.judging.planned import Judging, plan_judging
from runner.scoring.judging.rivals import check
from runner.scoring.judging.stage import Judged, judge
from runner.scoring.judging.when import command_id, judges_now

__all__ = ["Judged", "Judging", "announce_costs", "check", "command_id", "judge", "judges_now", "plan_judging"]
