"""guidellm, built in an environment of its own and asked for the same load as the other programs."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from parts import peers
from uv import find_uv_bin

GUIDELLM = "guidellm==0.8.1"


def environment(folder: Path) -> Path:
    """Build guidellm's own environment where it is missing; return its command. Raise PeerFailed if it can't be."""
    command = folder / "bin" / "guidellm"
    if not command.exists():
        uv = os.fsdecode(find_uv_bin())
        for words in (
            ["venv", "--allow-existing", "-q", str(folder)],
            ["pip", "install", "-q", "--python", str(folder), GUIDELLM],
        ):
            done = subprocess.run([uv, *words], capture_output=True, text=True, check=False)
            if done.returncode:
                raise peers.PeerFailed(f"{GUIDELLM} can't be installed: {done.stderr[-500:]}")
    return command


def run(
    command: Path, target: peers.Target, load: peers.Load, bodies: Sequence[Mapping[str, Any]], folder: Path
) -> peers.Reported:
    """Run guidellm. It starts as many worker processes as there are cores; its default of ten slows two cores down."""
    folder.mkdir(parents=True)
    rows = folder / "requests.jsonl"
    rows.write_text("".join(json.dumps({"messages": body["messages"]}) + "\n" for body in bodies), encoding="utf-8")
    profile: dict[str, Any] = {"kind": load.kind, "rate": [load.rate]}
    if load.kind == "closed":
        profile = {"kind": "concurrent", "streams": [load.concurrency]}
    spec = {
        "backend": {
            "kind": "openai_http",
            "target": target.url,
            "model": target.model,
            "api_key": target.api_key,
            "validate_backend": False,
            "max_tokens": bodies[0]["max_tokens"],
            "extras": {"body": peers.settings(bodies[0])},
        },
        "profile": profile,
        "constraints": [{"kind": "max_requests", "count": len(bodies)}],
        "data": [{"kind": "json_file", "path": str(rows)}],
        "outputs": [{"kind": "json", "path": str(folder / "report.json")}],
    }
    (folder / "spec.json").write_text(json.dumps({"spec": spec}), encoding="utf-8")
    variables = {"HF_HUB_OFFLINE": "1", "GUIDELLM__MAX_WORKER_PROCESSES": str(os.cpu_count() or 1)}
    cpu_s = peers.run([str(command), "run", "-c", str(folder / "spec.json"), "--disable-console"], variables, folder)
    (benchmark,) = json.loads((folder / "report.json").read_text(encoding="utf-8"))["benchmarks"]
    metrics = {
        name: (value or {}).get("successful") for name, value in benchmark["metrics"].items() if isinstance(value, dict)
    }
    answered, errors = (len(benchmark["requests"][kind] or ()) for kind in ("successful", "errored"))
    if errors or answered < 0.99 * len(bodies):  # at 500 a second its report held 1,999 of 2,000
        raise peers.PeerFailed(f"guidellm got {answered} answers and {errors} errors to {len(bodies)} requests")
    figures = {
        "requests/s": metrics["requests_per_second"]["mean"],
        "output tokens/s": metrics["output_tokens_per_second"]["mean"],
        "TTFT p50, ms": metrics["time_to_first_token_ms"]["percentiles"]["p50"],
        "TTFT p95, ms": metrics["time_to_first_token_ms"]["percentiles"]["p95"],
        "latency p50, ms": 1000 * metrics["request_latency"]["percentiles"]["p50"],
        "latency p95, ms": 1000 * metrics["request_latency"]["percentiles"]["p95"],
        "latency mean, ms": 1000 * metrics["request_latency"]["mean"],
        peers.TTFT_MEAN: metrics["time_to_first_token_ms"]["mean"],
        "time per output token p50, ms": metrics["inter_token_latency_ms"]["percentiles"]["p50"],
    }
    times = [one["info"]["timings"] for one in benchmark["requests"]["successful"]]
    late = [1000 * max(0.0, one["request_start"] - one["targeted_start"]) for one in times]
    return peers.Reported(figures, cpu_s, late if load.kind != "closed" else ())
