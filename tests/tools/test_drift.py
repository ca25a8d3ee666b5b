"""tools/drift.py on a made package: what its own format strings can write is found, and what they can't is named."""

import re
from pathlib import Path

import pytest

from drift import Wanted, compare, strings, wanted

SOURCE = """
class Args:
    max_num_seqs: int = 8

def run(log, size, seconds):
    log.info("Graph capturing finished in %.0f secs, took %.2f GiB", seconds, size)
    log.info(
        f"Actual usage is {size} GiB for consumed memory "
        f"(weights + non-torch)"
    )
    log.info("Using %s attention backend out of %s", size, seconds)
    gauge("engine:usage_perc")
    return f"engine with config: dtype={size}, " f"quantization={size}"
"""


@pytest.fixture
def lines(tmp_path: Path):
    (tmp_path / "engine").mkdir()
    (tmp_path / "engine" / "runner.py").write_text(SOURCE)
    return list(strings(tmp_path / "engine"))


@pytest.mark.parametrize(
    ("thing", "is_found"),
    [
        (Wanted("flag", "--max-num-seqs"), True),
        (Wanted("flag", "--max-seqs"), False),
        (Wanted("metric", "engine:usage_perc"), True),
        (Wanted("metric", "engine:used_perc"), False),
        (Wanted("pattern", "_GRAPHS", re.compile(r"Graph capturing finished in [\d.]+ secs, took ([\d.]+) GiB")), True),
        (Wanted("pattern", "_USED", re.compile(r"Actual usage is ([\d.]+) GiB for consumed memory \(weights")), True),
        (Wanted("pattern", "_GRAPHS", re.compile(r"Graph capturing finished in [\d.]+ s, took")), False),
        # A set of characters is longer than each word, and stands in no line.
        (Wanted("pattern", "_SET", re.compile(r"Using (?:Enum\.)?([A-Z][A-Z0-9_]+) (?:attention )?backend")), True),
        (Wanted("pattern", "_BOTH", re.compile(r"engine with config[^\n]*?\bquantization=(\w+)")), True),
    ],
)
def test_what_is_found(lines, capsys: pytest.CaptureFixture[str], thing: Wanted, is_found: bool):
    assert compare("engine==1", "engine", [thing], lines, verbose=False) == (0 if is_found else 1)
    assert (f"{thing.name} is MISSING" in capsys.readouterr().out) == (not is_found)


def test_what_our_code_looks_for():
    names = {thing.name for thing in wanted("vllm")}
    assert {"--max-num-seqs", "vllm:kv_cache_usage_perc", "VLLM_API_KEY", "_GRAPHS", "_FACTS[attention]"} <= names
    assert {"--decode-log-interval", "sglang:full_token_usage", "_FACTS[quantization]"} <= {
        thing.name for thing in wanted("sglang")
    }
