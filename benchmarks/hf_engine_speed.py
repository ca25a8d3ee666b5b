"""The HF engine beside a plain loop over `model.generate`: tokens per second at the same batch size, both in one run.

    python benchmarks/hf_engine_speed.py [--batches 1,4] [--rounds 5] [--layers 4] [--tokens 32]

The model is Qwen2-VL's architecture, narrow and with random weights, in fp32: a step takes 20 ms or more, and our own
work has something to be compared with. Both sides run in processes of their own, with the same threads, pictures and
prompts, and take turns, so that a busy machine slows both alike; the ratio is the median over the rounds. The plain
loop prepares its pictures with the same processor and does nothing else. The CPU ratio is that of tokens per CPU second
of the process: it is less moved by a busy machine. Ends with 1 where a ratio (of wall time) is below the goal. About
3 minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
from parts.limits import Limit, tell

from backends.api import Engine, EngineSpec, GenerationRequest, ImagePart, Message, Sampling, TextPart
from backends.client import Client
from backends.hf import HfBackend
from backends.process.server import start

ROOT = Path(__file__).resolve().parents[1]
GOAL = 0.97
STEP_GOAL_S = 0.020
ARCHITECTURE = ROOT / "assets" / "architectures" / "qwen2vl_2b"


def override(layers: int) -> str:
    """Return what makes the architecture small; its vocabulary of 152,000 stays, and makes most of a step."""
    text = {"hidden_size": 512, "intermediate_size": 2048, "num_attention_heads": 4, "num_key_value_heads": 2}
    return json.dumps(
        {"text_config": {**text, "num_hidden_layers": layers}, "vision_config": {"depth": 1, "hidden_size": 512}}
    )


def pictures(folder: Path, count: int) -> list[Path]:
    """Draw as many different pictures of 336 x 224 pixels, 96 visual tokens each."""
    from runner.datasets.synthetic import draw

    paths = [folder / f"{number}.png" for number in range(count)]
    for number, path in enumerate(paths):
        draw(path, 336, 224, number)
    return paths


def plain(arguments: argparse.Namespace) -> None:
    """For each line read, answer that many batches with `generate` and print tokens and seconds."""
    import torch

    from backends.hf_server.loading import load
    from backends.hf_server.protocol import ChatMessage, ChatRequest
    from backends.hf_server.settings import Settings

    torch.set_num_threads(arguments.threads)
    settings = Settings(
        str(ARCHITECTURE), 1, weights="dummy", config_override=json.loads(override(arguments.layers)),
        threads=arguments.threads, device=arguments.device, dtype="float32",
    )  # fmt: skip
    loaded = load(settings, lambda _: None)
    images = [path.read_bytes() for path in sorted(Path(arguments.folder).glob("*.png"))]
    message = (ChatMessage("user", (0, "What is the surname?")),)
    print("ready", flush=True)
    for line in sys.stdin:
        size, batches = map(int, line.split())
        begin, used, tokens = time.perf_counter(), time.process_time(), 0
        for number in range(batches):
            requests = [
                ChatRequest(messages=message, images=(images[(number * size + place) % len(images)],))
                for place in range(size)
            ]
            inputs = loaded.family.collate([loaded.family.prepare(request) for request in requests])
            with torch.inference_mode():
                found = loaded.model.generate(
                    **{name: value.to(loaded.device) for name, value in _typed(inputs, loaded.dtype).items()},
                    max_new_tokens=arguments.tokens, min_new_tokens=arguments.tokens, do_sample=False,
                )  # fmt: skip
            tokens += found[:, inputs["input_ids"].shape[1] :].numel()
        print(json.dumps([tokens, time.perf_counter() - begin, time.process_time() - used]), flush=True)


def _typed(inputs: dict[str, Any], dtype: Any) -> dict[str, Any]:
    return {name: value.to(dtype) if value.is_floating_point() else value for name, value in inputs.items()}


async def ask(engine: Engine, images: list[bytes], size: int, batches: int, tokens: int) -> tuple[int, float]:
    """Ask the engine for as many answers, `size` at a time; return tokens and seconds."""
    left = iter(range(size * batches))
    received = 0

    async def worker(client: Client) -> None:
        nonlocal received
        for number in left:
            parts = (ImagePart(images[number % len(images)], "image/png"), TextPart("What is the surname?"))
            sampling = Sampling(max_tokens=tokens)
            generation = await client.ask(GenerationRequest("1", (Message("user", parts),), sampling))
            assert generation.error is None, generation.error
            received += generation.completion_tokens or 0

    async with Client(engine.endpoint, max_connections=size) as client:
        begin = time.perf_counter()
        await asyncio.gather(*(worker(client) for _ in range(size)))
        return received, time.perf_counter() - begin


def cpu_s(engine: Any) -> float:
    """Return the CPU seconds that the engine's process has used."""
    times = psutil.Process(engine.pid).cpu_times()
    return float(times.user + times.system)


