"""The same load by three programs: ours as a user starts it, guidellm, and `vllm bench serve`; and what each reports.

All three are told the messages and settings of the requests that our own command sends, in the same order. What they
report is taken as they report it: nothing is computed anew from their rows, except where `guidellm` says so.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from parts.planned import VLLM_ON_A_CPU, job, questions

from backends import wire
from backends.api import Endpoint, Launch
from backends.process.environments import Environment
from runner.planning import environments

# `vllm bench serve` reports no time to first token without one (serve.py:1393); tokens are counted from the usage.
TOKENIZER = Path(__file__).resolve().parents[2] / "assets" / "demo_models" / "demo_m" / "bf16"
KEY = "peers"  # for an endpoint that asks for none
FIGURES = {  # the name here -> ours
    "requests/s": "throughput/requests_per_s",
    "output tokens/s": "throughput/output_tokens_per_s",
    "TTFT p50, ms": "ttft/p50_s",
    "TTFT p95, ms": "ttft/p95_s",
    "latency p50, ms": "latency/p50_s",
    "latency p95, ms": "latency/p95_s",
    "latency mean, ms": "latency/mean_s",
    "time per output token p50, ms": "tpot/p50_s",
}


TTFT_MEAN = "TTFT mean, ms"


class PeerFailed(Exception):
    """A program ended without figures; the message holds the end of what it said."""


@dataclass(frozen=True)
class Target:
    """An endpoint that answers chat completions; `url` ends with /v1."""

    url: str
    model: str
    api_key: str = KEY


@dataclass(frozen=True)
class Load:
    """`count` requests: `concurrency` at a time (closed), or `rate` a second (constant, poisson)."""

    kind: str
    count: int
    concurrency: int = 4
    rate: float = 8.0

    def __str__(self) -> str:
        """Return it in words."""
        return (
            f"closed, {self.concurrency} at a time" if self.kind == "closed" else f"{self.kind}, {self.rate:g} a second"
        )


@dataclass(frozen=True)
class Reported:
    """What a program reported, by the names of FIGURES; CPU seconds and wall seconds of its whole process tree.

    `late_ms`: how long after it was due each request left, in ms, where the program tells it.
    """

    figures: Mapping[str, float]
    cpu_s: float
    late_ms: Sequence[float] = ()


def our_words(target: Target, load: Load) -> list[str]:
    """Return the command's words. The settling part is 0: the other programs measure all requests."""
    words = [
        "model=openai",
        f"model.name={target.model}",
        f"backend.base_url={target.url}",
        "backend.dialect=local",
        f"dataset.limit={load.count}",
        "sampling.max_tokens=32",
        "reuse=never",
        "warmup=0",  # the other programs have none, and the engine counts all requests
        "tracking=none",
        "metrics=[exact_match]",
        f"load={load.kind}",
    ]
    closed = [f"concurrency={load.concurrency}"]
    return words + (closed if load.kind == "closed" else [f"load.rate={load.rate}", "load.settle_s=0"])


def ours(target: Target, load: Load, folder: Path) -> Reported:
    """Run our command against the endpoint."""
    folder.mkdir(parents=True)
    command = [sys.executable, "-m", "runner", *our_words(target, load), f"hydra.run.dir={folder}/job"]
    variables = {"OPENAI_API_KEY": target.api_key, "RUNNER_STORE": str(folder / "store")}
    cpu_s = run(command, variables, folder)
    record = json.loads((folder / "job" / "metrics.json").read_text(encoding="utf-8"))
    values = record["metrics"]
    if values.get("samples/failed"):
        raise PeerFailed(f"{values['samples/failed']:g} of our requests failed")
    rows = [json.loads(line) for line in (folder / "job" / "answers.jsonl").read_text(encoding="utf-8").splitlines()]
    late = [1000 * row["timing"]["late_s"] for row in rows if row["timing"].get("late_s") is not None]
    figures = {name: _unit(name, values[key]) for name, key in FIGURES.items() if key in values}
    # The command gives no mean of it; the warm-up is in none of the rows.
    figures[TTFT_MEAN] = 1000 * statistics.fmean(row["timing"]["ttft_s"] for row in rows)
    return Reported(figures, cpu_s, late)


