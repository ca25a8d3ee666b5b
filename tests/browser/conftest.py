"""A real browser for tests: headless Chromium driven by playwright, and a real sweep to look at.

Without a Chromium on the machine these tests are skipped, and say so; with RUNNER_REQUIRE_BROWSER=1 (as .ci/run sets
it) that is a failure.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.conftest import CommandLine

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
LAPTOP, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}


def chromium() -> str:
    """Return the browser's path, or end the test: skipped on a developer's machine, failed where one is required."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is not None:
        return found
    reason = f"no browser: none of {', '.join(NAMES)} is installed (Debian: apt-get install chromium)"
    if os.environ.get("RUNNER_REQUIRE_BROWSER") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium for a module's tests: while playwright lives, no other test could call `asyncio.run`."""
    path = chromium()
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield started
        started.close()


@dataclass
class Opened:
    """A page with what it complained of and what it asked the network for."""

    page: Page
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Opened]]:
    """Open a file or an address; at the end of the test there must be no error in the console.

    `requests` holds what went beyond the machine's own files. Options are those of playwright's `new_context`.
    """
    opened: list[Opened] = []

    def start(where: Path | str, **options: Any) -> Opened:
        context = browser.new_context(**{"viewport": LAPTOP, **options})
        one = Opened(context.new_page())
        opened.append(one)
        one.page.set_default_timeout(60_000)
        one.page.on("console", lambda line: one.errors.append(line.text) if line.type == "error" else None)
        one.page.on("pageerror", lambda error: one.errors.append(str(error)))
        one.page.on(
            "request",
            lambda asked: None if asked.url.startswith(("file:", "data:", "blob:")) else one.requests.append(asked.url),
        )
        one.page.goto(where.as_uri() if isinstance(where, Path) else where)
        return one

    yield start
    found = [error for one in opened for error in one.errors]
    for one in opened:
        one.page.context.close()
    assert found == [], "the browser's console"


@dataclass(frozen=True)
class Sweep:
    """A finished sweep: the folder that it ran in, with mlflow.db, and its own folder with the report."""

    cwd: Path
    folder: Path

    @property
    def report(self) -> Path:
        """The page that was made at the end."""
        return self.folder / "report.html"


@pytest.fixture(scope="session")
def demo_sweep(tmp_path_factory: pytest.TempPathFactory, make_cli: Callable[[Path], CommandLine]) -> Sweep:
    """The demo models on twelve documents, for real."""
    cwd = tmp_path_factory.mktemp("demo_sweep")
    ended = make_cli(cwd)("-m", "model=demo_s,demo_m", "quant=bf16", "dataset.limit=48", timeout=300)
    assert ended.code == 0, ended.err
    (folder,) = cwd.glob("multirun/2*/*")
    return Sweep(cwd, folder)
