"""What a job's record keeps of its blocks over time: answers that were sent at another block's time don't count."""

from __future__ import annotations

import pytest

from runner.jobs import blocks
from runner.jobs.blocks import Block, Timed


def block(begin: float, latency: float, answers: int = 12) -> Block:
    return Block(answers, answers, [Timed(begin + number, latency, str(number)) for number in range(answers)])


def test_blocks_in_their_time_are_tested():
    told = blocks.described([block(0, 1.0), block(100, 1.0), block(200, 2.0)])
    assert told["in_order"] and [one["p50_s"] for one in told["blocks"]] == [1, 1, 2]
    assert [len(one["level"]) for one in told["blocks"]] == [3, 3, 3]
    assert [one["middle_at"] for one in told["blocks"]] == [5.5, 105.5, 205.5]
    figures = blocks.figures(told)
    assert [figures[f"drift/{name}"] for name in ("spread", "at_least", "at_most")] == pytest.approx([1.0] * 3)
    assert (figures["drift/p50_low_s"], figures["drift/p50_high_s"]) == (1, 2)
    note = "median latency of its blocks 1, 1, 2 s; the slowest took 100.0% longer than the fastest (100.0% to 100.0%)"
    assert note in blocks.note(told, figures)


def test_an_answer_that_was_asked_again_later_is_not_taken_for_its_block():
    first = block(0, 1.0, 20)
    first.times[3] = Timed(900.0, 50.0, "3")  # it failed, and a later command asked it again
    told = blocks.described([first, block(100, 1.0, 20), block(200, 1.0, 20)])
    assert told["in_order"] and told["blocks"][0]["answers"] == 20
    assert blocks.figures(told)["drift/spread"] == pytest.approx(0.0)


@pytest.mark.parametrize(
    "measured",
    [
        [block(0, 1.0), block(0, 1.0), block(0, 1.0)],
        [block(0, 1.0), block(6, 1.0), block(12, 1.0)],
        [block(200, 1.0), block(100, 1.0), block(0, 1.0)],
        [block(0, 1.0), block(100, 1.0), Block(4, 12)],
        [Block(4, 12), Block(4, 12)],
    ],
    ids=["stored by a command without blocks", "overlapping", "backwards", "an empty block", "nothing answered"],
)
def test_blocks_that_are_no_stretches_of_time_are_not_tested(measured: list[Block]):
    told = blocks.described(measured)
    assert not told["in_order"] and blocks.figures(told) == {} and blocks.levels(told) is None
    assert "whether latencies drifted is not known; reuse=never" in blocks.note(told, {})


def test_few_documents_have_medians_and_no_comparison():
    told = blocks.described([block(0, 1.0, 3), block(100, 1.1, 3)])
    figures = blocks.figures(told)
    assert set(figures) == {"drift/p50_low_s", "drift/p50_high_s", "drift/p95_low_s", "drift/p95_high_s"}
    assert "about too few documents" in blocks.note(told, figures)


def test_questions_about_a_document_count_as_one_and_lengths_are_those_of_all():
    def of(begin: float, documents: int, tokens: tuple[int, int] | None = (7, 9)) -> Block:
        times = [Timed(begin + n, 1.0 + n // 10, str(n // 10), tokens) for n in range(10 * documents)]
        return Block(documents, len(times), times)

    told = blocks.described([of(0, 4), of(100, 4)])
    assert [one["level"][2] for one in told["blocks"]] == [3, 3], "four documents"
    few = blocks.described([of(0, 3), of(100, 3)])
    assert few["in_order"] and blocks.levels(few) is None, "thirty answers are of three documents alone"


def test_longer_answers_are_no_drift():
    def of(begin: float, tokens: int) -> Block:
        lengths = [tokens + 10 * number for number in range(20)]
        times = [Timed(begin + n, 0.02 * (1 + length), str(n), (100, length)) for n, length in enumerate(lengths)]
        return Block(20, 20, times)

    figures = blocks.figures(blocks.described([of(0, 50), of(1000, 200)]))
    assert figures["drift/p50_high_s"] > 1.5 * figures["drift/p50_low_s"]
    assert figures["drift/spread"] == pytest.approx(0, abs=1e-6)
    unknown = [Block(20, 20, [one._replace(tokens=None) for one in of(begin, 50).times]) for begin in (0, 1000)]
    assert blocks.figures(blocks.described(unknown))["drift/at_most"] > 0.2
