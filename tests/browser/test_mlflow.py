"""MLflow's UI on a real sweep in a real browser: the link at its end opens what compares its jobs."""

import contextlib
import json
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from runner.jobs import tracking
from tests.browser.conftest import Sweep
from tests.patience import patient

# What MLflow 3.17 itself writes into the console of any installation: it asks for a user where there is no login, and
# its charts change size while they are drawn, or, on a slow machine, are drawn before they have a size: then Chromium
# complains of an attribute of an SVG element (NaN, a negative height). Nothing of ours draws in that page.
NOISE = re.compile(r"mlflow/users/current|ResizeObserver loop|Error: <\w+> attribute [\w-]+: ")
# Its assistant opens at first sight, beside what is to be seen.
QUIET = """
localStorage.setItem("mlflow.assistant.panelOpen_v1", "false");
localStorage.setItem("mlflow.assistant.fab.autoOpenedOnFirstLoad_v1", "true");
"""


@pytest.fixture(scope="module")
def address(demo_sweep: Sweep) -> Iterator[str]:
    """Where `mlflow ui` serves the sweep's database, as `make ui` does."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "ui", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    server = subprocess.Popen(
        [*command, "--backend-store-uri", "sqlite:///mlflow.db"],
        cwd=demo_sweep.cwd,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address, deadline = f"http://127.0.0.1:{port}", time.monotonic() + 150
    while True:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{address}/health", timeout=5):
            break
        assert server.poll() is None and time.monotonic() < deadline, "mlflow ui does not start"
        time.sleep(0.5)
    yield address
    server.terminate()
    server.wait(timeout=patient(30))


@pytest.fixture
def open_ui(browser: Browser, address: str) -> Iterator[Callable[[str], Page]]:
    """Open a page of the UI; at the end of the test its console must hold no error but MLflow's own."""
    errors: list[str] = []
    context = browser.new_context(viewport={"width": 1440, "height": 1000})
    context.add_init_script(QUIET)
    page = context.new_page()
    page.set_default_timeout(120_000)
    expect.set_options(timeout=90_000)  # its pages are drawn after many requests
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on(
        "console", lambda line: errors.append(f"{line.text} {line.location['url']}") if line.type == "error" else None
    )

    def start(path: str) -> Page:
        page.goto(address + path)
        return page

    yield start
    context.close()
    assert [error for error in errors if not NOISE.search(error)] == []


@pytest.fixture(scope="module")
def link(demo_sweep: Sweep) -> str:
    """The path of the link that the sweep printed."""
    found = tracking.link(f"sqlite:///{demo_sweep.cwd}/mlflow.db", "documents", "/".join(demo_sweep.folder.parts[-2:]))
    return found.removeprefix("http://127.0.0.1:5000")


def jobs(sweep: Sweep) -> dict[str, dict[str, float]]:
    records = [json.loads(file.read_text()) for file in sweep.folder.glob("*/metrics.json")]
    return {f"{record['name']}-hf": record["metrics"] for record in records}


def test_the_link_opens_charts_of_what_decides(demo_sweep: Sweep, open_ui: Callable[[str], Page], link: str):
    page = open_ui(link)
    for name in jobs(demo_sweep):
        expect(page.get_by_role("link", name=name)).to_be_visible()
    expect(page.get_by_text(re.compile(r"^What decides"))).to_be_visible()
    expect(page.get_by_text("Parallel Coordinates").first).to_be_visible()
    expect(page.get_by_text(re.compile("^latency/p95_s vs. quality")).first).to_be_visible()
    for metrics in jobs(demo_sweep).values():
        value = f"{metrics['quality/exact_match']:.2f}"
        expect(page.locator(".bartext", has_text=value).first).to_be_attached()


def test_the_table_has_the_columns_that_are_compared_by(demo_sweep: Sweep, open_ui: Callable[[str], Page], link: str):
    page = open_ui(link.replace("=CHART", "=TABLE"))
    for column in ("model", "quality/cer", "latency/p95_s"):
        expect(page.get_by_role("columnheader").filter(has_text=column).first).to_be_attached()
    for metrics in jobs(demo_sweep).values():
        expect(page.get_by_role("gridcell").filter(has_text=f"{metrics['quality/cer']:.6f}"[:7]).first).to_be_attached()


def test_quality_and_what_was_varied_come_first(demo_sweep: Sweep, open_ui: Callable[[str], Page], link: str):
    page, experiment = open_ui(link.replace("=CHART", "=TABLE")), link.split("/")[3]
    expect(page.get_by_role("columnheader").filter(has_text="quality/cer").first).to_be_visible()

    def left(name: str) -> float:
        box = page.get_by_role("columnheader").filter(has_text=name).first.bounding_box()
        assert box is not None
        return box["x"]

    places = [left(name) for name in ("model", "quant", "quality/exact_match", "quality/cer", "latency/p95_s")]
    assert places == sorted(places), "in the order of the link's view, not of the alphabet"
    page = open_ui(f"/#/experiments/{experiment}/evaluation-runs")
    heading = page.get_by_role("columnheader")
    expect(heading.filter(has_text="quality/").first).to_be_visible()
    names = [text for text in heading.all_inner_texts() if "/" in text]
    assert names[:2] == ["quality/exact_match", "quality/cer"]


def test_answers_stand_side_by_side(demo_sweep: Sweep, open_ui: Callable[[str], Page], link: str):
    page = open_ui(link.replace("=CHART", "=ARTIFACT"))
    expect(page.get_by_text("answers.json").first).to_be_visible()
    for file in demo_sweep.folder.glob("*/answers.jsonl"):
        first = json.loads(file.read_text(encoding="utf-8").splitlines()[0])
        expect(page.get_by_text(first["text"], exact=True).first).to_be_attached()


def test_a_run_says_how_it_did_and_on_what(demo_sweep: Sweep, open_ui: Callable[[str], Page], link: str):
    folder = next(demo_sweep.folder.glob("*demo_m*"))
    run, experiment = (folder / "run_id").read_text().strip(), link.split("/")[3]
    page = open_ui(f"/#/experiments/{experiment}/runs/{run}?workflowType=machine_learning")
    expect(page.get_by_role("heading", name="demo_m-bf16-hf").first).to_be_visible()
    expect(page.get_by_text(re.compile("^exact_match 0")).first).to_be_attached()
    expect(page.get_by_text(re.compile(r"python -m runner .*model=demo_m")).first).to_be_attached()
    digest = json.loads((folder / "environment.json").read_text())["dataset_digest"][:36]
    expect(page.get_by_text(f"demo_documents ({digest})").first).to_be_attached()
