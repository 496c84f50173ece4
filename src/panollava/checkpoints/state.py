"""What an interrupted stage needs to go on: tensors and plain values, beside the weights of its checkpoint."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from panollava.checkpoints.manifest import Contents, damage, parse_json
from panollava.errors import CheckpointError

TENSORS, VALUES = "training.safetensors", "training.json"


@dataclass(frozen=True, slots=True)
class TrainingState:
    """The state of a stage between two steps.

    Attributes:
        tensors: Averages of the optimiser and of the weights, by name.
        values: Counts, schedule and losses: whatever JSON can hold.
    """

    tensors: dict[str, Tensor]
    values: dict[str, Any]


def load_training(folder: Path) -> TrainingState:
    """Return the state that a checkpoint holds for its stage to go on.

    Raises:
        CheckpointError: If it holds none, or it is damaged.
    """
    contents = Contents.open(folder)
    if VALUES not in contents.files or TENSORS not in contents.files:
        raise CheckpointError(
            f"{folder} holds no state of training, so its stage cannot go on from it; give another, or start the run "
            "again with --resume never"
        )
    values = parse_json(contents.read(VALUES), folder=folder, name=VALUES)
    if not isinstance(values, dict):
        raise damage(folder, VALUES, "is no table")
    return TrainingState(tensors_of(contents, TENSORS), values)


def tensors_of(contents: Contents, name: str) -> dict[str, Tensor]:
    """Return the tensors of a file by name, in order, parsed from the very bytes that were compared with the manifest.

    A file that is mapped into memory, or opened again after it was hashed, may have changed in between. It takes
    twice the memory of one component for a moment; base models are not in checkpoints, so that is little.

    Raises:
        CheckpointError: If the file is damaged, or is no safetensors file.
    """
    raw = contents.read(name)
    try:
        return dict(sorted(load(raw).items()))  # a file's own order differs from process to process
    except (SafetensorError, ValueError, KeyError) as error:
        raise damage(contents.folder, name, f"is no safetensors file ({error})") from error
