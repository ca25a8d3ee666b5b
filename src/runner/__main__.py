"""The command line: `python -m runner model=demo_m`, `python -m runner -m model=demo_s,demo_m quant=bf16,w4a16`.

Hydra composes the configs and runs the sweeps. This file starts Hydra and turns every expected error into a message.
"""

from __future__ import annotations

import gc
import os
import re
import signal
import sys
import traceback
from pathlib import Path
from types import FrameType, TracebackType

import hydra
import yaml
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import GrammarParseError, OmegaConfBaseException

from backends.redaction import redact
from runner import config
from runner.base import command_line, paths
from runner.base.errors import RunnerError, raised_in
from runner.config import help_page, misspelt, own_files, read_overrides

WITH_VALUE = ("--config-dir", "-cd", "--config-name", "-cn", "--config-path", "-cp", "--package", "-p", "--cfg", "-c")

_failed: list[RunnerError] = []
_signals: list[signal.Signals] = []

config.register()


def job(cfg: DictConfig) -> float | None:
    """Run one job. Its modules are imported here, so that --help and --cfg stay fast."""
    from runner.sweeps import run, sweep, together

    if not gc.get_freeze_count():
        gc.freeze()  # modules and configs live as long as the process: no collection needs to scan them again
    gc.enable()
    if HydraConfig.get().mode == RunMode.MULTIRUN:
        if together.is_wanted(cfg):
            together.enter(cfg)  # they are asked when all jobs have entered
            return None
        return run.run(cfg)
    try:
        return sweep.single(cfg)
    except RunnerError as error:
        # Hydra would print all overrides before the message. So it does not see the error; `main` raises it.
        _failed.append(error)
        return None


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    """Handle SIGTERM like Ctrl-C: jobs save their state, engines are closed, then the program exits."""
    _signals.append(signal.SIGTERM)
    signal.raise_signal(signal.SIGINT)


