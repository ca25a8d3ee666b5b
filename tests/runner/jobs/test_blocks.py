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
    assert [len(one["batches"]) for one in told["blocks"]] == [4, 4, 4]
    figures = blocks.figures(told)
    assert figures["drift/spread"] == pytest.approx(1.0) and figures["drift/p"] < 0.01
    assert (figures["drift/p50_low_s"], figures["drift/p50_high_s"]) == (1, 2)
    assert "median latency of its blocks 1, 1, 2 s; means differ by 100.0% (p 0.0" in blocks.note(told, figures)


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
    assert not told["in_order"] and blocks.figures(told) == {} and blocks.means(told) is None
    assert "whether latencies drifted is not known; reuse=never" in blocks.note(told, {})


def test_few_answers_have_medians_and_no_test():
    told = blocks.described([block(0, 1.0, 5), block(100, 1.1, 5)])
    figures = blocks.figures(told)
    assert set(figures) == {"drift/p50_low_s", "drift/p50_high_s", "drift/p95_low_s", "drift/p95_high_s"}
    assert blocks.note(told, figures).endswith("too few answers or documents in a block to test whether they differ")


def test_questions_about_a_document_stay_in_one_batch_and_few_documents_are_not_tested():
    def of(begin: float, documents: int) -> Block:
        times = [Timed(begin + number, 1.0 + number // 10, str(number // 10)) for number in range(10 * documents)]
        return Block(documents, len(times), times)

    told = blocks.described([of(0, 4), of(100, 4)])
    assert [len(set(one["batches"])) for one in told["blocks"]] == [4, 4], "a batch for each document"
    few = blocks.described([of(0, 3), of(100, 3)])
    assert few["in_order"] and blocks.means(few) is None, "thirty answers are of three documents alone"
