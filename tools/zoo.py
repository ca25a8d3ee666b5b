"""Says which models of conf/model/ a release of transformers, vLLM or SGLang can load, and which it has that we lack.

    python tools/zoo.py transformers                         the release that is installed here
    python tools/zoo.py FOLDER/vllm-0.33.0-py3-none-any.whl  a wheel
    python tools/zoo.py FOLDER/site-packages/sglang          an installed folder, of another environment

Nothing of the release is run or imported: its registry is read from its source. That a name stands in the registry says
that the engine has code for it, and not that a checkpoint loads or answers well. It ends with 1 if a model's file names
the engine among its `backends` and the registry lacks its architecture.
"""

from __future__ import annotations

import argparse
import ast
import importlib.util
import re
import sys
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))
from runner.config import model_facts  # noqa: E402  the tool runs from a checkout, installed or not

# Package -> our backend, and where its registry is.
BACKENDS = {"transformers": "hf", "vllm": "vllm", "sglang": "sglang"}
VLLM = "vllm/model_executor/models/registry.py"
TRANSFORMERS = "transformers/models/auto/modeling_auto.py"
SGLANG = "sglang/srt/models/"
# What our HF engine can serve: families/__init__.py. The first takes pictures.
HF_TABLES = (
    "MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES",
    "MODEL_FOR_CAUSAL_LM_MAPPING_NAMES",
    "MODEL_FOR_DOCUMENT_QUESTION_ANSWERING_MAPPING_NAMES",
)
# Tables of vLLM's registry that generate text. The second has models of all kinds that it runs with transformers' code.
VLLM_PICTURES, VLLM_BY_TRANSFORMERS, VLLM_TEXT = (
    "_MULTIMODAL_MODELS",
    "_TRANSFORMERS_SUPPORTED_MODELS",
    "_TEXT_GENERATION_MODELS",
)
DRAFTS = ("NextN", "MTP")  # parts of a model that only guess its next tokens
DOCUMENTS = re.compile(
    r"OCR|Docling|Document|Donut|Nougat|(?<!S)Parse|LayoutLM|Udop|Pix2Struct|Kosmos2_5", re.IGNORECASE
)


class Unreadable(Exception):
    """What was given is no release, or its registry isn't where this tool looks for it."""


