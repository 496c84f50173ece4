"""Blocks of neighbouring patches: what most resamplers make one token of.

::

    a b c d          (ab   (cd
    e f g h   -->     ef)   gh)      pool = 2: 2 x 4 patches -> 1 x 2 blocks, row-major
"""

from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from panollava.errors import ModelError


def block_grid(rows: int, cols: int, *, pool: int) -> tuple[int, int]:
    """Return how many blocks of ``pool x pool`` patches a grid has; it need not be square.

    Raises:
        ModelError: If the patches do not divide into blocks.

    Example:
        >>> block_grid(4, 8, pool=2)
        (2, 4)
    """
    if rows % pool or cols % pool:
        raise ModelError(
            f"{rows} x {cols} patches do not divide into blocks of {pool} x {pool}; "
            "choose resampler.pool, or views.size_px, so that they do"
        )
    return rows // pool, cols // pool


def block_rows(patches: Float[Tensor, "n rows cols d"], *, pool: int) -> Float[Tensor, "n q e"]:
    """Return the patches of each block side by side, blocks row-major; ``e = pool * pool * d``.

    Raises:
        ModelError: If the patches do not divide into blocks.

    Example:
        >>> import torch
        >>> block_rows(torch.arange(8.0).reshape(1, 2, 4, 1), pool=2).tolist()
        [[[0.0, 1.0, 4.0, 5.0], [2.0, 3.0, 6.0, 7.0]]]
    """
    block_grid(*patches.shape[1:3], pool=pool)
    blocks: Tensor = rearrange(patches, "n (r a) (c b) d -> n (r c) (a b d)", a=pool, b=pool)
    return blocks
