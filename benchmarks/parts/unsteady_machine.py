"""A simulated sweep in blocks over time, on a machine that does not stay the same, and what a report says of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.signal import lfilter

from metrics import drift


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What happens while three candidates are asked about so many documents in each block, `each` times.

    Latencies follow the length of the answer, which differs by a factor of e**0.6 between documents (one standard
    deviation), by e**0.05 otherwise from document to document, and by e**0.1 from answer to answer. A disturbance of
    e**0.1 decays over `lasts` blocks of one candidate (0: there is none), which take turns: A B C, C B A. The machine
    becomes `slower` by a share until the last block. `known`: the endpoint says how long answers are.
    """

    documents: int
    each: int = 1
    lasts: float = 0.0
    slower: float = 0.0
    known: bool = True
    blocks: int = 3

    def measured(self, random: np.random.Generator) -> tuple[list[list[drift.Level]], np.ndarray]:
        """Draw the levels of three candidates, and what the machine really did to them (candidates, blocks)."""
        shape = (self.blocks, self.documents, self.each)
        tokens = random.lognormal(4, 0.6, shape[:2])
        takes = np.log(0.3 + 0.02 * tokens) + random.normal(0, 0.05, shape[:2])
        lengths = np.log1p(tokens)
        disturbed = self._disturbed(random, 3 * math.prod(shape)).reshape(self.blocks, 3, *shape[1:])
        disturbed[1::2] = disturbed[1::2, ::-1]
        found, truth = [], []
        for number in range(3):
            machine = disturbed[:, number] + np.log1p(self.slower) * np.linspace(0, 1, self.blocks)[:, None, None]
            latencies = (takes[..., None] + random.normal(0, 0.1, shape) + machine).mean(axis=2)
            levels = drift.levels(
                [
                    [
                        drift.Document(float(latency), (float(length),) if self.known else ())
                        for latency, length in zip(*block, strict=True)
                    ]
                    for block in zip(latencies, lengths, strict=True)
                ]
            )
            assert levels is not None
            found.append(levels)
            truth.append(machine.mean(axis=(1, 2)))
        return found, np.array(truth)

    def _disturbed(self, random: np.random.Generator, answers: int) -> np.ndarray:
        if not self.lasts:
            return np.zeros(answers)
        keeps = np.exp(-1 / (self.lasts * self.documents * self.each))
        pushes = 0.1 * np.sqrt(1 - keeps**2) * random.normal(size=answers)
        pushes[0] = 0.1 * random.normal()
        return np.asarray(lfilter([1], [1, -keeps], pushes))


class Told(NamedTuple):
    """What a report says of a simulated sweep. `wrong`: any of its intervals misses what the machine really did."""

    wrong: bool
    warned: bool  # of a change of more than 5%, which is shown
    unfounded: bool  # warned of a candidate, or of all, for whom nothing changed by as much as half of that
    ordered: bool  # of candidates that are equally fast one is called slower


def reported(machine: Machine, random: np.random.Generator) -> Told:
    """Simulate a sweep and look at it as the report does."""
    levels, truth = machine.measured(random)
    truths = np.expm1(np.ptp(np.vstack([truth, truth.mean(axis=0)]), axis=1))
    found = [drift.look(one, 4) for one in (*levels, drift.together(levels))]
    warned = [one.at_least > 0 and one.spread > 0.05 for one in found]
    fastest = min(levels, key=lambda one: sum(level.value for level in one))
    return Told(
        any(not one.at_least <= real + 1e-12 or one.at_most < real for one, real in zip(found, truths, strict=True)),
        any(warned),
        any(one and real < 0.025 for one, real in zip(warned, truths, strict=True)),
        any(drift.ratio(one, fastest, 3).low > 0 for one in levels if one is not fastest),
    )
