"""What every resampler promises."""

from typing import Any, Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor


@runtime_checkable
class Resampler(Protocol):
    """Turns the patch grid of a view into fewer tokens of ``out_width`` each."""

    out_width: int

    def __call__(self, patches: Float[Tensor, "n rows cols d"]) -> Float[Tensor, "n q e"]:
        """Return the tokens of each view, row-major where they have a grid."""
        ...

    def grid(self, rows: int, cols: int) -> tuple[int, int] | None:
        """Return the grid of the output tokens, or None where a token belongs to no place of the view."""
        ...

    def token_count(self, rows: int, cols: int) -> int:
        """Return the number of output tokens of a view with ``rows x cols`` patches."""
        ...

    def train(self, mode: bool = True) -> Any:
        """Switch between training and evaluation, as every ``nn.Module`` does."""
        ...
