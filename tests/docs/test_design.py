"""The design page names files, functions and rooms; each of them exists."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
# `planning/plan.py:plan`; below src/runner unless it begins with src/ or another folder of the repository.
NAMED = re.compile(r"`([\w/.]+\.(?:py|yaml|toml))(?::(\w+))?`")


def place(name: str) -> Path:
    return next((folder / name for folder in (ROOT / "src" / "runner", ROOT) if (folder / name).exists()), ROOT / name)


def names(file: Path) -> set[str]:
    """Return what a module defines at its top level."""
    found: set[str] = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.add(node.name)
        for target in getattr(node, "targets", [getattr(node, "target", None)]):
            if isinstance(target, ast.Name):
                found.add(target.id)
    return found


def test_what_the_page_names_exists():
    wrong = []
    for file, name in sorted(set(NAMED.findall(PAGE))):
        if "NAME" in file or ("/" not in file and not place(file).exists()):
            continue  # conf/metrics/NAME.yaml stands for any; `run.py` is told of in the line of its room
        if not place(file).is_file() or (name and name not in names(place(file))):
            wrong.append(f"{file}:{name}")
    assert wrong == [], "bring docs/design.md up to date"


def test_no_blank_line_cuts_a_table_in_two():
    cut = []
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        lines = ["", *page.read_text(encoding="utf-8").splitlines(), ""]
        for before, line, after in zip(lines, lines[1:], lines[2:], strict=False):
            if line.startswith("|") and not before.strip() and not after.startswith("|--"):
                cut.append(f"{page.name}: {line[:60]}")
    assert cut == [], "GitHub shows these rows as text"


def test_files_in_the_table_of_rooms_lie_in_their_rooms():
    rooms = re.findall(r"^\| `(\w+)/` \| (.+) \|$", PAGE, re.MULTILINE)
    told = [f"{room}/{name}" for room, row in rooms for name in re.findall(r"`([\w/]+(?:\.py|/))`", row)]
    assert len(told) > 15
    wrong = [one for one in told if not (ROOT / "src" / "runner" / one).exists()]
    assert wrong == [], "bring docs/design.md up to date"


def test_the_page_has_every_room_in_the_order_of_the_contract():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    (layers,) = (one["layers"] for one in contracts if one.get("containers") == ["runner"])
    rooms = [layer for layer in layers[1:] if (ROOT / "src" / "runner" / layer).is_dir()]
    assert re.findall(r"^\| `(\w+)/` \|", PAGE, re.MULTILINE) == rooms
    assert re.findall(r"<b>(\w+)</b>", PAGE) == rooms
