"""The command line: `python -m runner model=demo_m`, `python -m runner -m model=demo_s,demo_m quant=bf16,w4a16`.

Hydra composes and sweeps; this file wires it up and turns every expected error into a message.
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
from runner.base import paths
from runner.base.errors import RunnerError
from runner.config import help_page, misspelt, own_files, spoken

WITH_VALUE = ("--config-dir", "-cd", "--config-name", "-cn", "--config-path", "-cp", "--package", "-p", "--cfg", "-c")

_failed: list[RunnerError] = []
_signals: list[signal.Signals] = []

config.register()


def job(cfg: DictConfig) -> float | None:
    """Run one job; what is needed for that is imported here, so that --help and --cfg stay quick."""
    from runner.sweeps import run, sweep

    if not gc.get_freeze_count():
        gc.freeze()  # what the program consists of stays: no collection looks at it again
    gc.enable()
    if HydraConfig.get().mode == RunMode.MULTIRUN:
        return run.run(cfg)
    try:
        return sweep.single(cfg)
    except RunnerError as error:
        # Kept from Hydra, which would repeat all overrides before it; `main` raises it.
        _failed.append(error)
        return None


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    """Make SIGTERM take the way of Ctrl-C: jobs save their state, engines are closed, then we leave."""
    _signals.append(signal.SIGTERM)
    signal.raise_signal(signal.SIGINT)


def parts(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Return flags, with their values, and overrides: Hydra's parser takes `model=a -m quant=b` for a mistake."""
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
    """Show a bug of ours, without the secrets that its words may hold."""
    sys.stderr.write(redact("".join(traceback.format_exception(kind, error, trace))))


def is_expected(error: Exception) -> bool:
    """Tell a user's mistake from a bug of ours: a plain ValueError is a mistake only where Hydra raised it."""
    if not isinstance(error, ValueError) or isinstance(error, UnicodeDecodeError):
        return True
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    return last is not None and last.tb_frame.f_globals.get("__name__", "").startswith("hydra.")


def explain(error: Exception) -> str:
    """Put an expected error into words, without a traceback."""
    if isinstance(error, RunnerError):
        return str(error)
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark
        where = f"{mark.name}, line {mark.line + 1}, column {mark.column + 1}" if mark else "a config file"
        tab = "; YAML indents with blanks, and not with tabs" if "'\\t'" in str(error.problem) else ""
        return f"YAML syntax error in {where}: {error.problem or error}{tab}"
    if isinstance(error, UnicodeDecodeError):
        return f"{_not_utf8() or 'a config file'} is not UTF-8 (saved by a Windows editor?): {error}; save it as UTF-8"
    if launcher := re.search(r"Could not find 'hydra/launcher/(\w+)'", str(error)):
        extra = launcher.group(1).replace("submitit_local", "slurm").replace("submitit_slurm", "slurm")
        return (
            f"the launcher {launcher.group(1)} is not installed: pip install 'vlm-runner[{extra}]' (docs/clusters.md)"
        )
    in_files = own_files.told(str(error), sys.argv[1:]) if isinstance(error, HydraException) else None
    if said := in_files or spoken.several(str(error)) or misspelt.remedy(error):
        return said
    cause = error.__cause__
    if isinstance(cause, GrammarParseError):
        return f"{str(error).splitlines()[0]}\n      -> {config.INTERPOLATED}"
    detail = f"\n{cause}" if isinstance(cause, OmegaConfBaseException) and str(cause) not in str(error) else ""
    return f"{error}{detail}"


def _not_utf8() -> Path | None:
    """Find the config file that can't be decoded: the exception doesn't name it."""
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
    """Say, as the last thing, which machines that this command rented may still run; return whether there are any."""
    engines = sys.modules.get("runner.asking.engines")
    left = engines.machines_left(config.STARTED.timestamp()) if engines is not None else []
    for machine in left:
        print(machine.warning, file=sys.stderr)  # noqa: T201
    return bool(left)


def _help() -> str | None:
    """Return the help that is asked for, where no job must be composed for it; exit 2 for an unknown group."""
    try:
        return help_page.page(sys.argv[1:], paths.conf_dir())
    except help_page.NoSuchGroup as unknown:
        print(unknown, file=sys.stderr)  # noqa: T201
        raise SystemExit(2) from None


def main() -> None:
    """Run the command line; exit 1 on failure, 2 where a config is wrong, 130 and 143 on signals."""
    if any(argument in ("--version", "-V") for argument in sys.argv[1:]):
        from runner import __version__

        print(f"vlm-runner {__version__}")  # noqa: T201
        return
    sys.excepthook = _show_traceback
    if (asked := _help()) is not None:
        print(asked)  # noqa: T201
        return
    debug = os.environ.get("HYDRA_FULL_ERROR") == "1"
    # Hydra would print a traceback and leave; errors are put into words here instead.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    flags, overrides = parts(sys.argv[1:])
    overrides, unread = spoken.read(flags, overrides)
    sys.argv = ["python -m runner", *flags, *overrides]
    # A shell starts `command &` with SIGINT ignored; then it could not be ended at all.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _interrupt)
    if told := "\n".join(unread) or misspelt.merged(overrides) or spoken.unusable(overrides):
        print(redact(told), file=sys.stderr)  # noqa: T201
        raise SystemExit(2)
    gc.disable()  # imports and configs make no garbage worth a tenth of the start
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
        # The reader (`| head`) has what it wanted; Python would complain once more when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (RunnerError, HydraException, OmegaConfBaseException, yaml.YAMLError, OSError, ValueError) as error:
        if debug or not is_expected(error):
            raise
        print(redact(explain(error)), file=sys.stderr)  # noqa: T201
        is_system = isinstance(error, OSError) and not isinstance(error, HydraException)
        raise SystemExit(getattr(error, "exit_code", 1 if is_system else 2)) from None
    except AssertionError:
        # Hydra's, too, where a list is chosen for a group that there is not: `override /metric: [cer]`
        wrong = misspelt.lacking(sys.argv[1:]) or own_files.told("", sys.argv[1:])
        if debug or wrong is None:
            raise
        print(redact(wrong), file=sys.stderr)  # noqa: T201
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        print("ended by SIGTERM" if _signals else "interrupted", file=sys.stderr)  # noqa: T201
        raise SystemExit(143 if _signals else 130) from None


if __name__ == "__main__":
    main()
