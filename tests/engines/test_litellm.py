"""LiteLLM's real proxy, in the environment built for it (370 MB), before servers that speak as providers do."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.backends.provider_endpoints import ANSWER, Providers
from tests.conftest import ROOT, CommandLine
from tests.engines.test_real_engines import engines, none_left
from tests.patience import patient

pytestmark = [pytest.mark.engine, pytest.mark.timeout(1200)]

CANARY = "canary-of-a-provider-0123456789"
PAGE = ROOT / "data" / "demo_documents" / "images" / "1.png"
QUESTIONS = ("Which surname?", "please refuse", "a rate limit", "overloaded")


@pytest.mark.parametrize(
    ("model", "variable", "path", "header", "tokens"),
    [
        ("anthropic/claude-haiku-4-5-20251001", "ANTHROPIC_API_KEY", "/v1/messages", "x-api-key", 61),
        ("gemini/gemini-2.5-flash", "GEMINI_API_KEY", "streamGenerateContent", "x-goog-api-key", 270),
    ],
)
def test_a_provider_is_asked_in_its_own_words(
    model: str,
    variable: str,
    path: str,
    header: str,
    tokens: int,
    tmp_path: Path,
    make_cli: Callable[[Path], CommandLine],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(variable, CANARY)
    lines = [
        {"id": str(number), "images": [PAGE.name], "question": question, "references": [ANSWER]}
        for number, question in enumerate(QUESTIONS)
    ]
    shutil.copy(PAGE, tmp_path)
    (tmp_path / "data.jsonl").write_text("\n".join(json.dumps(line) for line in lines) + "\n")
    cli = make_cli(tmp_path)
    with Providers() as providers:
        process = cli.start(
            "model=litellm", f"model.name={model}", f"+backend.engine_args.api_base={providers.url}", "tracking=none",
            "dataset=jsonl", f"dataset.path={tmp_path / 'data.jsonl'}", "metrics=[exact_match]", "max_failed=null",
            "backend.retries=0", "warmup=0", "model.price.image_tokens=1600",
        )  # fmt: skip
        shown = set()
        deadline = time.monotonic() + patient(600)
        while process.poll() is None and time.monotonic() < deadline:
            shown |= {" ".join(one.cmdline()) for one in engines(tmp_path / "store") if _is_there(one)}
            time.sleep(0.5)
        output, _ = process.communicate(timeout=patient(60))
    assert process.returncode == 0, output
    (file,) = tmp_path.rglob("answers.jsonl")
    answer, refused, limited, overloaded = rows(file)
    assert (answer["text"], answer["prompt_tokens"], answer["completion_tokens"]) == (ANSWER, tokens, 5)
    assert [one["error"]["kind"] for one in (refused, limited, overloaded)] == [
        "content_filter", "rate_limited", "rate_limited",
    ]  # fmt: skip
    first = next(one for one in providers.asked if "surname" in json.dumps(one.body))
    assert path in first.path and (first.headers.get(header) == CANARY or CANARY in first.path)
    assert "iVBOR" in json.dumps(first.body), "the picture went along"
    metrics = json.loads((file.parent / "metrics.json").read_text())
    assert metrics["metrics"]["cost/usd"] > 0 and not [name for name in metrics["metrics"] if "memory" in name]
    environment = json.loads((file.parent / "environment.json").read_text())
    assert "the table of litellm 1.110.2" in json.dumps(environment)
    assert not [line for line in shown if CANARY in line] and any("litellm_server" in line for line in shown)
    holding = [path for path in tmp_path.rglob("*") if path.is_file() and CANARY.encode() in path.read_bytes()]
    assert holding == [] and CANARY not in output
    assert none_left(tmp_path / "store")


def rows(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def _is_there(process: psutil.Process) -> bool:
    try:
        return bool(process.cmdline())
    except psutil.Error:
        return False
