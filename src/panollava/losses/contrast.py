"""InfoNCE on corresponding tokens: each token finds its own ray among others (DenseCL: within one pair of views).

van den Oord, Li, Vinyals 2018 (InfoNCE); Wang, Zhang, Shen, Kong, Li 2021 (DenseCL), with correspondences from
geometry instead of from the most similar feature.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True, slots=True)
class PairPlaces:
    """Where the pairs of a batch are: what decides which of them are negatives of each other.

    Attributes:
        panorama: Panorama of the batch.
        view_pair: Number of the (view a, view b).
        rays: Unit ray.
    """

    panorama: Int[Tensor, " m"]
    view_pair: Int[Tensor, " m"]
    rays: Float[Tensor, "m 3"]

    def negatives(self, columns: Int[Tensor, " k"], *, apart_deg: float, same_views_only: bool) -> Bool[Tensor, "m k"]:
        """Return which of the pairs ``columns`` are negatives of each pair.

        Two pairs of one panorama whose rays are less than ``apart_deg`` apart show the same thing, in whichever views:
        they are no negatives. Pairs of two panoramas always are.

        Args:
            columns: Candidates, as numbers of pairs.
            apart_deg: Smallest angle between negatives of one panorama.
            same_views_only: Only pairs of the same two views of the same panorama (DenseCL).
        """
        same = self.panorama[:, None] == self.panorama[columns]
        near = self.rays @ self.rays[columns].T > math.cos(math.radians(apart_deg))
        itself = torch.arange(len(self.rays), device=columns.device)[:, None] == columns
        far = ~(near | itself)
        if same_views_only:
            return same & far & (self.view_pair[:, None] == self.view_pair[columns])
        return ~same | far


def info_nce(
    a: Float[Tensor, "m d"],
    b: Float[Tensor, "m d"],
    *,
    columns: Int[Tensor, " k"],
    negatives: Bool[Tensor, "m k"],
    temperature: float = 0.07,
) -> Float[Tensor, ""]:
    """Return the symmetric InfoNCE loss of ``m`` corresponding pairs, by cosine similarity.

    For pair i, with s the cosine over the temperature and j over the negatives of i, the loss is
    ``-log(e^{s(a_i, b_i)} / (e^{s(a_i, b_i)} + sum_j e^{s(a_i, b_j)}))``; then the same with a and b exchanged; the
    mean of both, over all pairs. A pair without a negative adds 0.

    Args:
        a: Features of one side.
        b: Features of the other.
        columns: Numbers of the pairs that serve as candidates.
        negatives: Which of them are negatives of each pair.
        temperature: Divisor of the cosine similarity.

    Raises:
        ValueError: If there is no negative at all: nothing would be compared.

    Example:
        >>> one = torch.eye(3)
        >>> loss = info_nce(one, one, columns=torch.arange(3), negatives=~torch.eye(3, dtype=bool), temperature=1.0)
        >>> bool(torch.isclose(loss, torch.log1p(2 * torch.exp(torch.tensor(-1.0)))))
        True
    """
    if not bool(negatives.any()):
        raise ValueError(
            f"InfoNCE has {len(a)} pairs and no negative among them; use a smaller overlap.negative_angle_deg, "
            "or more panoramas in a batch"
        )
    a, b = F.normalize(a, dim=1), F.normalize(b, dim=1)
    own = (a * b).sum(dim=1, keepdim=True) / temperature
    sides = []
    for query, key in ((a, b), (b, a)):
        others = (query @ key[columns].T / temperature).masked_fill(~negatives, -math.inf)
        sides.append((torch.logsumexp(torch.cat([own, others], dim=1), dim=1) - own[:, 0]).mean())
    return torch.stack(sides).mean()


def spread(count: int, *, most: int) -> Int[Tensor, " k"]:
    """Return at most ``most`` numbers below ``count``, evenly spread and the same every time.

    Example:
        >>> spread(10, most=4).tolist(), spread(3, most=4).tolist()
        ([0, 2, 5, 7], [0, 1, 2])
    """
    if count <= most:
        return torch.arange(count)
    return torch.arange(most) * count // most
