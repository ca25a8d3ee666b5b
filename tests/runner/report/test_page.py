"""The page: it asks nothing of a network, and no answer, name or error becomes markup or a script."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from runner import commands, report
from runner.jobs.folder import JobFolder
from runner.report import page
from tests.runner.job_folders import job_folder
from tests.runner.report.jobs import scored_job

EVIL = '</script><script>alert(1)</script><img src=x onerror=alert(2)> "quoted" </pre> ]]> <!-- \u2028 {{ 7*7 }}'


class Page(HTMLParser):
    """What a browser would find: elements with their attributes, and the text of scripts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append((dict(attrs), ""))

    def handle_data(self, data: str) -> None:
        if self.elements and self.elements[-1][0] == "script" and self.get_starttag_text() == self.cdata_starttag():
            self.scripts[-1] = (self.scripts[-1][0], self.scripts[-1][1] + data)

    def cdata_starttag(self) -> str | None:
        return self.get_starttag_text() if self.cdata_elem == "script" else None


def written(folder: Path, **settings: object) -> str:
    report.write(JobFolder.below(folder), folder / "report.html", EVIL, **settings)
    return (folder / "report.html").read_text(encoding="utf-8")


def test_nothing_untrusted_becomes_markup_and_nothing_is_requested(tmp_path: Path):
    rows = [{"question": EVIL, "field": EVIL, "doc_class": EVIL, "images": [EVIL]}] * 2
    scored_job(tmp_path / "a", answers=[EVIL, None], references=[EVIL, "b"], rows=rows, name=EVIL)
    job_folder(tmp_path / "bb", "model=demo_s", error=EVIL)
    found = Page(written(tmp_path))
    assert "img" not in {tag for tag, attributes in found.elements if attributes.get("src") == "x"}
    assert not [attributes for _, attributes in found.elements if any(name.startswith("on") for name in attributes)]
    for tag, attributes in found.elements:
        assert not str(attributes.get("src", "data:")).startswith(("http", "//")), tag
        assert str(attributes.get("href", "#")).startswith("#"), tag
        assert "alert" not in str(attributes.get("style", "")), tag
    for attributes, text in found.scripts:
        assert "alert(1)" not in text or attributes.get("type") == "application/json"
        if attributes.get("type") == "application/json":
            json.loads(text)


def test_the_policy_names_every_script_and_allows_no_other(tmp_path: Path):
    job_folder(tmp_path / "a")
    found = Page(written(tmp_path))
    (policy,) = [str(attributes["content"]) for tag, attributes in found.elements if attributes.get("http-equiv")]
    assert policy.startswith("default-src 'none'") and "unsafe-eval" not in policy
    assert "unsafe-inline" not in re.search("script-src ([^;]*)", policy)[1]  # type: ignore[index]
    for attributes, text in found.scripts:
        if attributes.get("type") != "application/json":
            digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
            assert f"'sha256-{digest}'" in policy


@pytest.mark.parametrize("text", [EVIL, "</SCRIPT >", "<!--<script", "\u2028", "a & b", "\x00\x1b", "\u202egnp.exe"])
def test_json_survives_and_can_t_end_its_element(text: str):
    safe = page.to_json({text: text})
    assert json.loads(safe) == {text: text}
    assert not set("<>&\u2028\u2029") & set(safe)


def test_command_writes_the_page_in_russian_under_other_constraints(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for name, model in (("a", "demo_m"), ("bb", "demo_s")):
        scored_job(tmp_path / name, f"model={model}", answers=["да"] * 9, references=["да"] * 9)
    arguments = [str(tmp_path), "--language", "ru", "--constraint", "quality/cer<=0.1", "--constraint", "licence=mit"]
    assert commands.run("report", arguments) == 0
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert '<html lang="ru">' in html and "Ни один кандидат не выполняет всех условий" in html
    assert "report.html" in capsys.readouterr().out


def test_the_page_of_several_sweeps_leaves_each_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    for name, model in (("one", "demo_m"), ("two", "demo_s")):
        scored_job(tmp_path / name / "job", f"model={model}", answers=["да"] * 3, references=["да"] * 3)
        assert commands.run("report", [str(tmp_path / name)]) == 0
    before = (tmp_path / "one" / "report.html").read_bytes()
    monkeypatch.chdir(tmp_path)
    assert commands.run("report", ["one", "two"]) == 0
    assert (tmp_path / "one" / "report.html").read_bytes() == before
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "2 candidates" in html and f"{tmp_path.name}/one, {tmp_path.name}/two" in html


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "neither a folder nor the id"),
        ([], "name a sweep's folder"),
        (["{folder}/empty"], "no job in there"),
        (["{folder}", "--baseline", "nobody"], "no job is called 'nobody'"),
        (["{folder}", "--constraint", "latency"], "it takes a form such as"),
        (["{folder}", "--constraint", "latency/p95<1"], "did you mean latency/p95_s?"),
        (["{folder}", "--constraint", "quality/cr<1"], "did you mean quality/cer?"),
        (["{folder}", "--constraint", "speed/p95<1"], "no metric begins with 'speed'"),
    ],
)
def test_what_the_command_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str):
    job_folder(tmp_path / "a")
    (tmp_path / "empty").mkdir()
    assert commands.run("report", [one.format(folder=tmp_path) for one in arguments]) == 2
    assert said in capsys.readouterr().err
