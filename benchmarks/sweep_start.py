"""What a sweep costs before its first engine starts: `plan=dry` of 20 and 200 jobs, composed, checked and forecast.

    python benchmarks/sweep_start.py [--rounds 3] [--before FOLDER]

Two sweeps: jobs that differ in a value (`sampling.temperature`), and jobs that each choose other files. CPU counts,
since the clock on the wall counts what else runs. What a further job costs is given beside `import hydra`, measured in
turns. With `--before`, a checkout of an earlier build, the whole command is compared with that build's: it must take a
fifth at most. About 2 minutes, and 8 more with `--before`.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from parts import builds
from parts.limits import Limit, tell

DRY = ("-m", "runner", "-m", "plan=dry", "tracking=none", "dataset.limit=24")
MODELS = "model=demo_s,demo_m"
QUANTS = "quant=bf16,fp32,w4a16,fp16,native"
PROMPTS = "prompt=plain,demo_detailed,demo_questions,describe"
METRICS = "metrics=[cer],[wer],[cer,wer],[anls],[bleu]"
# By the kind of sweep, of few jobs and of 200.
SWEEPS = {
    "values": (
        (MODELS, "sampling.temperature=range(0,10)"),
        (MODELS, "sampling.temperature=range(0,100)"),
    ),
    "files": ((MODELS, QUANTS, "sampling=greedy,low_temperature"), (MODELS, QUANTS, PROMPTS, METRICS)),
}
FEW, MANY = 20, 200
# A further job, by the CPU of `import hydra`; and the whole command beside an earlier build's.
FURTHER = {"values": 0.25, "files": 0.5}
BESIDE_BEFORE = 1 / 5


def cpu(arguments: tuple[str, ...], folder: Path, checkout: Path = builds.HERE) -> float:
    """Return the CPU seconds of one Python process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = builds.environment(checkout) | {"RUNNER_STORE": str(folder / "store")}
    command = [builds.python(checkout), *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed\n{done.stdout[-1000:]}\n{done.stderr[-2000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(name: str, rounds: int, folder: Path, before: Path | None) -> list[Limit]:
    """Measure one kind of sweep in turns, and return its figures with their limits."""
    few, many = ((*DRY, *words) for words in SWEEPS[name])
    further, shares = [], []
    for _ in range(rounds):
        least, most, import_hydra = cpu(few, folder), cpu(many, folder), cpu(("-c", "import hydra"), folder)
        further.append((most - least) / (MANY - FEW) / import_hydra)
        said = f"{name}: {FEW} jobs {least:.1f} s, {MANY} jobs {most:.1f} s of CPU, import hydra {import_hydra:.2f} s"
        if before is not None:
            earlier = cpu(many, folder, before)
            shares.append(most / earlier)
            said += f"; before: {MANY} jobs {earlier:.1f} s"
        print(said, flush=True)
    limits = [
        Limit(f"CPU of a further job beside import hydra, {name}", statistics.median(further), "<=", FURTHER[name])
    ]
    if shares:
        what = f"CPU of {MANY} jobs beside the build before, {name}"
        limits.append(Limit(what, statistics.median(shares), "<=", BESIDE_BEFORE))
    return limits


def main() -> int:
    """Measure both kinds of sweep; return 0 where each limit holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    builds.add_option(parser)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sweep-start-") as folder:
        found = [limit for name in SWEEPS for limit in measure(name, options.rounds, Path(folder), options.before)]
    return tell(found)


if __name__ == "__main__":
    sys.exit(main())
