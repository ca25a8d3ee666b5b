"""The notebooks run on a real sweep, and are kept without outputs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.conftest import ROOT, CommandLine
from tests.runner.job_folders import job_folder

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LARGEST_BYTES = 20_000


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory, make_cli: Callable[[Path], CommandLine]) -> str:
    """A database with the demo models on some documents."""
    folder = tmp_path_factory.mktemp("notebooks")
    ended = make_cli(folder)("-m", "model=demo_s,demo_m", "dataset.limit=24", timeout=300)
    assert ended.code == 0, ended.err
    return f"sqlite:///{folder}/mlflow.db"


def test_there_are_two():
    assert [path.stem for path in NOTEBOOKS] == ["build_a_chart", "explore_a_sweep"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_kept_clean_and_small(path: Path):
    book = json.loads(path.read_text(encoding="utf-8"))
    code = [cell for cell in book["cells"] if cell["cell_type"] == "code"]
    assert code and all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    assert path.stat().st_size < LARGEST_BYTES


def test_texts_of_answers_stay_texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The cells that read answers, on a run whose texts pandas would take for numbers, dates and truth values."""
    import mlflow

    from runner.jobs import tracking

    uri = f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    texts = ["007", "1.50", "28.09.2010", "2010-09-28", "1e3", "true", "40817810099910004312", ""]
    for model in ("demo_s", "demo_m"):
        folder = job_folder(tmp_path / model, f"model={model}")
        row = json.loads((folder / "answers.jsonl").read_text(encoding="utf-8").splitlines()[0])
        rows = [row | {"sample_id": f"0{n}", "text": text, "references": [text]} for n, text in enumerate(texts)]
        (folder / "answers.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows), encoding="utf-8")
        tracking.upload(folder)
    cells = json.loads((ROOT / "notebooks" / "explore_a_sweep.ipynb").read_text(encoding="utf-8"))["cells"]
    known: dict = {}
    for cell in cells:
        code = "".join(cell["source"])
        if cell["cell_type"] == "code" and ("search_runs" in code or "frames.answers" in code):
            exec(code, known)
    mlflow.set_tracking_uri(None)  # which the notebook has set for this process
    answers = known["answers"]
    assert answers["answer"].tolist() == answers["reference"].tolist() == texts * 2
    assert answers["sample_id"].tolist()[:2] == ["00", "01"]
    assert len(known["side_by_side"]) == len(texts)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs(path: Path, tracked: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracked)
    monkeypatch.setenv("PLOTLY_RENDERER", "json")
    book = nbformat.read(path, as_version=4)
    NotebookClient(book, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = json.dumps([cell.get("outputs", []) for cell in book.cells], ensure_ascii=False)
    assert "demo_s" in shown and "demo_m" in shown
    if path.stem == "build_a_chart":
        assert (tmp_path / "chart.html").stat().st_size > 1_000_000, "with plotly's script, so it needs no network"
    else:
        assert "2 jobs" in shown and "of 24 questions are answered differently" in shown
