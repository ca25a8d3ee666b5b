"""`python -m runner.compare A B`: what differs between jobs, whether it is significant, and whether it is too much.

A and B are job folders, sweep folders or MLflow run ids. The first job is the baseline. Given two sweeps, each job of
the second is compared with the job of the first that has the same choices.

--fail-if takes: "quality/cer>+0.01" (difference, candidate minus baseline), "latency/p95_s>+10%" (as a share),
"quality/cer>+0.01 significantly" (the whole confidence interval is beyond it), "candidate(samples/failed)>0" (the
candidate's own figure). Exit code 1: a condition is met. 2: something can't be compared or decided.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from runner.base import command_line, terminal

if TYPE_CHECKING:
    from metrics.paired_verdict import PairedVerdict
    from runner.jobs.folder import JobFolder
    from runner.studies.compare.gates import Outcome
    from runner.studies.compare.jobs import Scored


def main(arguments: Sequence[str]) -> int:
    """Print the comparison. Return 0, 1 if a condition of --fail-if is met, or 2 if one can't be decided."""
    options = _parser().parse_args(arguments)
    from runner.jobs import named

    with named.folders(options.jobs, options.tracking_uri) as folders:
        return _CompareCommand(options, folders).run()


def _parser() -> argparse.ArgumentParser:
    parser = command_line.parser("compare", __doc__)
    parser.add_argument("jobs", nargs="+", metavar="JOB", help="job folder, sweep folder or run id; the baseline first")
    parser.add_argument("--fail-if", action="append", default=[], metavar="CONDITION", help="may be repeated")
    parser.add_argument("--allow-unscored", type=int, default=0, metavar="N",
                        help="let --fail-if decide although up to N samples lost their score (default: 0)")  # fmt: skip
    parser.add_argument("--baseline", help="name, folder or run id of the baseline; default: the first job")
    parser.add_argument("--measure", action="append", help="such as cer; may be repeated; default: all of quality")
    parser.add_argument("--samples", type=int, default=5, metavar="N", help="changed samples shown of each kind")
    parser.add_argument("--changed", type=Path, metavar="FILE.csv", help="write all changed samples, whole answers")
    parser.add_argument("--groups", action="store_true", help="also list figures by doc_class and field")
    parser.add_argument("--margin", type=float, help="also test that candidates are not worse by more than this")
    parser.add_argument("--confidence", type=float, default=0.95)
    parser.add_argument(
        "--tracking-uri", help="where run ids are looked up; default: $MLFLOW_TRACKING_URI or mlflow.db"
    )
    return parser


