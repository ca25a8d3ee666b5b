from __future__ import annotations

import pytest

from runner.asking import largest_input


def found(count: int, fitting: int) -> tuple[int | None, list[int]]:
    """Search among `count` inputs of which the first `fitting` work; return the result and what was tried."""
    tried = []
    search = largest_input.search(count)
    index = next(search)
    while True:
        tried.append(index)
        try:
            index = search.send(index < fitting)
        except StopIteration as ended:
            return ended.value, tried


@pytest.mark.parametrize("count", [1, 2, 7, 8, 9, 64, 105])
def test_the_largest_that_works_is_found_and_nothing_is_tried_twice(count: int) -> None:
    for fitting in range(count + 1):
        largest, tried = found(count, fitting)
        assert largest == (fitting - 1 if fitting else None)
        assert len(tried) == len(set(tried)) <= count
        too_large = [index for index in tried if index >= fitting]
        assert max(too_large, default=0) < fitting + largest_input.STEPS_PER_DOUBLING, (
            "nothing is tried that is twice too large"
        )


def row(name: str, kind: str | None, tokens: int | None = None) -> dict[str, object]:
    error = kind and {"kind": kind, "message": "no room\nmore"}
    return {"sample_id": name, "error": error, "prompt_tokens": tokens, "image_tokens": tokens and tokens - 9}


def test_what_a_search_found() -> None:
    rows = [row("4x1", None, 13), row("64x1", None, 73), row("128x1", "out_of_memory"), row("256x1", "engine_died")]
    metrics, said = largest_input.figures(rows)
    assert metrics == {"largest/prompt_tokens": 73.0, "largest/visual_tokens": 64.0}
    assert "73 prompt tokens" in said and "128x1, failed by out_of_memory: no room" in said
    assert "search_up_to" in largest_input.figures(rows[:2])[1]
    assert largest_input.figures(rows[2:]) == ({}, "not even the smallest input fits: failed by out_of_memory: no room")
