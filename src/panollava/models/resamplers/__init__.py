"""Resamplers: they change the number of vision tokens per view; one file each, one table of names.

============= ============== =================================== ============================================
name          tokens         how                                 source
============= ============== =================================== ============================================
mlp           grid           MLP over blocks of patches          pixel shuffle + MLP, as in InternVL
spatial_pool  grid           mean, maximum or convolution        LLaVA-NeXT's spatial pool
c_abstractor  grid           convolve, pool, convolve            Honeybee (Cha et al. 2024)
bimamba       grid           Mamba from both ends                Vision Mamba (Zhu et al. 2024)
masked_drop   grid           mlp; training hides a part          after LLaVA-NeXT's masked drop
perceiver     without place  learned queries, cross-attention    Flamingo (Alayrac et al. 2022)
qformer       without place  learned queries, small BERT         BLIP-2 (Li et al. 2023)
============= ============== =================================== ============================================
"""

from panollava.errors import ModelError, unknown_name
from panollava.models.resamplers.base import Resampler
from panollava.models.resamplers.bimamba import BiMambaResampler
from panollava.models.resamplers.c_abstractor import CAbstractorResampler
from panollava.models.resamplers.masked_drop import MaskedDropResampler
from panollava.models.resamplers.mlp import MlpResampler
from panollava.models.resamplers.perceiver import PerceiverResampler
from panollava.models.resamplers.qformer import QFormerResampler
from panollava.models.resamplers.spatial_pool import SpatialPoolResampler

RESAMPLERS = ("mlp", "perceiver", "qformer", "c_abstractor", "spatial_pool", "masked_drop", "bimamba")

__all__ = [
    "RESAMPLERS",
    "BiMambaResampler",
    "CAbstractorResampler",
    "MaskedDropResampler",
    "MlpResampler",
    "PerceiverResampler",
    "QFormerResampler",
    "Resampler",
    "SpatialPoolResampler",
    "build_resampler",
]


def build_resampler(
    kind: str,
    *,
    width: int,
    pool: int = 2,
    hidden: int | None = None,
    queries: int = 16,
    depth: int = 2,
    heads: int = 4,
    pooling: str = "average",
    keep: float = 0.5,
    drop: str = "random",
    order: str = "snake",
    state: int = 16,
    expand: float = 2.0,
    seed: int = 0,
) -> Resampler:
    """Build a resampler by name; a kind takes the settings that it has (the configuration refuses the others).

    Raises:
        ModelError: If the name is unknown or a setting does not fit the encoder's width.

    Example:
        >>> build_resampler("spatial_pool", width=8, pool=2).grid(4, 8)
        (2, 4)
    """
    match kind:
        case "mlp":
            return MlpResampler(width=width, pool=pool, hidden=hidden)
        case "perceiver":
            return PerceiverResampler(width=width, queries=queries, depth=depth, heads=heads)
        case "qformer":
            return QFormerResampler(width=width, queries=queries, depth=depth, heads=heads, hidden=hidden)
        case "c_abstractor":
            return CAbstractorResampler(width=width, pool=pool, hidden=hidden, depth=depth)
        case "spatial_pool":
            return SpatialPoolResampler(width=width, pool=pool, pooling=pooling)
        case "masked_drop":
            return MaskedDropResampler(width=width, pool=pool, hidden=hidden, keep=keep, drop=drop, seed=seed)
        case "bimamba":
            return BiMambaResampler(
                width=width, pool=pool, hidden=hidden, depth=depth, state=state, expand=expand, order=order
            )
    raise ModelError(unknown_name("resampler", kind, RESAMPLERS))
