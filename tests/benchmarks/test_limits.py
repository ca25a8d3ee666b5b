"""`make bench` passes only if every limit was measured and holds."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.parts.limits import Limit, tell

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.mark.parametrize(
    ("limit", "line"),
    [
        (Limit("share", 0.93, ">=", 0.9), "pass          share: 0.93 (>= 0.9)"),
        (Limit("share", 0.93, ">=", 0.97), "FALLS SHORT   share: 0.93 (>= 0.97)"),
        (Limit("seconds", 2.5, "<", 2.5), "FALLS SHORT   seconds: 2.5 (< 2.5)"),
        (Limit("share", None, ">=", 0.97, why="no vLLM"), "not measured  share (>= 0.97): no vLLM"),
    ],
)
def test_a_line_says_what_it_is_and_only_a_pass_ends_well(limit: Limit, line: str, capsys: pytest.CaptureFixture[str]):
    assert str(limit) == line
    assert tell([Limit("a", 1.0, "==", 1.0), limit]) == (0 if line.startswith("pass") else 1)
    assert capsys.readouterr().out.splitlines() == ["pass          a: 1 (== 1)", line]


def bench(folder: Path, *names: str) -> subprocess.CompletedProcess[str]:
    """Run the table over the scripts of a folder that looks like benchmarks/."""
    (folder / "parts").symlink_to(BENCHMARKS / "parts")
    (folder / "__main__.py").write_bytes((BENCHMARKS / "__main__.py").read_bytes())
    return subprocess.run([sys.executable, str(folder), *names], capture_output=True, text=True, check=False)


def script(*limits: str, code: int = 0) -> str:
    return f"import sys\nfrom parts.limits import Limit, tell\ntell([{', '.join(limits)}])\nsys.exit({code})\n"


def test_the_table_has_all_lines_and_fails_for_one(tmp_path: Path):
    (tmp_path / "quick.py").write_text(script("Limit('a', 1.0, '<', 2.0)"))
    (tmp_path / "slow.py").write_text(script("Limit('b', 3.0, '<', 2.0)", code=1))
    ended = bench(tmp_path)
    assert ended.returncode == 1
    assert "pass          a: 1 (< 2)\nFALLS SHORT   b: 3 (< 2)\n1 of 2 limits hold" in ended.stdout


def test_a_benchmark_that_breaks_is_not_measured(tmp_path: Path):
    (tmp_path / "broken.py").write_text("raise SystemExit('no engine')\n")
    (tmp_path / "quick.py").write_text(script("Limit('a', 1.0, '<', 2.0)"))
    ended = bench(tmp_path)
    assert ended.returncode == 1
    assert "not measured  broken: it ended with 1" in ended.stdout


def test_some_can_be_named(tmp_path: Path):
    (tmp_path / "broken.py").write_text("raise SystemExit(1)\n")
    (tmp_path / "quick.py").write_text(script("Limit('a', 1.0, '<', 2.0)"))
    assert bench(tmp_path, "quick").returncode == 0
    wrong = subprocess.run([sys.executable, str(BENCHMARKS), "nothing"], capture_output=True, text=True, check=False)
    assert wrong.returncode == 2 and "there is no nothing; there are" in wrong.stderr
