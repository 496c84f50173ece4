"""What a stage trains: set once, from the stage table, and said aloud."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from panollava.errors import TrainingError, unknown_name
from panollava.models.vlm import COMPONENTS, PanoramaVLM


@dataclass(frozen=True, slots=True)
class Trainable:
    """Number of parameters that train and that are frozen, per component."""

    trainable: dict[str, int]
    frozen: dict[str, int]


def set_trainable(model: PanoramaVLM, components: Sequence[str], *, vision_blocks: int) -> Trainable:
    """Set ``requires_grad`` of every parameter from the list of components, and count.

    Of the encoder, ``vision`` trains the last ``vision_blocks`` blocks only, up to the layer that is read. A kind of
    position without parameters has nothing to train, and is no mistake of the stage: the kinds can be compared with one
    stage table.

    Raises:
        TrainingError: If a component is unknown or absent from this model, or nothing would train.
    """
    present = {component for component, _, _ in model.component_parameters()}
    for name in components:
        if name not in COMPONENTS:
            raise TrainingError(unknown_name("component", name, COMPONENTS))
        if name not in present and not (name == "position" and not model.blind):  # some kinds have no parameters
            raise TrainingError(f"the stage trains '{name}', but the model has none. Present: {sorted(present)}")
    open_blocks = _last_blocks(model, vision_blocks) if "vision" in components else set()
    counts = Trainable({}, {})
    for component, _, parameter in model.component_parameters():
        trains = component in components and (component != "vision" or id(parameter) in open_blocks)
        parameter.requires_grad_(trains)
        side = counts.trainable if trains else counts.frozen
        side[component] = side.get(component, 0) + parameter.numel()
    if not counts.trainable:
        raise TrainingError(f"nothing trains with components {list(components)} and {vision_blocks} encoder blocks")
    return counts


def _last_blocks(model: PanoramaVLM, count: int) -> set[int]:
    if model.vision is None or count == 0:
        return set()
    blocks: Sequence[nn.Module] = list(model.vision.blocks())
    read = len(blocks) + 1 + model.vision.feature_layer  # blocks after the layer that is read learn nothing
    blocks = blocks[max(0, read - count) : read]
    return {id(parameter) for block in blocks for parameter in block.parameters()}
