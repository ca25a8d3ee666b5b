"""Serves no model: answers with the question. Quick enough to test everything around an engine."""

from backends.api import EngineSpec, EngineStats, Failure, Launch


class EchoBackend:
    """`engine_args`: `crash_after=N` requests, `delay_s`, `fail_on` (text in a question), `start_s`,
    `hang_after=N` requests, `memory` (the pixels it has memory for)."""

    name = "echo"

    def launch(self, spec: EngineSpec, port: int) -> Launch:
        arguments = [f"--{name.removeprefix('engine_args.')}={value}" for name, value in spec.args if "." in name]
        return Launch(("python", "-m", "echo_engine.server", f"--port={port}", *arguments), model="model")

    def translate(self, log_tail: str) -> Failure | None:
        if "EchoCrash" in log_tail:
            return Failure("engine_died", "the echo engine was told to crash")
        return None

    def statistics(self, before: str, after: str, log: str) -> EngineStats:
        return EngineStats()
