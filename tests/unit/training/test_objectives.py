"""The overlap objective: every loss by name, on every pairing, and what takes no part."""

import pytest
import torch

from panollava.training.objectives import seeded_objective

LOSSES = ("vicreg_batchwise", "vicreg_pairwise", "densecl", "infonce")


def objective(tiny_model, tiny_config, *overrides):
    model = tiny_model()
    settings = tiny_config(*[f"stages.vision.overlap.{o}" for o in overrides]).stage("vision").overlap
    return model, seeded_objective(model, settings, through_resampler=True, seed=1)


@pytest.mark.parametrize("pairing", ["rays", "columns"])
@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_has_a_value_and_a_gradient_on_every_pairing(tiny_model, tiny_config, pixels, loss, pairing):
    model, built = objective(tiny_model, tiny_config, f"loss={loss}", f"pairing={pairing}")
    result = built(model, pixels(model, 2))
    assert torch.isfinite(result.loss) and result.loss > 0
    assert result.weight == 2 * len(built.index.source)
    result.loss.backward()
    assert all(p.grad.abs().sum() > 0 for p in model.resampler.parameters() if p.ndim >= 2)
    shown = {"densecl": {"negatives"}, "infonce": {"negatives"}}.get(loss, {"invariance", "variance", "covariance"})
    assert result.logs.keys() == shown | {"cosine"}


def test_the_losses_are_four_different_ones_and_so_are_the_pairings(tiny_model, tiny_config, pixels):
    seen = set()
    for loss in LOSSES:
        for pairing in ("rays", "columns"):
            model, built = objective(tiny_model, tiny_config, f"loss={loss}", f"pairing={pairing}")
            seen.add(round(float(built(model, pixels(model, 2)).loss.detach()), 5))
    assert len(seen) == 8


def test_negatives_come_from_the_two_views_or_from_the_batch(tiny_model, tiny_config, pixels):
    counts = {}
    for loss in ("densecl", "infonce"):
        for batch in (1, 2):
            model, built = objective(tiny_model, tiny_config, f"loss={loss}")
            counts[loss, batch] = built(model, pixels(model, batch)).logs["negatives"]
    assert counts["densecl", 1] == counts["densecl", 2] < counts["infonce", 1]
    own = len(built.index.source)
    assert counts["infonce", 2] == pytest.approx(counts["infonce", 1] + own)
    model, built = objective(tiny_model, tiny_config, "loss=infonce", "max_negatives=10")
    assert built(model, pixels(model, 2)).logs["negatives"] <= 10
    model, built = objective(tiny_model, tiny_config, "loss=infonce", "negative_angle_deg=60")
    assert built(model, pixels(model, 1)).logs["negatives"] < counts["infonce", 1]


def test_the_temperature_is_read(tiny_model, tiny_config, pixels):
    losses = []
    for temperature in (0.07, 0.7):
        model, built = objective(tiny_model, tiny_config, "loss=infonce", f"temperature={temperature}")
        losses.append(float(built(model, pixels(model, 2)).loss.detach()))
    assert losses[0] != pytest.approx(losses[1], rel=0.01)


def test_views_that_no_pair_uses_have_no_part(tiny_model, tiny_config, pixels):
    """The global view is given too, and may hold anything."""
    model, built = objective(tiny_model, tiny_config, "loss=vicreg_pairwise")
    views = pixels(model, 2)
    other = tuple(v if i == built.group else torch.zeros_like(v) for i, v in enumerate(views))
    assert float(built(model, views).loss.detach()) == float(built(model, other).loss.detach())
