"""What docs/positions.md claims of each position, and that those without a claim do fail it.

A ring of windows of the ERP is measured: its columns are even in yaw, so that columns of neighbouring views see exactly
the same rays, over the seam too.
"""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from panollava.geometry import angles_from_ray, build_layout, ray_from_angles
from panollava.models.positions import POSITIONS, build_position, ray_features, spherical_harmonics, token_places
from panollava.models.resamplers import MlpResampler

PAGE = Path(__file__).parents[4] / "docs" / "positions.md"
WIDTH = 32
CLOSED = {"ray", "spherical", "rotary"}
EQUIVARIANT = {"ray", "spherical", "rotary"}
POLES = {"ray", "spherical"}
MEASURED = sorted({*POSITIONS} - {"none", "panorope"})


@pytest.fixture(scope="module")
def ring():
    return build_layout(
        "sliding", hfov_deg=90.0, vfov_deg=90.0, overlap=0.5, pitch_deg=0.0, size_px=32, global_size_px=None
    )


@pytest.fixture(scope="module")
def places(ring):
    return token_places(ring, patch_grids=[(4, 4)], resampler=MlpResampler(width=8, pool=1))


def vectors(kind, ring, places, rays=None):
    """Return what a kind adds to a token, before any learned layer; for a turn, one token turned everywhere."""
    rays = (places.rays if rays is None else rays).double()
    if kind == "ray":
        return ray_features(rays, harmonics=6)
    if kind == "spherical":
        return spherical_harmonics(rays, degree=6)
    position = build_position(kind, layout=ring, places=places, token_width=WIDTH, width=WIDTH, scale=1.0)
    token = torch.zeros(WIDTH) if position.before_projector else torch.arange(1.0, WIDTH + 1)
    return position(token.expand(1, len(rays), -1).double(), rays)[0]


def pairs_of_one_ray(places, *, over_the_seam):
    same = (places.rays @ places.rays.T > 1 - 1e-6) & (places.view[:, None] != places.view[None, :])
    a, b = same.nonzero().T
    crosses = (places.view[a] - places.view[b]).abs() > 1  # views 0 and 7
    return a[crosses == over_the_seam], b[crosses == over_the_seam]


@pytest.mark.parametrize("kind", MEASURED)
def test_one_ray_has_one_encoding_over_the_seam(kind, ring, places):
    found = vectors(kind, ring, places)
    a, b = pairs_of_one_ray(places, over_the_seam=True)
    assert len(a) == 2 * 8  # two shared columns of four rows, both ways
    gap = float((found[a] - found[b]).abs().max())
    assert (gap < 1e-4) == (kind in CLOSED)
    assert gap < 1e-4 or gap > 0.1


def test_the_seeds_neighbours_agree_until_the_row_of_views_ends(ring, places):
    a, b = pairs_of_one_ray(places, over_the_seam=False)
    found = vectors("seed", ring, places)
    torch.testing.assert_close(found[a], found[b], atol=1e-5, rtol=0)
    perspective = build_layout("e2p", hfov_deg=90.0, overlap=0.5, pitch_deg=0.0, size_px=32, global_size_px=None)
    cells = token_places(perspective, patch_grids=[(16, 16)], resampler=MlpResampler(width=8, pool=1))
    found = vectors("seed", perspective, cells)
    column = (cells.view == 0) & (cells.row == 8) & (cells.col == 14)
    paired = (cells.view == 1) & (cells.row == 8) & (cells.col == 6)
    torch.testing.assert_close(found[column], found[paired])  # the same column of the row of views,
    apart = torch.rad2deg(torch.arccos((cells.rays[column] * cells.rays[paired]).sum()))
    assert apart > 2.0  # but not the same direction, as a column is no angle


@pytest.mark.parametrize("kind", MEASURED)
def test_products_depend_on_the_difference_of_yaws_alone(kind, ring, places):
    """On a level circle, for every two tokens so many degrees apart: one product, wherever they are."""
    level = (places.row == 1).nonzero()[:, 0]
    found = vectors(kind, ring, places)[level]
    yaw = np.degrees(angles_from_ray(places.rays[level].double().numpy())[0])
    products = (found @ found.T).numpy()
    apart = np.round((yaw[None, :] - yaw[:, None]) % 360.0, 2) % 360.0
    spread = max(np.ptp(products[apart == step]) for step in np.unique(apart)) / np.abs(products).max()
    assert (spread < 1e-4) == (kind in EQUIVARIANT)
    assert spread < 1e-4 or spread > 0.01


@pytest.mark.parametrize("kind", sorted(CLOSED))
@pytest.mark.parametrize("pitch", [-80.0, 0.0, 45.0])
def test_a_step_over_the_seam_is_a_step_like_any_other(kind, pitch, ring, places):
    yaw = np.radians(np.linspace(-180, 180, 721))
    circle = torch.from_numpy(ray_from_angles(yaw, np.full_like(yaw, np.radians(pitch))))
    found = vectors(kind, ring, places, rays=circle)
    torch.testing.assert_close(found[0], found[-1], atol=1e-6, rtol=0)
    steps = (found[1:] - found[:-1]).norm(dim=-1)
    assert float(steps.max()) < 1.05 * float(steps.median())


@pytest.mark.parametrize("kind", sorted(CLOSED))
def test_around_a_pole(kind, ring, places):
    yaw = np.linspace(-np.pi, np.pi, 13)
    around = torch.from_numpy(ray_from_angles(yaw, np.full_like(yaw, np.radians(90 - 1e-4))))
    found = vectors(kind, ring, places, rays=around)
    gap = float((found - found[0]).abs().max() / found.abs().max())
    assert (gap < 1e-3) == (kind in POLES)


def test_the_page_says_the_same():
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in PAGE.read_text(encoding="utf-8").splitlines()
        if re.match(r"\| `\w+` \|", line)
    ]
    said = {row[0].strip("`"): row for row in rows}
    assert set(said) == set(POSITIONS)
    for kind in POSITIONS:
        claims = [cell.startswith("yes") for cell in said[kind][3:6]]
        assert claims == [kind in CLOSED, kind in POLES, kind in EQUIVARIANT], kind
