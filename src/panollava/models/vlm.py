"""The composed model: views of one panorama and questions in, logits or words out.

::

    views u8 (b v h w 3) -> vision -> patches (b v r c d) -> resampler -> tokens (b v q e) -> projector (b n D)
                                                        rays of the same tokens -> position (b n D) -- + --> fuse

Training, inference and evaluation all take this one path. ``blind`` leaves out everything above: the same language
model and adapter on the same questions, without a panorama; what it can answer, the questions gave away.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn

from panollava.data.pack import PAD_SEGMENT, PackedText, pack, placeholder_mask
from panollava.errors import ModelError
from panollava.geometry import ViewLayout
from panollava.models.adapter import is_adapter
from panollava.models.decode import Sampling, decode
from panollava.models.fusion import fuse
from panollava.models.language import LanguageModel
from panollava.models.positions import Position, token_places
from panollava.models.projector import Projector
from panollava.models.protocol import LanguageLoss, PanoramaBatch, ViewFeatures, ViewPixels
from panollava.models.resamplers import MaskedDropResampler, Resampler
from panollava.models.vision import VisionEncoder
from panollava.text.chat import ChatFormat

COMPONENTS = ("vision", "resampler", "projector", "position", "language", "adapter")


class PanoramaVLM(nn.Module):
    """Encoder + resampler + projector + position + language model over one view layout.

    Args:
        layout: The views of a panorama.
        chat: The language model's chat layout.
        vision, resampler, projector, position: The visual path; all None for a blind model.
        language: The language model.

    Raises:
        ModelError: If a view does not divide into the encoder's patches or the resampler's blocks.
    """

    rays: Float[Tensor, "n 3"]

    def __init__(
        self,
        *,
        layout: ViewLayout,
        chat: ChatFormat,
        vision: VisionEncoder | None,
        resampler: Resampler | None,
        projector: Projector | None,
        position: Position | None,
        language: LanguageModel,
    ) -> None:
        super().__init__()
        self.layout, self.chat = layout, chat
        self.vision, self.resampler, self.projector = vision, resampler, projector
        self.position, self.language = position, language
        self.register_buffer("rays", self._token_rays(), persistent=False)

    # -- parts -------------------------------------------------------------------------------------------------

    @property
    def blind(self) -> bool:
        """Whether the model has no visual path."""
        return self.vision is None

    @property
    def device(self) -> torch.device:
        """Where the model lives."""
        return self.rays.device

    @property
    def token_count(self) -> int:
        """Vision tokens per panorama."""
        return len(self.rays)

    def reading(self) -> dict[str, Any]:
        """Return what its features depend on beside views and weights, as a plain tree."""
        return {} if self.vision is None else self.vision.reading

    def component_parameters(self) -> Iterator[tuple[str, str, nn.Parameter]]:
        """Yield (component, name, parameter) for every parameter; each belongs to exactly one component."""
        for name, parameter in self.named_parameters():
            part = name.split(".", 1)[0]
            yield ("adapter" if part == "language" and is_adapter(name) else part), name, parameter

    def grids(self) -> tuple[tuple[int, int], ...]:
        """Return the patch grid of each group of views."""
        assert self.vision is not None
        return tuple(self.vision.contract.grid(g.height_px, g.width_px) for g in self.layout.groups())

    def _token_rays(self) -> Float[Tensor, "n 3"]:
        """Return the true ray of every vision token, in the order of ``vision_tokens``."""
        if self.vision is None or self.resampler is None:
            return torch.zeros(0, 3)
        return token_places(self.layout, patch_grids=self.grids(), resampler=self.resampler).rays

    # -- seeing ------------------------------------------------------------------------------------------------

    def encode(self, views: ViewPixels) -> ViewFeatures:
        """Return the patch features of rendered views."""
        assert self.vision is not None
        features = []
        for pixels in views:
            flat = self.vision(self.vision.normalise(rearrange(pixels, "b v h w c -> (b v) h w c")))
            features.append(rearrange(flat, "(b v) r c d -> b v r c d", b=len(pixels)))
        return tuple(features)

    def resample(self, features: ViewFeatures) -> tuple[Float[Tensor, "b v q e"], ...]:
        """Return the resampler's tokens of each group of views."""
        assert self.resampler is not None
        dtype = next(self.projector.parameters()).dtype if self.projector is not None else torch.float32
        return tuple(
            rearrange(
                self.resampler(rearrange(f.to(dtype), "b v r c d -> (b v) r c d")), "(b v) q e -> b v q e", b=len(f)
            )
            for f in features
        )

    def vision_tokens(self, features: ViewFeatures) -> Float[Tensor, "b n D"]:
        """Return the vision tokens of each panorama: what it is (projector) plus where it is (position)."""
        assert self.projector is not None
        tokens = torch.cat([rearrange(t, "b v q e -> b (v q) e") for t in self.resample(features)], dim=1)
        position = self.position
        if position is not None and position.before_projector:
            tokens = position(tokens, self.rays)
        projected: Tensor = self.projector(tokens)
        return projected if position is None or position.before_projector else position(projected, self.rays)

    # -- speaking ----------------------------------------------------------------------------------------------

    def pack(self, conversations: Sequence[Sequence[tuple[str, str]]]) -> PackedText:
        """Pack the (query, answer) pairs of each panorama behind one prefix."""
        return pack(self.chat, conversations, vision_tokens=self.token_count)

    def embed(self, batch: PanoramaBatch) -> Float[Tensor, "b t D"]:
        """Return input embeddings with vision tokens in place of the placeholders.

        Raises:
            FusionError: If placeholders and vision tokens differ in number.
        """
        words = self.language.embed(batch.text.ids)
        features = batch.features if batch.views is None else self.encode(batch.views)
        if features is None:
            return words
        return fuse(words, placeholder_mask(batch.text.ids), self.vision_tokens(features))

    def as_read(self, text: PackedText) -> PackedText:
        """Return the text as the language model reads it: some vision tokens elsewhere, some out of sight.

        A position may shift vision tokens (PanoRoPE); a resampler in training may hide some (masked drop), which are
        then attended to as little as padding.
        """
        places = placeholder_mask(text.ids)
        panoramas = int(places.sum()) // self.token_count if self.token_count else 0
        if self.position is not None and self.position.shifts is not None:
            shifts = torch.zeros_like(text.positions).masked_scatter(places, self.position.shifts.repeat(panoramas))
            text = replace(text, positions=text.positions + shifts)
        if isinstance(self.resampler, MaskedDropResampler) and self.resampler.training:
            groups = zip(self.layout.groups(), self.grids(), strict=True)
            grids = [self.resampler.grid(*grid) for group, grid in groups for _ in group.indices]
            stay = self.resampler.draw(panoramas, grids=grids).to(places.device)
            hidden = torch.zeros_like(places).masked_scatter(places, ~stay)
            text = replace(text, segments=text.segments.masked_fill(hidden, PAD_SEGMENT))
        return text

    def supervised_logits(self, batch: PanoramaBatch) -> tuple[Float[Tensor, "n vocab"], Int[Tensor, " n"]]:
        """Return the logits of every supervised token, and the tokens."""
        return self.language.supervised_logits(self.embed(batch), self.as_read(batch.text))

    def loss(self, batch: PanoramaBatch) -> LanguageLoss:
        """Return the mean negative log-likelihood of the answers."""
        logits, labels = self.supervised_logits(batch)
        return LanguageLoss(nn.functional.cross_entropy(logits, labels), len(labels))

    @torch.no_grad()
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
        """Answer questions about encoded panoramas.

        Args:
            features: Patch features of the panoramas; None when blind.
            queries: (panorama, question) pairs; the first is a row of ``features``.
            max_new_tokens: Longest answer.
            num_beams: Beams; 1 for none.
            temperature: 0 decodes greedily, above 0 samples.
            batch_size: Questions that are answered together.
            seeds: One per question, which alone decide what is sampled; None: drawn from PyTorch's generator.

        Raises:
            ModelError: If beams are to be sampled.
        """
        if not queries:
            return []
        if num_beams > 1 and temperature > 0:
            raise ModelError(
                f"generation.num_beams is {num_beams} and generation.temperature {temperature}: beams are not sampled. "
                "Set num_beams to 1, or temperature to 0"
            )
        prefixes = self._prefixes(features)
        after = self.token_count > 0
        rows = [
            (index if features is not None else 0, self.chat.question_ids(query, after_vision=after))
            for index, query in queries
        ]
        if num_beams == 1:
            sampling = None
            if temperature > 0:
                sampling = Sampling(temperature, seeds or torch.randint(2**62, (len(rows),)).tolist())
            limits = {"max_new_tokens": max_new_tokens, "batch_size": batch_size, "places": self._prefix_positions()}
            said = decode(self.language, prefixes, rows, stop_id=self.chat.stop_id, sampling=sampling, **limits)
        else:
            said = []
            for start in range(0, len(rows), batch_size):
                part = rows[start : start + batch_size]
                said += self._beams(prefixes, part, max_new_tokens=max_new_tokens, num_beams=num_beams)
        return [self.chat.decode(row) for row in said]

    def _prefixes(self, features: ViewFeatures | None) -> Float[Tensor, "p n D"]:
        """Return the embeddings of the shared prefix of each panorama (one row when blind)."""
        ids = torch.tensor([self.chat.prefix_ids(self.token_count)], device=self.device)
        words = self.language.embed(ids)
        if features is None:
            return words
        vision = self.vision_tokens(features)
        return fuse(words.expand(len(vision), -1, -1), placeholder_mask(ids).expand(len(vision), -1), vision)

    def _prefix_positions(self) -> Int[Tensor, " n"] | None:
        """Return the positions of the prefix in the language model; None where they count up from 0."""
        if self.position is None or self.position.shifts is None:
            return None
        ids = torch.tensor(self.chat.prefix_ids(self.token_count), device=self.device)
        shifts = torch.zeros_like(ids).masked_scatter(placeholder_mask(ids), self.position.shifts)
        return torch.arange(len(ids), device=ids.device) + shifts

    def _beams(
        self,
        prefixes: Float[Tensor, "p n D"],
        rows: list[tuple[int, list[int]]],
        *,
        max_new_tokens: int,
        num_beams: int,
    ) -> list[list[int]]:
        """Answer by beam search, with Hugging Face's ``generate`` over left-padded rows."""
        width = max(len(ids) for _, ids in rows)
        empty = prefixes.new_zeros(width, prefixes.shape[-1])
        embedded, masks = [], []
        for index, ids in rows:
            words = self.language.embed(torch.tensor([ids], device=prefixes.device))[0]
            pad = width - len(ids)
            embedded.append(torch.cat([empty[:pad], prefixes[index], words]))
            masks.append([0] * pad + [1] * (prefixes.shape[1] + len(ids)))
        mask = torch.tensor(masks, device=prefixes.device)
        places, options = self._prefix_positions(), dict[str, Any]()
        if places is not None:
            counted = (mask.cumsum(dim=1) - 1).clamp(min=0)
            shifts = places - torch.arange(len(places), device=places.device)
            for row, pad in zip(counted, (mask == 0).sum(dim=1).tolist(), strict=True):
                row[pad : pad + len(places)] += shifts
            options["position_ids"] = counted
        said = self.language.model.generate(
            inputs_embeds=torch.stack(embedded),
            attention_mask=mask,
            pad_token_id=self.chat.stop_id,
            eos_token_id=self.chat.stop_id,
            max_new_tokens=max_new_tokens,
            num_beams=num_beams,
            do_sample=False,
            **options,
        )
        found: list[list[int]] = said.tolist()
        return found
