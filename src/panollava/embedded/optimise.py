"""How both embedded backbones are optimised: Muon and AdamW, clipped, under a warm-up and a cosine."""

import math

import torch


def pretrain_optimizers(model: torch.nn.Module, *, lr: float) -> list[torch.optim.Optimizer]:
    """Return Muon for the matrices of the blocks and AdamW for everything else."""
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "layers." in name]
    rest = [p for name, p in model.named_parameters() if not (p.ndim == 2 and "layers." in name)]
    muon = torch.optim.Muon(matrices, lr=lr, weight_decay=0.02, adjust_lr_fn="match_rms_adamw")
    return [muon, torch.optim.AdamW(rest, lr=lr, betas=(0.9, 0.95), weight_decay=0.0)]


def set_rate(optimizers: list[torch.optim.Optimizer], rate: float) -> None:
    """Give every parameter group the same learning rate."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate


def warm_cosine(step: int, steps: int, *, warm: int = 100) -> float:
    """Return the factor of a linear warm-up over ``warm`` steps times a cosine down to 2 %."""
    return min(1.0, step / warm) * (0.02 + 0.98 * 0.5 * (1.0 + math.cos(math.pi * step / steps)))


def update(loss: torch.Tensor, model: torch.nn.Module, optimizers: list[torch.optim.Optimizer]) -> None:
    """Take one clipped step down the gradient of ``loss``."""
    for optimizer in optimizers:
        optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for optimizer in optimizers:
        optimizer.step()
