"""Real llama.cpp on a CPU, in the environment built for it (68 MB), beside the HF engine: `make test-engines`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from backends.llama_cpp_server import lacking_instructions
from tests.conftest import NO_AVX512, ROOT, CommandLine
from tests.engines.test_real_engines import none_left

pytestmark = [
    pytest.mark.engine,
    pytest.mark.timeout(900),
    pytest.mark.skipif(bool(lacking_instructions()), reason=NO_AVX512),
]

SAMPLES = 40
PLAIN = ("tracking=none", "metrics=[exact_match]")


def rows(folder: Path) -> list[dict[str, Any]]:
    (file,) = folder.rglob("answers.jsonl")
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_its_answers_are_those_of_the_hf_engine(tmp_path: Path, make_cli: Callable[[Path], CommandLine]) -> None:
    cli = make_cli(tmp_path)
    ended = cli(
        "-m", "model=demo_m", "quant=fp32,gguf_f16,gguf_q8_0,gguf_q4_k_m", "summaries=[parity]",
        f"dataset.limit={SAMPLES}", *PLAIN, timeout=800,
    )  # fmt: skip
    assert ended.code == 0, ended.err
    (file,) = tmp_path.rglob("parity.json")
    kept = {one["other"]: one for one in json.loads(file.read_text())}
    assert set(kept) == {f"llama_cpp (gguf_{word})" for word in ("f16", "q8_0", "q4_k_m")}
    for name, one in kept.items():
        assert one["baseline"] == "hf" and one["compared"] == SAMPLES and one["input_differs"] == {}, name
        assert one["agreement"] >= 0.95, one
    for job in tmp_path.rglob("metrics.json"):
        environment = json.loads((job.parent / "environment.json").read_text())
        if not environment["conditions"]["engine"].startswith("llama_cpp@"):
            continue
        metrics, facts = json.loads(job.read_text())["metrics"], environment["engine"]
        assert 0 < metrics["ttft/p50_s"] <= metrics["latency/p50_s"] and metrics["engine/starts"] == 1
        assert 0.01 < metrics["memory/cpu_peak_gib"] < 2 and metrics["memory/kv_reserved_gib"] > 0
        assert not {"memory/needed_gib", "memory/kv_used_gib", "memory/gpu_peak_gib"} & set(metrics), "not known"
        assert metrics.get("cache/prefix_hit_rate") == 0 and facts["version.llama_cpp"] == "1 (7e4c0a9)"
        assert all(row["attempts"] == 1 for row in rows(job.parent)), "no connection was dropped"
    assert none_left(tmp_path / "store")


def test_three_engines_are_compared_in_one_sweep(tmp_path: Path, make_cli: Callable[[Path], CommandLine]) -> None:
    """Answers, memory and speed of HF, vLLM and llama.cpp (GGUF q8_0) in one table, with MLflow, as a user runs it."""
    cli = make_cli(tmp_path)
    ended = cli("experiment=engines", f"dataset.limit={SAMPLES}", timeout=800)
    assert ended.code == 0, ended.err
    (file,) = (sweep := cli.folder / "multirun").rglob("parity.json")
    kept = {one["other"]: one for one in json.loads(file.read_text())}
    assert len(kept) == 2
    for name, one in kept.items():
        assert one["baseline"] == "hf" and one["compared"] == SAMPLES and one["agreement"] >= 0.95, (name, one)
    jobs = {job.parent.name: json.loads(job.read_text())["metrics"] for job in sweep.rglob("metrics.json")}
    assert len(jobs) == 3
    for name, metrics in jobs.items():
        assert metrics["samples/failed"] == 0, name
        measured = ("memory/cpu_peak_gib", "latency/p50_s", "throughput/output_tokens_per_s")
        assert min(metrics[key] for key in measured) > 0, name
    assert none_left(tmp_path / "store")


def test_webp_is_seen_and_limits_on_pixels_are_followed(
    tmp_path: Path, make_cli: Callable[[Path], CommandLine]
) -> None:
    page = Image.open(ROOT / "data" / "demo_documents" / "images" / "1.png").convert("RGB")
    names = ("page.png", "page.webp")
    page.save(tmp_path / names[0])
    page.save(tmp_path / names[1], lossless=True)
    lines = [{"id": name, "images": [name], "question": "Напиши Фамилия", "references": ["Федорко"]} for name in names]
    (tmp_path / "data.jsonl").write_text("\n".join(json.dumps(line) for line in lines) + "\n")
    cli = make_cli(tmp_path)
    asked = ("model=demo_m", "quant=gguf_q8_0", "dataset=jsonl", f"dataset.path={tmp_path / 'data.jsonl'}", *PLAIN)
    seen = {}
    for limit in (37632, 18816):
        ended = cli(*asked, f"model.max_pixels={limit}", f"hydra.run.dir={tmp_path / str(limit)}", timeout=300)
        assert ended.code == 0, ended.err
        png, webp = rows(tmp_path / str(limit))
        assert (png["text"], png["prompt_tokens"]) == (webp["text"], webp["prompt_tokens"])
        seen[limit] = png["prompt_tokens"]
    assert rows(tmp_path / "37632")[0]["text"] == "Федорко"
    assert 20 <= seen[37632] - seen[18816] <= 36, "half the pixels are about 24 of 48 tokens less"
