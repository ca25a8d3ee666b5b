"""The process that computes metrics which need a model: `python -m metrics.worker`, JSON lines in and out.

In:  {"task": "perplexity", "options": {...}, "items": 2}, then one line for each item: {"text": "…"}
Out: {"index": 0, "nll": 31.2, "tokens": 9} or {"index": 1, "reason": "…"} · {"progress": 8} ·
     {"unavailable": "why nothing can be scored"} · {"version": "what decides the numbers"} · last {"done": true}

Only the task imports more than the standard library, so the worker runs in any environment that has what the task
needs. It ends when its input is closed, so that no orphan process outlives a runner that was killed.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TextIO

from metrics.workers.api import Item, Unavailable

TASKS = {
    "perplexity": "metrics.workers.perplexity",
    "bleurt": "metrics.workers.bleurt",
    "hf_evaluate": "metrics.workers.evaluate_script",
}


class Task(Protocol):
    """The interface of a task module in `metrics.workers`."""

    def run(self, options: Mapping[str, Any], items: Sequence[Item]) -> Iterator[dict[str, Any]]:
        """Yield one reply with `index` for each item, in any order, and `progress` in between."""
        ...


def serve(lines: Iterator[str], reply: Callable[[Mapping[str, Any]], None]) -> int:
    """Read one request with its items and answer it."""
    request = json.loads(next(lines))
    items = [_encodable(json.loads(next(lines))) for _ in range(request["items"])]
    try:
        task: Task = importlib.import_module(TASKS[request["task"]])
        for message in task.run(request["options"], items):
            reply(message)
    except ImportError as error:
        reply({"unavailable": f"{request['task']} needs {error.name or error}: pip install 'vlm-runner[scoring]'"})
    except Unavailable as error:
        reply({"unavailable": str(error)})
    reply({"done": True})
    return 0


def _encodable(item: dict[str, Any]) -> Item:
    """Replace lone surrogates, on which tokenizers fail, by question marks."""
    return {
        name: value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
        for name, value in item.items()
    }


def _own_output() -> TextIO:
    """Return a private copy of standard output, and redirect what libraries print there to standard error."""
    private = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    return private


def _end_with_input() -> None:
    """End the process when its input is closed."""
    while os.read(0, 4096):
        pass
    os._exit(1)


def main() -> int:
    """Answer one request from standard input."""
    output = _own_output()

    def reply(message: Mapping[str, Any]) -> None:
        output.write(json.dumps(message) + "\n")
        output.flush()

    def lines() -> Iterator[str]:
        # Read from a copy of the descriptor: a read-ahead buffer on sys.stdin would hold the lock that the guard needs.
        with os.fdopen(os.dup(0), encoding="utf-8", closefd=True) as source:
            request = json.loads(first := source.readline())
            yield first
            for _ in range(request["items"]):
                yield source.readline()
            threading.Thread(target=_end_with_input, daemon=True).start()

    received = list(lines())
    return serve(iter(received), reply)


if __name__ == "__main__":
    sys.exit(main())
