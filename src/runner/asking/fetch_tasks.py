"""What the helper process does with checkpoints: it fetches them from the hub, and reads them into the page cache.

While answers are timed it uses at most a fiftieth of this machine's cores, at a low priority, and the disk when nobody
else wants it. When its result is waited for, it does what it can.
"""

from __future__ import annotations

import contextlib
import glob
import logging
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from runner.base import helper
from runner.base.errors import JobFailed

log = logging.getLogger(__name__)
SHARE_OF_CORES = 0.02
CONNECTIONS = 4
BLOCK = 4 * 2**20
SAID_EVERY_S = 15.0
LOOKED_EVERY_S = 0.2


class Pace:
    """Sleeps so that this process uses no more than its share of CPU time."""

    def __init__(self, cores: float) -> None:
        """Begin to count. `cores` is the share, in cores."""
        self._cores = cores
        self._began()

    def _began(self) -> None:
        self._cpu_s, self._at = time.process_time(), time.monotonic()

    def keep(self) -> None:
        """Return when more may be done. Raise KeyboardInterrupt, in any thread, when the process shall end."""
        while not helper.is_waited_for():
            wait_s = (time.process_time() - self._cpu_s) / self._cores - (time.monotonic() - self._at)
            if wait_s < -1:  # a slow network saves nothing up for later
                self._began()
            if wait_s <= 0:
                break
            # Never shorter: waking costs CPU time, which four threads that sleep for the last milliseconds of a wait
            # would use up as fast as the share allows it, and nothing would be fetched.
            time.sleep(LOOKED_EVERY_S)
        if helper.is_ending():
            raise KeyboardInterrupt


def share() -> float:
    """Return how many cores may be used while answers are timed."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return SHARE_OF_CORES * usable


def prepare() -> None:
    """Import what fetching needs, which takes CPU time, and give way to all others on the disk.

    Files come over plain HTTP and not through hf_xet, whose threads compute (they unpack and hash) and keep no pace.
    """
    os.environ["HF_HUB_DISABLE_XET"] = "1"  # read when it is imported
    import huggingface_hub.hf_api
    import huggingface_hub.utils  # noqa: F401

    with contextlib.suppress(OSError, AttributeError):
        psutil.Process().ionice(psutil.IOPRIO_CLASS_IDLE)


def fetch(*, name: str, commit: str, files: Mapping[str, int], refs: Sequence[str]) -> tuple[float, float]:
    """Fetch these files, given with their sizes in bytes, into the hub's cache.

    Return when it began and ended, in Unix time. A file that is there already is left alone, and a broken connection is
    taken up where it broke (huggingface_hub 2.4.0, file_download.py:http_get; not so across processes, see there
    _download_to_tmp_and_move: whole files are kept, and a part of one is not).
    Raises JobFailed with what the hub said.
    """
    from huggingface_hub import snapshot_download

    began = time.time()
    total = sum(files.values())
    try:
        folder = snapshot_download(
            name,
            revision=commit,
            allow_patterns=[glob.escape(file) for file in files],
            max_workers=CONNECTIONS,
            tqdm_class=_bar(Pace(share()), name, total),
        )
    except Exception as error:
        if helper.is_ending():
            raise KeyboardInterrupt from error
        raise JobFailed(
            f"{name}@{commit} could not be fetched: {str(error).strip() or type(error).__name__}"
        ) from error
    for ref in refs:  # or the next process would have to ask the hub what `main` is (the cache's refs/NAME)
        file = Path(folder).parents[1] / "refs" / ref
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(commit, encoding="utf-8")
    return began, time.time()


def _bar(pace: Pace, name: str, total: int) -> type[Any]:
    """Return a class of progress bars that shows nothing, keeps the pace, and says at times how far it is."""
    from huggingface_hub.utils.tqdm import tqdm

    class Bar(tqdm):
        """Called for each block that was received (huggingface_hub 2.4.0, _snapshot_download.py:_AggregatedTqdm)."""

        def __init__(self, *args: Any, **given: Any) -> None:
            self._counts = given.get("name") == "huggingface_hub.snapshot_download"
            self._there, self._said_at = 0, time.monotonic()
            super().__init__(*args, **{**given, "disable": True})  # type: ignore[no-untyped-call]

        def update(self, n: float | None = 1) -> None:
            pace.keep()
            self._there += int(n or 0)
            if self._counts and time.monotonic() > self._said_at + SAID_EVERY_S:
                self._said_at = time.monotonic()
                log.info("fetching %s: %.1f of %.1f GB", name, self._there / 1e9, total / 1e9)

    return Bar


def read(*, files: Sequence[Path]) -> tuple[float, float] | None:
    """Read files once, so that the system keeps them in memory; return when that began and ended, in Unix time.

    Where they would take more than half of what memory is left, nothing is read, and None is returned: what the running
    engine has mapped must not be put out of it.
    """
    if sum(file.stat().st_size for file in files) > memory_left() / 2:
        return None
    began, pace, block = time.time(), Pace(share()), bytearray(BLOCK)
    for file in files:
        with file.open("rb", buffering=0) as source:
            while source.readinto(block):
                pace.keep()
    return began, time.time()


def memory_left() -> float:
    """Return how many bytes of memory are left, by the machine and by the limit of this process's control group."""
    left = float(psutil.virtual_memory().available)
    group = Path("/sys/fs/cgroup")
    with contextlib.suppress(OSError, ValueError, StopIteration):  # no limit (`max`), or no control groups
        most = int((group / "memory.max").read_text())
        fields = (line.split() for line in (group / "memory.stat").read_text().splitlines())
        left = min(left, most - next(int(value) for name, value in fields if name == "anon"))
    return left


TASKS: dict[str, Any] = {"prepare": prepare, "fetch": fetch, "read": read}
