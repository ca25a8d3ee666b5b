"""Lets the torchvision of PyPI, which is linked against CUDA, be imported beside a CPU build of torch.

torchvision declares the shapes of `torchvision::nms` when it is imported, and fails where its own library, which
defines the operators, could not be loaded for want of CUDA. This defines them, without a kernel, a moment before
torchvision is imported: what a model needs of torchvision (resizing, normalising) works, and calling `nms` says that
it has no kernel. `torchvision_cpu.pth` imports this module at the start of every interpreter, which costs next to
nothing: torch itself is imported only when torchvision is.
"""

import sys


class _BeforeTorchvision:
    """Sits first among the importers and finds nothing; being asked for torchvision is its signal."""

    library = None  # kept: the operators go when it goes

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        """Define the operators before torchvision is imported, where torch is a CPU build that lacks them."""
        if name == "torchvision" and cls.library is None:
            import torch

            if torch.version.cuda is None and not hasattr(torch.ops.torchvision, "nms"):
                cls.library = torch.library.Library("torchvision", "DEF")
                for operator in ("nms", "qnms"):
                    cls.library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


sys.meta_path.insert(0, _BeforeTorchvision)