def vllm_bench(
    environment: Environment, target: Target, load: Load, bodies: Sequence[Mapping[str, Any]], folder: Path
) -> Reported:
    """Run `vllm bench serve` in vLLM's environment, with the pictures of the requests."""
    folder.mkdir(parents=True)
    rows = folder / "requests.jsonl"
    with rows.open("w", encoding="utf-8") as file:
        for body in bodies:
            (message,) = body["messages"]
            file.write(json.dumps({"content": message["content"]}) + "\n")
    paced = ["--request-rate", str(load.rate), "--burstiness", "1" if load.kind == "poisson" else "inf"]
    if load.kind == "closed":
        paced = ["--request-rate", "inf", "--max-concurrency", str(load.concurrency)]
    words = [
        *("--backend", "openai-chat", "--base-url", target.url.removesuffix("/v1")),
        *("--endpoint", "/v1/chat/completions", "--model", target.model, "--tokenizer", str(TOKENIZER)),
        *(
            "--dataset-name",
            "custom_image",
            "--dataset-path",
            str(rows),
            "--disable-shuffle",
            "--enable-multimodal-chat",
        ),
        *("--num-prompts", str(len(bodies)), "--custom-output-len", str(bodies[0]["max_tokens"])),
        # Without these it sends requests of its own before, which the engine would count as well.
        *("--num-warmups", "0", "--ready-check-timeout-sec", "0"),
        *("--extra-body", json.dumps(settings(bodies[0])), *paced, "--disable-tqdm"),
        *("--save-result", "--result-dir", str(folder), "--result-filename", "report.json"),
        *("--percentile-metrics", "ttft,tpot,e2el", "--metric-percentiles", "50,95"),
    ]
    launch = environment.prepare(Launch(("python", "-m", "vllm.entrypoints.cli.main", "bench", "serve", *words)))
    cpu_s = run(list(launch.argv), {**launch.variables, "OPENAI_API_KEY": target.api_key}, folder)
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    if report["completed"] != len(bodies):
        raise PeerFailed(f"vllm bench serve got {report['completed']} answers to {len(bodies)} requests")
    figures = {
        "requests/s": report["request_throughput"],
        "output tokens/s": report["output_throughput"],
        "TTFT p50, ms": report["p50_ttft_ms"],
        "TTFT p95, ms": report["p95_ttft_ms"],
        "latency p50, ms": report["p50_e2el_ms"],
        "latency p95, ms": report["p95_e2el_ms"],
        "latency mean, ms": report["mean_e2el_ms"],
        TTFT_MEAN: report["mean_ttft_ms"],
        "time per output token p50, ms": report["p50_tpot_ms"],
    }
    return Reported(figures, cpu_s)


def settings(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a request's body the other programs do not send by themselves."""
    theirs = {"messages", "model", "stream", "stream_options", "max_tokens"}
    return {name: value for name, value in body.items() if name not in theirs}


def _unit(name: str, value: float) -> float:
    return 1000 * value if name.endswith("ms") else value


def run(command: Sequence[str], variables: Mapping[str, str], folder: Path) -> float:
    """Run a program to its end; return the CPU seconds of it and its children. Raise PeerFailed where it fails."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with (folder / "said.txt").open("w", encoding="utf-8") as said:
        done = subprocess.run(
            command, stdout=said, stderr=subprocess.STDOUT, env=kept | dict(variables), timeout=600, check=False
        )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        end = (folder / "said.txt").read_text(encoding="utf-8", errors="replace")[-1500:]
        raise PeerFailed(f"{Path(command[0]).name} ended with {done.returncode}: {end}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def bodies(target: Target, load: Load) -> list[dict[str, Any]]:
    """Return the bodies of the requests that our command sends, in its order."""
    os.environ["OPENAI_API_KEY"] = target.api_key
    with tempfile.TemporaryDirectory() as folder:
        asked = questions(job(*our_words(target, load)), Path(folder))
    return [json.loads(wire.body(ask.build(), Endpoint(target.url, target.model))) for ask in asked]


def vllm_environment() -> Environment:
    """Return vLLM's environment for a CPU, built if it is missing (3 GB). Raise EngineFailed if it can't be."""
    environment = environments.resolve(job(*VLLM_ON_A_CPU).config)
    environment.build(print)
    return environment
