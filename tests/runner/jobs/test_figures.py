"""Figures of speed and length: right where they were measured, absent where not."""

import dataclasses

import pytest

from backends.api import Failure, Generation
from runner.asking import load
from runner.asking.questions import Generated
from runner.asking.stored_timings import joined
from runner.jobs import figures, notes


def row(text: str | None = "абвг", latency: float = 1.0, ttft: float | None = 0.4, tokens: int | None = 4, **more):
    error = None if text is not None else {"kind": "timeout", "message": "m"}
    timing = {"latency_s": latency, "ttft_s": ttft}
    return {
        "attempts": 1,
        "text": text,
        "error": error,
        "timing": timing,
        "completion_tokens": tokens,
        "conditions": {},
    } | more


def measured(wall: float = 4.0, asked: int = 4, **stats):
    return {"wall_s": wall, "engine_s": wall * 0.9, "slots_s": wall, "asked": asked, "answered": asked,
            "chars": 4 * asked, "output_tokens": 4 * asked, "stats": {"notes": []} | stats}  # fmt: skip


def test_figures_of_four_answers():
    rows = [row(latency=latency) for latency in (1.0, 2.0, 3.0, 4.0)]
    values = figures.figures(figures.Seen(rows), measured(cpu_peak_gib=0.5, energy_joules=8.0), timed=True)
    assert values["latency/mean_s"] == 2.5 and values["latency/p50_s"] == 2.5
    assert values["tpot/p50_s"] == pytest.approx((2.1) / 3)
    assert values["ttft/p50_s"] == pytest.approx(0.4)
    assert values["throughput/requests_per_s"] == 1.0
    assert values["throughput/output_tokens_per_s"] == 4.0
    assert values["throughput/chars_per_s"] == 4.0
    assert values["memory/cpu_peak_gib"] == 0.5
    assert values["energy/joules_per_request"] == 2.0
    assert values["harness/overhead_share"] == pytest.approx(0.1)
    assert values["text/length_mean"] == 4.0


def test_what_was_not_measured_is_absent():
    values = figures.figures(figures.Seen([row(ttft=None, tokens=None)]), None, timed=True)
    assert not [name for name in values if name.startswith(("memory", "throughput", "ttft", "tpot", "energy"))]
    assert "latency/p50_s" in values


def test_failed_answers_do_not_count():
    values = figures.figures(figures.Seen([row(latency=1.0), row(text=None, latency=99.0)]), None, timed=True)
    assert values["latency/p99_s"] == 1.0


def test_all_failed_gives_nothing():
    assert figures.figures(figures.Seen([row(text=None)]), None, timed=True) == {}


def test_answers_from_elsewhere_give_no_timing():
    assert set(figures.figures(figures.Seen([row()]), measured(), timed=False)) == {"text/length_mean"}


def test_one_token_has_no_time_per_token():
    assert "tpot/p50_s" not in figures.figures(figures.Seen([row(tokens=1)]), None, timed=True)


def test_joined_measurements_add_time_and_keep_the_higher_peak():
    before = measured(wall=4, asked=4, cpu_peak_gib=0.7, energy_joules=1.0, gpu_peak_gib=None)
    both = joined(before, measured(wall=2, asked=1, cpu_peak_gib=0.5, energy_joules=2.0, gpu_peak_gib=None))
    assert (both["wall_s"], both["asked"]) == (6, 5)
    assert both["stats"]["cpu_peak_gib"] == 0.7
    assert both["stats"]["energy_joules"] == 3.0
    assert both["stats"]["gpu_peak_gib"] is None


def test_throughput_counts_answers_and_not_failures():
    tally = load.Tally(wall_s=2.0, engine_s=1.0, slots_s=2.0)
    tally.count(Generation("a", "абвг", None, completion_tokens=2))
    for key in "bcd":
        tally.count(Generation(key, None, Failure("bad_request", "no")))
    values = figures.figures(figures.Seen([row()]), dataclasses.asdict(tally) | {"stats": {}}, timed=True)
    assert values["throughput/requests_per_s"] == 0.5
    assert values["throughput/output_tokens_per_s"] == 1.0
    assert values["throughput/chars_per_s"] == 2.0
    assert values["harness/overhead_share"] == 0.5


def test_an_answer_without_a_token_count_leaves_no_token_rate():
    tally = load.Tally(wall_s=2.0)
    tally.count(Generation("a", "абвг", None, completion_tokens=2))
    tally.count(Generation("b", "абвг", None))
    values = figures.figures(figures.Seen([row()]), dataclasses.asdict(tally) | {"stats": {}}, timed=True)
    assert "throughput/output_tokens_per_s" not in values and "throughput/requests_per_s" in values