def rounds(arguments: argparse.Namespace, folder: Path, size: int) -> dict[str, list[float]]:
    """Return, round by round: tokens per second and CPU seconds per token of both, and the seconds of a step."""
    images = [path.read_bytes() for path in sorted(folder.glob("*.png"))]
    args = {
        "batch_size": str(size), "config_override": override(arguments.layers), "threads": str(arguments.threads),
        "device": arguments.device,
    }  # fmt: skip
    spec = EngineSpec("hf", str(ARCHITECTURE), quant="fp32", weights="dummy", args=tuple(sorted(args.items())))
    command = [sys.executable, __file__, "--plain", "--folder", str(folder), "--layers", str(arguments.layers)]
    command += ["--threads", str(arguments.threads), "--tokens", str(arguments.tokens), "--device", arguments.device]
    engine = start(HfBackend(), spec, log_path=folder / "engine.log", timeout_s=600)
    found: dict[str, list[float]] = {name: [] for name in ("plain", "engine", "step", "plain_cpu", "engine_cpu")}
    try:
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
            assert other.stdin is not None and other.stdout is not None
            assert other.stdout.readline().strip() == "ready"
            for number in range(arguments.rounds + 1):
                other.stdin.write(f"{size} {arguments.each}\n")
                other.stdin.flush()
                tokens, seconds, used = json.loads(other.stdout.readline())
                before = cpu_s(engine)
                asked, took = asyncio.run(ask(engine, images, size, arguments.each, arguments.tokens))
                if number == 0:  # it warms both up
                    continue
                figures = (tokens / seconds, asked / took, seconds / (tokens / size), used / tokens)
                for name, value in zip(found, (*figures, (cpu_s(engine) - before) / asked), strict=True):
                    found[name].append(value)
            other.stdin.close()
    finally:
        engine.close()
    return found


def main() -> int:
    """Measure each batch size, print, and return 1 where the goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", default="1,4", help="batch sizes")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--each", type=int, default=2, help="batches in a round")
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--folder", default="", help=argparse.SUPPRESS)
    parser.add_argument("--plain", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.plain:
        plain(arguments)
        return 0
    limits = []
    print(f"{'':12}{'plain tok/s':>12}{'engine tok/s':>13}{'step ms':>9}{'ratio':>7}{'CPU ratio':>11}  goal {GOAL}")
    for size in map(int, arguments.batches.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            pictures(Path(folder), 8)
            found = rounds(arguments, Path(folder), size)
        ratio = statistics.median(ours / plain for ours, plain in zip(found["engine"], found["plain"], strict=True))
        cpu = statistics.median(
            plain / ours for ours, plain in zip(found["engine_cpu"], found["plain_cpu"], strict=True)
        )
        plain_rate, rate, step = (statistics.median(found[name]) for name in ("plain", "engine", "step"))
        small = f"a step took {step * 1000:.0f} ms, less than {STEP_GOAL_S * 1000:.0f}: raise --layers"
        known = ratio if step >= STEP_GOAL_S else None  # in shorter steps our own work weighs more than it does
        told = f"tokens/s of the HF engine beside a plain loop, batch {size}"
        limits.append(Limit(told, known, ">=", GOAL, why=small))
        measured = f"{plain_rate:12.1f}{rate:13.1f}{step * 1000:9.1f}{ratio:7.3f}{cpu:11.3f}"
        print(f"{f'batch {size}':12}{measured}", flush=True)
    return tell(limits)


if __name__ == "__main__":
    sys.exit(main())
