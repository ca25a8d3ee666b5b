"""The report as one self-contained HTML page. What models answered is untrusted: Jinja2 escapes everything."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from runner.report.results import Result, choices
from runner.report.table import comparison, notes

HERE = Path(__file__).parent


def render(results: Sequence[Result], title: str) -> str:
    """Return the page that compares `results`; it makes no network request."""
    environment = Environment(loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined)
    first = results[0].environment
    return environment.get_template("page.html.j2").render(
        title=title,
        comparison=comparison(results),
        notes=notes(results),
        results=results,
        choices=choices(results),
        names=sorted({name for result in results for name in result.metrics}),
        environment=first,
        datasets=", ".join(dict.fromkeys(str(result.config["dataset"]["name"]) for result in results)),
        commands=list(dict.fromkeys(shlex.join(result.environment["command"]) for result in results)),
    )