def test_notes_say_what_the_figures_leave_out():
    rows = [row(), row(attempts=3)]
    keys = {("0", 0): "a", ("1", 0): "b"}
    failure = Generation("b", None, Failure("timeout", "after 3 s"))
    assert "other conditions" in notes.notes(Generated(timed=False), figures.Seen([]))[0]
    assert "no throughput" in notes.notes(Generated(), figures.Seen([]))[0]
    assert notes.notes(Generated(keys=keys, measured=measured(asked=2)), figures.Seen([row()])) == []
    assert "1 of 2" in notes.notes(Generated(keys=keys, measured=measured(asked=1)), figures.Seen([row()]))[0]
    failed, again = notes.notes(Generated(failures={("1", 0): failure}, measured=measured()), figures.Seen(rows))
    assert "1 of 2 answers failed" in failed and "after 3 s" in failed
    assert "1 answers took more than one attempt; their latency is the last attempt's" in again


def test_a_time_per_token_divides_by_what_came_after_the_first_piece():
    def timed(after):
        return row(timing={"latency_s": 1.0, "ttft_s": 0.4, "tokens_after_first": after})

    assert figures.figures(figures.Seen([timed(2.0)]), None, timed=True)["tpot/p50_s"] == pytest.approx(0.3)
    assert "tpot/p50_s" not in figures.figures(figures.Seen([timed(0.0)]), None, timed=True)


def test_answers_whose_tokens_came_all_at_once_are_told_of():
    """A proxy gathers the stream, or the operating system wakes the client late; seen with vLLM on the same cores."""

    def came(after_ttft_s, tokens=6.0):
        return row(timing={"latency_s": 0.4 + after_ttft_s, "ttft_s": 0.4, "tokens_after_first": tokens})

    slowly, at_once = came(0.02), came(0.0001)
    (told,) = [note for note in notes.notes(Generated(), figures.Seen([slowly, at_once])) if "at once" in note]
    assert told.startswith("in 1 of 2 answers all tokens came at once") and "ttft and tpot are not the engine's" in told
    borne = [*[slowly] * 4, at_once, *[came(0.0, tokens=2.0)] * 20]  # one in five; two tokens may be one step
    assert not [note for note in notes.notes(Generated(), figures.Seen(borne)) if "at once" in note]


def test_what_must_be_told_of_answers_is_counted_and_told():
    filtered = row(text=None, error={"kind": "content_filter", "message": "m"})
    rows = [
        row(remarks=["refusal"]),
        row(remarks=["finish_reason=MAX_TOKENS"], finish_reason="length"),
        row(remarks=["finish_reason=repetition"]),
        row(remarks=["reasoning_in_content", "other_choices"]),
        row("", remarks=["cut_before_answer"], finish_reason="length"),
        filtered,
        row(),  # as earlier versions stored it
    ]
    seen = figures.Seen(rows)
    assert (seen.refused, seen.filtered, seen.truncated) == (2, 1, 2)
    noted = "\n".join(notes.notes(Generated(timed=False), seen))
    for words in (
        *("1 of 7 questions were refused by the endpoint's content filter", "1 answers are refusals"),
        *("1 answers held reasoning before the answer", "only the first (index 0)", "finish_reason 'repetition'"),
        "were cut by sampling.max_tokens while the model was thinking",
        "1 of 7 answers were cut off by a limit of tokens",  # the other is told of as cut before the answer
    ):
        assert words in noted
    assert "MAX_TOKENS" not in noted  # it is known: the answer counts as cut off


def test_empty_answers_are_told_of_once():
    rows = [row(text=" "), row(text=""), row(text="", remarks=["only_reasoning"]), row(text="а")]
    noted = notes.notes(Generated(timed=False), figures.Seen(rows))
    assert "2 of 4 answers are empty, and are scored as such" in noted
    assert any("1 answers hold reasoning and nothing after it" in note for note in noted)


def test_the_latency_of_a_second_attempt_counts_from_the_due_time_in_an_open_load():
    timing = {"latency_s": 4.0, "ttft_s": 0.5, "late_s": 0.001, "settled": True}
    (again, *_) = notes.notes(Generated(), figures.Seen([row(attempts=2, timing=timing)]))
    assert again == "1 answers took more than one attempt; their latency counts from when they were due"


