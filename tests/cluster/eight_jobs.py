"""Eight jobs on three engines, of which one fails on purpose: what every launcher must bring to the same end."""

import itertools
import json
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

ENGINES = "aababcbc"  # of each job: neighbours in the list are not neighbours on an engine
FAILS = 4
ECHO = ("backend.name=echo", "dataset.limit=8", "metrics=[exact_match,cer]", "backend.retries=0")


def arguments(folder: Path, workers: str) -> list[str]:
    """Write the eight experiments and return the sweep over them."""
    experiments = folder / "my_conf" / "experiment"
    experiments.mkdir(parents=True)
    (folder / "torn.png").write_bytes(b"no picture")
    row = {"id": "0", "images": ["torn.png"], "question": "Что здесь?"}
    (folder / "torn.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    for number, engine in enumerate(ENGINES):
        delay = 0.01 * (1 + "abc".index(engine))
        failing = number == FAILS
        (experiments / f"job{number}.yaml").write_text(
            "# @package _global_\n"
            + ("defaults: [{override /dataset: jsonl}]\n" if failing else "")
            + (f"dataset: {{path: {folder / 'torn.jsonl'}}}\n" if failing else "")
            + f"backend: {{engine_args: {{delay_s: {delay}}}}}\n"
            f"sampling: {{seed: {number}}}\n"
        )
    jobs = ",".join(f"job{number}" for number in range(len(ENGINES)))
    return ["-m", f"workers={workers}", "--config-dir", str(folder / "my_conf"), *ECHO, f"experiment={jobs}"]


def check(folder: Path, code: int, err: str) -> None:
    """Assert that seven jobs finished, one failed, each engine was started once, and all ran in their groups."""
    assert code == 1, err
    assert "1 of 8 jobs failed" in err
    found = results(folder)
    assert len(found) == 8, err
    by_seed = {result["seed"]: result for result in found}
    assert [seed for seed, result in by_seed.items() if result["status"] == "failed"] == [FAILS]
    assert sum(result["metrics"].get("engine/starts", 0) for result in found) == 3
    # A group runs in order, in one process after the other's end: a, then b, then c as they first appear.
    order = [result["seed"] for result in sorted(found, key=lambda result: int(result["folder"].name.split("_")[0]))]
    assert order == [0, 1, 3, 2, 4, 6, 5, 7]
    for engine in "abc":
        times = [(by_seed[n]["started_at"], by_seed[n]["finished_at"]) for n, of in enumerate(ENGINES) if of == engine]
        assert all(end <= begin for (_, end), (begin, _) in itertools.pairwise(times))
    finished = [result for result in found if result["status"] == "finished"]
    assert all(result["metrics"]["samples/total"] == 8 for result in finished)
    assert all(len((r["folder"] / "answers.jsonl").read_text().splitlines()) == 8 for r in finished)
    report = next(folder.glob("multirun/*/*/report.html"))
    assert report.stat().st_size > 1000


def results(folder: Path) -> list[dict[str, Any]]:
    """Read what the jobs left."""
    found = []
    for path in folder.glob("multirun/*/*/*/metrics.json"):
        seed = OmegaConf.load(path.parent / "config.yaml").sampling.seed
        found.append(json.loads(path.read_text()) | {"folder": path.parent, "seed": seed})
    return found
