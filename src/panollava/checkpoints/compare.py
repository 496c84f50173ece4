"""What differs between two checkpoints: what they say, their configurations, and their weights."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from panollava.checkpoints.manifest import Contents
from panollava.checkpoints.meta import CheckpointMeta, meta_of
from panollava.checkpoints.state import tensors_of
from panollava.config.difference import Difference, differences


@dataclass(frozen=True, slots=True)
class ComponentDifference:
    """How the weights of one component differ.

    Attributes:
        component: Its name.
        verdict: ``equal``; ``differs``; ``other weights``: names or shapes differ; ``only in the first`` or
            ``second``; ``held by the first`` or ``second``: the other one names its base model instead.
        largest: Largest difference of two numbers, where they can be subtracted.
        tensors: How many tensors differ.
    """

    component: str
    verdict: str
    largest: float | None = None
    tensors: int = 0


@dataclass(frozen=True, slots=True)
class CheckpointDifference:
    """What differs between two checkpoints.

    Attributes:
        meta: What they say about themselves, the configuration left out.
        config: Keys of the configuration.
        weights: Every component of either.
    """

    meta: list[Difference]
    config: list[Difference]
    weights: list[ComponentDifference]

    def as_dict(self) -> dict[str, Any]:
        """Return it as a plain tree."""
        return {
            "meta": [d._asdict() for d in self.meta],
            "config": [d._asdict() for d in self.config],
            "weights": [asdict(d) for d in self.weights],
        }


def compare_checkpoints(first: Path, second: Path) -> CheckpointDifference:
    """Return what differs between two checkpoints; no model is built.

    Raises:
        CheckpointError: If one of them is damaged.
    """
    one, two = Contents.open(first), Contents.open(second)
    left, right = meta_of(one), meta_of(two)
    names = sorted({*left.components, *right.components, *left.base, *right.base})
    return CheckpointDifference(
        differences(_told(left), _told(right)),
        differences(left.config, right.config),
        [_component(name, (one, left), (two, right)) for name in names],
    )


def _told(meta: CheckpointMeta) -> dict[str, Any]:
    """Return what a checkpoint says, without what is compared by itself."""
    return {key: value for key, value in asdict(meta).items() if key not in ("config", "base", "components")}


def _component(
    name: str, one: tuple[Contents, CheckpointMeta], two: tuple[Contents, CheckpointMeta]
) -> ComponentDifference:
    held = [name in meta.components for _, meta in (one, two)]
    known = [name in meta.components or name in meta.base for _, meta in (one, two)]
    if not all(known):
        return ComponentDifference(name, "only in the first" if known[0] else "only in the second")
    if not any(held):
        return ComponentDifference(name, "equal" if one[1].base[name] == two[1].base[name] else "differs")
    if not all(held):  # trained in one, frozen in the other: only the hash of the frozen one is known
        return ComponentDifference(name, "held by the first" if held[0] else "held by the second")
    return _weights(name, *(tensors_of(contents, f"{name}.safetensors") for contents, _ in (one, two)))


def _weights(name: str, one: dict[str, Tensor], two: dict[str, Tensor]) -> ComponentDifference:
    if one.keys() != two.keys() or any(one[key].shape != two[key].shape for key in one):
        odd = sum(key not in one or key not in two or one[key].shape != two[key].shape for key in {*one, *two})
        return ComponentDifference(name, "other weights", tensors=odd)
    gaps = [_gap(one[key], two[key]) for key in one if not _same(one[key], two[key])]
    return ComponentDifference(name, "differs" if gaps else "equal", max(gaps, default=0.0), len(gaps))


def _same(one: Tensor, two: Tensor) -> bool:
    """Whether two tensors are the same bits."""
    return one.dtype == two.dtype and torch.equal(
        one.contiguous().view(torch.uint8), two.contiguous().view(torch.uint8)
    )


def _gap(one: Tensor, two: Tensor) -> float:
    return float((one.double() - two.double()).abs().max()) if one.numel() else 0.0
