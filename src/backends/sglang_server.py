"""Starts SGLang's server with a key that no other user of the machine can read: `python -m backends.sglang_server ...`.

SGLang takes its key from its command line or a file alone, and writes its arguments into its log. Here the key comes
through an environment variable and is added to the arguments within the process, so that the command line which the
system shows does not hold it; what is logged has it blanked out. Standard library only: this runs in SGLang's
environment.
"""

from __future__ import annotations

import logging
import os
import runpy
import sys
from typing import Any

VARIABLE = "RUNNER_ENGINE_KEY"


def main() -> None:
    """Run SGLang's own entry point."""
    key = os.environ.pop(VARIABLE)
    make = logging.getLogRecordFactory()

    def make_without_key(*args: Any, **more: Any) -> logging.LogRecord:
        record = make(*args, **more)
        if isinstance(record.msg, str):
            record.msg = record.msg.replace(key, "***")
        return record

    logging.setLogRecordFactory(make_without_key)
    sys.argv = ["sglang.launch_server", *sys.argv[1:], f"--api-key={key}"]
    runpy.run_module("sglang.launch_server", run_name="__main__", alter_sys=True)


if __name__ == "__main__":  # its worker processes import this file again
    main()
