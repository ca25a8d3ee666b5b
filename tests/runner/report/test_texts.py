"""The report's words and numbers: the same keys in each language, plural forms, and nothing English in Russian."""

import html
import json
import re
from pathlib import Path
from string import Formatter

import pytest

from runner import report
from runner.config.report_settings import LANGUAGES
from runner.jobs.folder import JobFolder
from runner.report.figures import figure
from runner.report.texts import load
from tests.runner.report.jobs import scored_job

FORMS = {"en": 2, "ru": 3}


def values(phrase: str) -> set[str]:
    return {name for form in phrase.split("|") for _, name, _, _ in Formatter().parse(form) if name}


def test_languages_have_the_same_phrases():
    english, russian = (load(language).phrases for language in LANGUAGES)
    assert set(english) == set(russian)
    for key, phrase in english.items():
        assert values(phrase) == values(russian[key]), key
        assert bool(phrase.strip()) and bool(russian[key].strip()), key


@pytest.mark.parametrize("language", LANGUAGES)
def test_phrases_with_forms_have_all_of_them(language: str):
    for key, phrase in load(language).phrases.items():
        assert phrase.count("|") in (0, FORMS[language] - 1), key


def test_plural_forms():
    say = load("ru")
    told = [say("page.documents", n=n) for n in (1, 2, 5, 11, 21, 104, 112)]
    assert told == [
        "1 документ",
        "2 документа",
        "5 документов",
        "11 документов",
        "21 документ",
        "104 документа",
        "112 документов",
    ]
    assert [load("en")("page.documents", n=n) for n in (1, 2)] == ["1 document", "2 documents"]


def test_russian_is_russian():
    for key, phrase in load("ru").phrases.items():
        if not key.startswith(("metric.", "unit.")) and len(re.sub(r"{\w+}", "", phrase)) > 20:
            assert re.search("[а-яё]", phrase), key


# Names of measures, of parts of a machine, of files, keys and commands of ours, and signs of statistics.
NAMES = {
    *(
        "CER",
        "WER",
        "ANLS",
        "MWS",
        "VQA",
        "AF",
        "TEDS",
        "IoU",
        "Markdown",
        "BLEU",
        "ROUGE",
        "CPU",
        "GPU",
        "KV",
        "JavaScript",
        "p",
        "n",
        "L",
    ),
    *("answers", "jsonl", "sampling", "max_tokens", "python", "m", "runner", "parity", "report", "pictures", "limit"),
    *("rescore", "true", "F", "JSON", "prompt", "schema_mode", "both"),
    *("race", "error", "false"),
    *("reuse", "never", "repeats_over_time"),
    *("backend", "adapt_concurrency", "load", "max_in_flight", "budget_usd"),
    *("dataset", "degrade", "degrade_strength", "report", "margin"),
}


def latin(text: str) -> set[str]:
    """Return the words in Latin letters; `p95` and the like are read as their letters."""
    return set(re.findall(r"[A-Za-z_]+", text))


def test_russian_phrases_hold_no_english():
    for key, phrase in load("ru").phrases.items():
        assert latin(re.sub(r"{+\w+}+", "", phrase)) <= NAMES, key


def test_the_russian_page_holds_no_english_and_no_decimal_points(tmp_path: Path):
    """The page of a sweep, but for names from the configs and what is marked as quoted (lang=en)."""
    references = [f"слово {number}" for number in range(12)]
    rows = [{"doc_class": "счёт", "field": f"поле {n % 3}", "question": "Что?", "prompt": "Что?"} for n in range(12)]
    figures = {"latency/p50_s": 0.25, "latency/p95_s": 1.5, "memory/cpu_peak_gib": 0.75, "harness/overhead_share": 0.4,
               "throughput/requests_per_s": 2.5, "throughput/output_tokens_per_s": 12.34}  # fmt: skip
    for name, wrong in (("demo_m", 1), ("demo_s", 7)):
        answers = ["нет" if n < wrong else one for n, one in enumerate(references)]
        scored_job(tmp_path / name, f"model={name}", answers=answers, references=references, rows=rows, figures=figures)
    constraints = {"latency/p95_s": "<2.5"}
    report.write(JobFolder.below(tmp_path), tmp_path / "r.html", "отчёт", language="ru", constraints=constraints)
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    shown = page[page.index("<main>") : page.index('<section id="origin"')]
    titles = " ".join(re.findall(r'(?:title|aria-label|data-more|data-late|data-save)="([^"]*)"', shown))
    text = html.unescape(f"{re.sub(r'<[^>]*>', ' ', shown.replace('<wbr>', ''))} {titles}").replace("{names}", "")
    config_names = {"demo_m", "demo_s", "bf16", "bf", "samples", "truncated", "failed", "latency", "_s", "p"}
    measured = {"throughput", "requests_per_s", "output_tokens_per_s", "memory", "cpu_peak_gib", "quality", "x"}
    formulas = set().union(*(latin(one) for one in re.findall(r'scope="col" title="([^"]*)"', shown)))
    assert latin(text) - NAMES - config_names - measured - formulas == set()
    for told in ("91,7\u202f%", "1,50\u202fс", "250\u202fмс", "0,75\u202fГиБ", "12,3", "40,0\u202f%"):
        assert told in text, told
    assert re.findall(r"\d\.\d", re.sub(r"(?:<|>|=)\s*2\.5", "", text)) == [], "but for the constraint as it is written"
    (charts,) = re.findall(r'id="data-1-charts">(.*?)</script>', page)
    for chart in json.loads(charts):
        layout = chart["layout"]
        assert layout["separators"] == ",\u202f"
        axes = [layout[name].get("title", {}).get("text", "") for name in ("xaxis", "yaxis") if name in layout]
        assert set().union(*map(latin, axes)) <= NAMES, axes
        assert not re.search(r"GiB| s<", json.dumps(chart["data"]))


def test_numbers_are_written_as_the_language_writes_them():
    english, russian = load("en"), load("ru")
    assert [say.number(0.688, ".3f") for say in (english, russian)] == ["0.688", "0,688"]
    assert [say.number(0.95, ".0%") for say in (english, russian)] == ["95%", "95\u202f%"]
    assert russian.number(-0.0125, "+.2f") == "-0,01" and russian.number(3, ".0f") == "3"
    assert figure("memory/cpu_peak_gib", 0.35, russian) == "0,35\u202fГиБ"
    assert figure("quality/exact_match", 0.6875, russian) == "68,8\u202f%"
    assert figure("capacity/pages_per_hour", 22995.4, english) == "22,995"
    assert figure("capacity/pages_per_hour", 22995.4, russian) == "22\u202f995"
    assert russian.interval("0,1", "0,2") == "[0,1; 0,2]" and english.interval("0.1", "0.2") == "[0.1, 0.2]"
