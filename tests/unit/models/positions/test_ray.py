"""The ray encoding: smooth on the sphere, with no seam, and never the same for two directions."""

import math

import numpy as np
import pytest
import torch

from panollava.geometry import ray_from_angles
from panollava.models.positions import RayPosition, ray_features
from panollava.models.projector import Projector

N = 6


def rays(yaw_deg, pitch_deg):
    yaw, pitch = np.broadcast_arrays(np.radians(yaw_deg), np.radians(pitch_deg))
    return torch.from_numpy(np.ascontiguousarray(ray_from_angles(yaw, pitch))).double()


def features(yaw_deg, pitch_deg):
    return ray_features(rays(yaw_deg, pitch_deg), harmonics=N)


def test_the_features_are_those_of_the_docstring():
    yaw, pitch = math.radians(70.0), math.radians(-25.0)
    n = np.arange(1, N + 1)
    wanted = np.concatenate(
        [np.cos(pitch) * np.sin(n * yaw), np.cos(pitch) * np.cos(n * yaw), np.sin(n * pitch), np.cos(n * pitch)]
    )
    np.testing.assert_allclose(features(70.0, -25.0).numpy(), wanted, atol=1e-12)


def test_there_is_no_seam():
    pitch = np.linspace(-80, 80, 17)
    torch.testing.assert_close(features(179.999, pitch), features(-179.999, pitch), atol=1e-3, rtol=0)
    torch.testing.assert_close(features(180.0, pitch), features(-180.0, pitch))


@pytest.mark.parametrize("pole", [-90.0, 90.0])
def test_the_poles_have_no_yaw(pole):
    around = features(np.linspace(-180, 180, 13), pole * (1 - 1e-6))
    assert (around - around[0]).abs().max() < 1e-5
    assert torch.isfinite(features(0.0, pole)).all()


def test_a_small_turn_is_a_small_change_everywhere():
    yaw = np.linspace(-180, 180, 721)
    for pitch in (-89.0, -45.0, 0.0, 60.0, 89.9):
        step = (features(yaw[1:], pitch) - features(yaw[:-1], pitch)).norm(dim=-1)
        assert step.max() < N * N * math.radians(0.5)


def test_turning_the_panorama_turns_every_harmonic_by_its_multiple():
    """cos and sin of n(y + t) follow from those of n y by a rotation by n t; the height features stay."""
    yaw, pitch, turn = np.linspace(-170, 170, 9), np.linspace(-60, 60, 9), 33.0
    before, after = features(yaw, pitch), features(yaw + turn, pitch)
    angle = math.radians(turn) * torch.arange(1, N + 1).double()
    sine, cosine = before[:, :N], before[:, N : 2 * N]
    torch.testing.assert_close(after[:, :N], sine * angle.cos() + cosine * angle.sin())
    torch.testing.assert_close(after[:, N : 2 * N], cosine * angle.cos() - sine * angle.sin())
    torch.testing.assert_close(after[:, 2 * N :], before[:, 2 * N :])


def test_left_and_right_front_and_behind_up_and_down_differ():
    six = features(np.array([0.0, 90.0, 180.0, -90.0, 0.0, 0.0]), np.array([0.0, 0.0, 0.0, 0.0, 60.0, -60.0]))
    apart = torch.cdist(six, six) + 10 * torch.eye(6)
    assert apart.min() > 1.0
    assert features(90.0, 0.0)[0] == pytest.approx(1.0)  # yaw is right-positive


def test_the_vector_of_a_ray_is_added_to_its_token():
    torch.manual_seed(0)
    position = RayPosition(width=24, harmonics=N, scale=0.3)
    encoded = position(torch.zeros(2, 12, 24), rays(np.linspace(-180, 180, 12), 0.0).float())
    assert encoded.shape == (2, 12, 24)
    torch.testing.assert_close(encoded[0, 0], encoded[0, 11], atol=1e-5, rtol=0)  # -180 and 180
    assert 0.05 < encoded.square().mean().sqrt() < 0.6  # of the order of a word embedding
    seen = torch.randn(2, 12, 24)
    torch.testing.assert_close(position(seen, rays(np.linspace(-180, 180, 12), 0.0).float()) - seen, encoded)


@pytest.mark.parametrize("scale", [0.02, 1.5])
def test_a_projected_token_starts_at_the_length_of_a_word(scale):
    torch.manual_seed(0)
    projector = Projector(in_width=12, out_width=40, scale=scale)
    for size in (0.01, 1.0, 100.0):  # whatever the resampler's scale
        tokens = projector(size * torch.randn(64, 12))
        assert float(tokens.detach().square().mean().sqrt()) == pytest.approx(scale, rel=0.01)
