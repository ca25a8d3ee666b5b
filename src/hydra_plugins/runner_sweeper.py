"""Hydra's sweeper of this project: checks all jobs before the first starts, orders them by engine, sums up failures."""

from __future__ import annotations

import gc
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn
from omegaconf import OmegaConf

log = logging.getLogger(__name__)


class RunnerSweeper(BasicSweeper):  # type: ignore[misc]
    """Runs the cartesian product of all values, as Hydra's basic sweeper does, in groups that share an engine.

    With `jobs`, a list of mappings key -> value, the product is made for each: models may have their own prompts.
    """

    def __init__(
        self,
        max_batch_size: int | None = None,
        params: dict[str, str] | None = None,
        jobs: Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        """Keep the settings of conf/hydra/sweeper or of an experiment."""
        super().__init__(max_batch_size, params)
        self.jobs = [dict(job) for job in jobs or ({},)]

    def sweep(self, arguments: list[str]) -> Any:
        """Run all jobs. Raise Refused before any starts, or SweepFailed after all have ended."""
        from runner.base.errors import JobFailed
        from runner.jobs.job_files import write_config
        from runner.planning.plan import plan_sweep
        from runner.sweeps import sweep, together
        from runner.sweeps.compositions import Compositions

        gc.enable()  # __main__ turns it off for imports and composing; planning leaves garbage to collect
        assert self.config is not None and self.launcher is not None and self.hydra_context is not None
        # 1. All combinations, each composed once. `max_batch_size` would split groups, so it isn't used.
        loader = self.hydra_context.config_loader
        batch = self._combinations(OverridesParser.create(config_loader=loader), arguments)
        compositions = Compositions(loader, self.config)
        batch, configs = composed(batch, compositions)
        # 2. Check them all; nothing has been written yet.
        sweep.refuse_scoring(configs)
        planned = plan_sweep(configs, here=self._runs_here() and configs[0].plan != "commands")
        sweep.check_judges([config for config, _ in planned])
        if any(map(together.is_wanted, configs)):
            self._refuse_turns([config for config, _ in planned])
        order = by_engine([spec for _, spec in planned])
        batch, configs = [batch[index] for index in order], [configs[index] for index in order]
        planned = [planned[index] for index in order]
        if configs[0].plan != "run":
            self._tell(batch, [config for config, _ in planned])
            return []
        # 3. Run them, each in a folder that says what it is.
        specs = [spec for _, spec in planned]
        batch = self._in_folders(batch, configs)
        folder = Path(str(self.config.hydra.sweep.dir)).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        try:
            write_config(folder / "multirun.yaml", self.config, new=True)
        except FileExistsError:
            raise JobFailed(f"{folder} holds another sweep; give another hydra.sweep.dir") from None
        log.info("jobs: %d, engines: %d; results in %s", len(batch), len(set(specs)), folder)
        try:
            with sweep.prepared(configs[0]):
                returns = self._launched(batch, [config for config, _ in planned], specs, folder)
                sweep.judge_later(folder)
        finally:
            # 4. Sum up, also what was done before an interruption.
            results = sweep.finish(folder, len(batch))
        sweep.check(results, len(batch))
        return [result.return_value for result in returns]

    def _refuse_turns(self, configs: Sequence[Any]) -> None:
        """Refuse what can't be asked in turns: in a race, or in blocks over time. Raise Refused."""
        from runner.base.errors import Problem, Refused
        from runner.config.over_time import KEY, OFF
        from runner.planning.plan import plan
        from runner.sweeps import over_time
        from runner.sweeps.racing import checks

        races = any(config.race.active for config in configs)
        if type(self.launcher) is not BasicLauncher:
            key, off = ("race", "race=false") if races else (KEY, OFF)
            what = "candidates are asked in turns, and workers know nothing of each other"
            raise Refused(Problem(what, key, f"leave out workers, or {off}"))
        jobs = [plan(config) for config in configs]
        if races:
            checks.refuse(jobs)
        else:
            over_time.refuse(jobs)

    def _in_folders(self, batch: Sequence[Sequence[str]], configs: Sequence[Any]) -> list[list[str]]:
        """Add the name of its folder to the overrides of each job, unless the user has chosen another pattern."""
        from runner.config.overrides import in_quotes
        from runner.jobs.job_files import SUBDIR, subdir
        from runner.jobs.results import besides, told_apart

        assert self.config is not None
        pattern = OmegaConf.to_container(self.config.hydra.sweep, resolve=False)
        if not isinstance(pattern, dict) or pattern["subdir"] != SUBDIR:
            return [list(job) for job in batch]
        containers: list[Any] = [OmegaConf.to_container(cfg, resolve=False) for cfg in configs]
        differences = told_apart(containers)
        # The pattern contains the dataset already.
        names = [besides({key: value for key, value in keys.items() if key != "dataset"}) for keys in differences]
        return [
            [*job, f"hydra.sweep.subdir={in_quotes(subdir(name))}"] if name else list(job)
            for job, name in zip(batch, names, strict=True)
        ]

    def _tell(self, batch: Sequence[Sequence[str]], configs: Sequence[Any]) -> None:
        """Print what the jobs would do (plan=dry), or a command line for each group of jobs (plan=commands)."""
        from runner.planning.plan import plan
        from runner.sweeps import dry_plan, group_commands

        assert self.config is not None
        jobs = [plan(config) for config in configs]
        if configs[0].plan == "dry":
            dry_plan.show(jobs)
            return
        folder = str(self.config.hydra.sweep.dir)
        hydra_overrides = [str(override) for override in self.config.hydra.overrides.hydra]
        group_commands.print_commands(jobs, batch, folder, hydra_overrides, listed=self.jobs != [{}])

    def _runs_here(self) -> bool:
        """Return whether jobs run on this machine. Jobs of Slurm and Ray may have files that are not here."""
        return type(self.launcher).__name__ in ("BasicLauncher", "JoblibLauncher")

    def _combinations(self, parser: OverridesParser, arguments: list[str]) -> list[list[str]]:
        """Return the overrides of each job without duplicates: combinations may become equal by an override."""
        from runner.config.overrides import spelled
        from runner.config.quoting import quoted
        from runner.config.read_overrides import is_of_texts

        combinations: dict[tuple[str, ...], None] = {}
        # `params` of a file are quoted like those of a command line: `field: Фамилия,Имя`.
        params = [quoted(param, is_text=is_of_texts(param)) for param in self._parse_config()]
        for job in self.jobs:
            own = [spelled(key, value) for key, value in job.items()]
            (product,) = self.split_arguments(parser.parse_overrides([*own, *params, *arguments]), None)
            combinations |= dict.fromkeys(map(tuple, product))
        return [list(overrides) for overrides in combinations]

    def _launched(
        self, batch: Sequence[Sequence[str]], configs: Sequence[Any], specs: Sequence[Any], folder: Path
    ) -> list[JobReturn]:
        """Run the jobs here, one after the other; with another launcher, give each worker one group of jobs."""
        from runner.jobs import tracking
        from runner.sweeps import ahead, groups, together

        assert self.config is not None and self.launcher is not None and self.hydra_context is not None
        if together.is_wanted(configs[0]):
            from runner.sweeps import over_time
            from runner.sweeps.racing import race

            ask = race.run if configs[0].race.active else over_time.run
            return together.launched(self.launcher, batch, specs, ask)
        if type(self.launcher) is BasicLauncher:
            ahead.expect(configs, specs)
            return list(self.launcher.launch(batch, initial_job_idx=0))
        if configs[0].tracking.uri:
            tracking.background.settle()  # or the workers race for the database
        parts = groups.grouped(batch, specs)
        task = groups.GroupTask(
            tuple(parts), folder, Path.cwd(), self.config, self.hydra_context, self.launcher.task_function
        )
        self.launcher.setup(hydra_context=self.hydra_context, task_function=task, config=self.config)
        log.info("groups for the workers of %s: %d", type(self.launcher).__name__, len(parts))
        try:
            with groups.watched(folder, len(batch)):
                ended = self.launcher.launch(groups.as_tasks(parts, folder), initial_job_idx=0)
                return [job for group in ended for job in group.return_value]
        except Exception:
            # A worker was killed, or its scheduler ended it. The jobs of the other workers are summarised all the same.
            log.exception("a worker failed; its jobs go on where they stopped when the same command is given again")
            return []


def composed(batch: Sequence[Sequence[str]], compositions: Any) -> tuple[list[list[str]], list[Any]]:
    """Return overrides and config of each job: two where its answers are asked for both ways (schema_mode=both)."""
    jobs: list[list[str]] = []
    configs: list[Any] = []
    for overrides in batch:
        cfg = compositions.config(overrides)
        if cfg.prompt.schema_mode != "both":
            jobs.append(list(overrides))
            configs.append(cfg)
            continue
        others = [override for override in overrides if not override.lstrip("+").startswith("prompt.schema_mode=")]
        jobs += ([*others, f"prompt.schema_mode={mode}"] for mode in ("told", "constrained"))
        configs += map(compositions.config, jobs[-2:])
    return jobs, configs


def by_engine(specs: Sequence[Any]) -> list[int]:
    """Return the order of jobs that keeps those with equal engines together, each group where it first appears."""
    first = {spec: index for index, spec in reversed(list(enumerate(specs)))}
    return sorted(range(len(specs)), key=lambda index: (first[specs[index]], index))
