"""Finds the dataset's file, and the pictures of its rows, which must lie in one folder."""

# ImageFolder uses os.path because pathlib takes four times as long for 100,000 rows.
# ruff: noqa: PTH110, PTH112, PTH114, PTH116, PTH118, PTH120, PTH122, PTH208

from __future__ import annotations

import os
import re
import stat
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from runner.base.errors import Problem, Refused
from runner.config.overrides import spelled
from runner.datasets import video
from runner.datasets.api import Frames, Image
from runner.datasets.images import PDF_SUFFIX, SUFFIXES

_PAGE = re.compile(r"#page=([^#]*)$")


def resolve(text: str | None, key: str, *bases: Path) -> Path:
    """Return the path that a config key names: absolute, from the working directory, or from one of `bases`."""
    if not text or text == "???":
        raise Refused(Problem("a path is needed", key, f"give it: {key}=..."))
    expanded = Path(text).expanduser()
    tried = list(dict.fromkeys(folder / expanded for folder in (Path.cwd(), *(base.absolute() for base in bases))))
    for path in tried:
        if _exists(path):
            return path
    for path in tried:
        if (stored := as_stored(path)) is not None:
            return stored
    looked = " and ".join(str(path) for path in tried)
    raise Refused(Problem(f"{text} does not exist", key, f"looked for {looked}"))


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # the name is too long or has a NUL byte, or a folder may not be entered
        return False


def as_stored(path: Path, listed: Callable[[str], Sequence[str]] = os.listdir) -> Path | None:
    """Return the existing path whose name is equal after Unicode normalisation; None if there is none.

    A zip made on a Mac stores й as и with a combining breve. `listed` returns the names in a folder.
    """
    stored = Path(path.anchor)
    for part in path.parts[1:] if path.anchor else path.parts:
        if _exists(stored / part):
            stored /= part
            continue
        try:
            same = [name for name in listed(str(stored)) if _composed(name) == _composed(part)]
        except OSError:
            return None
        if len(same) != 1:
            return None
        stored /= same[0]
    return stored


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def show(path: Path) -> str:
    """Return a path for a message: relative to the working directory if it lies in it."""
    cwd = Path.cwd()
    return str(path.relative_to(cwd)) if path.is_relative_to(cwd) else str(path)


def need_file(path: Path, reads: str) -> Path:
    """Return `path` if it is a file that is not empty. Raise Refused otherwise."""
    if not path.is_file():
        raise Refused(Problem("is not a file", show(path), f"dataset.path must name {reads}"))
    if path.stat().st_size == 0:
        raise Refused(Problem("the file is empty", show(path), f"it must hold {reads}"))
    return path