def parts(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Return the flags with their values, and the overrides. Hydra refuses overrides on both sides of a flag.

    Such a command line is `model=a -m quant=b`.
    """
    flags: list[str] = []
    overrides: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        if not argument.startswith("-"):
            overrides.append(argument)
            continue
        flags.append(argument)
        if argument in WITH_VALUE and (value := next(rest, None)) is not None:
            flags.append(value)
    return flags, overrides


def _show_traceback(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print the traceback of a bug, without the secrets that its text may contain."""
    sys.stderr.write(redact("".join(traceback.format_exception(kind, error, trace))))


def is_expected(error: Exception) -> bool:
    """Return whether an error is a user's mistake and no bug. A plain ValueError is one only if Hydra raised it."""
    if not isinstance(error, ValueError) or isinstance(error, UnicodeDecodeError):
        return True
    return raised_in(error) == "hydra"


def explain(error: Exception) -> str:
    """Return the message for an expected error, without a traceback."""
    if isinstance(error, RunnerError):
        return str(error)
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark
        where = f"{mark.name}, line {mark.line + 1}, column {mark.column + 1}" if mark else "a config file"
        tab = "; YAML is indented with spaces, not with tabs" if "'\\t'" in str(error.problem) else ""
        return f"YAML syntax error in {where}: {error.problem or error}{tab}"
    if isinstance(error, UnicodeDecodeError):
        return f"{_not_utf8() or 'a config file'} is not UTF-8 (saved by a Windows editor?): {error}; save it as UTF-8"
    if launcher := re.search(r"Could not find 'hydra/launcher/(\w+)'", str(error)):
        extra = launcher.group(1).replace("submitit_local", "slurm").replace("submitit_slurm", "slurm")
        return (
            f"the launcher {launcher.group(1)} is not installed: pip install 'vlm-runner[{extra}]' (docs/clusters.md)"
        )
    in_files = own_files.explain(str(error), sys.argv[1:]) if isinstance(error, HydraException) else None
    command_line = read_overrides.missing_m_in(str(error)) or read_overrides.added_twice(str(error))
    if explanation := in_files or command_line or misspelt.remedy(error):
        return explanation
    cause = error.__cause__
    if isinstance(cause, GrammarParseError):
        return f"{str(error).splitlines()[0]}\n      -> {config.INTERPOLATED}"
    detail = f"\n{cause}" if isinstance(cause, OmegaConfBaseException) and str(cause) not in str(error) else ""
    return f"{error}{detail}"


def _not_utf8() -> Path | None:
    """Return the config file that can't be decoded, because the exception doesn't name it."""
    folders = [paths.conf_dir()]
    if "--config-dir" in sys.argv:
        folders.append(Path(sys.argv[sys.argv.index("--config-dir") + 1]))
    for file in (file for folder in folders for file in folder.rglob("*.yaml")):
        try:
            file.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            return file
    return None


def _machines_left() -> bool:
    """Warn of machines that this command rented and that may still run. Return whether there are any.

    This is the last thing that the command prints.
    """
    engines = sys.modules.get("runner.asking.engines")
    left = engines.machines_left(config.STARTED.timestamp()) if engines is not None else []
    for machine in left:
        print(machine.warning, file=sys.stderr)  # noqa: T201
    return bool(left)


def _help() -> str | None:
    """Return the help page that is asked for; None if there is none, or if Hydra must compose a job for it.

    Exit with 2 for an unknown group.
    """
    try:
        return help_page.page(sys.argv[1:], paths.conf_dir())
    except help_page.NoSuchGroup as unknown:
        print(unknown, file=sys.stderr)  # noqa: T201
        raise SystemExit(2) from None


def main() -> None:
    """Run the command line. Exit with 1 on failure, 2 for a wrong config, 130 on SIGINT and 143 on SIGTERM."""
    try:
        _main()
    except BrokenPipeError:
        command_line.discard_output()
    finally:
        command_line.flush_output()


def _main() -> None:
    if any(argument in ("--version", "-V") for argument in sys.argv[1:]):
        from runner import __version__

        print(f"vlm-runner {__version__}")  # noqa: T201
        return
    sys.excepthook = _show_traceback
    if (help_text := _help()) is not None:
        print(help_text)  # noqa: T201
        return
    debug = os.environ.get("HYDRA_FULL_ERROR") == "1"
    # Otherwise Hydra would print a traceback and exit, and `explain` would never see the error.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    flags, overrides = parts(sys.argv[1:])
    overrides, unread = read_overrides.read(flags, overrides)
    if read_overrides.asks_twice(overrides) and not {"-m", "--multirun"} & {*flags}:
        flags.append("-m")
    sys.argv = ["python -m runner", *flags, *overrides]
    # A shell starts `command &` with SIGINT ignored, so that nothing could interrupt it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _interrupt)
    if refusal := "\n".join(unread) or misspelt.merged(overrides) or read_overrides.optuna_storage(overrides):
        print(redact(refusal), file=sys.stderr)  # noqa: T201
        raise SystemExit(2)
    gc.disable()  # collections take a tenth of the start, and imports and configs leave little to collect
    try:
        try:
            hydra.main(version_base="1.3", config_path=str(paths.conf_dir()), config_name="config")(job)()
        finally:
            gc.enable()
            machines_left = _machines_left()
        for error in _failed:
            raise error
        if machines_left:
            raise SystemExit(1)
    except BrokenPipeError:
        raise  # an OSError that is nothing to tell of
    except (RunnerError, HydraException, OmegaConfBaseException, yaml.YAMLError, OSError, ValueError) as error:
        if debug or not is_expected(error):
            raise
        print(redact(explain(error)), file=sys.stderr)  # noqa: T201
        is_system = isinstance(error, OSError) and not isinstance(error, HydraException)
        raise SystemExit(getattr(error, "exit_code", 1 if is_system else 2)) from None
    except AssertionError:
        # Hydra raises it, too, where a list is chosen for a group that does not exist: `override /metric: [cer]`
        wrong = misspelt.missing_part(sys.argv[1:]) or own_files.explain("", sys.argv[1:])
        if debug or wrong is None:
            raise
        print(redact(wrong), file=sys.stderr)  # noqa: T201
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        print("ended by SIGTERM" if _signals else "interrupted", file=sys.stderr)  # noqa: T201
        raise SystemExit(143 if _signals else 130) from None


if __name__ == "__main__":
    main()
