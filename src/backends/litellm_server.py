"""Starts LiteLLM's proxy for one model: `python -m backends.litellm_server --port N --parameters JSON`.

The proxy reads a file of settings, which is made here in memory. It holds names of environment variables in place of
keys (`os.environ/NAME`). The proxy's own retries, cool-downs, logs of requests and telemetry are
off: the runner asks again, and it measures. Standard library only: this runs in LiteLLM's environment.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
from typing import Any

KEY = "RUNNER_ENGINE_KEY"
# LiteLLM 1.110.2: without the first it fetches its table of prices from the internet when it is imported, and without
# the second it reads a file .env of the folder that it was started in.
VARIABLES = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_MODE": "PRODUCTION",
    "DISABLE_ADMIN_UI": "True",
    "NO_DOCS": "True",
    "NO_REDOC": "True",
    "LITELLM_LOG": "ERROR",
}


def main(arguments: list[str]) -> None:
    """Write the settings and run the proxy's own entry point."""
    parser = argparse.ArgumentParser(prog="backends.litellm_server")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", required=True)
    parser.add_argument("--parameters", type=json.loads, required=True)
    parser.add_argument("--timeout", type=float, required=True)
    asked = parser.parse_args(arguments)
    os.environ.update(VARIABLES)
    # A file in memory, of which nothing is left however the process ends. JSON is YAML.
    file = os.memfd_create("litellm.yaml")
    os.write(file, json.dumps(settings(asked.parameters, asked.timeout)).encode())
    path = f"/proc/{os.getpid()}/fd/{file}"
    flags = ["--config", path, "--host", asked.host, "--port", asked.port, "--telemetry", "False"]
    sys.argv = ["litellm", *flags]
    importlib.import_module("litellm_cli.main").proxy_server()  # which only its environment has


def settings(parameters: dict[str, Any], timeout_s: float) -> dict[str, Any]:
    """Return the proxy's settings for one model, which is asked for by the name `model`."""
    return {
        "model_list": [{"model_name": "model", "litellm_params": {**parameters, "max_retries": 0}}],
        "router_settings": {"num_retries": 0, "disable_cooldowns": True, "timeout": timeout_s},
        "litellm_settings": {
            "num_retries": 0,
            "request_timeout": timeout_s,
            "drop_params": False,  # what a provider does not take is refused, and not left out without a word
            "telemetry": False,
            "turn_off_message_logging": True,
            "cache": False,
        },
        "general_settings": {"master_key": f"os.environ/{KEY}", "disable_spend_logs": True, "disable_error_logs": True},
    }


if __name__ == "__main__":
    main(sys.argv[1:])