class ImageFolder:
    """The folder of a dataset's pictures. No row can name a file outside it by `..`, an absolute path or a link.

    Links beside the dataset's file are followed if they lead into the folder.
    """

    def __init__(
        self, folder: Path, frames: Frames | None = None, beside: Path | None = None, key: str = "dataset.images"
    ) -> None:
        """Prepare the look-up of pictures in `folder`. `frames` are those that are taken of videos.

        `beside` is the folder in which links into `folder` may lie, and `key` the config's key that names the folder.
        Results are cached, because several questions often share a picture.
        """
        self._frames = frames or Frames()
        self._folder = os.path.realpath(folder)
        self._key = key
        self._beside = os.path.realpath(beside or folder)
        self._within = self._folder.rstrip(os.sep) + os.sep
        self._real_folders: dict[str, str] = {}
        self._images: dict[str, Image | Problem] = {}
        self._listed: dict[str, Sequence[str]] = {}

    def find(self, text: str, where: str) -> Image | Problem:
        """Return the picture that a row names, or what is wrong with the name. No file is opened."""
        if text not in self._images:
            self._images[text] = self._look(text)
        image = self._images[text]
        return replace(image, where=where) if isinstance(image, Problem) else image

    def _look(self, text: str) -> Image | Problem:
        name, page = text, None
        if match := _PAGE.search(text):
            name = text[: match.start()]
            if not match[1].isdecimal() or int(match[1]) < 1:
                return Problem(f"image {text!r}: {match[1]!r} is no page", remedy="pages count from 1: scan.pdf#page=1")
            page = int(match[1]) - 1
        suffix = os.path.splitext(name)[1].lower()
        if suffix in video.SUFFIXES and not video.can_be_read():
            return Problem(
                f"video {name!r}: the package av, which decodes it, is not installed", remedy="pip install av"
            )
        if suffix and suffix not in SUFFIXES and suffix not in video.SUFFIXES:
            known = ", ".join((*sorted(SUFFIXES), *sorted(video.SUFFIXES)))
            return Problem(f"image {name!r}: {suffix} files are not read", remedy=f"use {known}")
        if page is not None and suffix != PDF_SUFFIX:
            return Problem(f"image {text!r}: only a PDF has pages", remedy="leave out #page=")
        path = os.path.normpath(os.path.join(self._folder, name))
        if not os.path.lexists(path):
            linked = os.path.normpath(os.path.join(self._beside, name))
            if linked != path and self._leads_in(linked):
                path = linked
            elif other := self._same_name(name):
                path = other
        return self._check(name, path) or Image(Path(path), page, self._frames if suffix in video.SUFFIXES else None)

    def _same_name(self, name: str) -> str | None:
        """Return a file whose name is equal after Unicode normalisation, or with Windows' path separators."""
        for same in dict.fromkeys((name, name.replace("\\", "/"))):
            path = os.path.normpath(os.path.join(self._folder, same))
            try:
                within = path.startswith(self._within) and "\0" not in same
                if within and (stored := as_stored(Path(path), self._names_in)) is not None:
                    return str(stored)
            except (OSError, ValueError):
                continue
        return None

    def _names_in(self, folder: str) -> Sequence[str]:
        """Return the names in a folder. They are cached, because many pictures may be missing."""
        if folder not in self._listed:
            self._listed[folder] = sorted(os.listdir(folder))
        return self._listed[folder]

    def _hint(self, name: str) -> str:
        """Return a hint at a file whose name differs only in upper and lower case; empty if there is none."""
        similar = Path(self._folder)
        for part in name.replace("\\", "/").split("/"):
            try:
                names = self._names_in(str(similar))
            except OSError:
                return ""
            same = [other for other in names if _composed(other).casefold() == _composed(part).casefold()]
            if not same:
                return ""
            similar /= same[0]
        return f"there is {os.path.relpath(similar, self._folder)!r}: write it so, or rename the file; "

    def _leads_in(self, path: str) -> bool:
        try:
            return self._real_path(path).startswith(self._within) and os.path.exists(path)
        except (OSError, ValueError):
            return False

    def _check(self, name: str, path: str) -> Problem | None:
        """Return what is wrong with a picture's path; None if nothing is."""
        try:
            if not (real := self._real_path(path)).startswith(self._within):
                remedy = "put it into that folder, or set dataset.images to a folder that holds all of them"
                if target := self._linked(path, real):
                    named = spelled(self._key, target)
                    remedy = f"name the folder that its link leads to: {named}, or one above that holds all of them"
                return Problem(f"image {name!r} lies outside the folder of images, {self._folder}", remedy=remedy)
            mode = os.stat(path).st_mode
        except (OSError, ValueError) as error:  # the name is too long or has a NUL byte, or links form a circle
            is_missing = isinstance(error, FileNotFoundError)
            looked = f"looked in {self._folder}; set dataset.images where the pictures lie elsewhere"
            return Problem(
                f"image {name!r} " + ("does not exist" if is_missing else f"can't be reached: {error}"),
                remedy=(self._hint(name) if is_missing else "") + looked,
            )
        if not stat.S_ISREG(mode):
            return Problem(f"image {name!r} is not a file", remedy=f"looked in {self._folder}")
        return None

    def _linked(self, path: str, real: str) -> str | None:
        """Return the folder outside the folder of images to which a link leads; None if no link leads outside."""
        if not path.startswith(self._within) or not os.path.exists(path):
            return None
        step = self._folder
        for part in Path(os.path.relpath(path, self._folder)).parts:
            step = os.path.join(step, part)
            if os.path.islink(step):
                target = os.path.realpath(step)
                if not target.startswith(self._within):
                    return target if os.path.isdir(target) else os.path.dirname(target)
        return os.path.dirname(real)

    def _real_path(self, path: str) -> str:
        """Return the path with links resolved. Each folder is resolved once, because many pictures share it."""
        folder, name = os.path.split(path)
        if os.path.islink(path):
            return os.path.realpath(path)
        if folder not in self._real_folders:
            self._real_folders[folder] = os.path.realpath(folder)
        return os.path.join(self._real_folders[folder], name)