def test_remarks_on_pictures_are_notes_that_name_the_first_ones():
    blank = dict.fromkeys(f"{number}.png" for number in range(8))
    generated = Generated(remarks={"is one flat colour": blank, "moves": {"a.gif": None}})
    noted = notes.notes(generated, figures.Seen([]))
    assert "picture 0.png, 1.png, 2.png, 3.png, 4.png and 3 more: is one flat colour" in noted
    assert "picture a.gif: moves" in noted


def test_thinking_has_figures_of_its_own():
    def thought(tokens: int | None, answered: float, reasoning: str | None = "вижу"):
        timing = {"latency_s": 4.0, "ttft_s": 0.5, "answer_ttft_s": answered}
        return row(reasoning=reasoning, reasoning_tokens=tokens, timing=timing)

    values = figures.figures(figures.Seen([thought(10, 2.0), thought(30, 3.0)]), None, timed=True)
    assert values["text/reasoning_tokens"] == 20 and values["ttft/answer_p50_s"] == 2.5 and values["ttft/p50_s"] == 0.5
    plain = figures.figures(figures.Seen([thought(None, 0.5, None)]), None, timed=True)
    assert not {"text/reasoning_tokens", "ttft/answer_p50_s"} & set(plain), "no thought was seen, and none counted"
    hidden = figures.figures(figures.Seen([thought(0, 0.5, None)]), None, timed=False)
    assert hidden["text/reasoning_tokens"] == 0, "counted, and there were none"


def test_an_objective_for_the_answer_itself_is_not_one_for_the_first_token():
    rows = [row(ttft=0.1), row(ttft=0.1)]
    for one, said in zip(rows, (0.3, 0.9), strict=True):
        one["timing"]["answer_ttft_s"] = said
    limits = {"ttft/answer_p95_s": 0.5}
    seen = figures.Seen(rows, limits)
    assert figures.figures(seen, None, timed=True)["goodput/share"] == 0.5
    assert any("ttft/answer <= 0.5 s" in note for note in notes.notes(Generated(), seen))
    assert figures.figures(figures.Seen(rows, {"ttft/p95_s": 0.5}), None, timed=True)["goodput/share"] == 1
    rows[0]["timing"]["answer_ttft_s"] = None
    assert "goodput/share" not in figures.figures(figures.Seen(rows, limits), None, timed=True)


@pytest.mark.parametrize(
    ("one", "limits", "share"),
    [
        # How many tokens came after the first piece is not known: neither good nor bad.
        (row(tokens=None), {"tpot/p95_s": 0.1}, None),
        # It came as one piece: nobody waited between pieces.
        (
            row(tokens=1) | {"timing": {"latency_s": 1.0, "ttft_s": 1.0, "tokens_after_first": 0}},
            {"tpot/p95_s": 0.1},
            1,
        ),
        # An answer of no text has no first piece: its end is what was waited for.
        (row("", latency=0.3, ttft=None, tokens=0), {"ttft/p95_s": 0.5, "tpot/p95_s": 0.1}, 1),
        (row("", latency=0.7, ttft=None, tokens=0), {"ttft/p95_s": 0.5}, 0),
        # Of an endpoint that does not stream, the time to the first token is not known, whatever it answered.
        (row("", latency=0.3, ttft=None, tokens=0, remarks=["not_streamed"]), {"ttft/p95_s": 0.5}, None),
        # An answer that was cut within its thinking is of no use, however soon it came.
        (row("", latency=0.1, ttft=0.1, remarks=["cut_before_answer"]), {"latency/p95_s": 1.0}, 0),
    ],
)
def test_a_goodput_counts_only_what_its_limits_can_judge(one, limits, share):
    values = figures.figures(figures.Seen([one], limits), None, timed=True)
    assert values.get("goodput/share") == share


def test_a_cut_within_the_thinking_is_truncated():
    seen = figures.Seen([row("", remarks=["cut_before_answer"], finish_reason=None), row("", finish_reason="stop")])
    assert seen.truncated == 1


def test_settings_that_an_endpoint_refused_are_told():
    seen = figures.Seen([row(remarks=["not_sent=temperature", "sent_as=max_tokens:max_completion_tokens"]), row()])
    noted = "\n".join(notes.notes(Generated(timed=False), seen))
    assert "1 answers were made without temperature, which the endpoint refuses" in noted
    assert "max_tokens was sent as max_completion_tokens for 1 answers" in noted
