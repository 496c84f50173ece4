"""Spherical harmonics against their closed forms, their addition theorem, and an integral over the sphere."""

import math

import numpy as np
import pytest
import torch
from numpy.polynomial.legendre import leggauss, legval

from panollava.errors import ModelError
from panollava.geometry import ray_from_angles
from panollava.models.positions import SphericalPosition, spherical_harmonics

L = 8


def random_rays(count, seed=0):
    rays = torch.randn(count, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.double)
    return rays / rays.norm(dim=-1, keepdim=True)


def test_the_first_nine_are_those_of_any_table():
    rays = random_rays(40)
    right, up, ahead = rays[:, 0], -rays[:, 1], rays[:, 2]
    one, two = math.sqrt(3 / (4 * math.pi)), math.sqrt(15 / (4 * math.pi))
    wanted = [
        torch.full_like(up, math.sqrt(1 / (4 * math.pi))),
        one * right, one * up, one * ahead,
        two * right * ahead, two * right * up, math.sqrt(5 / (16 * math.pi)) * (3 * up**2 - 1), two * ahead * up,
        two / 2 * (ahead**2 - right**2),
    ]  # fmt: skip
    torch.testing.assert_close(spherical_harmonics(rays, degree=2), torch.stack(wanted, dim=-1), rtol=0, atol=1e-14)


def test_the_fourth_degree_at_its_highest_order():
    """Y(4, 4) and Y(4, -4) are 3/16 sqrt(35/pi) cos(p)**4 times cos and sin of four yaws."""
    yaw, pitch = np.radians(37.0), np.radians(-21.0)
    y = spherical_harmonics(torch.from_numpy(ray_from_angles(yaw, pitch)), degree=4)
    size = 3 / 16 * math.sqrt(35 / math.pi) * math.cos(pitch) ** 4
    assert float(y[24]) == pytest.approx(size * math.cos(4 * yaw), abs=1e-14)
    assert float(y[16]) == pytest.approx(size * math.sin(4 * yaw), abs=1e-14)


def test_they_are_orthonormal():
    """Gauss and Legendre in the height, evenly in yaw: exact for products of two of degree 8."""
    height, weight = leggauss(L + 1)
    yaw = 2 * np.pi * np.arange(2 * L + 1) / (2 * L + 1)
    rays = ray_from_angles(*np.meshgrid(yaw, np.arcsin(height)))
    y = spherical_harmonics(torch.from_numpy(rays), degree=L).flatten(0, 1)
    area = torch.from_numpy(np.repeat(weight, len(yaw)) * 2 * np.pi / len(yaw))
    torch.testing.assert_close(y.T @ (area[:, None] * y), torch.eye((L + 1) ** 2).double(), rtol=0, atol=1e-12)


def test_the_addition_theorem():
    """The sum over m of Y(l, m)(a) Y(l, m)(b) is (2 l + 1) / (4 pi) P(l)(a . b): it knows only the angle between."""
    a, b = random_rays(60, seed=1), random_rays(60, seed=2)
    products = spherical_harmonics(a, degree=L) * spherical_harmonics(b, degree=L)
    for degree in range(L + 1):
        got = products[:, degree**2 : (degree + 1) ** 2].sum(dim=-1)
        legendre = legval((a * b).sum(dim=-1).numpy(), np.eye(L + 1)[degree])
        wanted = torch.from_numpy((2 * degree + 1) / (4 * np.pi) * legendre)
        torch.testing.assert_close(got, wanted, rtol=0, atol=1e-12)


def test_poles_and_their_slopes_are_finite():
    rays = torch.tensor([[0.0, -1.0, 0.0], [0.0, 1.0, 0.0]], requires_grad=True)
    y = spherical_harmonics(rays, degree=L)
    y.sum().backward()
    assert torch.isfinite(y).all() and torch.isfinite(rays.grad).all()
    assert [n for n in range(81) if abs(float(y[0, n].detach())) > 1e-6] == [d * d + d for d in range(9)]  # m = 0 alone


def test_a_place_is_heard_beside_a_token():
    torch.manual_seed(0)
    position = SphericalPosition(width=24, scale=0.3)
    seen = torch.randn(2, 50, 24)
    added = (position(seen, random_rays(50).float()) - seen).detach()
    torch.testing.assert_close(added[0], added[1])
    assert 0.03 < float(added.square().mean().sqrt()) < 0.3


def test_too_high_a_degree_is_refused():
    with pytest.raises(ModelError, match=r"position.degree is 9; .* from 0 to 8"):
        spherical_harmonics(random_rays(1), degree=9)
