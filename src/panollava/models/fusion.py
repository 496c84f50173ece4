"""Put vision tokens where the placeholders are."""

from jaxtyping import Bool, Float
from torch import Tensor

from panollava.errors import FusionError


def fuse(
    words: Float[Tensor, "b t d"], placeholders: Bool[Tensor, "b t"], vision: Float[Tensor, "b n d"]
) -> Float[Tensor, "b t d"]:
    """Replace the embedding at each placeholder by the next vision token of the same row.

    The counts are compared first: scattering a different number of tokens would shift every later panorama's tokens
    into its neighbour's conversation without any error.

    Raises:
        FusionError: If a row's number of placeholders differs from its number of vision tokens.
    """
    counts = placeholders.sum(dim=1)
    if bool((counts != vision.shape[1]).any()):
        row = int((counts != vision.shape[1]).nonzero()[0])
        raise FusionError(
            f"row {row} has {int(counts[row])} placeholders but received {vision.shape[1]} vision tokens; "
            "text and views were prepared for different layouts"
        )
    return words.masked_scatter(placeholders[..., None], vision.to(words.dtype))
