"""Hydra's sweeper of this project: checks all jobs before the first starts, orders them by engine, sums up failures."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

log = logging.getLogger(__name__)


class RunnerSweeper(BasicSweeper):  # type: ignore[misc]
    """The cartesian product of all values, as Hydra's basic sweeper makes it, run in groups that share an engine."""

    def sweep(self, arguments: list[str]) -> Any:
        """Run all jobs. Raise Refused before any starts, or SweepFailed after all have ended."""
        from runner import sweep
        from runner.errors import JobFailed
        from runner.plan import plan_sweep

        assert self.config is not None and self.launcher is not None and self.hydra_context is not None
        # 1. All combinations, each composed once. `max_batch_size` would split groups, so it isn't used.
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        overrides = parser.parse_overrides([*self._parse_config(), *arguments])
        (batch,) = self.split_arguments(overrides, None)
        loader = self.hydra_context.config_loader
        configs = [loader.load_sweep_config(self.config, list(job)) for job in batch]
        # 2. Check them all; nothing has been written yet.
        sweep.refuse_scoring(configs)
        specs = plan_sweep([sweep.without_hydra(cfg) for cfg in configs])
        order = by_engine(specs)
        batch = [batch[index] for index in order]
        # 3. Run them.
        folder = Path(str(self.config.hydra.sweep.dir)).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with (folder / "multirun.yaml").open("x", encoding="utf-8") as file:
                OmegaConf.save(self.config, file)
        except FileExistsError:
            where = f"{folder}: another sweep that began in the same second writes here"
            raise JobFailed(f"{where}; start again") from None
        log.info("jobs: %d, engines: %d; results in %s", len(batch), len(set(specs)), folder)
        try:
            with sweep.prepared(configs[0]):
                returns = self.launcher.launch(batch, initial_job_idx=0)
        finally:
            # 4. Sum up, also what was done before an interruption.
            results = sweep.finish(folder, len(batch))
        sweep.check(results)
        return [result.return_value for result in returns]


def by_engine(specs: Sequence[Any]) -> list[int]:
    """Return the order of jobs that keeps those with equal engines together, each group where it first appears."""
    first = {spec: index for index, spec in reversed(list(enumerate(specs)))}
    return sorted(range(len(specs)), key=lambda index: (first[specs[index]], index))
