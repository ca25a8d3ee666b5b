"""Compares the size that a picture gets with the one that Qwen's own package gives it.

Qwen's model cards prepare pictures with qwen-vl-utils and hand the result to the processor; most published figures of
these models come from there. This server hands pictures to the processor alone, as vLLM and SGLang do. With the
processors that use Pillow both ways give equal pixels (tests/backends/hf_server/test_hf_server_qwen_sizes.py), but for
pictures narrower than a visual token, which the two rules enlarge differently: 2000 x 13 pixels are 25 tokens for
transformers 5.23 and 71 for qwen-vl-utils 0.0.14. So the sizes are compared picture by picture; those that differ are
told in the log, and their number stands in the statistics.
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
    """Compares sizes since the last `reset`. Safe to use from several threads."""

    def __init__(self, smart_resize: Callable[..., Size], version: str, image_processor: Any):
        self._smart_resize, self._version = smart_resize, version
        self._unit = int(image_processor.patch_size) * int(image_processor.merge_size)
        self._limits: Mapping[str, int] = dict(image_processor.size)
        self._told: set[Size] = set()
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Count from now."""
        self._pictures, self._differing, self._first = 0, 0, ""

    def compare(self, originals: Sequence[Size], seen: Sequence[Size], limits: Mapping[str, int] | None) -> None:
        """Compare the sizes that pictures had and got; `limits` are a request's own, shortest_edge and longest_edge."""
        with self._lock:
            for original, size in zip(originals, seen, strict=True):
                wanted = self._wanted(original, limits or self._limits)
                self._pictures += 1
                if wanted == size:
                    continue
                self._differing += 1
                ours, theirs = self._tokens(size), self._tokens(wanted) if wanted else "no"
                said = f"{original[0]} x {original[1]}: {ours} tokens by the processor, {theirs} by qwen-vl-utils"
                self._first = self._first or said
                if original not in self._told and len(self._told) < 20:  # a folder of strips must not fill the log
                    self._told.add(original)
                    logger.warning("qwen-vl-utils %s gives other sizes: a picture of %s", self._version, said)

    def account(self) -> dict[str, Any]:
        """Return the version of qwen-vl-utils, how many pictures were compared, and how many differ."""
        return {
            "version": self._version,
            "pictures": self._pictures,
            "differing": self._differing,
            "first": self._first,
        }

    def _wanted(self, original: Size, limits: Mapping[str, int]) -> Size | None:
        """Return the size by qwen-vl-utils; None where it refuses the picture."""
        width, height = original
        try:
            fitted = self._smart_resize(height, width, self._unit, limits["shortest_edge"], limits["longest_edge"])
        except ValueError:
            return None
        return fitted[1], fitted[0]

    def _tokens(self, size: Size) -> int:
        return size[0] * size[1] // self._unit**2


def qwen_sizes(image_processor: Any, config: Any) -> QwenSizes | None:
    """Return what compares the sizes of a Qwen-VL model's pictures; None for other models and without the package."""
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
    """Return the package's rule. Its module imports torchvision, which only videos need and which is often absent."""
    try:
        from qwen_vl_utils import smart_resize
    except (ImportError, RuntimeError):  # RuntimeError: a torchvision for CUDA beside a torch for CPUs
        with torchvision_stands_in():
            from qwen_vl_utils import smart_resize
    return smart_resize


@contextlib.contextmanager
def torchvision_stands_in() -> Iterator[None]:
    """Let qwen-vl-utils be imported without torchvision; afterwards neither is there for others."""
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
