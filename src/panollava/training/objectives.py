"""What a stage minimises: the answers' likelihood, or agreement of overlapping views."""

from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from panollava.config.schema import OverlapConfig
from panollava.errors import TrainingError
from panollava.losses.columns import column_index
from panollava.losses.contrast import PairPlaces, info_nce, spread
from panollava.losses.overlap import OverlapIndex, overlap_index
from panollava.losses.vicreg import vicreg, vicreg_pairwise
from panollava.models.vlm import PanoramaVLM, ViewPixels
from panollava.training.ranks import gathered, planned


@dataclass(frozen=True, slots=True)
class StepResult:
    """Loss of one batch, what to log beside it, and how many terms it is a mean of.

    Where several processes each compute the loss of all, each counts its share of the terms.
    """

    loss: Float[Tensor, ""]
    logs: dict[str, float]
    weight: float


class OverlapObjective(nn.Module):
    """VICReg or InfoNCE between the features of two views at the places where they see the same ray.

    Features are the encoder's patches, or the resampler's tokens where the stage trains the resampler too. The
    expander belongs to the objective and is discarded with it.

    Raises:
        TrainingError: If the layout has no overlapping views, or the resampler's tokens have no grid.
    """

    def __init__(self, model: PanoramaVLM, settings: OverlapConfig, *, through_resampler: bool) -> None:
        super().__init__()
        self.settings, self.through_resampler = settings, through_resampler
        self.group, (rows, cols) = self._ring(model)
        assert model.vision is not None
        width = model.vision.hidden_size
        if through_resampler:
            assert model.resampler is not None
            grid = model.resampler.grid(rows, cols)
            if grid is None:
                raise TrainingError(
                    "the overlap objective needs tokens with a place in the view, and this resampler's have none; "
                    "let the stage train vision alone, or use resampler.kind: mlp"
                )
            (rows, cols), width = grid, model.resampler.out_width
        self.index = self._index(model, rows, cols)
        dim = settings.expander_dim
        self.expander = nn.Sequential(nn.Linear(width, dim), nn.LayerNorm(dim), nn.GELU(), nn.Linear(dim, dim))

    def forward(self, model: PanoramaVLM, views: ViewPixels, *, idle: bool = False) -> StepResult:
        """Return the loss of a batch of panoramas: of the whole batch, if several processes share it.

        Args:
            model: The model.
            views: Views of this process's panoramas.
            idle: They only stand in, and count for nothing.
        """
        features = model.encode((views[self.group],))
        if self.through_resampler:
            tokens = rearrange(model.resample(features)[0], "b v q e -> b (v q) e")
        else:
            tokens = rearrange(features[0], "b v r c d -> b (v r c) d")
        a, b = self.index.gather(tokens)
        contrastive = self.settings.loss in ("densecl", "infonce")
        sides = [gathered(self.expander(side), panoramas=len(views[self.group]), idle=idle) for side in (a, b)]
        loss, logs = (self._contrast if contrastive else self._vicreg)(*sides)
        logs["cosine"] = float(nn.functional.cosine_similarity(a.detach(), b.detach()).mean())
        return StepResult(loss, logs, len(sides[0]) / planned())

    def _vicreg(self, a: Float[Tensor, "m d"], b: Float[Tensor, "m d"]) -> tuple[Float[Tensor, ""], dict[str, float]]:
        s = self.settings
        if s.loss == "vicreg_pairwise":
            terms = vicreg_pairwise(list(zip(self.index.by_views(a), self.index.by_views(b), strict=True)))
        else:
            terms = vicreg(a, b)
        loss = s.invariance * terms.invariance + s.variance * terms.variance + s.covariance * terms.covariance
        logs = {
            "invariance": float(terms.invariance.detach()),
            "variance": float(terms.variance.detach()),
            "covariance": float(terms.covariance.detach()),
        }
        return loss, logs

    def _contrast(self, a: Float[Tensor, "m d"], b: Float[Tensor, "m d"]) -> tuple[Float[Tensor, ""], dict[str, float]]:
        s, count = self.settings, len(self.index.source)
        panoramas = len(a) // count
        places = PairPlaces(
            torch.arange(panoramas).repeat_interleave(count).to(a.device),
            self.index.view_pair.repeat(panoramas).to(a.device),
            self.index.rays.repeat(panoramas, 1).to(a.device),
        )
        columns = spread(len(a), most=s.max_negatives).to(a.device)
        negatives = places.negatives(columns, apart_deg=s.negative_angle_deg, same_views_only=s.loss == "densecl")
        loss = info_nce(a, b, columns=columns, negatives=negatives, temperature=s.temperature)
        return loss, {"negatives": float(negatives.sum(dim=1).float().mean())}

    def _ring(self, model: PanoramaVLM) -> tuple[int, tuple[int, int]]:
        for number, (group, grid) in enumerate(zip(model.layout.groups(), model.grids(), strict=True)):
            if any(a in group.indices and b in group.indices for a, b in model.layout.overlap_pairs()):
                return number, grid
        raise TrainingError(
            f"layout '{model.layout.name}' has no overlapping views, so the overlap objective has nothing to compare; "
            "use views.kind: e2p with views.overlap above 0, or remove the stage"
        )

    def _index(self, model: PanoramaVLM, rows: int, cols: int) -> OverlapIndex:
        pair = column_index if self.settings.pairing == "columns" else overlap_index
        return pair(model.layout, indices=model.layout.groups()[self.group].indices, rows=rows, cols=cols)


def seeded_objective(
    model: PanoramaVLM, settings: OverlapConfig, *, through_resampler: bool, seed: int
) -> OverlapObjective:
    """Build the objective with an expander drawn from ``seed``."""
    torch.manual_seed(seed)
    return OverlapObjective(model, settings, through_resampler=through_resampler)
