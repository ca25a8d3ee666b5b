"""What the hub of models and its cache on this machine say of a checkpoint, before an engine is started.

The cache comes first, so that a machine without a network needs none for what it holds. The hub is asked for the commit
of a revision (GET api/models/NAME/revision/REVISION), for the names and sizes of the files (…/tree/COMMIT), and for the
head of one file: a gated repository tells commit and names to everybody, and refuses its files. The routes, headers and
errors are those of huggingface_hub 2.4.0 (hf_api.py, utils/_http.py:hf_raise_for_status). A hub that did not answer is
not asked again by this process: each try would cost its time-out, for each model of a sweep.
"""

from __future__ import annotations

import contextlib
import functools
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ANSWERS_WITHIN_S = 10
CONFIGS = ("config.json", "params.json")  # the latter in Mistral's own format
# In the order of preference of transformers, vLLM and SGLang; what stands first in the root of a repository is fetched.
_FORMS = (
    re.compile(r"(?!consolidated)[^/]*\.safetensors"),
    re.compile(r"consolidated[^/]*\.safetensors"),  # Mistral's own format
    re.compile(r"(?!training_args|optimizer|scheduler)[^/]*\.bin"),
    re.compile(r"[^/]*\.(?:pt|pth|ckpt)"),
)
_WEIGHTS = re.compile(r".*\.(?:safetensors|bin|pt|pth|ckpt|gguf|onnx|h5|msgpack|npz|tflite|pdparams|pdiparams|nemo|ot)")
_OF_TRAINING = re.compile(r"(?:.*/)?(?:training_args|optimizer|scheduler)[^/]*")
_NOT_READ = re.compile(r".*\.(?:mp4|gif|png|jpe?g|webp|pdf|ipynb|zip|gz|tar|md)|\.git.*|.*onnx_data.*", re.IGNORECASE)
_OF_SHARDS = re.compile(r"(.*-)(\d{5})(-of-)(\d{5})(\..*)")
REMEDY = (
    "set HF_HOME to a cache that holds it, or model.path=FOLDER for a local copy, or model.weights=dummy for speed and "
    "memory without weights"
)


@dataclass(frozen=True, slots=True)
class Denial:
    """Why a checkpoint can't be had: what is wrong, and what to do."""

    what: str
    remedy: str


class Denied(Exception):
    """A checkpoint can't be had from the cache or the hub."""

    def __init__(self, denial: Denial) -> None:
        """Keep why."""
        super().__init__(denial.what)
        self.denial = denial


class _Unreachable:
    """Why the hub did not answer, once it did not."""

    why: str | None = None


# Under which branches or tags the commits of this process were asked for: (name, commit) -> names.
_asked_as: dict[tuple[str, str], set[str]] = {}


def forget() -> None:
    """Ask the hub and look into the cache anew, as a new process does."""
    _Unreachable.why = None
    _asked_as.clear()
    _commit.cache_clear()
    _offered.cache_clear()
    _gguf.cache_clear()
    gives.cache_clear()


def commit(name: str, revision: str) -> str:
    """Return the commit of a hub model: that of the cache, else the hub's. Raise Denied where neither is to be had."""
    answer = _commit(name, revision)
    if isinstance(answer, Denial):
        raise Denied(answer)
    return answer


def to_fetch(name: str, of_commit: str, only: tuple[str, ...] = ()) -> dict[str, int]:
    """Return the files, with sizes in bytes, that an engine would have to fetch: none where the cache has the weights.

    `only` are the files that it loads, where not all of them are (GGUF). Raise Denied where weights are missing and the
    hub doesn't give them.
    """
    folder = snapshot(name, of_commit)
    absent = lacking(folder) if folder is not None else ("config.json",)
    if only:
        absent = tuple(file for file in only if folder is None or not (folder / file).is_file())
    if not absent:
        return {}
    offered = _gguf(name, of_commit) if only else _offered(name, of_commit)
    if only and not isinstance(offered, Denial):
        return {file: size for file, size in offered if file in absent}
    if isinstance(offered, Denial):
        if folder is None:
            raise Denied(offered)
        some = ", ".join(absent[:3]) + (f" and {len(absent) - 3} more" if len(absent) > 3 else "")
        raise Denied(Denial(f"{offered.what}; the cache lacks {some}", offered.remedy))
    return {file: size for file, size in dict(offered).items() if folder is None or not (folder / file).is_file()}


def asked_as(name: str, of_commit: str) -> list[str]:
    """Return the branches and tags that named this commit when the hub was asked for them."""
    return sorted(_asked_as.get((name, of_commit), set()) - {of_commit})


