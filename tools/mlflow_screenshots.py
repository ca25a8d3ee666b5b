"""Takes the pictures of docs/mlflow.md: a real browser on MLflow's UI on a real sweep.

    make demo && python tools/mlflow_screenshots.py --sweep multirun/DATE/TIME --to docs/images

Needs chromium and playwright (the `dev` extra). Pictures are cut to 256 colours to stay small.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

# MLflow opens its assistant at first sight, beside what is to be seen.
QUIET = """
localStorage.setItem("mlflow.assistant.panelOpen_v1", "false");
localStorage.setItem("mlflow.assistant.fab.autoOpenedOnFirstLoad_v1", "true");
"""


@contextlib.contextmanager
def ui(database: str) -> Iterator[str]:
    """Serve MLflow's UI on a free port as long as this is open; yield its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "ui", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    process = subprocess.Popen([*command, "--backend-store-uri", database], stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(240):
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{address}/health", timeout=5):
                break
            if process.poll() is not None:
                raise SystemExit("mlflow ui ended")
            time.sleep(0.5)
        yield address
    finally:
        process.terminate()
        process.wait(timeout=30)


def save(page: Page, path: Path, settle_s: float = 3.0) -> None:
    """Take a picture once the page has come to rest."""
    page.wait_for_timeout(settle_s * 1000)
    page.screenshot(path=path, timeout=120_000)
    with Image.open(path) as picture:
        picture.convert("RGB").quantize(192).save(path, optimize=True)
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


def main() -> None:
    """Take all pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sweep", type=Path, required=True)
    parser.add_argument("--database", default="sqlite:///mlflow.db")
    parser.add_argument("--experiment", default="documents")
    parser.add_argument("--to", type=Path, default=Path("docs/images"))
    given = parser.parse_args()
    from runner.jobs import tracking

    folders = sorted(file.parent for file in given.sweep.glob("*/run_id"))
    runs = [(folder / "run_id").read_text().strip() for folder in folders]
    sweep = json.loads((folders[0] / "environment.json").read_text())["sweep"]
    link = tracking.link(given.database, given.experiment, sweep).partition("5000")[2]
    experiment = link.partition("experiments/")[2].partition("/")[0]
    with ui(given.database) as address, sync_playwright() as playwright:
        path = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        context = browser.new_context(viewport={"width": 1360, "height": 820})
        context.add_init_script(QUIET)
        page = context.new_page()
        page.set_default_timeout(120_000)
        page.goto(address + link)
        page.get_by_text("What decides").wait_for()
        save(page, given.to / "mlflow_charts.png", 6)
        page.goto(address + link.replace("=CHART", "=TABLE"))
        page.get_by_text("quality/cer").first.wait_for()
        save(page, given.to / "mlflow_runs.png")
        page.goto(address + link.replace("=CHART", "=ARTIFACT"))
        page.get_by_text("answers.json").first.wait_for()
        save(page, given.to / "mlflow_answers.png", 6)
        page.goto(f"{address}/#/experiments/{experiment}/runs/{runs[-1]}?workflowType=machine_learning")
        page.get_by_text("Description", exact=True).wait_for()
        page.get_by_text("To repeat it").scroll_into_view_if_needed()
        save(page, given.to / "mlflow_run.png")
        _report(page, address, experiment, sweep, given)
        browser.close()


def _report(page: Page, address: str, experiment: str, sweep: str, given: argparse.Namespace) -> None:
    """Take a picture of the report on the run that it was logged to."""
    from runner.jobs import tracking

    found = tracking.client(given.database).search_runs(
        [experiment], f"tags.`runner.kind` = 'report' and tags.`runner.sweep` = '{sweep}'"
    )
    if not found:
        print("no run holds the report of this sweep")
        return
    run = found[0].info.run_id
    page.goto(f"{address}/#/experiments/{experiment}/runs/{run}/artifacts/report.html?workflowType=machine_learning")
    page.frame_locator("iframe").locator("body").wait_for()
    save(page, given.to / "mlflow_report.png", 8)


if __name__ == "__main__":
    main()
