"""What log-probabilities cost on the HF engine: tokens per second with them beside those without, in turns.

    python benchmarks/hf_logprobs.py [--batches 1,4] [--rounds 40] [--layers 4] [--tokens 32]

One engine answers the same requests with and without them in turns, each first in every other round, so that both have
the same process, memory and pictures. The model is that of hf_engine_speed.py: Qwen2-VL's vocabulary of 152,000 tokens,
of whose logits a log-probability needs one more pass, and so small otherwise that this pass weighs more than it does in
a model that anybody uses. The ratio is the median over the rounds of two turns that follow each other, since a shared
machine is slower in one minute than in the next; the CPU ratio, which other programs on the machine move less, that of
tokens per CPU second of the engine. Ends with 1 where a ratio of wall time is below the goal. 10 minutes.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

from hf_engine_speed import Ours, Turn, pictures
from parts.limits import Limit, tell

GOAL = 0.97


def compared(arguments: argparse.Namespace, size: int) -> Limit:
    """Measure one batch size, print its line, and return it beside its limit."""
    turns: dict[bool, list[Turn]] = {False: [], True: []}
    with tempfile.TemporaryDirectory() as folder:
        pictures(Path(folder), 8)
        engine = Ours(arguments, Path(folder), size)
        try:
            for number in range(arguments.rounds + 1):
                for logprobs in (False, True) if number % 2 else (True, False):
                    turn = engine.turn(size, arguments.each, logprobs=logprobs)
                    if number:  # the first warms both up
                        turns[logprobs].append(turn)
        finally:
            engine.close()
    without, given = (statistics.median(turn.wall_s / turn.tokens for turn in turns[side]) for side in (False, True))
    pairs = list(zip(turns[False], turns[True], strict=True))
    ratio = statistics.median(a.wall_s / a.tokens / (b.wall_s / b.tokens) for a, b in pairs)
    cpu = statistics.median(a.cpu_s / a.tokens / (b.cpu_s / b.tokens) for a, b in pairs)
    print(f"{f'batch {size}':12}{1 / without:12.1f}{1 / given:12.1f}{ratio:8.3f}{cpu:11.3f}", flush=True)
    return Limit(f"tokens/s of the HF engine with log-probabilities beside without, batch {size}", ratio, ">=", GOAL)


def main() -> int:
    """Measure each batch size; return 1 where the goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", default="1,4", help="batch sizes")
    parser.add_argument("--rounds", type=int, default=40, help="turns of each side")
    parser.add_argument("--each", type=int, default=1, help="batches in a turn")
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    print(f"{'':12}{'without tok/s':>12}{'with tok/s':>12}{'ratio':>8}{'CPU ratio':>11}  goal {GOAL}")
    return tell([compared(arguments, int(size)) for size in arguments.batches.split(",")])


if __name__ == "__main__":
    sys.exit(main())
