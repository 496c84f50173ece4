"""What an interrupted stage needs to go on: tensors and plain values, beside the weights of its checkpoint."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor

from panollava.errors import CheckpointError

TENSORS, VALUES = "training.safetensors", "training.json"


@dataclass(frozen=True, slots=True)
class TrainingState:
    """State of a stage."""

    tensors: dict[str, Tensor]
    values: dict[str, Any]


def load_training(folder: Path) -> TrainingState:
    """Return the state."""
    if not (folder / VALUES).is_file():
        raise CheckpointError(f"{folder} holds no state of training")
    return TrainingState(load_file(folder / TENSORS), json.loads((folder / VALUES).read_text(encoding="utf-8")))
