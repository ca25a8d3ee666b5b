"""Times the scoring of whole pages beside the outside packages, and says whether memory stays flat.

    python benchmarks/page_scoring.py [--pages 10000] [--turns 5] [--sample 10]

10,000 pages of about 3 kB, all different, are scored by `page` (texts, order, and a table of 20 rows) and 10,000
invoices of about 3 kB by `kie`, each in a process of its own on one core, 100 at a time as they are made: CPU seconds,
and how much the peak of memory grew from page 1,000 to the last. The text that is scored is not kept, so that growth is
what scoring keeps (a bounded cache of references).

The outside packages work in a plain loop. For `page` that is what OmniDocBench's code does: edits of each text of the
reference with each of the answer (Levenshtein), the closest paired (scipy), TEDS of the table with and without its
texts (docling-metrics-table: its TEDScorer, which gives the same values and is in Python, or its C++, which counts a
misread letter as a wrong cell). For `kie` it is ANLS* of the parsed JSON (anls-star), one of the twelve measures of
`kie`. They are timed on `--sample` pages a turn (TEDScorer on a third of them), in turns with ours on the same pages;
their time for all pages is scaled from that. The ratio is the median of the turns. Ends with 1 where ours is not twice
as fast, or memory grows by more than GROWTH_MIB.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path

import Levenshtein
import numpy as np
from anls_star import anls_score
from metrics_speed import cpu_seconds, docling_teds, invoices, pages_of_text
from parts.limits import Limit, tell
from scipy.optimize import linear_sum_assignment

from metrics.api import Case
from metrics.registry import create

PAGES, FIRST, TOGETHER = 10_000, 1_000, 100
ROWS = (15, 27)  # of an invoice: 3 kB
AT_LEAST, GROWTH_MIB = 2.0, 30.0
PACKAGES = ("docling-metrics-table", "apted", "Levenshtein", "scipy", "anls-star", "rapidfuzz")
Made = Sequence[tuple[Case, tuple[str, str]]]


def made(metric: str, number: int, seed: int) -> Made:
    """Return pages with their tables, or invoices (without); every seed makes others."""
    if metric == "page":
        return pages_of_text(number, seed)
    return [(case, ("", "")) for case in invoices(number, seed, ROWS)]


def texts(page: str) -> list[str]:
    """Return the texts of a page of `pages_of_text`, without its table."""
    return [block for block in page.split("\n\n") if not block.startswith("<table>")]


def paired_edits(answer: str, reference: str) -> float:
    """Return the edits of the closest texts / their lengths, in a plain loop."""
    wanted, given = texts(reference), texts(answer)
    edits = np.array([[Levenshtein.distance(one, other) for other in given] for one in wanted], dtype=float)
    lengths = np.array([[max(len(one), len(other)) for other in given] for one in wanted], dtype=float)
    rows, columns = linear_sum_assignment(edits / lengths)
    return float(edits[rows, columns].sum() / lengths[rows, columns].sum())


def outside_page(pages: Made, *, in_python: bool) -> None:
    """Compare texts and tables of pages by Levenshtein and docling-metrics-table."""
    for case, _ in pages:
        paired_edits(str(case.prediction), case.references[0])
    docling_teds([tables for _, tables in pages], in_python=in_python, structure=True)


def outside_kie(pages: Made) -> None:
    """Compare invoices by anls-star."""
    for case, _ in pages:
        anls_score(json.loads(case.references[0]), json.loads(str(case.prediction)))


def ours(metric: str, pages: int) -> dict[str, float]:
    """Score all pages by one metric, in this process; return CPU seconds, peaks of memory in MiB, and mean sizes."""
    scorer, took, size, peaks = create(metric), 0.0, 0, {}
    for start in range(0, pages, TOGETHER):
        cases = [case for case, _ in made(metric, TOGETHER, seed=start)]
        size += sum(len(case.references[0].encode()) for case in cases)
        began = time.process_time()
        for one in scorer.score(cases):
            assert one.value is not None or one.reason, "a score, or a reason"
        took += time.process_time() - began
        peaks[start + TOGETHER] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": took, "bytes": size / pages, "early_mib": peaks[min(FIRST, pages)], "late_mib": peaks[pages]}


def ratio(metric: str, outside: Callable[[Made], None], sample: int, turns: int) -> tuple[float, float]:
    """Return how many times as fast we are, and the outside packages' CPU seconds a page: medians of the turns."""
    scorer = create(metric)
    list(scorer.score([case for case, _ in made(metric, 1, seed=-1)]))  # imports its libraries
    outside(made(metric, 1, seed=-1))
    measured = []
    for turn in range(turns):
        pages = made(metric, sample, seed=10**6 + turn)
        cases = [case for case, _ in pages]
        sides: list[tuple[str, Callable[[], object]]] = [
            ("theirs", lambda pages=pages: outside(pages)),
            ("ours", lambda cases=cases: list(scorer.score(cases))),
        ]
        took = {name: cpu_seconds(work) for name, work in (sides if turn % 2 else reversed(sides))}
        measured.append((took["theirs"] / took["ours"], took["theirs"] / sample))
    ratios, seconds = zip(*measured, strict=True)
    return statistics.median(ratios), statistics.median(seconds)


def in_own_process(metric: str, pages: int) -> dict[str, float]:
    """Run `ours` in a process of its own, whose memory is that of nothing else."""
    command = [sys.executable, str(Path(__file__)), "--pages", str(pages), "--only", metric]
    return dict(json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout))


def main() -> int:
    """Measure and print; return 1 where a limit does not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, default=PAGES, help=f"in hundreds, {FIRST} or more")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--sample", type=int, default=10)
    parser.add_argument("--only", choices=("page", "kie"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.pages % TOGETHER or options.pages < FIRST:
        parser.error(f"--pages={options.pages}: in hundreds, {FIRST} or more")
    if options.only:
        print(json.dumps(ours(options.only, options.pages)))
        return 0
    print(", ".join(f"{name} {metadata.version(name)}" for name in PACKAGES))
    limits = []
    for metric in ("page", "kie"):
        found = in_own_process(metric, options.pages)
        grown = found["late_mib"] - found["early_mib"]
        print(
            f"{metric}: {options.pages:,} pages of {found['bytes']:,.0f} bytes in {found['seconds']:.1f} CPU seconds; "
            f"peak {found['early_mib']:.0f} MiB after {FIRST:,} pages, {found['late_mib']:.0f} at the end",
            flush=True,
        )
        few = max(1, options.sample // 3)
        for name, outside, sample in (
            ("page", lambda pages: outside_page(pages, in_python=True), few),
            ("page, C++", lambda pages: outside_page(pages, in_python=False), options.sample),
            ("kie", outside_kie, options.sample),
        ):
            if name.partition(",")[0] != metric:
                continue
            times, seconds = ratio(metric, outside, sample, options.turns)
            print(
                f"  outside, {name}: {seconds * 1000:.1f} ms a page ({options.turns} x {sample} pages), "
                f"{seconds * options.pages:,.0f} s for all if scaled",
                flush=True,
            )
            limits.append(Limit(f"times as fast as the outside packages: {name}", times, ">=", AT_LEAST))
        what = f"MiB that the peak of memory grows, page {FIRST:,} to {options.pages:,}: {metric}"
        limits.append(Limit(what, grown, "<=", GROWTH_MIB))
    return tell(limits)


if __name__ == "__main__":
    sys.exit(main())
