"""VICReg (Bardes, Ponce, LeCun 2022): pull corresponding features together without letting them collapse.

``vicreg`` takes variance and covariance over all pairs of a batch (upstream's name: batchwise); ``vicreg_pairwise``
over those of each two views of each panorama, and averages: features must then vary within every overlap.
"""

from collections.abc import Sequence
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


def vicreg_pairwise(
    groups: Sequence[tuple[Float[Tensor, "b _ d"], Float[Tensor, "b _ d"]]], *, target_std: float = 1.0
) -> VicRegTerms:
    """Return the VICReg terms with statistics of their own for each panorama and each two views, averaged.

    Invariance is the mean over all pairs, as in ``vicreg``. Two views that share a single token have no variance:
    they take part in the invariance alone.

    Args:
        groups: For each two views both sides of their pairs, panoramas first.
        target_std: Standard deviation below which the hinge acts.

    Raises:
        ValueError: If no two views share two tokens.
    """
    varied = [(x, y) for x, y in groups if x.shape[1] >= 2]
    if not varied:
        raise ValueError(f"pairwise VICReg needs two views that share at least 2 tokens; of {len(groups)} none does")
    squares = torch.stack([(x - y).pow(2).sum() for x, y in groups]).sum()
    count = sum(x.numel() for x, _ in groups)
    variance = torch.stack([_hinge(x, target_std) for pair in varied for x in pair]).mean()
    covariance = torch.stack([_off_diagonal(x) for pair in varied for side in pair for x in side]).mean()
    return VicRegTerms(squares / count, variance, covariance)


def _hinge(x: Float[Tensor, "*b n d"], target_std: float) -> Float[Tensor, ""]:
    return torch.relu(target_std - (x.var(dim=-2) + 1e-4).sqrt()).mean()


def _off_diagonal(x: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
    centred = x - x.mean(dim=0)
    covariance = centred.T @ centred / (len(x) - 1)
    squared = covariance.pow(2)
    return (squared.sum() - squared.diagonal().sum()) / x.shape[1]
