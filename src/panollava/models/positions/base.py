"""What every position promises."""

from typing import Protocol, runtime_checkable

from jaxtyping import Float, Int
from torch import Tensor


@runtime_checkable
class Position(Protocol):
    """Tells the language model where vision tokens look."""

    before_projector: bool
    """Whether it acts on the resampler's tokens, or on the projected ones."""

    shifts: Int[Tensor, " n"] | None
    """What to add to the position of each vision token in the language model; None for nothing."""

    def __call__(self, tokens: Float[Tensor, "b n d"], rays: Float[Tensor, "n 3"]) -> Float[Tensor, "b n d"]:
        """Return the tokens with their place; ``rays`` are their unit rays (x right, y down, z forward)."""
        ...