@dataclass(frozen=True)
class Release:
    """One release: the package's files by their path from its parent folder."""

    package: str
    version: str
    files: Mapping[str, Any]  # path -> a zipfile.Path or a Path

    def read(self, path: str) -> str:
        """Return a source file. Raise Unreadable where it is missing."""
        if path not in self.files:
            raise Unreadable(
                f"{self.package} {self.version} has no {path}: its registry has moved, and this tool must follow"
            )
        return str(self.files[path].read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Registry:
    """The architectures that a release loads, and those of them that take pictures."""

    all: frozenset[str]
    pictures: frozenset[str]


def release(given: str) -> Release:
    """Find a release by the path of a wheel or of an installed package, or by the name of one installed here."""
    path = Path(given)
    if path.suffix == ".whl":
        return _wheel(path)
    if not path.is_dir():
        spec = importlib.util.find_spec(given) if given in BACKENDS else None
        if spec is None or not spec.submodule_search_locations:
            raise Unreadable(
                f"{given} is no wheel, no folder and no package installed here; known: {', '.join(BACKENDS)}"
            )
        path = Path(next(iter(spec.submodule_search_locations)))
    if path.name not in BACKENDS:
        raise Unreadable(f"{path}: the folder of an installed package is called {', '.join(BACKENDS)}")
    wanted = [VLLM, TRANSFORMERS, *(f"{SGLANG}{file.name}" for file in (path / "srt" / "models").glob("*.py"))]
    files = {name: path.parent / name for name in wanted if (path.parent / name).is_file()}
    if path.name == "vllm":
        files |= {
            f"vllm/{file.relative_to(path).as_posix()}": file for file in path.rglob("*.py") if "models" in file.parts
        }
    found = (
        re.search(rf"^{path.name}(?:_cpu)?-(.+)\.dist-info$", info.name) for info in path.parent.glob("*.dist-info")
    )
    return Release(path.name, next((match[1] for match in found if match), "of unknown version"), files)


def _wheel(path: Path) -> Release:
    if not zipfile.is_zipfile(path):
        raise Unreadable(f"{path} is no wheel")
    package, version = path.name.split("-")[:2]
    package = package.removesuffix("_cpu")
    if package not in BACKENDS:
        raise Unreadable(f"{path}: a wheel of {package}; known: {', '.join(BACKENDS)}")
    archive = zipfile.ZipFile(path)
    return Release(
        package, version, {name: zipfile.Path(archive, name) for name in archive.namelist() if name.endswith(".py")}
    )


def registry(found: Release) -> Registry:
    """Read a release's registry. Raise Unreadable."""
    if found.package == "transformers":
        tables = _pairs(found.read(TRANSFORMERS))
        if HF_TABLES[0] not in tables:
            raise Unreadable(f"{TRANSFORMERS} has no {HF_TABLES[0]}")
        pictures = frozenset(tables[HF_TABLES[0]].values())
        return Registry(frozenset().union(*(tables.get(name, {}).values() for name in HF_TABLES)), pictures)
    if found.package == "vllm":
        return _vllm(found)
    every: set[str] = set()
    pictures_of: set[str] = set()
    for path in found.files:
        if path.startswith(SGLANG) and path.endswith(".py"):
            source = found.read(path)
            names = {name for name in _entry_classes(source) if not name.endswith(DRAFTS)}
            every |= names
            pictures_of |= names if re.search(r"pixel_values|mm_inputs|get_image_feature", source) else set()
    if not every:
        raise Unreadable(f"no EntryClass in {SGLANG}")
    return Registry(frozenset(every), frozenset(pictures_of))


def _vllm(found: Release) -> Registry:
    tables = _pairs(found.read(VLLM))
    if VLLM_PICTURES not in tables:
        raise Unreadable(f"{VLLM} has no {VLLM_PICTURES}")
    every = frozenset().union(*(tables.get(name, {}) for name in (VLLM_PICTURES, VLLM_BY_TRANSFORMERS, VLLM_TEXT)))
    # The multimodal table has models of sound, too: their code names that modality, and not the other.
    sources = {name: _sources(found, module) for name, module in tables[VLLM_PICTURES].items()}
    sound = {name for name, source in sources.items() if '"audio"' in source and '"image"' not in source}
    return Registry(every, frozenset(sources.keys() - sound))


def _sources(found: Release, module: str) -> str:
    """Return the source of a module of vLLM's registry, or of all files where it is a package."""
    place = module.replace(".", "/") if "." in module else f"vllm/model_executor/models/{module}"
    return "".join(found.read(path) for path in found.files if path == f"{place}.py" or path.startswith(f"{place}/"))


def _pairs(source: str) -> dict[str, dict[str, str]]:
    """Return a module's tables: name -> {key: first word of the value}, from dict displays and OrderedDict([...])."""
    tables: dict[str, dict[str, str]] = {}
    for node in ast.parse(source).body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        value = getattr(node, "value", None)
        if isinstance(target, ast.Name) and value is not None:
            tables[target.id] = dict(_entries(value))
    return tables


def _entries(value: ast.expr) -> Iterator[tuple[str, str]]:
    pairs: list[tuple[ast.expr | None, ast.expr]] = []
    if isinstance(value, ast.Dict):
        pairs = list(zip(value.keys, value.values, strict=True))
    elif isinstance(value, ast.Call) and value.args and isinstance(value.args[0], (ast.List, ast.Tuple)):
        pairs = [
            (row.elts[0], row.elts[1])
            for row in value.args[0].elts
            if isinstance(row, ast.Tuple) and len(row.elts) == 2
        ]
    for key, entry in pairs:
        first = entry.elts[0] if isinstance(entry, (ast.Tuple, ast.List)) and entry.elts else entry
        if isinstance(key, ast.Constant) and isinstance(first, ast.Constant):
            yield str(key.value), str(first.value)


def _entry_classes(source: str) -> Iterator[str]:
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and any(getattr(target, "id", "") == "EntryClass" for target in node.targets):
            values = node.value.elts if isinstance(node.value, (ast.List, ast.Tuple)) else [node.value]
            yield from (value.id for value in values if isinstance(value, ast.Name))


@dataclass(frozen=True)
class Finding:
    """What a release can do with the zoo."""

    loads: tuple[str, ...]
    unlisted: tuple[str, ...]  # it loads them, and their files don't name the engine
    missing: tuple[str, ...]  # their files name the engine, and it doesn't load them
    lacking: tuple[str, ...]  # architectures that take pictures and that no model of ours has


def compare(found: Registry, backend: str, conf: Path) -> Finding:
    """Hold the models of a conf folder against a registry."""
    facts = model_facts.table(conf).models
    loads, unlisted, missing = [], [], []
    for file in sorted((conf / "model").glob("*.yaml")):
        model = yaml.safe_load(file.read_text(encoding="utf-8"))
        known = facts.get(file.stem)
        if known is None or known.architecture is None or model.get("unsupported"):
            continue
        named = backend in (model.get("backends") or model_facts.ENGINES)
        if known.architecture in found.all:
            loads.append(file.stem)
            unlisted += [] if named else [file.stem]
        elif named:
            missing.append(file.stem)
    ours = {entry.architecture for entry in facts.values()}
    return Finding(tuple(loads), tuple(unlisted), tuple(missing), tuple(sorted(found.pictures - ours)))


def _print(title: str, names: tuple[str, ...]) -> None:
    print(f"\n{title} ({len(names)}):\n  " + ("\n  ".join(names) or "none"))


def main(arguments: list[str]) -> int:
    """Print the account of each release."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("release", nargs="+", help="transformers, vllm, sglang, a wheel, or the folder of a package")
    parser.add_argument("--conf", type=Path, default=ROOT / "conf", help="the folder with model/ and model_facts.yaml")
    options = parser.parse_args(arguments)
    wrong = False
    for given in options.release:
        try:
            found = release(given)
            finding = compare(registry(found), BACKENDS[found.package], options.conf)
        except Unreadable as error:
            print(f"zoo: {error}", file=sys.stderr)
            return 2
        print(f"{found.package} {found.version}")
        _print("It loads, by its registry", finding.loads)
        _print("It loads them, and their files don't say so (a format or a package may be why)", finding.unlisted)
        _print("Their files name it, and its registry lacks them", finding.missing)
        documents = tuple(name for name in finding.lacking if DOCUMENTS.search(name))
        _print("For documents, by its name, and in no model of ours", documents)
        _print(
            "Takes pictures, and in no model of ours", tuple(name for name in finding.lacking if name not in documents)
        )
        wrong = wrong or bool(finding.missing)
    return int(wrong)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
