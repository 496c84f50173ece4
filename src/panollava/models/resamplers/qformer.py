"""Learned queries that read a view through a small BERT: the Q-Former of BLIP-2 (Li et al. 2023, section 3.1)."""

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from panollava.errors import ModelError


class QFormerResampler(nn.Module):
    """``queries`` learned tokens attend to each other in every layer, and to the patches in every other.

    The layers are those of ``transformers.Blip2QFormerModel``, so that weights of a BLIP-2 fit; without its text half
    and without dropout. The queries see each other in both directions.

    Its tokens have no place of their own in the view; each is given the ray of the view's centre.

    Args:
        width: Width of the encoder.
        queries: Tokens per view.
        depth: Layers; the first, third, ... read the patches.
        heads: Attention heads.
        hidden: Width of the queries and tokens; None for ``width``.

    Raises:
        ModelError: If the heads do not divide the width.
    """

    def __init__(
        self, *, width: int, queries: int = 32, depth: int = 2, heads: int = 4, hidden: int | None = None
    ) -> None:
        from transformers import Blip2QFormerConfig, Blip2QFormerModel

        super().__init__()
        self.out_width = hidden or width
        if self.out_width % heads:
            raise ModelError(
                f"resampler.heads={heads} does not divide the width {self.out_width} of the queries; "
                "choose resampler.heads, or resampler.hidden, so that it does"
            )
        self.queries = nn.Parameter(torch.randn(queries, self.out_width) * 0.02)
        self.layers = Blip2QFormerModel(
            Blip2QFormerConfig(
                hidden_size=self.out_width,
                encoder_hidden_size=width,
                num_hidden_layers=depth,
                num_attention_heads=heads,
                intermediate_size=4 * self.out_width,
                cross_attention_frequency=2,
                hidden_dropout_prob=0.0,
                attention_probs_dropout_prob=0.0,
            )
        )

    def forward(self, patches: Float[Tensor, "n rows cols d"]) -> Float[Tensor, "n q e"]:
        """Return the queries of each view after reading its patches."""
        tokens: Tensor = self.layers(
            query_embeds=self.queries.expand(len(patches), -1, -1),
            encoder_hidden_states=rearrange(patches, "n r c d -> n (r c) d"),
        ).last_hidden_state
        return tokens

    def grid(self, rows: int, cols: int) -> None:  # noqa: ARG002
        """Return None: a query belongs to no place of the view."""
        return

    def token_count(self, rows: int, cols: int) -> int:  # noqa: ARG002
        """Return the number of queries."""
        return len(self.queries)
