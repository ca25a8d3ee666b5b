"""What providers say of their limits in headers, in the forms of their documentation."""

import email.utils
import time

import pytest
from multidict import CIMultiDict

from backends.rate_limit_headers import exhausted_for, retry_after, wished_wait

DATE = "Wed, 21 Oct 2015 07:28:00 GMT"
UNIX = 1445412480  # the same moment


@pytest.mark.parametrize(
    ("value", "date", "seconds"),
    [
        ("7", None, 7),
        ("0.5", DATE, 0.5),
        ("-3", None, 0),
        ("Wed, 21 Oct 2015 07:28:30 GMT", DATE, 30),
        ("Wed, 21 Oct 2015 07:28:30 -0000", DATE, 30),
        ("Wednesday, 21-Oct-15 07:28:30 GMT", DATE, 30),  # the obsolete form of RFC 850, which must be read as well
        ("Wed Oct 21 07:28:30 2015", DATE, 30),  # C's asctime()
        ("Wed, 21 Oct 2015 07:27:00 GMT", DATE, 0),
        ("Wed, 21 Oct 2015 07:28:30 GMT", None, 0),  # long past by our own clock
        ("", DATE, None),
        ("soon", DATE, None),
        ("nan", None, None),
        ("inf", None, None),
    ],
)
def test_retry_after(value: str, date: str | None, seconds: float | None):
    assert retry_after(value, date) == seconds


def test_a_date_is_counted_from_our_clock_where_the_response_has_none():
    value = email.utils.formatdate(time.time() + 3600, usegmt=True)
    for date in (None, "", "no date"):
        assert 3000 < (retry_after(value, date) or 0) <= 3600


REQUESTS = ("x-ratelimit-remaining-requests", "x-ratelimit-reset-requests")
TOKENS = ("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens")
ANTHROPIC = ("anthropic-ratelimit-input-tokens-remaining", "anthropic-ratelimit-input-tokens-reset")
PLAIN = ("X-RateLimit-Remaining", "X-RateLimit-Reset")


@pytest.mark.parametrize(
    ("names", "left", "reset", "seconds"),
    [
        (REQUESTS, "0", "1s", 1),
        (REQUESTS, "0", "6m0s", 360),
        (REQUESTS, "0", "250ms", 0.25),
        (TOKENS, "0", "2m59.56s", 179.56),
        (TOKENS, "-12", "1h2m3s", 3723),
        (REQUESTS, "0", "12", 12),  # plain seconds
        (("x-ratelimit-remaining-requests-day", "x-ratelimit-reset-requests-day"), "0", "33011.38", 33011.38),
        (ANTHROPIC, "0", "2015-10-21T07:28:45Z", 45),
        (ANTHROPIC, "0", "2015-10-21T10:28:45+03:00", 45),
        (PLAIN, "0", str(UNIX + 20), 20),
        (PLAIN, "0", str((UNIX + 20) * 1000), 20),
        (REQUESTS, "1", "6m0s", None),
        (ANTHROPIC, "4000", "2015-10-21T07:28:45Z", None),
        (ANTHROPIC, "0", "2015-10-21T07:27:45Z", None),  # it was reset meanwhile
        (REQUESTS, "0", "0s", None),
        (REQUESTS, "0", "in a minute", None),
        (REQUESTS, "none", "1s", None),
        (("x-ratelimit-limit-requests", "x-ratelimit-reset-requests"), "0", "1s", None),
    ],
)
def test_what_is_left(names: tuple[str, str], left: str, reset: str, seconds: float | None):
    headers = CIMultiDict({"Date": DATE, names[0]: left, names[1]: reset})  # as aiohttp's: case does not matter
    assert exhausted_for(headers) == (None if seconds is None else pytest.approx(seconds))


def test_the_last_reset_counts_of_those_that_are_exhausted():
    headers = {"Date": DATE, REQUESTS[0]: "0", REQUESTS[1]: "2s", TOKENS[0]: "0", TOKENS[1]: "9s"}
    assert exhausted_for(headers) == 9
    assert exhausted_for({**headers, TOKENS[0]: "5"}) == 2
    assert exhausted_for({TOKENS[0]: "0"}) is None, "no reset is told"


def test_what_a_refusal_asks_for_has_priority_over_the_reset():
    headers = {REQUESTS[0]: "0", REQUESTS[1]: "9s"}
    assert wished_wait(headers, b"") == 9
    assert wished_wait({**headers, "Retry-After": "1"}, b"") == 1
    assert wished_wait(headers, b'{"error": {"details": [{"retryDelay": "17s"}]}}') == 17
    assert wished_wait({}, b"") is None
