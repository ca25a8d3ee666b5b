"""Reads `user_config.csv` of VLMHyperBench, one evaluation run a row, and `vlm_base.csv`, the models it knows.

    dataset;task;framework;model_name;system_prompt;prompt_collection;metrics;only_evaluate_metrics;metrics_aggregators;…
    demo_mini;VQA;Hugging Face;Qwen2-VL-2B-Instruct;;demo_mini/best.csv;['CER'];False;['by_id', 'general'];…

A cell is text and never code: lists are taken apart by a pattern, and what could be an interpolation is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from runner.base.errors import Problem, Refused
from runner.datasets.tables import Cells
from runner.datasets.text_files import read_csv

NEEDED = ("dataset", "task", "framework", "model_name", "metrics")
OPTIONAL = (
    "system_prompt",
    "prompt_collection",
    "only_evaluate_metrics",
    "metrics_aggregators",
    "filter_doc_class",
    "filter_question_type",
)
TASKS = ("VQA",)
BACKENDS = {"huggingface": "hf", "vllm": "vllm", "sglang": "sglang"}
METRICS = {"CER": "cer", "WER": "wer", "BLEU": "bleu", "ANLS": "anls", "ROUGE": "rouge", "EXACTMATCH": "exact_match"}
AGGREGATORS = ("by_id", "by_doc_question", "by_doc_type", "general")
TRUTH = {"true": True, "1": True, "false": False, "0": False, "": False}
QUOTED = r"'[^']*'|\"[^\"]*\""
LIST = re.compile(rf"\[\s*(?:(?:{QUOTED})\s*(?:,\s*(?:{QUOTED})\s*)*,?\s*)?\]")


@dataclass(frozen=True, slots=True)
class EvaluationRun:
    """One row: what is asked of which model, and which metrics score it. Empty texts: not given."""

    where: str
    dataset: str
    task: str
    backend: str
    model_name: str
    system_prompt: str
    prompt_collection: str
    metrics: tuple[str, ...]
    only_evaluate: bool
    doc_class: str
    field: str


def read_runs(path: Path, base: Path | None) -> list[EvaluationRun]:
    """Return the rows of a plan. Raise Refused with everything that is wrong, each with row and column."""
    table = read_csv(path, f"a table with the columns {'; '.join((*NEEDED, *OPTIONAL))}", usual=";")
    header = [name for name in table.header if name]
    wrong = [f"{name} is missing" for name in NEEDED if name not in header]
    wrong += [f"{name} is there twice" for name in dict.fromkeys(header) if header.count(name) > 1]
    wrong += [f"{name} is unknown" for name in header if name not in (*NEEDED, *OPTIONAL)]
    if wrong:
        remedy = f"columns: {'; '.join((*NEEDED, *OPTIONAL))}"
        raise Refused([Problem(f"column {column}", f"{table.where}:1", remedy) for column in wrong])
    known = read_base(base) if base else None
    problems: list[Problem] = []
    runs = []
    for line in table.lines((*NEEDED, *OPTIONAL)):
        if isinstance(line, Problem):
            problems.append(line)
            continue
        wrong_cells = list(_problems(line, known))
        problems += wrong_cells
        if not wrong_cells:
            runs.append(_run(line))
    if not runs and not problems:
        problems.append(Problem("there are no rows", table.where, "one evaluation run a row, below the header"))
    if problems:
        raise Refused(problems)
    return runs


def read_base(path: Path) -> dict[tuple[str, str], str]:
    """Return the models of a `vlm_base.csv`: (framework, model_name) -> family."""
    table = read_csv(path, "a table with the columns framework; model_family; model_name", usual=";")
    if missing := [name for name in ("framework", "model_family", "model_name") if name not in table.header]:
        raise Refused(Problem(f"missing column: {', '.join(missing)}", f"{table.where}:1", "is it vlm_base.csv?"))
    lines = list(table.lines(("framework", "model_family", "model_name")))
    if broken := [line for line in lines if isinstance(line, Problem)]:
        raise Refused(broken)
    cells = (line.texts for line in lines if isinstance(line, Cells))
    return {(row["framework"].strip(), row["model_name"].strip()): row["model_family"].strip() for row in cells}


def _problems(line: Cells, known: dict[tuple[str, str], str] | None) -> Iterator[Problem]:
    """Yield what is wrong with a row."""

    def wrong(column: str, what: str, remedy: str) -> Problem:
        return Problem(f"column {column}: {what}", line.where, remedy)

    for column, text in line.texts.items():
        if "${" in text:
            yield wrong(
                column, f"{text.strip()!r} holds ${{, which a config would interpolate", "write the text itself"
            )
    for column in ("dataset", "framework", "model_name"):
        if not _cell(line, column):
            yield wrong(column, "it is empty", "give it")
    if (task := _cell(line, "task")) not in TASKS:
        yield wrong("task", f"{task!r} can't be run here", f"one of: {', '.join(TASKS)}")
    framework, model = _cell(line, "framework"), _cell(line, "model_name")
    if framework and _word(framework) not in BACKENDS:
        yield wrong("framework", f"{framework!r} is unknown", "one of: Hugging Face, vLLM, SGLang")
    elif known is not None and framework and model and (framework, model) not in known:
        models = sorted(name for at, name in known if at == framework) or sorted(name for _, name in known)
        yield wrong("model_name", f"vlm_base.csv has no {model!r} for {framework}", f"it has: {', '.join(models)}")
    for column, allowed in (("metrics", tuple(METRICS)), ("metrics_aggregators", AGGREGATORS)):
        text = _cell(line, column)
        values = _list(text)
        if values is None:
            yield wrong(column, f"{text!r} is no list of names", f"for example ['{allowed[0]}'], or empty")
        for value in values or ():
            name = _word(value).upper() if column == "metrics" else value
            if name not in allowed:
                yield wrong(column, f"{value!r} is unknown", f"one of: {', '.join(allowed)}")
    if (text := _cell(line, "only_evaluate_metrics").lower()) not in TRUTH:
        yield wrong("only_evaluate_metrics", f"{text!r} is no truth value", "True or False")
    elif TRUTH[text] and not _list(_cell(line, "metrics")):
        yield wrong("metrics", "it is empty, and the row only evaluates metrics", "name one, such as ['CER']")


def _run(line: Cells) -> EvaluationRun:
    metrics = (METRICS[_word(name).upper()] for name in _list(_cell(line, "metrics")) or ())
    return EvaluationRun(
        where=line.where,
        dataset=_cell(line, "dataset"),
        task=_cell(line, "task"),
        backend=BACKENDS[_word(_cell(line, "framework"))],
        model_name=_cell(line, "model_name"),
        system_prompt=_cell(line, "system_prompt"),
        prompt_collection=_cell(line, "prompt_collection"),
        metrics=tuple(dict.fromkeys(metrics)),
        only_evaluate=TRUTH[_cell(line, "only_evaluate_metrics").lower()],
        doc_class=_cell(line, "filter_doc_class"),
        field=_cell(line, "filter_question_type"),
    )


def _cell(line: Cells, column: str) -> str:
    return line.texts.get(column, "").strip()


def _word(text: str) -> str:
    return re.sub(r"[\s_-]", "", text).lower()


def _list(text: str) -> list[str] | None:
    """Return the texts of a list as Python writes it; an empty cell is an empty list. None: no list of texts."""
    if not text:
        return []
    if not LIST.fullmatch(text):
        return None
    return [quoted[1:-1] for quoted in re.findall(QUOTED, text)]
