"""Circular rotary positions: a turn, of whole multiples of an angle."""

import math

import numpy as np
import pytest
import torch

from panollava.geometry import ray_from_angles
from panollava.models.positions import RotaryPosition


def rays(yaw_deg, pitch_deg):
    yaw, pitch = np.broadcast_arrays(np.radians(yaw_deg), np.radians(pitch_deg))
    return torch.from_numpy(np.ascontiguousarray(ray_from_angles(yaw, pitch)))


def turned(tokens, yaw_deg, pitch_deg=0.0, *, harmonics=5):
    return RotaryPosition(width=tokens.shape[-1], harmonics=harmonics)(tokens[None], rays(yaw_deg, pitch_deg))[0]


def tokens(count=6, width=48, seed=0):
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed), dtype=torch.double)


def test_pairs_turn_by_the_angles_of_the_docstring():
    yaw, pitch = 70.0, -25.0
    x = tokens(1, 16)
    got = turned(x, [yaw], [pitch], harmonics=3)[0]
    angles = [math.radians(a) for a in (yaw, 2 * yaw, 3 * yaw, yaw, 2 * pitch, 3 * pitch, 0.0, 0.0)]
    for pair, angle in enumerate(angles):
        a, b = x[0, 2 * pair], x[0, 2 * pair + 1]
        wanted = [a * math.cos(angle) - b * math.sin(angle), a * math.sin(angle) + b * math.cos(angle)]
        torch.testing.assert_close(got[2 * pair : 2 * pair + 2], torch.stack(wanted))


@pytest.mark.parametrize("width", [48, 49, 3])
def test_no_token_changes_its_length(width):
    x = tokens(12, width)
    got = turned(x, np.linspace(-180, 165, 12), np.linspace(-90, 90, 12))
    torch.testing.assert_close(got.norm(dim=-1), x.norm(dim=-1))
    if width % 2:
        assert torch.equal(got[:, -1], x[:, -1])


def test_both_sides_of_the_seam_are_one_place():
    x = tokens(5)
    pitch = np.linspace(-80, 80, 5)
    torch.testing.assert_close(turned(x, 180.0, pitch), turned(x, -180.0, pitch))
    torch.testing.assert_close(turned(x, 179.9999, pitch), turned(x, -179.9999, pitch), atol=1e-3, rtol=0)


@pytest.mark.parametrize("turn", [33.0, 90.0, 200.0, -147.5])
def test_dot_products_do_not_know_which_way_is_front(turn):
    one, two = tokens(6, seed=1), tokens(6, seed=2)
    yaw, other = np.linspace(-170, 170, 6), np.linspace(100, -230, 6)
    before = turned(one, yaw, 10.0) @ turned(two, other, -30.0).T
    after = turned(one, yaw + turn, 10.0) @ turned(two, other + turn, -30.0).T
    torch.testing.assert_close(after, before)
    assert not torch.allclose(turned(one, yaw + turn, 10.0), turned(one, yaw, 10.0), atol=0.1)


def test_left_and_right_and_up_and_down_are_told_apart():
    x = tokens(1).expand(4, -1)
    four = turned(x, np.array([90.0, -90.0, 0.0, 0.0]), np.array([0.0, 0.0, 60.0, -60.0]))
    assert (torch.cdist(four, four) + 10 * torch.eye(4)).min() > 1.0


def test_it_turns_in_the_type_of_the_tokens():
    position = RotaryPosition(width=8)
    for dtype in (torch.float32, torch.bfloat16):
        assert position(torch.ones(1, 2, 8, dtype=dtype), rays([0.0, 90.0], 0.0).float()).dtype == dtype
    assert list(position.parameters()) == []
