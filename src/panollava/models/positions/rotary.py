"""Turn the channels of a vision token by its true ray: circular rotary positions.

::

    channel pairs    0 ....... P/2 ....... 3P/4 ....... P = width / 2
    turned by        n yaw         n pitch       nothing            n = 1, 2, ..., N, 1, 2, ...

Rotary positions (Su et al. 2021, equations 13 to 16) turn pair k by ``theta_k * place`` with any theta. Here every
factor is a whole number, so a full turn of yaw is a whole number of turns of every pair: -180 and 180 degrees are one
place, and a dot product of two tokens depends on the difference of their yaws alone, across the seam too.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class RotaryPosition(nn.Module):
    """Rotate channel pairs of the projected tokens; it has no parameters and keeps every token's length.

    At a pole the yaw has no meaning, and neither has this turn: it is continuous everywhere else.

    Args:
        width: Width of the language model; an odd last channel stays.
        harmonics: Highest multiple of an angle, N.
    """

    before_projector = False
    shifts = None
    by_yaw: Float[Tensor, " p"]
    by_pitch: Float[Tensor, " p"]

    def __init__(self, *, width: int, harmonics: int = 8) -> None:
        super().__init__()
        pairs = torch.arange(width // 2)
        factor = 1.0 + pairs % harmonics
        half, most = len(pairs) // 2, 3 * len(pairs) // 4
        self.register_buffer("by_yaw", factor * (pairs < half), persistent=False)
        self.register_buffer("by_pitch", factor * ((pairs >= half) & (pairs < most)), persistent=False)

    def forward(self, tokens: Float[Tensor, "b n d"], rays: Float[Tensor, "n 3"]) -> Float[Tensor, "b n d"]:
        """Return the tokens, turned by their rays."""
        yaw = torch.atan2(rays[:, 0], rays[:, 2])[:, None]
        pitch = torch.asin((-rays[:, 1]).clamp(-1.0, 1.0))[:, None]
        angle = (yaw * self.by_yaw + pitch * self.by_pitch).to(tokens.dtype)
        even, odd = tokens[..., 0 : 2 * angle.shape[1] : 2], tokens[..., 1::2]
        turned = torch.stack(
            [even * angle.cos() - odd * angle.sin(), even * angle.sin() + odd * angle.cos()], dim=-1
        ).flatten(-2)
        return torch.cat([turned, tokens[..., turned.shape[-1] :]], dim=-1)