def snapshot(name: str, of_commit: str) -> Path | None:
    """Return the cache's folder of a commit, None where it holds no config of it."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.file_download import repo_folder_name

    for file in CONFIGS:
        cached = try_to_load_from_cache(name, file, revision=of_commit or None)
        if isinstance(cached, str):
            return Path(cached).parent
    # Repositories of GGUF files have no config: their folder is looked for as huggingface_hub lays it out.
    repository = cache_folder() / repo_folder_name(repo_id=name, repo_type="model")
    with contextlib.suppress(OSError, UnicodeDecodeError):
        ref = repository / "refs" / (of_commit or "main")
        commit = ref.read_text(encoding="utf-8").strip() if ref.is_file() else of_commit
        folder = repository / "snapshots" / commit
        if commit and any(folder.rglob("*.gguf")):
            return folder
    return None


def gguf_files(name: str, of_commit: str) -> tuple[str, ...]:
    """Return the names of all GGUF files of a hub model. Raise Denied where the hub doesn't tell."""
    offered = _gguf(name, of_commit)
    if isinstance(offered, Denial):
        raise Denied(offered)
    return tuple(file for file, _ in offered)


def lacking(folder: Path) -> tuple[str, ...]:
    """Return the names of weights that a folder should hold and doesn't, by its index or the numbers of its shards.

    A link of the cache whose file is gone counts as missing. Where no file of weights is there at all, the answer is
    `weights`. One complete form is enough: safetensors beside an index of .bin files.
    """
    there = names(folder)
    forms = [*_indexed(folder), *_numbered(there)]
    if not forms:
        is_there = any(_WEIGHTS.fullmatch(name) and not _OF_TRAINING.fullmatch(name) for name in there)
        return () if is_there else ("weights",)
    in_one_file = {name for name in there if any(form.fullmatch(name) for form in _FORMS)}
    if in_one_file - set().union(*forms):
        return ()
    return min((tuple(sorted(form - there)) for form in forms), key=len)


def names(folder: Path) -> set[str]:
    """Return the files below a folder, without links that lead nowhere."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def _indexed(folder: Path) -> Iterator[set[str]]:
    """Yield the files of weights that each index of a folder lists."""
    for index in sorted(folder.glob("*.index.json"), reverse=True):
        try:
            yield set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        except (OSError, ValueError, KeyError, AttributeError, TypeError):
            continue


def _numbered(there: Iterable[str]) -> Iterator[set[str]]:
    """Yield all shards of which one is there: model-00002-of-00004.safetensors is one of four."""
    known = {(m[1], m[3], m[4], m[5]) for name in there if "/" not in name and (m := _OF_SHARDS.fullmatch(name))}
    for before, of, count, ending in sorted(known):
        yield {f"{before}{number:05}{of}{count}{ending}" for number in range(1, int(count) + 1)}


def needed(files: Mapping[str, int]) -> dict[str, int]:
    """Return which of a repository's files an engine loads: one form of weights, and what is no weights.

    An engine fetches by itself what it needs beyond that.
    """
    chosen = next((form for form in _FORMS if any(form.fullmatch(name) for name in files)), None)

    def is_needed(name: str) -> bool:
        if _NOT_READ.fullmatch(name):
            return False
        if chosen is None or not _WEIGHTS.fullmatch(name):
            return True
        return chosen.fullmatch(name) is not None

    return {name: size for name, size in files.items() if is_needed(name)}


# ------------------------------------------------------------------------------------------------- asking the hub


@functools.cache
def _commit(name: str, revision: str) -> str | Denial:
    from huggingface_hub import HfApi

    try:
        if (cached := snapshot(name, revision)) is not None:
            return cached.name
        if _Unreachable.why is not None:
            return _not_reached(name, revision)
        sha = str(HfApi().model_info(name, revision=revision or None, timeout=ANSWERS_WITHIN_S).sha)
    except Exception as error:  # noqa: BLE001  its HTTP library has changed twice, and with it the errors
        return _told(error, name, revision)
    _asked_as.setdefault((name, sha), set()).add(revision or "main")
    return sha


@functools.cache
def _offered(name: str, of_commit: str) -> tuple[tuple[str, int], ...] | Denial:
    """Return the files that an engine loads with their sizes, once the hub has said that it gives them."""
    from huggingface_hub import HfApi

    try:
        if _Unreachable.why is not None:
            return _not_reached(name, of_commit)
        if not _gives_config(name, of_commit):
            what = f"{name} at the hub holds no config.json, so it is no checkpoint that an engine loads"
            return Denial(what, "another repository: adapters go to model.adapter, GGUF files to backend=llama_cpp")
        listed = HfApi().list_repo_tree(name, recursive=True, revision=of_commit)
        files = {entry.path: int(size) for entry in listed if (size := getattr(entry, "size", None)) is not None}
        return tuple(needed(files).items())
    except Exception as error:  # noqa: BLE001  as above
        return _told(error, name, of_commit)


@functools.cache
def _gguf(name: str, of_commit: str) -> tuple[tuple[str, int], ...] | Denial:
    """Return the GGUF files of a commit with their sizes, once the hub has said that it gives one of them."""
    from huggingface_hub import HfApi, get_hf_file_metadata, hf_hub_url

    try:
        if _Unreachable.why is not None:
            return _not_reached(name, of_commit)
        told = HfApi().model_info(name, revision=of_commit, files_metadata=True, timeout=ANSWERS_WITHIN_S)
        files = {one.rfilename: int(one.size or 0) for one in told.siblings or () if one.rfilename.endswith(".gguf")}
        if files:
            url = hf_hub_url(name, next(iter(files)), revision=of_commit)
            get_hf_file_metadata(url, timeout=ANSWERS_WITHIN_S)
        return tuple(files.items())
    except Exception as error:  # noqa: BLE001  as above
        return _told(error, name, of_commit)


def _gives_config(name: str, of_commit: str) -> bool:
    """Return whether a repository holds a config. Raise what the hub answers where it doesn't give it.

    This comes before the list of files, which is asked for again and again for 23 s where nobody answers.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.errors import EntryNotFoundError

    for file in CONFIGS:
        try:
            get_hf_file_metadata(hf_hub_url(name, file, revision=of_commit), timeout=ANSWERS_WITHIN_S)
        except EntryNotFoundError:
            continue
        return True
    return False


