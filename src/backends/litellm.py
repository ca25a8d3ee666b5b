"""Other providers through LiteLLM's proxy: Anthropic, Gemini, Bedrock, Mistral, GigaChat and whatever else it knows.

`spec.checkpoint` is LiteLLM's name of the model, `anthropic/claude-haiku-4-5-20251001`. Settings come as
`EngineSpec.args`; `engine_args.<name>` becomes a parameter of the provider (`api_base`, `aws_region_name`, `scope`):

    api_key_variable adapt stream engine_args.*
"""

from __future__ import annotations

import json
import os
import re

from backends import redaction
from backends.api import EngineSpec, EngineStats, Failure, Launch
from backends.engine_args import PREFIX, is_true, settings
from backends.known_failures import PORT_IN_USE, first, known

_SETTINGS = ("api_key_variable", "adapt", "dialect", "headers", "omit", "rename", "stream")
# The environment variable in which LiteLLM 1.110.2 looks for a provider's key (llms/PROVIDER, get_secret_str).
KEYS = {
    "anthropic": "ANTHROPIC_API_KEY",
    "gemini": "GEMINI_API_KEY",
    "gigachat": "GIGACHAT_CREDENTIALS",
    "mistral": "MISTRAL_API_KEY",
}
_VARIABLE = re.compile(r"\$([A-Za-z_]\w*)")
_OURS = {
    "model": "model.path",
    "api_key": "backend.api_key_variable",
    "max_retries": "backend.retries",
    "num_retries": "backend.retries",
    "timeout": "backend.request_timeout_s",
    "stream_timeout": "backend.request_timeout_s",
}
_TIMEOUT_S = 3600.0  # the runner's own limit for a request comes first (backend.request_timeout_s)
_FAILURES = (
    known(
        r"No module named '?(litellm(?:_cli)?)\b",
        "{name} is not installed in this environment: take env=litellm, which env=auto does",
    ),
    known(r"No module named '?([\w.]+)", "the environment of LiteLLM's proxy lacks {name}: take env=litellm"),
    known(r"LLM Provider NOT provided[^\n]*", "LiteLLM does not know the provider: model.path=PROVIDER/NAME"),
    known(PORT_IN_USE, "another process took the port in between; run it again"),
)


class LiteLlmBackend:
    """Starts LiteLLM's proxy, which speaks the protocols of many providers."""

    name = "litellm"
    pixels_at_start = True  # a limit on pixels is refused: providers resize pictures as they see fit

    def launch(self, spec: EngineSpec, port: int) -> Launch:
        """Return the command of the proxy. Raise ValueError for a setting or a key that can't be used."""
        if spec.quant != "native":
            remedy = "leave quant out, or quant=native"
            raise ValueError(f"quant={spec.quant}: a provider's precision can't be chosen; {remedy}")
        if spec.weights != "real":
            raise ValueError(f"model.weights={spec.weights}: a provider has its own weights")
        chosen = settings(spec, _SETTINGS)
        provider, _, name = spec.checkpoint.partition("/")
        if not name:
            what = f"{spec.checkpoint}: name the provider, too"
            raise ValueError(f"{what}, as LiteLLM does: model.path=anthropic/{spec.checkpoint or 'NAME'}")
        parameters = {"model": spec.checkpoint, **_parameters(spec)}
        if variable := chosen.get("api_key_variable", "") or KEYS.get(provider, ""):
            parameters["api_key"] = _named(variable, "backend.api_key_variable")
        argv = ["python", "-m", "backends.litellm_server", "--host", "127.0.0.1", "--port", str(port)]
        argv += ["--timeout", f"{_TIMEOUT_S:g}", "--parameters", json.dumps(parameters, sort_keys=True)]
        return Launch(
            tuple(argv),
            health_path="/health/liveliness",
            token_ids=False,
            dialect="openai",
            adapt=is_true("backend.adapt", chosen.get("adapt", "false")),
            stream=is_true("backend.stream", chosen.get("stream", "true")),
            unmeasured="the model runs at its provider, and what the proxy takes here says nothing of it",
        )

    def translate(self, log_tail: str) -> Failure | None:
        """Recognise a known failure in the end of the proxy's log, in the user's words."""
        return first(_FAILURES, log_tail)

    def statistics(self, before: str, after: str, log: str) -> EngineStats:
        """Return nothing: a provider tells nothing of its engine."""
        del before, after, log
        return EngineStats()


def _parameters(spec: EngineSpec) -> dict[str, str]:
    """Return the parameters of the provider. `$NAME` stands for an environment variable; a key must be one."""
    found = {}
    for name, value in spec.args:
        if not name.startswith(PREFIX):
            continue
        parameter = name.removeprefix(PREFIX)
        if parameter in _OURS:
            raise ValueError(f"backend.{name}: set {_OURS[parameter]} instead")
        variable = _VARIABLE.fullmatch(value)
        if variable:
            found[parameter] = _named(variable[1], f"backend.{name}")
            continue
        if redaction.names_secret(parameter) or redaction.problem(parameter, value):
            remedy = f"'+backend.{name}=$NAME' names an environment variable"
            raise ValueError(f"backend.{name} is a key, which would be kept in files: {remedy}")
        found[parameter] = value
    return found


def _named(variable: str, key: str) -> str:
    """Return how LiteLLM's settings name an environment variable. Raise ValueError where it is not set."""
    if not os.environ.get(variable):
        raise ValueError(f"{key}: the environment variable {variable} is not set; export it, or name another one")
    redaction.remember(os.environ[variable])
    return f"os.environ/{variable}"
