"""Compares the size to which a picture is resized with the size that Qwen's own package, qwen-vl-utils, gives.

Qwen's model cards prepare pictures with qwen-vl-utils and pass the result to the processor; most published figures of
these models were made in this way. This server passes pictures directly to the processor, as vLLM and SGLang do. With
the processors that use Pillow both ways give equal pixels (tests/backends/hf_server/test_hf_server_qwen_sizes.py). The
exception is a picture narrower than a visual token, which the two rules enlarge differently: 2000 x 13 pixels are 25
tokens for transformers 5.23 and 71 for qwen-vl-utils 0.0.14. So the sizes are compared for each picture. Differences
are written to the log, and the statistics have their number.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from backends.hf_server.configuration import model_type

logger = logging.getLogger(__name__)

Size = tuple[int, int]  # (width, height) in pixels


class QwenSizes:
    """Compares sizes, and counts the differences since the last `reset`. May be used by several threads."""

    def __init__(self, smart_resize: Callable[..., Size], version: str, image_processor: Any):
        self._smart_resize, self._version = smart_resize, version
        self._unit = int(image_processor.patch_size) * int(image_processor.merge_size)
        self._limits: Mapping[str, int] = dict(image_processor.size)
        self._logged: set[Size] = set()
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Set the counts to zero."""
        self._pictures, self._differing, self._first = 0, 0, ""

    def compare(self, originals: Sequence[Size], seen: Sequence[Size], limits: Mapping[str, int] | None) -> None:
        """Compare the resized pictures, `seen`, with the rule. `limits` are a request's shortest and longest edge."""
        with self._lock:
            for original, size in zip(originals, seen, strict=True):
                expected = self._expected(original, limits or self._limits)
                self._pictures += 1
                if expected == size:
                    continue
                self._differing += 1
                ours, theirs = self._tokens(size), self._tokens(expected) if expected else "no"
                difference = f"{original[0]} x {original[1]}: {ours} tokens by the processor, {theirs} by qwen-vl-utils"
                self._first = self._first or difference
                if original not in self._logged and len(self._logged) < 20:  # many differences must not fill the log
                    self._logged.add(original)
                    logger.warning("qwen-vl-utils %s gives other sizes: a picture of %s", self._version, difference)

    def account(self) -> dict[str, Any]:
        """Return the version of qwen-vl-utils, how many pictures were compared, and how many differ."""
        return {
            "version": self._version,
            "pictures": self._pictures,
            "differing": self._differing,
            "first": self._first,
        }

    def _expected(self, original: Size, limits: Mapping[str, int]) -> Size | None:
        """Return the size that qwen-vl-utils gives; None if it refuses the picture."""
        width, height = original
        try:
            fitted = self._smart_resize(height, width, self._unit, limits["shortest_edge"], limits["longest_edge"])
        except ValueError:
            return None
        return fitted[1], fitted[0]

    def _tokens(self, size: Size) -> int:
        return size[0] * size[1] // self._unit**2


def qwen_sizes(image_processor: Any, config: Any) -> QwenSizes | None:
    """Return the comparison for a Qwen-VL model; None for other models, or if qwen-vl-utils is not installed."""
    size = dict(getattr(image_processor, "size", None) or {})
    has_rule = size.get("shortest_edge") and size.get("longest_edge") and hasattr(image_processor, "merge_size")
    if not model_type(config).startswith("qwen") or not has_rule:
        return None
    from importlib.metadata import PackageNotFoundError, version

    try:
        return QwenSizes(package_rule(), version("qwen-vl-utils"), image_processor)
    except (ImportError, PackageNotFoundError, RuntimeError, AttributeError) as error:
        logger.info("sizes of pictures are not compared with qwen-vl-utils: %s", error)
        return None


def package_rule() -> Callable[..., Size]:
    """Return the package's rule. The package imports torchvision, which only videos need and which is often missing."""
    try:
        from qwen_vl_utils import smart_resize
    except (ImportError, RuntimeError):  # RuntimeError: a torchvision for CUDA beside a torch for CPUs
        with torchvision_stands_in():
            from qwen_vl_utils import smart_resize
    return smart_resize


@contextlib.contextmanager
def torchvision_stands_in() -> Iterator[None]:
    """Replace torchvision by an empty module, so that qwen-vl-utils can be imported. Remove both at the end."""
    names = ("torchvision", "torchvision.io", "torchvision.transforms")
    before = {name: sys.modules[name] for name in names if name in sys.modules}
    stand_in = types.ModuleType("torchvision")
    stand_in.InterpolationMode = stand_in.io = stand_in.transforms = stand_in  # type: ignore[attr-defined]
    sys.modules.update(dict.fromkeys(names, stand_in))
    try:
        yield
    finally:
        for name in [*names, *(name for name in sys.modules if name.partition(".")[0] == "qwen_vl_utils")]:
            sys.modules.pop(name, None)
        sys.modules.update(before)