class _CompareCommand:
    """One run of the command: the pairs of jobs, their verdicts, and the gates."""

    def __init__(self, options: argparse.Namespace, folders: Sequence[Sequence[JobFolder]]) -> None:
        from runner.studies.compare import gates, jobs

        self.options, self.console = options, terminal.console()
        self.gates = [gates.parse(text) for text in options.fail_if]
        self.pairs, self.unmatched = jobs.pairs(jobs.read_jobs(folders), options.baseline)
        self.verdicts: dict[str, dict[tuple[str, str], PairedVerdict]] = {}
        self.skipped: list[str] = []
        self.incomparable: set[tuple[str, str, str]] = set()  # baseline, candidate, measure
        for measure in self._measures():
            self._judge(measure)

    def run(self) -> int:
        """Show every pair, then the verdicts and the gates."""
        from runner.studies.compare import show
        from runner.studies.compare.changed_samples import changed_samples

        samples = []
        outcomes: list[Outcome] = []
        for first, second in self.pairs:
            show.jobs(self.console, first, second)
            outcomes += self._pair(first, second)
            if measure := self._leading(first, second):
                samples.append((first, second, measure, changed_samples(first, second, measure)))
                show.samples(self.console, samples[-1][3], measure, self.options.samples)
        print()  # noqa: T201
        for by_pair in self.verdicts.values():
            for verdict in by_pair.values():
                print(verdict)  # noqa: T201
        for note in (*self.unmatched, *self.skipped, *self._other_pages(), *self._cut_short()):
            print(f"note: {note}")  # noqa: T201
        if self.options.changed:
            show.write_samples(self.options.changed, samples)
            print(f"changed samples: {self.options.changed}")  # noqa: T201
        return self._decided(outcomes)

    def _other_pages(self) -> list[str]:
        """Say of pairs that one side was shown other pages than the other: then not the jobs alone differ."""
        from runner.jobs.pages_shown import CLEAN, shown

        notes = []
        for pair in self.pairs:
            pages = [shown(job.result.config) for job in pair]
            if pages[0] != pages[1]:
                told = ["clean pages" if one == CLEAN else f"pages made worse ({one})" for one in pages]
                notes.append(
                    f"{pair[1].name} was shown {told[1]}, {pair[0].name} {told[0]} (dataset.degrade): "
                    "a difference is that of the pages as well"
                )
        return notes

    def _cut_short(self) -> list[str]:
        """Return what must be known of jobs that a race cut short."""
        jobs = {job.folder: job for pair in self.pairs for job in pair if job.result.cut_short}
        return [
            f"{job.name}: its figures are those of these documents, tests are on what both sides answered, "
            "and p values don't count the looks of the race before them"
            for job in jobs.values()
        ]

    def _pair(self, first: Scored, second: Scored) -> list[Outcome]:
        from runner.studies.compare import config_difference, gates, show
        from runner.studies.compare.metric_difference import differences

        tested = {
            f"{first.measures[measure][2].group}/{measure}": by_pair[first.name, second.name]
            for measure, by_pair in self.verdicts.items()
            if (first.name, second.name) in by_pair
        }
        everything = [
            difference
            for difference in differences(first.result, second.result, tested, groups=True)
            if (first.name, second.name, [*difference.name.split("/"), ""][1]) not in self.incomparable
        ]
        by_name = {difference.name: difference for difference in everything}
        show.config(self.console, config_difference.difference(first.result, second.result))
        show.metrics(
            self.console,
            [difference for difference in everything if self.options.groups or "/by/" not in difference.name],
        )
        allowed = self.options.allow_unscored
        return [gates.decide(gate, first, second, by_name.get(gate.metric), allowed) for gate in self.gates]

    def _measures(self) -> list[str]:
        """Return the measures to test: those of --measure, else all of quality and judges; and those of the gates."""
        baselines = [first for first, _ in self.pairs]
        if self.options.measure:
            measures = list(self.options.measure)
        else:
            measures = [
                name
                for name, (_, _, described) in baselines[0].measures.items()
                if described.better != "neither" and described.group != "text" and baselines[0].run(name).stats
            ]
        for gate in self.gates:
            parts = gate.metric.split("/")
            if len(parts) == 2 and all(parts[1] in job.measures for job in baselines) and not gate.absolute:
                measures.append(parts[1])
        return list(dict.fromkeys(measures))

    def _of_other_versions(self, measure: str, first: Scored, second: Scored) -> bool:
        """Tell whether two jobs can't be compared by a measure, and note it: their other measures can."""
        from runner.studies.compare.paired_tests import other_version

        if why := other_version(first, second, measure):
            self.incomparable.add((first.name, second.name, measure))
            self.skipped.append(f"{measure} is not compared: {why}")
        return bool(why)

    def _judge(self, measure: str) -> None:
        from runner.studies.compare.paired_tests import of_pairs

        gated = {gate.metric.partition("/")[2] for gate in self.gates}
        asked = measure in (self.options.measure or ())
        both = [pair for pair in self.pairs if asked or all(measure in job.measures for job in pair)]
        if not asked:
            both = [pair for pair in both if all(job.run(measure).stats for job in pair)]
        if not asked and measure not in gated:
            both = [pair for pair in both if not self._of_other_versions(measure, *pair)]
            if any(measure == skipped for _, _, skipped in self.incomparable) and not both:
                return
        if not both:
            self.skipped.append(f"{measure}: not scored on both sides")
            return
        verdicts = of_pairs(both, measure, margin=self.options.margin, confidence=self.options.confidence)
        self.verdicts[measure] = {(verdict.paired.baseline, verdict.paired.candidate): verdict for verdict in verdicts}

    def _leading(self, first: Scored, second: Scored) -> str | None:
        """Return the measure by which samples count as better or worse: that of --measure, else cer, else the first.

        Measures without a better direction (the length of an answer) are skipped.
        """
        wanted: list[str] = [*(self.options.measure or ()), "cer", *self.verdicts]
        for measure in wanted:
            both = measure in first.measures and measure in second.measures
            both = both and (first.name, second.name, measure) not in self.incomparable
            if both and first.measures[measure][2].better != "neither":
                return measure
        return None

    def _decided(self, outcomes: Sequence[Outcome]) -> int:
        if not self.gates:
            return 0
        for outcome in outcomes:
            stream = sys.stdout if outcome.crossed is False else sys.stderr
            print(outcome, file=stream)
        if self.unmatched:
            print("can't decide --fail-if for jobs without a counterpart, see above", file=sys.stderr)  # noqa: T201
            return 2
        if any(outcome.crossed is None for outcome in outcomes):
            return 2
        return 1 if any(outcome.crossed for outcome in outcomes) else 0
