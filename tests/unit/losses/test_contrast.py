"""InfoNCE: its analytic values, its gradient, and who counts as a negative."""

import math

import pytest
import torch

from panollava.losses.contrast import PairPlaces, info_nce, spread


def all_but_own(count):
    return {"columns": torch.arange(count), "negatives": ~torch.eye(count, dtype=torch.bool)}


@pytest.mark.parametrize(("count", "temperature"), [(2, 1.0), (5, 0.07), (8, 0.5)])
def test_orthogonal_features_have_the_analytic_loss(count, temperature):
    one = torch.eye(count, dtype=torch.float64)
    found = info_nce(3.0 * one, one, temperature=temperature, **all_but_own(count))
    assert float(found) == pytest.approx(math.log1p((count - 1) * math.exp(-1 / temperature)), rel=1e-12)


def test_equal_features_have_the_loss_of_guessing():
    same = torch.ones(7, 3)
    assert float(info_nce(same, same, **all_but_own(7))) == pytest.approx(math.log(7))


def test_the_gradient_is_that_of_finite_differences():
    random = torch.Generator().manual_seed(0)
    a, b = (torch.randn(5, 3, generator=random, dtype=torch.float64, requires_grad=True) for _ in range(2))
    some = torch.rand(5, 5, generator=random) < 0.6
    options = {"columns": torch.arange(5), "negatives": some & ~torch.eye(5, dtype=torch.bool), "temperature": 0.5}
    assert torch.autograd.gradcheck(lambda x, y: info_nce(x, y, **options), (a, b))


def test_the_loss_is_symmetric_and_the_order_of_pairs_does_not_matter():
    a, b = torch.randn(6, 4).double(), torch.randn(6, 4).double()
    turn = torch.randperm(6)
    one = info_nce(a, b, **all_but_own(6))
    torch.testing.assert_close(info_nce(b, a, **all_but_own(6)), one)
    torch.testing.assert_close(info_nce(a[turn], b[turn], **all_but_own(6)), one)


def test_what_is_no_negative_has_no_part():
    a, b = torch.randn(4, 3), torch.randn(4, 3, requires_grad=True)
    negatives = torch.zeros(4, 4, dtype=torch.bool)
    negatives[0, 1] = negatives[1, 0] = True
    (grad,) = torch.autograd.grad(info_nce(a, b, columns=torch.arange(4), negatives=negatives), b)
    assert grad[:2].abs().min() > 0 and torch.equal(grad[2:], torch.zeros(2, 3))


def test_tokens_that_see_nearly_the_same_are_no_negatives_in_one_panorama():
    angle = torch.deg2rad(torch.tensor([0.0, 5.0, 40.0]))
    rays = torch.stack([angle.sin(), torch.zeros(3), angle.cos()], dim=1).repeat(2, 1)
    places = PairPlaces(torch.tensor([0, 0, 0, 1, 1, 1]), torch.tensor([0, 1, 0, 0, 1, 0]), rays)
    found = places.negatives(torch.arange(6), apart_deg=10.0, same_views_only=False)
    assert found[0].tolist() == [False, False, True, True, True, True]  # itself; 5 degrees; 40; another panorama
    within = places.negatives(torch.arange(6), apart_deg=10.0, same_views_only=True)
    assert within[0].tolist() == [False, False, True, False, False, False]
    wide = places.negatives(torch.arange(6), apart_deg=90.0, same_views_only=False)
    assert not wide[:3, :3].any() and wide[:3, 3:].all()
    narrow = places.negatives(torch.tensor([0, 1]), apart_deg=1e-3, same_views_only=False)
    assert narrow[:3].tolist() == [[False, True], [True, False], [True, True]]


def test_no_negative_at_all_is_refused():
    with pytest.raises(ValueError, match=r"3 pairs and no negative.*overlap.negative_angle_deg"):
        info_nce(torch.eye(3), torch.eye(3), columns=torch.arange(3), negatives=torch.zeros(3, 3, dtype=torch.bool))


def test_candidates_are_spread_evenly():
    assert spread(100, most=7).diff().tolist() == [14, 14, 14, 15, 14, 14]
    assert len(spread(5, most=5)) == 5
