"""Makes the pages of `python -m runner --help` and `--help GROUP` from the config files, without composing them.

For its own help Hydra composes a whole job and parses a file of each group, which takes 2.7 times the CPU of `import
hydra`. Hydra's help is used only with overrides: `--help model=demo_s` shows the job that results.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml

HELP = ("--help", "-h")
FOLDER = ("--config-dir", "-cd")
NO_GROUP = ("hydra",)  # the folder of Hydra's own groups, which are not listed
COLUMN = 28


class NoSuchGroup(ValueError):
    """The user asked for help on a group that does not exist."""


def page(arguments: Sequence[str], conf: Path) -> str | None:
    """Return the help that these arguments ask for; None if they ask for no help, or for a composed job.

    `conf` is the folder of configs. Raise NoSuchGroup for the name of a group that does not exist.
    """
    folders, names, is_help = [conf], list[str](), False
    rest = iter(arguments)
    for argument in rest:
        flag, _, value = argument.partition("=")
        if flag in FOLDER:
            folders.insert(0, Path(value or next(rest, ".")))
        elif argument in HELP:
            is_help = True
        elif argument.startswith("-") or "=" in argument:
            return None
        else:
            names.append(argument)
    if not is_help:
        return None
    words = groups(folders)
    if not names:
        return _overview(conf, words)
    return "\n\n".join(_group(_known(name, words), words) for name in names)


def groups(folders: Sequence[Path]) -> dict[str, dict[str, Path]]:
    """Return the config files by group and name: `judge/prompt` -> `usefulness` -> its file.

    If two folders have a file of the same name, the first folder has priority, as in Hydra.
    """
    files: dict[str, dict[str, Path]] = {}
    for folder in reversed(folders):
        for file in folder.rglob("*.yaml"):
            group = file.parent.relative_to(folder).as_posix()
            if group != "." and group.partition("/")[0] not in NO_GROUP:
                files.setdefault(group, {})[file.stem] = file
    return {group: dict(sorted(files[group].items())) for group in sorted(files)}


def purpose(file: Path) -> str:
    """Return the first line of a file's opening comment that is no `@package` line and no command line."""
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        if not line.startswith("#"):
            break
        comment = line.lstrip("# ").rstrip()
        if comment and not comment.startswith(("@package", "python -m runner")):
            return comment
    return ""


def _known(name: str, words: dict[str, dict[str, Path]]) -> str:
    """Return the group of this name. Raise NoSuchGroup, which suggests a similar group."""
    group = name.strip("/")
    if group in words:
        return group
    message = f"--help {name}: there is no such group"
    if holders := [holder for holder, files in words.items() if name in files]:
        message += f"; {name} is a word of {' and '.join(holders)}: --help {holders[0]}"
    elif close := difflib.get_close_matches(group, words, n=1, cutoff=0.5):
        message += f"; did you mean {close[0]!r}?"
    raise NoSuchGroup(f"{message}\n  groups: {', '.join(words)}")


def _group(group: str, words: dict[str, dict[str, Path]]) -> str:
    """Return a line for each file of a group, and the groups below it."""
    below = [other for other in words if other.startswith(f"{group}/")]
    lines = [f"{group}=WORD", *(f"  {word:{COLUMN}} {purpose(file)}".rstrip() for word, file in words[group].items())]
    lines += [f"below it: {', '.join(below)}"] if below else []
    return "\n".join(lines)


def _overview(conf: Path, words: dict[str, dict[str, Path]]) -> str:
    text = (conf / "config.yaml").read_text(encoding="utf-8")
    content = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)) or {}  # noqa: S506  both are safe
    texts = (content.get("hydra") or {}).get("help") or {}
    return "\n".join(
        [
            str(texts.get("header", "")).rstrip(),
            "",
            "== Groups ==",
            "GROUP=WORD chooses a file; python -m runner --help GROUP says what each word is for",
            "",
            *(f"{group}: {', '.join(files)}" for group, files in words.items()),
            "",
            "== Keys of no group ==",
            "KEY=VALUE sets any key (model.max_pixels=802816); python -m runner --cfg job shows all with their values",
            "",
            *_keys(text),
            "",
            str(texts.get("footer", "")).rstrip(),
        ]
    )


def _keys(text: str) -> Iterator[str]:
    """Yield the lines of config.yaml that set keys of a job. The lists `defaults` and `hydra` are left out."""
    shown = False
    for line in text.splitlines():
        if line and not line.startswith((" ", "#", "-")):
            shown = line.partition(":")[0] not in ("defaults", "hydra")
        if shown and line.strip():
            yield line
