"""Optimiser and schedule of a stage: one learning rate per component, counted in optimiser steps."""

import math
from collections.abc import Mapping
from typing import Any

import torch

from panollava.models.vlm import PanoramaVLM

EXPANDER_LR = 1e-3
"""Rate of the overlap objective's expander: new weights, whatever the rate of the pretrained ones."""


def build_optimizer(
    model: PanoramaVLM, *, lr: Mapping[Any, float], weight_decay: float, extra: torch.nn.Module | None = None
) -> torch.optim.AdamW:
    """Return AdamW over the trainable parameters; biases, norms and gains are not decayed.

    Args:
        model: The model, frozen as the stage wants it.
        lr: Peak learning rate per component.
        weight_decay: Decoupled weight decay.
        extra: A module that trains beside the model and is discarded (an expander), at ``EXPANDER_LR``.
    """
    groups: dict[tuple[str, bool], list[torch.nn.Parameter]] = {}
    for component, _, parameter in model.component_parameters():
        if parameter.requires_grad:
            groups.setdefault((component, parameter.ndim >= 2), []).append(parameter)
    for parameter in extra.parameters() if extra is not None else ():
        groups.setdefault(("expander", parameter.ndim >= 2), []).append(parameter)
    rates = {**lr, "expander": EXPANDER_LR}
    return torch.optim.AdamW(
        [
            {
                "params": parameters,
                "lr": rates[component],
                "weight_decay": weight_decay if decays else 0.0,
                "name": f"{component}{'' if decays else '/no_decay'}",
            }
            for (component, decays), parameters in groups.items()
        ],
        betas=(0.9, 0.98),
    )


def lr_factor(step: int, *, total: int, warmup: int, schedule: str) -> float:
    """Return the learning rate of an optimiser step as a share of the peak.

    Linear warm-up over ``warmup`` steps, then constant or a cosine to 0 at ``total``.

    Example:
        >>> [round(lr_factor(s, total=10, warmup=2, schedule="cosine"), 2) for s in (0, 1, 2, 6, 10)]
        [0.5, 1.0, 1.0, 0.5, 0.0]
    """
    if step < warmup:
        return (step + 1) / warmup
    if schedule == "constant":
        return 1.0
    done = min(1.0, (step - warmup) / max(1, total - warmup))
    return 0.5 * (1.0 + math.cos(math.pi * done))
