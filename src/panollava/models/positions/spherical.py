"""Where a vision token looks, in real spherical harmonics: the sphere's own Fourier series.

::

    degree 0                 Y(0,0)                            a constant
    degree 1        Y(1,-1)  Y(1,0)  Y(1,1)                    right, up, forward
    degree 2  Y(2,-2) ...    Y(2,0)  ...  Y(2,2)               l + 1/2 waves around the sphere at degree l
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from panollava.errors import ModelError
from panollava.models.positions.ray import direction_mlp

MAX_DEGREE = 8


def spherical_harmonics(rays: Float[Tensor, "*batch 3"], *, degree: int) -> Float[Tensor, "*batch f"]:
    """Return the ``(degree + 1)**2`` real, orthonormal spherical harmonics of unit rays, Y(l, m) at ``l * l + l + m``.

    The polar axis points up; the azimuth is the yaw. With p the pitch and y the yaw::

        Y(l, m) = sqrt(2) K(l, m) P(l, m)(sin p) cos(m y)     m > 0
        Y(l, 0) =         K(l, 0) P(l, 0)(sin p)
        Y(l,-m) = sqrt(2) K(l, m) P(l, m)(sin p) sin(m y)     m > 0
        K(l, m) = sqrt((2 l + 1) / (4 pi) (l - m)! / (l + m)!)

    P without the Condon-Shortley sign. They are computed as polynomials of the ray's coordinates, with no angle taken,
    so they are smooth everywhere, the poles included. Recurrence: Sloan, "Efficient spherical harmonic evaluation"
    (2013), equations 2 to 8 in this normalisation.

    Raises:
        ModelError: If the degree is not in [0, 8].

    Example:
        >>> up = torch.tensor([0.0, -1.0, 0.0])
        >>> [round(float(y), 3) for y in spherical_harmonics(up, degree=1) * math.sqrt(4 * math.pi)]
        [1.0, 0.0, 1.732, 0.0]
    """
    if not 0 <= degree <= MAX_DEGREE:
        raise ModelError(f"position.degree is {degree}; spherical harmonics are offered from 0 to {MAX_DEGREE}")
    right, up, ahead = rays[..., 0], -rays[..., 1], rays[..., 2]
    found: dict[tuple[int, int], Tensor] = {}
    sine, cosine = torch.zeros_like(up), torch.ones_like(up)  # cos(p)**m times sin and cos of m y
    for m in range(degree + 1):
        for l, height in _legendre(up, order=m, degree=degree).items():  # noqa: E741 (the degree's name in every text)
            found[l, m] = height * cosine
            if m > 0:
                found[l, -m] = height * sine
        sine, cosine = sine * ahead + cosine * right, cosine * ahead - sine * right
    return torch.stack([found[l, m] for l in range(degree + 1) for m in range(-l, l + 1)], dim=-1)  # noqa: E741


def _legendre(up: Float[Tensor, "*batch"], *, order: int, degree: int) -> dict[int, Float[Tensor, "*batch"]]:
    """Return, for l = order..degree, the normalised associated Legendre polynomial over cos(p)**order."""
    m = order
    first = math.sqrt((2 if m else 1) / (4 * math.pi)) * math.prod(
        math.sqrt((2 * k + 1) / (2 * k)) for k in range(1, m + 1)
    )
    found = {m: torch.full_like(up, first)}
    for l in range(m + 1, degree + 1):  # noqa: E741
        grow = math.sqrt((4 * l * l - 1) / (l * l - m * m))
        value = grow * up * found[l - 1]
        if l - 2 >= m:
            value = value - grow * math.sqrt(((l - 1) ** 2 - m * m) / (4 * (l - 1) ** 2 - 1)) * found[l - 2]
        found[l] = value
    return found


class SphericalPosition(nn.Module):
    """Spherical harmonics of the ray -> MLP -> a vector of the language model's width, added to the projected token.

    Args:
        width: Width of the language model.
        degree: Highest degree; L resolve directions about 180 / L degrees apart, everywhere on the sphere alike.
        hidden: Width inside; None for ``width``.
        scale: Root mean square of a word embedding.
    """

    before_projector = False
    shifts = None

    def __init__(self, *, width: int, degree: int = 6, hidden: int | None = None, scale: float = 1.0) -> None:
        super().__init__()
        self.degree = degree
        self.mlp = direction_mlp((degree + 1) ** 2, width=width, hidden=hidden, scale=scale)

    def forward(self, tokens: Float[Tensor, "b n d"], rays: Float[Tensor, "n 3"]) -> Float[Tensor, "b n d"]:
        """Return the tokens plus the vectors of their rays."""
        features = spherical_harmonics(rays, degree=self.degree) * math.sqrt(4 * math.pi)  # mean square 1
        encoded: Tensor = tokens + self.mlp(features)
        return encoded
