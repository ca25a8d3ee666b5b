"""The answers of a job while they come: each is appended to answers.jsonl at once, so that a killed job leaves them.

What scores and figures need is taken from each answer on its way, so that the file is not read again for them.
"""

from __future__ import annotations

import os
import threading
from array import array
from collections.abc import Mapping

from backends.api import Generation
from metrics.api import Case
from runner.datasets.api import Sample
from runner.jobs import figures
from runner.jobs.folder import JobFolder
from runner.jobs.rows import answer_line, answer_row, case


class Answers:
    """Takes the answers of a job in the order in which they come, from several threads.

    `seen` are the figures of what came so far. Prompts are not held: a job may have 100,000 of them.
    """

    def __init__(self, folder: JobFolder, slo: Mapping[str, float] | None = None) -> None:
        """Begin an empty file. Raise OSError where that can't be written. `slo` is the job's `report.slo`."""
        self.seen = figures.Seen((), slo)
        self._path = folder.answers_path
        self._file = self._path.open("w+b", buffering=0)  # a line is whole in the file, or a kill finds none of it
        self._writing = threading.Lock()  # questions are taken in a thread, and those that the store answers end there
        self._cases: list[Case] = []
        self._places, self._sizes = array("q"), array("q")

    def add(self, place: int, sample: Sample, repeat: int, generation: Generation, prompt: str | None) -> None:
        """Append an answer or a failure. `place` is the question's among the questions of the job."""
        row = answer_row(sample, repeat, generation, prompt)
        line = answer_line(row)
        with self._writing:
            self._file.write(line)
            self._places.append(place)
            self._sizes.append(len(line))
            self._cases.append(case(row))
            self.seen.add(row)

    def close(self) -> list[Case]:
        """Put the file into the order of the samples and return the answers as metrics score them, in this order."""
        with self._file:
            order = sorted(range(len(self._places)), key=self._places.__getitem__)
            if order != list(range(len(order))):
                self._arrange(order)
        cases, self._cases = [self._cases[number] for number in order], []
        return cases

    def _arrange(self, order: list[int]) -> None:
        """Write the lines anew in this order, in one step."""
        begins, begin = array("q"), 0
        for size in self._sizes:
            begins.append(begin)
            begin += size
        fresh = self._path.with_name(f".{self._path.name}.new")
        try:
            with fresh.open("wb") as target:
                for number in order:
                    target.write(os.pread(self._file.fileno(), self._sizes[number], begins[number]))
            fresh.replace(self._path)
        finally:
            fresh.unlink(missing_ok=True)  # or half of it would keep a full disk full
