"""What training, inference and evaluation ask of a model, and nothing more.

::

    views of a panorama -> encode -> features --+
                                                 +-> batch -> loss            training
    questions and answers -> pack -> text ------+
    features, questions ------------------------------> generate              inference, evaluation

Composed models (``PanoramaVLM``) answer to it now. A native VLM (Qwen-VL, InternVL, Gemma 3) that answers to it goes
through the same data, stages, evaluation and report, without a second pipeline.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn

from panollava.data.pack import PackedText
from panollava.geometry import ViewLayout

ViewFeatures = tuple[Float[Tensor, "b v rows cols d"], ...]
"""Patch features of a batch of panoramas, one tensor per group of views of one size."""

ViewPixels = tuple[UInt8[Tensor, "b v h w 3"], ...]
"""Rendered views of a batch of panoramas, grouped likewise."""


@dataclass(frozen=True, slots=True)
class PanoramaBatch:
    """What one step needs: packed conversations, and what the panoramas look like (nothing when blind).

    Attributes:
        features: Patch features, where the encoder is frozen and they are known.
        text: The packed conversations.
        views: Rendered views, to be encoded in the step, where features are not given.
    """

    features: ViewFeatures | None
    text: PackedText
    views: ViewPixels | None = None

    def to(self, device: torch.device) -> "PanoramaBatch":
        """Return the same batch on another device."""
        features = None if self.features is None else tuple(f.to(device) for f in self.features)
        views = None if self.views is None else tuple(v.to(device) for v in self.views)
        return PanoramaBatch(features, self.text.to(device), views)


@dataclass(frozen=True, slots=True)
class LanguageLoss:
    """Mean negative log-likelihood in nats over supervised tokens, and their number."""

    loss: Float[Tensor, ""]
    tokens: int


@runtime_checkable
class PanoramaModel(Protocol):
    """A model that is taught and asked about panoramas."""

    layout: ViewLayout

    @property
    def device(self) -> torch.device:
        """Where the model lives."""
        ...

    @property
    def blind(self) -> bool:
        """Whether it has no visual path."""
        ...

    @property
    def token_count(self) -> int:
        """Vision tokens per panorama."""
        ...

    def reading(self) -> dict[str, Any]:
        """Return what its features depend on beside views and weights, as a plain tree."""
        ...

    def component_parameters(self) -> Iterator[tuple[str, str, nn.Parameter]]:
        """Yield (component, name, parameter); every parameter belongs to exactly one component."""
        ...

    def encode(self, views: ViewPixels) -> ViewFeatures:
        """Return what the frozen part of the visual path makes of rendered views; it may be kept and reused."""
        ...

    def pack(self, conversations: Sequence[Sequence[tuple[str, str]]]) -> PackedText:
        """Pack the (query, answer) pairs of each panorama."""
        ...

    def supervised_logits(self, batch: PanoramaBatch) -> tuple[Float[Tensor, "n vocab"], Int[Tensor, " n"]]:
        """Return the logits of every supervised token, and the tokens."""
        ...

    def loss(self, batch: PanoramaBatch) -> LanguageLoss:
        """Return the mean negative log-likelihood of the answers."""
        ...

    def generate(
        self,
        features: ViewFeatures | None,
        queries: Sequence[tuple[int, str]],
        *,
        max_new_tokens: int = 64,
        num_beams: int = 1,
        temperature: float = 0.0,
        batch_size: int = 32,
        seeds: Sequence[int] | None = None,
    ) -> list[str]:
        """Answer (panorama, question) pairs; a panorama is a row of ``features``, a seed decides what is sampled."""
        ...
