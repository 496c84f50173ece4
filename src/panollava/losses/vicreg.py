"""VICReg (Bardes, Ponce, LeCun 2022): pull corresponding features together without letting them collapse."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, slots=True)
class VicRegTerms:
    """The three terms, unweighted; all are means and so independent of the number of pairs."""

    invariance: Float[Tensor, ""]
    variance: Float[Tensor, ""]
    covariance: Float[Tensor, ""]


def vicreg(a: Float[Tensor, "n d"], b: Float[Tensor, "n d"], *, target_std: float = 1.0) -> VicRegTerms:
    """Return the VICReg terms of ``n`` corresponding pairs of features (equations 1 to 5 of the paper).

    Unlike the paper, invariance is a mean over the width too, as in the authors' code, and variance and covariance
    are means over the two branches, not sums.

    Raises:
        ValueError: If there are fewer than two pairs: a variance needs two.
    """
    if len(a) < 2 or a.shape != b.shape:
        raise ValueError(f"VICReg needs two equal batches of at least 2 features, got {a.shape} and {b.shape}")
    invariance = (a - b).pow(2).mean()
    variance = torch.stack([_hinge(x, target_std) for x in (a, b)]).mean()
    covariance = torch.stack([_off_diagonal(x) for x in (a, b)]).mean()
    return VicRegTerms(invariance, variance, covariance)


def _hinge(x: Float[Tensor, "n d"], target_std: float) -> Float[Tensor, ""]:
    return torch.relu(target_std - (x.var(dim=0) + 1e-4).sqrt()).mean()


def _off_diagonal(x: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
    centred = x - x.mean(dim=0)
    covariance = centred.T @ centred / (len(x) - 1)
    squared = covariance.pow(2)
    return (squared.sum() - squared.diagonal().sum()) / x.shape[1]
