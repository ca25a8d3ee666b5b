"""How long the report of a large sweep takes, in what memory, and how it scrolls and filters in a real browser.

    python benchmarks/report.py [candidates] [samples]        8 and 10,000 unless said otherwise

Answers are made up (four questions on each document, 40 characters on average, one in five wrong), pictures drawn; they
are scored by the real metrics, and the report is made by the real command in a process of its own. Ends with 1 where it
takes more than a minute or 1.5 GiB. Two minutes.
"""

from __future__ import annotations

import dataclasses
import json
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from parts.limits import Limit, tell

SECONDS, GIB = 60.0, 1.5
WORDS = [
    "счёт",
    "акт",
    "договор",
    "паспорт",
    "инвойс",
    "сумма",
    "итого",
    "дата",
    "номер",
    "поставщик",
    "покупатель",
    "адрес",
    "город",
    "улица",
    "дом",
]
FIELDS = [("passport", "Имя"), ("passport", "Номер"), ("invoice", "Сумма"), ("invoice", "Дата")]


def make_jobs(folder: Path, candidates: int, samples: int) -> None:
    """Write a job folder per candidate, scored by exact match and CER."""
    chance = random.Random(0)
    references = [" ".join(chance.choices(WORDS, k=6)) for _ in range(samples)]
    pictures = _pictures(folder, samples // 4)
    for number in range(candidates):
        answers = [one if chance.random() > 0.2 else one[:-3] + "где" for one in references]
        rows = [
            {
                "sample_id": str(n), "repeat": 0, "document": str(n // 4), "doc_class": FIELDS[n % 4][0],
                "field": FIELDS[n % 4][1], "question": f"Напиши {FIELDS[n % 4][1]}", "references": [references[n]],
                "images": [str(pictures[n // 4])], "context": "", "answerable": None, "prompt": "Напиши коротко",
                "key": str(n), "text": answers[n], "error": None, "finish_reason": "stop", "attempts": 1,
                "timing": {"latency_s": chance.gammavariate(4, 0.05), "ttft_s": 0.05}, "prompt_tokens": 70 + n % 900,
                "completion_tokens": 9, "token_ids": list(range(9)), "conditions": {"gpu": "none", "concurrency": "1"},
            }
            for n in range(samples)
        ]  # fmt: skip
        _job(folder / f"{number}", rows, (f"model={'demo_m' if number % 2 else 'demo_s'}", f"concurrency={number + 1}"))


def _job(folder: Path, rows: list[dict[str, Any]], overrides: tuple[str, ...]) -> None:
    """Write the folder of one job, as the runner leaves it."""
    from hydra import compose, initialize_config_dir
    from omegaconf import OmegaConf

    from metrics.registry import create
    from runner import config
    from runner.base import paths
    from runner.jobs import figures
    from runner.jobs.folder import JobFolder
    from runner.scoring import score

    folder.mkdir()
    config.register()
    with initialize_config_dir(version_base="1.3", config_dir=str(paths.conf_dir())):
        OmegaConf.save(compose("config", ["metrics=[exact_match,cer]", *overrides]), folder / "config.yaml")
    with (folder / "answers.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    made = {one: create(one) for one in ("exact_match", "cer")}
    aggregates = score.score(JobFolder(folder), list(JobFolder(folder).cases()), made)
    counts = {"samples/total": len(rows), "samples/failed": 0, "memory/cpu_peak_gib": 1.0}
    values = score.values(aggregates) | figures.figures(figures.Seen(rows), None, timed=True) | counts
    record = {"name": folder.name, "status": "finished", "error": None, "started_at": 0.0, "finished_at": time.time(),
              "metrics": values, "notes": [],
              "aggregates": [dataclasses.asdict(one) for one in aggregates]}  # fmt: skip
    environment = {"host": "here", "cpu": "made up", "gpus": [], "python": "3", "packages": {}, "command": ["python"],
                   "sweep": "made/up", "dataset_digest": "same", "env": "current",
                   "metric_versions": {name: metric.version for name, metric in made.items()}}  # fmt: skip
    (folder / "metrics.json").write_text(json.dumps(record, ensure_ascii=False), encoding="utf-8")
    (folder / "environment.json").write_text(json.dumps(environment), encoding="utf-8")


def _pictures(folder: Path, count: int) -> list[Path]:
    """Draw a noisy page per document, 1240 x 1754 as a scan of A4 has it, a hundred of them different."""
    import numpy as np
    from PIL import Image

    (folder / "images").mkdir(parents=True)
    noise = np.random.default_rng(0)
    for number in range(min(count, 1000)):
        page = noise.integers(0, 255, size=(110, 78), dtype=np.uint8)
        Image.fromarray(page).resize((1240, 1754)).save(folder / "images" / f"{number}.jpg", quality=80)
    return [folder / "images" / f"{number % 1000}.jpg" for number in range(count)]


def build(folder: Path) -> tuple[float, float]:
    """Make the report in a process of its own; return seconds and GiB at its peak."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "runner.report", str(folder)], check=True, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - started
    return seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20


def browse(page_path: Path) -> dict[str, float] | None:
    """Return milliseconds of opening, of scrolling (the slowest frame and the mean of 60), filtering and searching."""
    path = next((found for name in ("chromium", "google-chrome") if (found := shutil.which(name))), None)
    if path is None:
        return None
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.set_default_timeout(120_000)
        started = time.perf_counter()
        page.goto(page_path.as_uri())
        page.locator(".space .row").first.wait_for(state="attached")
        opened = 1000 * (time.perf_counter() - started)
        page.locator(".viewer").scroll_into_view_if_needed()
        page.wait_for_timeout(3000)  # charts that came near are drawn; they are no part of scrolling
        found: dict[str, float] = page.evaluate(SCRIPT)
        browser.close()
    return {"open": opened, **found}


SCRIPT = """async () => {
  const list = document.querySelector(".list"), kind = document.querySelector("select.kind");
  const search = document.querySelector(".filters input");
  const frame = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  const frames = [];
  for (let n = 0; n < 60; n++) {
    const start = performance.now();
    list.scrollTop = (list.scrollHeight * ((n * 37) % 60)) / 60;
    await frame();
    frames.push(performance.now() - start);
  }
  const timed = async (act) => {
    const start = performance.now();
    act();
    await frame();
    return performance.now() - start;
  };
  const filter = await timed(() => { kind.value = "wrong"; kind.dispatchEvent(new Event("change")); });
  const sort = document.querySelector("select.sort");
  const worst = await timed(() => { sort.value = "worst"; sort.dispatchEvent(new Event("change")); });
  const typed = async (text) => {
    const start = performance.now();
    const before = document.querySelector(".count").textContent;
    search.value = text;
    search.dispatchEvent(new Event("input"));
    while (document.querySelector(".count").textContent === before) await frame();
    return performance.now() - start;
  };
  const first = await typed("паспорт инвойс");
  const second = await typed("договор акт");
  return { scroll_mean: frames.reduce((a, b) => a + b) / frames.length, scroll_slowest: Math.max(...frames),
           filter, worst_first: worst, first_search: first, next_search: second,
           elements: document.querySelectorAll(".viewer *").length };
}"""


def main() -> int:
    """Measure and print one line per figure."""
    candidates, samples = (int(one) for one in (*sys.argv[1:], *("8", "10000")[len(sys.argv) - 1 :]))
    with tempfile.TemporaryDirectory() as kept:
        folder = Path(kept)
        make_jobs(folder, candidates, samples)
        seconds, gib = build(folder)
        size = (folder / "report.html").stat().st_size / 2**20
        figures: dict[str, Any] = {"build_s": seconds, "peak_gib": gib, "page_mib": size}
        figures |= browse(folder / "report.html") or {"browser": "none is installed"}
    print(f"{candidates} candidates x {samples} samples")
    print(
        json.dumps({name: round(one, 2) if isinstance(one, float) else one for name, one in figures.items()}, indent=1)
    )
    return tell(
        [
            Limit(f"seconds to make the report of {candidates} x {samples:,} answers", seconds, "<", SECONDS),
            Limit(f"GiB of memory to make the report of {candidates} x {samples:,} answers", gib, "<", GIB),
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
