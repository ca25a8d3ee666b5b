"""The visual backbone of LayoutLMv2 and LayoutXLM, which transformers builds with detectron2 alone.

detectron2 has had no release since 2021. Its builds on PyPI (pb1-detectron2 0.6, detectron2-cdo 0.5) are source
archives that pip 26.3 refuses, for they name a dependency by its address. What the models use of it is a ResNet or
ResNeXt with frozen batch norms and a feature pyramid (FPN), of whose levels they read the finest. So this module builds
that, from the same settings (`detectron2_config_args` of the configuration) and with the same names of weights, so that
a checkpoint's weights are loaded as they are. Source: detectron2, modeling/backbone/resnet.py and fpn.py,
layers/batch_norm.py, config/defaults.py at 02b5c4e2, with which it was compared: equal outputs for equal weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from backends.chat_server.errors import LoadError

BLOCKS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
# detectron2's defaults of the settings that decide what is computed, without `MODEL.`. The others concern parts that
# LayoutLMv2 does not use: region proposals, heads, anchors.
DEFAULTS: Mapping[str, Any] = {
    "META_ARCHITECTURE": "GeneralizedRCNN",
    "BACKBONE.NAME": "build_resnet_backbone",
    "PIXEL_MEAN": [103.53, 116.28, 123.675],
    "PIXEL_STD": [1.0, 1.0, 1.0],
    "FPN.IN_FEATURES": [],
    "FPN.OUT_CHANNELS": 256,
    "FPN.NORM": "",
    "FPN.FUSE_TYPE": "sum",
    "RESNETS.DEPTH": 50,
    "RESNETS.NUM_GROUPS": 1,
    "RESNETS.NORM": "FrozenBN",
    "RESNETS.WIDTH_PER_GROUP": 64,
    "RESNETS.STRIDE_IN_1X1": True,
    "RESNETS.RES5_DILATION": 1,
    "RESNETS.RES2_OUT_CHANNELS": 256,
    "RESNETS.STEM_OUT_CHANNELS": 64,
    "RESNETS.DEFORM_ON_PER_STAGE": [False, False, False, False],
}
# What is built here; another value is another network, and refused.
_BUILT: Mapping[str, tuple[Any, ...]] = {
    "META_ARCHITECTURE": ("GeneralizedRCNN",),
    "BACKBONE.NAME": ("build_resnet_fpn_backbone",),
    "FPN.IN_FEATURES": (["res2", "res3", "res4", "res5"],),
    "FPN.NORM": ("",),
    "FPN.FUSE_TYPE": ("sum", "avg"),
    "RESNETS.DEPTH": tuple(BLOCKS),
    "RESNETS.NORM": ("FrozenBN",),
    "RESNETS.RES5_DILATION": (1,),
    "RESNETS.DEFORM_ON_PER_STAGE": ([False, False, False, False],),
}


def settings_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that decide what is computed. Raise LoadError for a network that is not built here."""
    own = {name.removeprefix("MODEL."): value for name, value in given.items()}
    settings = {name: own.get(name, default) for name, default in DEFAULTS.items()}
    for name, built in _BUILT.items():
        if settings[name] not in built:
            raise LoadError(
                f"detectron2_config_args: MODEL.{name}={settings[name]} is not built here; "
                f"{', '.join(map(str, built))} can be"
            )
    return settings


class FrozenBatchNorm2d(nn.Module):
    """A batch norm whose statistics and affine parameters are fixed, over (batch, channels, height, width)."""

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.num_features, self.eps = channels, eps
        self.register_buffer("weight", torch.ones(channels))
        self.register_buffer("bias", torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels) - eps)

    def forward(self, x: Tensor) -> Tensor:
        """Return x, normalised by the stored statistics."""
        return functional.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, training=False, eps=self.eps
        )


