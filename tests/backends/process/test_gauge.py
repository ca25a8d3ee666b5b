from __future__ import annotations

import itertools

import pytest
from fake_backend import wait_until

from backends.process import gauge
from backends.process.gauge import GaugePeak


def test_the_highest_value_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gauge, "_EVERY_S", 0.01)
    values = itertools.chain(
        ("", "usage 0.1", 'usage{engine="0"} 0.4\nusage{engine="1"} 0.7', "usage 0.2", "usage NaN")
    )
    asked: list[str] = []

    def read() -> str:
        asked.append(next(values, ""))
        return asked[-1]

    peak = GaugePeak(read, "usage")
    wait_until(lambda: len(asked) > 6)
    assert peak.stop() == 0.7
    assert peak.stop() == 0.7


def test_never_seen_is_unknown() -> None:
    assert GaugePeak(lambda: "other 1", "usage").stop() is None
