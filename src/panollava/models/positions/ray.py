"""Where a vision token looks: a smooth, seam-free encoding of its true ray.

::

    features of a ray with yaw y and pitch p (N harmonics):
        cos(p) sin(n y), cos(p) cos(n y)   n = 1..N     periodic in yaw: equal on both sides of the seam
        sin(n p), cos(n p)                 n = 1..N     height
    the factor cos(p) removes yaw at the poles, where it has no meaning: the encoding is continuous on the sphere.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn


def ray_features(rays: Float[Tensor, "*batch 3"], *, harmonics: int) -> Float[Tensor, "*batch f"]:
    """Return the ``4 * harmonics`` features of unit rays in the OpenCV frame (x right, y down, z forward)."""
    n = torch.arange(1, harmonics + 1, dtype=rays.dtype, device=rays.device)
    yaw = torch.atan2(rays[..., 0], rays[..., 2])[..., None] * n
    pitch = torch.asin((-rays[..., 1]).clamp(-1.0, 1.0))
    level = torch.cos(pitch)[..., None]
    height = pitch[..., None] * n
    return torch.cat([level * yaw.sin(), level * yaw.cos(), height.sin(), height.cos()], dim=-1)


def direction_mlp(features: int, *, width: int, hidden: int | None, scale: float) -> nn.Sequential:
    """Return the MLP from features of a direction to a vector of the language model's width.

    Args:
        features: Number of features.
        width: Width of the language model.
        hidden: Width inside; None for ``width``.
        scale: The output starts at about a fifth of this root mean square: a word embedding's, so that a place is
            heard beside what is seen and does not drown it.
    """
    inner = hidden or width
    mlp = nn.Sequential(nn.Linear(features, inner), nn.GELU(), nn.Linear(inner, width))
    last = mlp[-1]
    nn.init.normal_(last.weight, std=scale / inner**0.5)
    nn.init.zeros_(last.bias)
    return mlp


class RayPosition(nn.Module):
    """Ray features -> MLP -> a vector of the language model's width, added to the projected token.

    Args:
        width: Width of the language model.
        harmonics: Highest circular harmonic; N resolve directions about 180 / N degrees apart.
        hidden: Width inside; None for ``width``.
        scale: Root mean square of a word embedding.
    """

    before_projector = False
    shifts = None

    def __init__(self, *, width: int, harmonics: int = 8, hidden: int | None = None, scale: float = 1.0) -> None:
        super().__init__()
        self.harmonics = harmonics
        self.mlp = direction_mlp(4 * harmonics, width=width, hidden=hidden, scale=scale)

    def forward(self, tokens: Float[Tensor, "b n d"], rays: Float[Tensor, "n 3"]) -> Float[Tensor, "b n d"]:
        """Return the tokens plus the vectors of their rays."""
        encoded: Tensor = tokens + self.mlp(ray_features(rays, harmonics=self.harmonics))
        return encoded