@functools.cache
def gives(name: str, of_commit: str, file: str) -> bool:
    """Return whether the hub holds a file of a commit, and says so in time. What it says else is not told."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    if _Unreachable.why is not None:
        return False
    try:
        get_hf_file_metadata(hf_hub_url(name, file, revision=of_commit), timeout=ANSWERS_WITHIN_S)
    except Exception as error:  # noqa: BLE001  as above
        _told(error, name, of_commit)  # so that nobody asks again where none answers
        return False
    return True


def _endpoint() -> str:
    from huggingface_hub import constants

    return str(constants.ENDPOINT)


def _named(name: str, revision: str) -> str:
    return f"{name}@{revision}" if revision else name


def _not_reached(name: str, revision: str) -> Denial:
    return Denial(
        f"{_named(name, revision)} is not in the cache and the hub can't be reached{_Unreachable.why}", REMEDY
    )


def _told(error: Exception, name: str, revision: str) -> Denial:
    """Say what an error of huggingface_hub means for a model of this name and revision."""
    from huggingface_hub.errors import (
        DisabledRepoError,
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    if isinstance(error, OfflineModeIsEnabled):
        _Unreachable.why = ", since it is switched off (HF_HUB_OFFLINE)"
        return _not_reached(name, revision)
    if isinstance(error, HFValidationError):
        return Denial(f"{name} is no name of a hub model", "owner/name")
    if not isinstance(error, HfHubHTTPError):
        return _no_answer(error, name, revision)
    status = error.response.status_code
    if isinstance(error, GatedRepoError):  # also a RepositoryNotFoundError
        with_token = _has_token()
        remedy = f"accept its licence at {_endpoint()}/{name} " + (
            "with the account of your token; a fine-grained token needs the right to read gated repositories"
            if with_token
            else "and set HF_TOKEN"
        )
        return Denial(f"{name} is gated, and the hub refuses its files ({status})", f"{remedy}; or model.path=FOLDER")
    if isinstance(error, RevisionNotFoundError):
        what = f"{name} has no revision {revision or 'main'} ({status})"
        return Denial(
            what, f"a branch, tag or commit of {_endpoint()}/{name}/commits, in the model's file or as model.revision"
        )
    if isinstance(error, RepositoryNotFoundError):
        what = f"the hub has no model {name}, or it is private ({status})"
        return Denial(
            what,
            "check the name; "
            + ("your token must be allowed to read it" if _has_token() else "a private one needs HF_TOKEN"),
        )
    if isinstance(error, DisabledRepoError):
        return Denial(f"the hub has disabled {name} ({status})", REMEDY)
    if status in (401, 403):
        return Denial(f"the hub refuses your token for {name} ({status})", "another HF_TOKEN, or none: hf auth whoami")
    said = "it limits requests" if status == 429 else "it fails"
    return Denial(f"the hub answers {status} for {_named(name, revision)}: {said}", f"try again later; or {REMEDY}")


def _no_answer(error: Exception, name: str, revision: str) -> Denial:
    """Say that nobody answered, or that what answered is no hub."""
    package = type(error).__module__.partition(".")[0]
    if isinstance(error, OSError) or package in ("httpx", "httpx2", "httpcore", "httpcore2", "requests", "urllib3"):
        _Unreachable.why = f" ({_endpoint()}: {_first_line(error)})"
        return _not_reached(name, revision)
    if isinstance(error, (ValueError, TypeError, KeyError, AttributeError)):
        what = f"{_endpoint()} does not answer as a hub does ({type(error).__name__}: {_first_line(error)})"
        return Denial(what, f"check HF_ENDPOINT, and a proxy that may have answered instead; or {REMEDY}")
    raise error


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _has_token() -> bool:
    from huggingface_hub import get_token

    return get_token() is not None


def cache_folder() -> Path:
    """Return the folder of the hub's cache."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE).expanduser()