class NormedConv2d(nn.Conv2d):
    """A convolution without bias, followed by a frozen batch norm named `norm`."""

    def __init__(self, before: int, after: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(before, after, kernel, stride, padding=kernel // 2, groups=groups, bias=False)
        self.norm = FrozenBatchNorm2d(after)

    def forward(self, x: Tensor) -> Tensor:
        """Return the normalised convolution of x."""
        out: Tensor = self.norm(super().forward(x))
        return out


class Bottleneck(nn.Module):
    """1x1, 3x3 (in groups: ResNeXt) and 1x1 convolutions beside a shortcut."""

    def __init__(self, before: int, inner: int, after: int, stride: int, settings: Mapping[str, Any]) -> None:
        super().__init__()
        first, second = (stride, 1) if settings["RESNETS.STRIDE_IN_1X1"] else (1, stride)
        self.shortcut = NormedConv2d(before, after, 1, stride) if before != after else None
        self.conv1 = NormedConv2d(before, inner, 1, first)
        self.conv2 = NormedConv2d(inner, inner, 3, second, settings["RESNETS.NUM_GROUPS"])
        self.conv3 = NormedConv2d(inner, after, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's features: (batch, after, height / stride, width / stride)."""
        out = functional.relu(self.conv1(x))
        out = self.conv3(functional.relu(self.conv2(out)))
        return functional.relu(out + (x if self.shortcut is None else self.shortcut(x)))


class Stem(nn.Module):
    """The first convolution and pooling, which quarter height and width."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = NormedConv2d(3, channels, 7, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, channels, height / 4, width / 4)."""
        return functional.max_pool2d(functional.relu(self.conv1(x)), kernel_size=3, stride=2, padding=1)


class ResNet(nn.Module):
    """The stages res2 to res5, of strides 4 to 32."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__()
        before, after = settings["RESNETS.STEM_OUT_CHANNELS"], settings["RESNETS.RES2_OUT_CHANNELS"]
        inner = settings["RESNETS.NUM_GROUPS"] * settings["RESNETS.WIDTH_PER_GROUP"]
        self.stem = Stem(before)
        self.channels = []
        for stage, count in enumerate(BLOCKS[settings["RESNETS.DEPTH"]], start=2):
            blocks = []
            for number in range(count):
                blocks.append(Bottleneck(before, inner, after, 2 if stage > 2 and number == 0 else 1, settings))
                before = after
            self.add_module(f"res{stage}", nn.Sequential(*blocks))
            self.channels.append(after)
            inner, after = 2 * inner, 2 * after

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the features of res2 to res5, the finest first."""
        x, maps = self.stem(x), []
        for stage in range(2, 6):
            x = self.get_submodule(f"res{stage}")(x)
            maps.append(x)
        return maps


class FeaturePyramid(nn.Module):
    """The levels p2 to p5; only p2, the finest, is returned."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__()
        self.bottom_up = ResNet(settings)
        self.out_channels = settings["FPN.OUT_CHANNELS"]
        self._halved = settings["FPN.FUSE_TYPE"] == "avg"
        for stage, channels in enumerate(self.bottom_up.channels, start=2):
            self.add_module(f"fpn_lateral{stage}", nn.Conv2d(channels, self.out_channels, 1))
            self.add_module(f"fpn_output{stage}", nn.Conv2d(self.out_channels, self.out_channels, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        """Return p2 of pictures (batch, 3, height, width): (batch, channels, height / 4, width / 4)."""
        features = self.bottom_up(x)
        above: Tensor = self.get_submodule("fpn_lateral5")(features[-1])
        for stage in (4, 3, 2):
            lateral = self.get_submodule(f"fpn_lateral{stage}")(features[stage - 2])
            above = lateral + functional.interpolate(above, scale_factor=2.0, mode="nearest")
            if self._halved:
                above = above / 2
        finest: Tensor = self.get_submodule("fpn_output2")(above)
        return finest


class VisualBackbone(nn.Module):
    """Takes the place of transformers' LayoutLMv2VisualBackbone (5.24, modeling_layoutlmv2.py:474)."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        settings = settings_of(config.detectron2_config_args)
        mean, std = settings["PIXEL_MEAN"], settings["PIXEL_STD"]
        self.cfg = SimpleNamespace(MODEL=SimpleNamespace(PIXEL_MEAN=mean, PIXEL_STD=std))  # `_init_weights` reads it
        self.backbone = FeaturePyramid(settings)
        self.register_buffer("pixel_mean", torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("pixel_std", torch.tensor(std).view(-1, 1, 1), persistent=False)
        height, width, *channels = config.image_feature_pool_shape
        self.pool = nn.AdaptiveAvgPool2d((height, width))
        if channels and channels[0] != self.backbone.out_channels:
            what = f"image_feature_pool_shape={config.image_feature_pool_shape}"
            raise LoadError(f"{what}: the pyramid has {self.backbone.out_channels} channels")
        if not channels:
            config.image_feature_pool_shape = [height, width, self.backbone.out_channels]

    def forward(self, images: Tensor) -> Tensor:
        """Return the features of pictures (batch, 3 in the order BGR, height, width), values 0 to 255.

        They are (batch, pooled height x pooled width, channels).
        """
        pixels = ((images - self.pixel_mean) / self.pixel_std).to(self.backbone.bottom_up.stem.conv1.weight.dtype)
        pooled: Tensor = self.pool(self.backbone(pixels)).flatten(start_dim=2).transpose(1, 2).contiguous()
        return pooled


def install() -> None:
    """Let transformers build LayoutLMv2 with this backbone, where detectron2 is not installed."""
    from transformers.models.layoutlmv2 import modeling_layoutlmv2 as modeling
    from transformers.utils import is_detectron2_available

    if is_detectron2_available():
        return
    modeling.LayoutLMv2VisualBackbone = VisualBackbone
    modeling.detectron2 = SimpleNamespace(layers=SimpleNamespace(FrozenBatchNorm2d=FrozenBatchNorm2d))
    modeling.requires_backends = lambda *_: None
