import math

import numpy as np
import pytest

from panollava.errors import GeometryError
from panollava.geometry import e2p_bands, tangent
from panollava.geometry.tangent import covering_deg, tangent_centres


@pytest.mark.parametrize(
    ("count", "nearest_deg"), [(12, math.degrees(math.atan(2))), (20, math.degrees(math.acos(math.sqrt(5) / 3)))]
)
def test_the_solids_have_their_angles(count, nearest_deg):
    cosines = tangent_centres("icosahedron", count) @ tangent_centres("icosahedron", count).T
    np.testing.assert_allclose(np.diag(cosines), 1.0)
    nearest = np.degrees(np.arccos(np.sort(cosines, axis=1)[:, -2]))
    np.testing.assert_allclose(nearest, nearest_deg)


def test_eighty_faces_are_a_subdivision_of_twenty():
    coarse, fine = tangent_centres("icosahedron", 20), tangent_centres("icosahedron", 80)
    assert len(fine) == 80
    np.testing.assert_allclose((coarse @ fine.T).max(axis=1), 1.0)  # the middle one of every four
    assert np.linalg.norm(fine.sum(axis=0)) < 1e-9


@pytest.mark.parametrize(("arrangement", "count"), [("icosahedron", 12), ("icosahedron", 80), ("fibonacci", 26)])
def test_default_views_cover_the_sphere_and_hardly_more(arrangement, count):
    assert tangent(arrangement=arrangement, count=count).coverage() == 1.0
    radius = covering_deg(tangent_centres(arrangement, count))
    cap_share = (1 - math.cos(math.radians(radius))) / 2
    assert 1.0 < count * cap_share < 3.0


def test_the_icosahedron_needs_its_known_radius():
    assert covering_deg(tangent_centres("icosahedron", 12)) == pytest.approx(37.38, abs=0.3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"arrangement": "cube"}, "unknown arrangement of tangent views 'cube'"),
        ({"count": 13}, "icosahedron has no 13 even places; choose 12, 20, 80"),
        ({"arrangement": "fibonacci", "count": 0}, "0 tangent views; give 1 to 1024"),
        ({"arrangement": "fibonacci", "count": 1}, r"1 tangent views would each need \d+ degrees .* take more"),
    ],
)
def test_impossible_sets_are_refused(options, message):
    with pytest.raises(GeometryError, match=message):
        tangent(**options)


def test_bands_thin_out_towards_the_poles_and_keep_their_overlap():
    layout = e2p_bands(pitches_deg=(0, 70, -70), hfov_deg=40, overlap=0.25, poles=True, global_size_px=(8, 16))
    counts = {p: sum(v.pitch_deg == p and not v.is_global for v in layout.views) for p in (70, 0, -70, 90, -90)}
    assert counts == {70: 8, 0: 12, -70: 8, 90: 1, -90: 1}
    assert [layout.views[i].pitch_deg for i in layout.ring_indices] == [0.0] * 12
    assert layout.views[0].pitch_deg == 70 and layout.views[-1].is_global
    ring = [layout.views[i] for i in layout.ring_indices]
    assert {(a, b) for a, b in layout.overlap_pairs()} >= {
        tuple(sorted((layout.ring_indices[i], layout.ring_indices[(i + 1) % 12]))) for i in range(len(ring))
    }


@pytest.mark.parametrize("pitches_deg", [(), (0, 0)])
def test_bands_need_different_pitches(pitches_deg):
    with pytest.raises(GeometryError, match="one or more different pitches"):
        e2p_bands(pitches_deg=pitches_deg)
