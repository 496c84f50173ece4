"""Resamplers: they change the number of vision tokens per view; one file each, one table of names."""

from panollava.errors import ModelError, unknown_name
from panollava.models.resamplers.base import Resampler
from panollava.models.resamplers.mlp import MlpResampler
from panollava.models.resamplers.perceiver import PerceiverResampler

RESAMPLERS = ("mlp", "perceiver")

__all__ = ["RESAMPLERS", "MlpResampler", "PerceiverResampler", "Resampler", "build_resampler"]


def build_resampler(
    kind: str, *, width: int, pool: int, hidden: int | None, queries: int, depth: int, heads: int
) -> Resampler:
    """Build a resampler by name; settings that the kind does not use are ignored.

    Raises:
        ModelError: If the name is unknown or a setting does not fit the encoder's width.
    """
    if kind == "mlp":
        return MlpResampler(width=width, pool=pool, hidden=hidden)
    if kind == "perceiver":
        return PerceiverResampler(width=width, queries=queries, depth=depth, heads=heads)
    raise ModelError(unknown_name("resampler", kind, RESAMPLERS))
