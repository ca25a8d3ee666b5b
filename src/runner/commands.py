"""The door of every command beside `python -m runner`: `python -m runner.NAME` is `runner/NAME.py`, which comes here.

A command is a function `main(arguments) -> exit code`. What it raises becomes a message here, in one way for all. What
a user can mend, and what can't be reached, ends with 2; a failed job with 1; an interruption with 130 or 143; a bug of
ours with its traceback and 1.
"""

from __future__ import annotations

import importlib
import signal
import sys
import traceback
from collections.abc import Sequence
from types import FrameType

from backends.redaction import redact
from runner.base import command_line
from runner.base.errors import OURS, JobFailed, Refused, RunnerError, SweepFailed, raised_in

# Name -> the module that holds its `main`. It is imported when it is asked for, so that --help of one loads no other.
COMMANDS = {
    "compare": "runner.studies.compare.command",
    "doctor": "runner.planning.doctor",
    "document": "runner.config.write_docs",
    "export": "runner.studies.export.command",
    "labels": "runner.studies.labels.command",
    "memory_profile": "runner.studies.profile.memory",
    "parity": "runner.studies.parity.command",
    "plan_csv": "runner.sweeps.plan_csv.command",
    "published": "runner.studies.published",
    "reading": "runner.studies.blind_baseline",
    "report": "runner.report.command",
    "resolution": "runner.studies.profile.resolution",
    "select_prompts": "runner.studies.select_prompts.command",
    "store": "runner.store.command",
    "sync": "runner.jobs.sync",
}


def run(name: str, arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code. `arguments` are those of the command line unless they are given."""
    terminated: list[int] = []

    def terminate(number: int, _frame: FrameType | None) -> None:
        terminated.append(number)
        signal.raise_signal(signal.SIGINT)

    # A shell starts `command &` with SIGINT ignored; then it could not be ended at all.
    before = signal.signal(signal.SIGINT, signal.default_int_handler), signal.signal(signal.SIGTERM, terminate)
    try:
        code: int = importlib.import_module(COMMANDS[name]).main(sys.argv[1:] if arguments is None else arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        command_line.discard_output()
        return 0
    except KeyboardInterrupt:
        _say("ended by SIGTERM" if terminated else "interrupted")
        return 143 if terminated else 130
    except Exception as error:  # noqa: BLE001 - all of them end here, in words or with their traceback
        if not is_expected(error):
            sys.stderr.write(redact(traceback.format_exc()))
            return 1
        _say(f"{name}: {words(error)}")
        return 1 if isinstance(error, (JobFailed, SweepFailed)) else 2  # compare ends with 1 where a gate fails
    finally:
        command_line.flush_output()  # argparse has ended the program after --help
        signal.signal(signal.SIGINT, before[0])
        signal.signal(signal.SIGTERM, before[1])
    return code


def is_expected(error: Exception) -> bool:
    """Tell what a user can mend from a bug of ours.

    A ValueError is a message where our own code raised it, as it does for what can't be compared or read. One that a
    library raised was not foreseen. Errors of the operating system name the file themselves.
    """
    if isinstance(error, (RunnerError, OSError)):
        return True
    if not isinstance(error, ValueError) or isinstance(error, UnicodeError):
        return False
    return raised_in(error) in OURS


def words(error: Exception) -> str:
    """Return what a user reads of an error: of a refusal its problems, without `before anything was started`."""
    return "\n  ".join(map(str, error.problems)) if isinstance(error, Refused) else str(error)


def _say(message: str) -> None:
    print(redact(message), file=sys.stderr)  # noqa: T201
