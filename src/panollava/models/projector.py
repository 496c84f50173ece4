"""From the resampler's width to the language model's, at the scale of its word embeddings."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Projector(nn.Module):
    """Two linear layers and an RMS norm whose gain starts at the scale of a word embedding.

    A vision token that is much longer or shorter than a word embedding drowns the words or is drowned by them; here
    it starts at their length, and training may change it.
    """

    def __init__(self, *, in_width: int, out_width: int, scale: float) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(in_width, out_width), nn.GELU(), nn.Linear(out_width, out_width))
        self.gain = nn.Parameter(torch.full((out_width,), scale))

    def forward(self, tokens: Float[Tensor, "*batch e"]) -> Float[Tensor, "*batch d"]:
        """Return the tokens in the language model's width."""
        projected = self.mlp(tokens)
        normed: Tensor = nn.functional.rms_norm(projected, projected.shape[-1:], eps=1e-6) * self.gain
        return normed
