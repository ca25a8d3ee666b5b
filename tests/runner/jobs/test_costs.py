"""What answers cost: by tokens and by hours, for pages and not for requests, absent where it is not known."""

from __future__ import annotations

from typing import Any

import pytest

from runner.jobs import costs
from runner.planning.prices import Price

PRICE = Price(input_usd=1.0, output_usd=10.0, cached_usd=0.1)


def row(number: int, text: str | None = "x", document: str = "1", image: str = "1.png", **more: Any) -> dict[str, Any]:
    return {
        "sample_id": str(number), "repeat": 0, "document": document, "images": [image], "key": f"k{number}",
        "error": None if text is not None else {"kind": "timeout", "message": "m"}, "timing": {"latency_s": 2.0},
        "prompt_tokens": 1000, "completion_tokens": 100, "cached_tokens": None,
    } | more  # fmt: skip


def figures(rows: list[dict[str, Any]], price: Price | None = PRICE, hour: float | None = None, measured=None):
    used = costs.Costs()
    for one in rows:
        used.add(one)
    return costs.figures(used, price, hour, measured)


def test_a_page_costs_as_much_as_all_questions_about_it():
    # Two pages with four questions each: 8 x (1000 x 1 + 100 x 10) / 1e6 USD.
    rows = [row(number, document=str(number // 4), image=f"{number // 4}.png") for number in range(8)]
    values = figures(rows)
    assert values["cost/usd"] == pytest.approx(0.016)
    assert values["cost/usd_per_1000_pages"] == pytest.approx(8.0), "1,000 requests would be 2"
    assert values["cost/usd_per_1000_pages/ci_low"] == values["cost/usd_per_1000_pages/ci_high"] == pytest.approx(8.0)
    repeated = figures([*rows, *(one | {"repeat": 1, "key": f"again{one['key']}"} for one in rows)])
    assert repeated["cost/usd_per_1000_pages"] == pytest.approx(8.0) and repeated["cost/usd"] == pytest.approx(0.032)
    two_pages = figures([one | {"images": [*one["images"], "back.png"]} for one in rows])
    assert two_pages["cost/usd_per_1000_pages"] == pytest.approx(4.0), "back.png is one page of each document"


def test_documents_that_differ_make_an_interval():
    rows = [row(number, document=str(number), image=f"{number}.png", completion_tokens=number) for number in range(9)]
    values = figures(rows)
    low, high = (values[f"cost/usd_per_1000_pages/ci_{end}"] for end in ("low", "high"))
    assert 0 <= low < values["cost/usd_per_1000_pages"] < high
    assert not [name for name in figures(rows[:1]) if "ci_" in name], "of one document there is none"


def test_cached_input_has_its_own_price_and_an_answer_that_two_rows_share_is_paid_for_once():
    assert figures([row(0, cached_tokens=600)])["cost/usd"] == pytest.approx((400 + 600 * 0.1 + 1000) / 1e6)
    dear = Price(input_usd=1.0, output_usd=10.0)
    assert figures([row(0, cached_tokens=600)], dear)["cost/usd"] == pytest.approx(0.002)
    assert figures([row(0), row(1, key="k0")])["cost/usd"] == pytest.approx(0.002)


def test_what_failed_is_reckoned_as_what_was_answered_for_pages_alone():
    values = figures([row(0), row(1, text=None)])
    assert values["cost/usd"] == pytest.approx(0.002) and values["cost/usd_per_1000_pages"] == pytest.approx(4.0)
    assert figures([row(0, text=None)]) == {}


@pytest.mark.parametrize("missing", [{"prompt_tokens": None}, {"completion_tokens": None}])
def test_an_answer_without_a_count_makes_the_cost_unknown(missing: dict[str, None]):
    assert figures([row(0), row(1, **missing)]) == {}
    assert figures([row(0)], price=None) == {}, "no price is not a price of 0"
    assert figures([row(0)], price=Price(0.0, 0.0))["cost/usd"] == 0.0, "a price of 0 is one"


def test_hours_count_while_questions_are_asked():
    measured = {"wall_s": 36.0, "asked": 2}
    rows = [row(0), row(1, document="2", image="2.png")]
    assert figures(rows, None, 2.0, measured)["cost/usd_per_1000_pages"] == pytest.approx(2.0 * 0.01 * 1000 / 2)
    # Half of them were in the store already: the time of one tells that of the other.
    assert figures(rows, None, 2.0, measured | {"asked": 1})["cost/usd"] == pytest.approx(0.04)
    assert figures(rows, PRICE, 2.0, measured)["cost/usd"] == pytest.approx(0.02 + 0.004), "both are paid"
    assert figures(rows, PRICE, 2.0, None) == {}, "a part of the cost is not the cost"
    assert figures([row(0, timing=None)], None, 2.0, measured) == {}


def test_in_an_open_load_an_answer_costs_the_time_of_one_that_came_in_the_settled_part():
    """36 s settled, in which 2 of its 3 requests were answered; 4 were asked in all, and all were answered at last."""
    measured = {"wall_s": 36.0, "asked": 4, "answered": 2, "due": 3, "in_flight_s": 9.0, "held": 0}
    rows = [row(number, timing={"latency_s": 2.0, "settled": number > 0}) for number in range(4)]
    assert figures(rows, None, 2.0, measured)["cost/usd"] == pytest.approx(2.0 * 18 / 3600 * 4)
    assert figures(rows)["cost/usd"] == pytest.approx(4 * 0.002), "tokens are paid for before it settled, too"
    assert figures(rows, None, 2.0, measured | {"answered": 0}) == {}, "nothing tells how long an answer takes"


def test_without_pictures_there_are_no_pages():
    assert set(figures([row(0, images=[])])) == {"cost/usd"}


def test_the_note_says_by_which_prices_or_why_nothing_is_known():
    used = costs.Costs()
    assert costs.note(used, "", {}) is None
    assert "by 1 USD" in (costs.note(used, "1 USD an hour", {"cost/usd": 1.0}) or "")
    assert "no time was measured" in (costs.note(used, "1 USD an hour", {}) or "")
    used.add(row(0, prompt_tokens=None))
    assert "1 answers came without a count" in (costs.note(used, "x", {}) or "")
