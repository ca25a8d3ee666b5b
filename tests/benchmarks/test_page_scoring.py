"""What benchmarks/page_scoring.py compares is the same work on both sides."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from metrics.registry import create

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def script():
    sys.path.insert(0, str(BENCHMARKS))  # the benchmarks are scripts and import each other by their plain names
    import page_scoring

    yield page_scoring
    sys.path.remove(str(BENCHMARKS))


def test_pages_are_different_and_of_3_kb(script):
    for metric in ("page", "kie"):
        pages = [case.references[0] for seed in (0, 100) for case, _ in script.made(metric, 20, seed)]
        assert len(set(pages)) == 40
        assert 2_700 < sum(len(page.encode()) for page in pages) / 40 < 4_000


def test_the_loop_finds_the_edits_that_page_finds(script):
    """Closest pairs by plain edits: letters that are read otherwise, and two texts that are swapped."""
    made = script.made("page", 6, 7)
    metric = create("page", {"characters": "all"})
    scores = {one.sample_id: one for one in metric.score([case for case, _ in made]) if one.name == "page_text_edit"}
    for case, _ in made:
        assert scores[case.sample_id].value == pytest.approx(
            script.paired_edits(str(case.prediction), case.references[0]), abs=1e-9
        )


def test_a_run_in_a_process_of_its_own_tells_time_and_memory():
    command = [sys.executable, str(BENCHMARKS / "page_scoring.py"), "--only", "kie", "--pages", "1000"]
    told = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert set(told) == {"seconds", "bytes", "early_mib", "late_mib"}
    assert told["late_mib"] >= told["early_mib"] > 50 and told["seconds"] > 0
