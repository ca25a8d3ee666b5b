"""The report as one self-contained HTML page that makes no network request.

The models' answers are untrusted. Three measures prevent injection: Jinja2 escapes everything, data for scripts is JSON
in which `<`, `>` and `&` are escaped, and the Content-Security-Policy allows only our scripts, by their hashes.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from runner.report.decision import Decision
from runner.report.model import Comparison, Report
from runner.report.sections import (
    answers,
    capacity,
    charts,
    comparison,
    constraint,
    drift,
    origin,
    published,
    reading,
    thinking,
    verdict,
    waits,
    worsened,
)
from runner.report.spoken import decision_of, seeing

HERE = Path(__file__).parent
# In the order of the page: the recommendation, the comparison behind it, then the evidence.
SECTIONS = {
    "verdict": verdict,
    "comparison": comparison,
    "drift": drift,
    "waits": waits,
    "capacity": capacity,
    "thinking": thinking,
    "reading": reading,
    "worsened": worsened,
    "constraint": constraint,
    "published": published,
    "charts": charts,
    "answers": answers,
}
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))  # json.dumps makes one for each call
# Characters that could end a script element or begin a comment, and line separators, which older JavaScript rejects.
ESCAPES = (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026"), ("\u2028", "\\u2028"), ("\u2029", "\\u2029"))
MANY = 100
SCRIPTS = ("tables.js", "charts.js", "difference.js", "drawn.js", "answers.js")


@dataclass(frozen=True, slots=True)
class Part:
    """One section of one comparison, rendered."""

    id: str
    title: str
    html: Markup
    titled: bool


@dataclass(frozen=True, slots=True)
class Data:
    """Data for scripts: JSON, or base64, in a script element that no browser executes."""

    id: str
    value: Any

    def pieces(self) -> Iterator[Markup]:
        """Yield the content of the element in pieces, so that the JSON of all answers never is in memory at once."""
        if isinstance(self.value, Markup):
            yield self.value
        else:
            yield from map(Markup, _escaped(self.value))


def write(report: Report, path: Path) -> None:
    """Write the page piece by piece, because that of a large sweep has about 50 MB. Raise OSError with its path."""
    try:
        with path.open("w", encoding="utf-8") as file:
            file.writelines(pieces(report))
    except OSError as error:
        if error.filename is None:  # a full disk: the system does not say which file it was
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


def pieces(report: Report) -> Iterator[str]:
    """Yield the page in pieces."""
    environment = _environment(report)
    data: list[Data] = []
    comparisons = [
        (compared.dataset, _parts(environment, compared, number, data))
        for number, compared in enumerate(seeing(report), 1)
    ]
    drawn = any(block.id.endswith("-charts") for block in data)
    library = _plotly() if drawn else ""
    if drawn:
        data.append(Data("plotly", Markup(_packed(library))))  # noqa: S704 - base64
    scripts = [Markup((HERE / "static" / name).read_text(encoding="utf-8")) for name in SCRIPTS]  # noqa: S704 - our own
    yield from environment.get_template("page.html.j2").generate(
        title=f"{_headline(report)} · {report.title}",
        headline=_headline(report),
        subtitle=_subtitle(report),
        policy=_policy([*scripts, library] if drawn else scripts),
        style=Markup((HERE / "static" / "page.css").read_text(encoding="utf-8")),  # noqa: S704 - our own
        comparisons=comparisons,
        origin=Markup(environment.get_template("sections/origin.html.j2").render(**origin.context(report))),  # noqa: S704
        data=data,
        scripts=scripts,
    )


def to_json(value: Any) -> Markup:
    """Return JSON that can neither end its script element nor begin a comment or another element."""
    return Markup("".join(_escaped(value)))  # noqa: S704 - escaped


def _escaped(value: Any) -> Iterator[str]:
    """Yield the JSON of a value in pieces. Long lists and iterators are written item by item."""
    if not _is_large(value):
        text = _ENCODER.encode(value)
        for sign, escape in ESCAPES:
            text = text.replace(sign, escape)
        yield text
    elif isinstance(value, dict):
        for number, (name, item) in enumerate(value.items()):
            yield "," if number else "{"
            yield from _escaped(str(name))
            yield ":"
            yield from _escaped(item)
        yield "}"
    else:
        yield "["
        for number, item in enumerate(value):
            yield "," if number else ""
            yield from _escaped(item)
        yield "]"


def _is_large(value: Any) -> bool:
    """Tell whether a value is, or contains, a long list or an iterator."""
    if isinstance(value, dict):
        return any(map(_is_large, value.values()))
    return isinstance(value, Iterator) or (isinstance(value, list) and len(value) > MANY)


def _environment(report: Report) -> Environment:
    environment = Environment(loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined)
    environment.globals["t"] = report.texts
    environment.filters["breakable"] = breakable
    return environment


def breakable(text: str) -> Markup:
    """Return a name that a narrow column may break only after underscores."""
    return Markup("_<wbr>").join(text.split("_"))


def _parts(environment: Environment, compared: Comparison, number: int, data: list[Data]) -> list[Part]:
    decision = decision_of(compared)
    parts = []
    for name, section in SECTIONS.items():
        context = section.context(compared, decision)
        if context is None:
            continue
        if section_data := context.pop("data", None):
            data += [Data(f"data-{number}-{key}", value) for key, value in section_data.items()]
        html = environment.get_template(f"sections/{name}.html.j2").render(
            compared=compared, number=number, axes_told=_axes(compared, decision), **context
        )
        parts.append(Part(name, compared.texts(f"section.{name}"), Markup(html), titled=name != "verdict"))  # noqa: S704
    return parts


def _axes(compared: Comparison, decision: Decision) -> str:
    say = compared.texts
    names = [say.name(name.removeprefix("quality/")) for name in decision.axes]
    return say.listed(names) if names else ""


def _headline(report: Report) -> str:
    return report.texts("page.headline", n=sum(len(compared.candidates) for compared in seeing(report)))


def _subtitle(report: Report) -> str:
    say = report.texts
    descriptions = [
        say(
            "page.dataset",
            dataset=compared.dataset,
            questions=say("page.questions", n=len(compared.samples)),
            documents=say("page.documents", n=compared.documents),
        )
        for compared in seeing(report)
    ]
    hosts = dict.fromkeys(str(result.environment["host"]) for result in report.results)
    return " · ".join([*descriptions, *hosts, report.title])


def _policy(scripts: Sequence[str]) -> str:
    """Return the Content-Security-Policy: no network requests, and no scripts but these."""
    hashes = " ".join(f"'sha256-{_sha256(script)}'" for script in scripts)
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _plotly() -> str:
    """Return plotly's JavaScript from its Python package."""
    from plotly.offline import get_plotlyjs

    library: str = get_plotlyjs()
    return library.replace("\r\n", "\n")


@lru_cache(maxsize=1)
def _packed(library: str) -> str:
    """Return a script as base64 of gzip, a third of its size. The page unpacks it when the first chart comes into view.

    Level 3 takes half the time of the default 6, for 0.2 MB more.
    """
    return base64.b64encode(gzip.compress(library.encode("utf-8"), 3, mtime=0)).decode("ascii")


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
