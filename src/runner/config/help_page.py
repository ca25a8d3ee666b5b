"""What `python -m runner --help` and `--help GROUP` say, read from the config files without composing them.

Hydra composes a whole job for its own help, and parses a file for each group: 2.7 times the CPU of `import hydra`. That
is done where overrides are given: `--help model=demo_s` shows the job with them.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml

HELP = ("--help", "-h")
FOLDER = ("--config-dir", "-cd")
NO_GROUP = ("hydra",)  # Hydra's own
COLUMN = 28


class NoSuchGroup(ValueError):
    """Help was asked about a group that there is not."""


def page(arguments: Sequence[str], conf: Path) -> str | None:
    """Return the help that these arguments ask for; None where they ask for none, or for a composed job.

    `conf` is the folder of configs. Raise NoSuchGroup for a word that is none.
    """
    folders, names, asked = [conf], list[str](), False
    rest = iter(arguments)
    for argument in rest:
        flag, _, value = argument.partition("=")
        if flag in FOLDER:
            folders.insert(0, Path(value or next(rest, ".")))
        elif argument in HELP:
            asked = True
        elif argument.startswith("-") or "=" in argument:
            return None
        else:
            names.append(argument)
    if not asked:
        return None
    words = groups(folders)
    if not names:
        return _overview(conf, words)
    return "\n\n".join(_group(_known(name, words), words) for name in names)


def groups(folders: Sequence[Path]) -> dict[str, dict[str, Path]]:
    """Return the file of each word of each group, by name: `judge/prompt` -> `usefulness` -> its file.

    Where two folders have a file of one name, that of the first counts, as it does for Hydra.
    """
    found: dict[str, dict[str, Path]] = {}
    for folder in reversed(folders):
        for file in folder.rglob("*.yaml"):
            group = file.parent.relative_to(folder).as_posix()
            if group != "." and group.partition("/")[0] not in NO_GROUP:
                found.setdefault(group, {})[file.stem] = file
    return {group: dict(sorted(found[group].items())) for group in sorted(found)}


def purpose(file: Path) -> str:
    """Return the first line of a file's opening comment that says what it is for: no package, no command line."""
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        if not line.startswith("#"):
            break
        said = line.lstrip("# ").rstrip()
        if said and not said.startswith(("@package", "python -m runner")):
            return said
    return ""


def _known(name: str, words: dict[str, dict[str, Path]]) -> str:
    """Return the group of this name. Raise NoSuchGroup, which says what may have been meant."""
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
    """Return a line for each word of a group, and the groups below it."""
    below = [other for other in words if other.startswith(f"{group}/")]
    lines = [f"{group}=WORD", *(f"  {word:{COLUMN}} {purpose(file)}".rstrip() for word, file in words[group].items())]
    lines += [f"below it: {', '.join(below)}"] if below else []
    return "\n".join(lines)


def _overview(conf: Path, words: dict[str, dict[str, Path]]) -> str:
    text = (conf / "config.yaml").read_text(encoding="utf-8")
    content = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)) or {}  # noqa: S506  both are safe
    told = (content.get("hydra") or {}).get("help") or {}
    return "\n".join(
        [
            str(told.get("header", "")).rstrip(),
            "",
            "== Groups ==",
            "GROUP=WORD chooses a file; python -m runner --help GROUP says what each word is for",
            "",
            *(f"{group}: {', '.join(files)}" for group, files in words.items()),
            "",
            "== Keys of no group ==",
            "KEY=VALUE sets any key (model.max_pixels=802816); python -m runner --cfg job shows them all with their values",
            "",
            *_keys(text),
            "",
            str(told.get("footer", "")).rstrip(),
        ]
    )


def _keys(text: str) -> Iterator[str]:
    """Yield the lines of config.yaml that are about keys, and neither its defaults nor Hydra."""
    shown = False
    for line in text.splitlines():
        if line and not line.startswith((" ", "#", "-")):
            shown = line.partition(":")[0] not in ("defaults", "hydra")
        if shown and line.strip():
            yield line
