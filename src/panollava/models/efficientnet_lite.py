"""EfficientNet-Lite0 as a feature encoder: a grid of features, one per 32 x 32 pixels.

::

    pixels n 3 h w -> stem /2 -> seven stages, /2 at the 2nd, 3rd, 4th and 6th -> head 1 x 1 -> n h/32 w/32 1280

Source: Tan and Le 2019 (EfficientNet); the Lite variants, as TensorFlow's TPU repository defines them, have no
squeeze-and-excitation, ReLU6 in place of swish, and TensorFlow's ``SAME`` padding. The class is a Hugging Face model,
so that ``from_pretrained``, ``save_pretrained`` and ``AutoModel`` work on a folder as they do for any other encoder.
"""

import math
from dataclasses import field

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AutoConfig, AutoModel, PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput

from panollava.errors import ModelError

MODEL_TYPE = "efficientnet_lite"
LITE0 = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
"""Stages as (blocks, kernel, stride of the first, expansion, channels)."""


class EfficientNetLiteConfig(PretrainedConfig):
    """Sizes of the network; the default is Lite0.

    Attributes:
        stem: Channels of the first convolution.
        stages: Rows (blocks, kernel, stride, expansion, channels).
        hidden_size: Channels of the head: the width of a feature.
        image_size: Side of the pictures it was trained on.
        patch_size: Pixels per feature: the product of all strides.
        num_hidden_layers: Stages and head, which are trained from the last.
    """

    model_type = MODEL_TYPE

    stem: int = 32
    stages: list[list[int]] = field(default_factory=lambda: [list(row) for row in LITE0])
    hidden_size: int = 1280
    image_size: int = 224
    patch_size: int = 32
    num_hidden_layers: int = len(LITE0) + 1


class EfficientNetLite(PreTrainedModel):
    """The network without its classifier; tokens are row-major and there is no CLS.

    Batch norms always use the statistics of pretraining, also while a stage trains their scale and bias: views of one
    panorama are no sample of pictures.

    Raises:
        ModelError: If the configuration's strides or number of stages contradict what it declares.

    Example:
        >>> rows = [[1, 3, 2, 1, 8], [2, 5, 2, 2, 16]]
        >>> sizes = EfficientNetLiteConfig(stem=8, stages=rows, hidden_size=24, patch_size=8, num_hidden_layers=3)
        >>> EfficientNetLite(sizes)(pixel_values=torch.zeros(1, 3, 16, 24)).last_hidden_state.shape
        torch.Size([1, 6, 24])
    """

    config_class = EfficientNetLiteConfig
    main_input_name = "pixel_values"
    base_model_prefix = "encoder"

    def __init__(self, config: EfficientNetLiteConfig) -> None:
        _check(config)
        super().__init__(config)
        self.stem = _conv(3, config.stem, kernel=3, stride=2)
        width, parts = config.stem, list[nn.Module]()
        for blocks, kernel, stride, expansion, channels in config.stages:
            rows = [
                _Block(width if i == 0 else channels, channels, kernel, stride if i == 0 else 1, expansion)
                for i in range(blocks)
            ]
            parts.append(nn.Sequential(*rows))
            width = channels
        parts.append(_conv(width, config.hidden_size, kernel=1))
        self.stages = nn.ModuleList(parts)
        self.post_init()

    def forward(self, pixel_values: Float[Tensor, "n 3 h w"]) -> BaseModelOutput:
        """Return features as tokens, ``n (h/32 w/32) d``, row-major."""
        x = self.stem(pixel_values)
        for stage in self.stages:
            x = stage(x)
        return BaseModelOutput(last_hidden_state=x.flatten(2).transpose(1, 2))

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out")
        elif isinstance(module, FrozenBatchNorm):
            module.reset()


class FrozenBatchNorm(nn.Module):
    """Batch norm by fixed statistics; scale and bias are parameters."""

    running_mean: Float[Tensor, " c"]
    running_var: Float[Tensor, " c"]

    def __init__(self, channels: int, *, eps: float = 1e-3) -> None:
        super().__init__()
        self.eps = eps
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def reset(self) -> None:
        """Make it the identity but for ``eps``."""
        nn.init.ones_(self.weight)
        nn.init.zeros_(self.bias)
        nn.init.zeros_(self.running_mean)
        nn.init.ones_(self.running_var)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Return the normalised channels."""
        return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps)


class _SameConv(nn.Conv2d):
    """Convolution with TensorFlow's ``SAME`` padding of an input that the stride divides: the odd pixel goes last."""

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n e r s"]:
        spare = self.kernel_size[0] - self.stride[0]
        before = spare // 2
        return super().forward(F.pad(x, (before, spare - before) * 2) if spare > 0 else x)


def _conv(inward: int, outward: int, *, kernel: int, stride: int = 1, groups: int = 1, act: bool = True) -> nn.Module:
    conv = _SameConv(inward, outward, kernel, stride=stride, groups=groups, bias=False)
    return nn.Sequential(conv, FrozenBatchNorm(outward), *([nn.ReLU6()] if act else []))


class _Block(nn.Module):
    """Inverted residual: expand, convolve each channel by itself, project; added to the input where shapes agree."""

    def __init__(self, inward: int, outward: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = inward * expansion
        self.expand = _conv(inward, inner, kernel=1) if expansion != 1 else nn.Identity()
        self.depthwise = _conv(inner, inner, kernel=kernel, stride=stride, groups=inner)
        self.project = _conv(inner, outward, kernel=1, act=False)
        self.adds = stride == 1 and inward == outward

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n e r s"]:
        y: Tensor = self.project(self.depthwise(self.expand(x)))
        return x + y if self.adds else y


def _check(config: EfficientNetLiteConfig) -> None:
    pixels = 2 * math.prod(row[2] for row in config.stages)
    if config.patch_size != pixels or config.num_hidden_layers != len(config.stages) + 1:
        raise ModelError(
            f"an EfficientNet-Lite of {len(config.stages)} stages, one feature per {pixels} pixels, is declared with "
            f"num_hidden_layers {config.num_hidden_layers} and patch_size {config.patch_size}; "
            f"they must be {len(config.stages) + 1} (stages and head) and {pixels}: correct its config.json"
        )


def register() -> None:
    """Make the Auto classes know the architecture; calling it again changes nothing."""
    AutoConfig.register(MODEL_TYPE, EfficientNetLiteConfig, exist_ok=True)
    AutoModel.register(EfficientNetLiteConfig, EfficientNetLite, exist_ok=True)
