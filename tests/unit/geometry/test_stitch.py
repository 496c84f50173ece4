"""Views put together again: against the sphere they were rendered from, and against each other."""

import numpy as np
import pytest
import torch

from panollava.errors import GeometryError
from panollava.geometry import (
    ViewLayout,
    ViewSpec,
    anyres,
    cubemap,
    e2p_bands,
    e2p_ring,
    erp_coverage,
    erp_from_views,
    erp_rays,
    render_views,
    resize,
    roll_erp,
    sliding_window,
    stitch,
    tangent,
)
from panollava.geometry.stitch_torch import erp_from_views_torch

from .conftest import paint

LAYOUTS = {
    "cubemap": cubemap(size_px=128),
    "ring": e2p_ring(size_px=128, global_size_px=(16, 32)),
    "bands": e2p_bands(size_px=96, poles=True, global_size_px=None),
    "icosahedron": tangent(count=20, size_px=96),
    "fibonacci": tangent(arrangement="fibonacci", count=33, size_px=96),
    "sliding": sliding_window(size_px=128, vfov_deg=180),
    "tiles": anyres(grid=(2, 4), tile_px=64, global_size_px=None),
    "resized": resize(size_px=(128, 256)),
}


def painted_views(layout: ViewLayout) -> list[np.ndarray]:
    """Return exact pictures of the painted sphere, seen by each view: no rendering, so no rendering error."""
    return [paint(view.rays(view.height_px, view.width_px)).astype(np.float32) for view in layout.views]


@pytest.mark.parametrize("blend", ["owner", "feather"])
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_the_sphere_comes_back(layout, blend):
    erp = erp_from_views(painted_views(layout), layout, height=128, width=256, blend=blend)
    seen = erp_coverage(layout, height=128, width=256)
    error = np.abs(erp - paint(erp_rays(128, 256)))[seen]
    assert error.max() < 4.0  # the bilinear error of waves of 20 pixels; more where a layout ends and repeats a pixel
    assert np.sqrt((error**2).mean()) < 0.6
    assert (erp[~seen] == 0).all()


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_coverage_is_what_the_views_see(layout):
    seen = np.zeros((64, 128), bool)
    for view in [v for v in layout.views if not v.is_global] or layout.views:
        seen |= view.project(erp_rays(64, 128))[2]
    assert np.mean(erp_coverage(layout, height=64, width=128) != seen) < 1e-3
    assert layout.name in ("e2p",) or seen.all()


@pytest.mark.parametrize(("size_px", "psnr_db"), [(512, 65.0), (256, 55.0)])
def test_a_cube_round_trip_keeps_the_panorama(size_px, psnr_db):
    """Waves of 32 pixels; without a border from the neighbours the edges of the faces alone break this."""
    rays, random = erp_rays(512, 1024), np.random.default_rng(0)
    waves = random.normal(size=(6, 3))
    waves *= 1024 / 32 / np.linalg.norm(waves, axis=1, keepdims=True)
    erp = (127.5 + 15 * np.sin(rays @ waves.T + random.uniform(0, 6, 6)).sum(axis=-1, keepdims=True)).astype(np.float32)
    layout = cubemap(size_px=size_px)
    back = erp_from_views(render_views(erp, layout, antialias="none"), layout, height=512, width=1024)
    error = back - erp
    assert 10 * np.log10(255**2 / np.mean(error**2)) > psnr_db
    assert np.abs(error).max() <= 4.0


def test_half_a_pixel_at_an_edge_is_read_from_the_neighbour():
    """One face white, the others black: the ERP pixel on the edge is a mixture, not the white face repeated."""
    layout = cubemap(size_px=4)
    faces = [np.full((4, 4, 1), 255.0 if i == 0 else 0.0, np.float32) for i in range(6)]
    row = erp_from_views(faces, layout, height=255, width=720)[127, :, 0]
    np.testing.assert_allclose(row[[269, 270, 449, 450]], 127.5, atol=8)  # yaw -45 and 45
    assert np.abs(np.diff(row)).max() < 10  # no step anywhere


@pytest.mark.parametrize("blend", ["owner", "feather"])
def test_bytes_are_stitched_like_floats(blend, painted_erp):
    layout = e2p_bands(size_px=96, poles=True, global_size_px=None)
    views = render_views(painted_erp(512, 1024), layout)
    exact = erp_from_views([v.astype(np.float32) for v in views], layout, height=200, width=400, blend=blend)
    error = erp_from_views(views, layout, height=200, width=400, blend=blend) - exact
    assert np.abs(error).max() <= 1.6
    assert abs(error.mean()) < 0.05


def test_turning_the_views_turns_the_panorama(noise_erp):
    layout = e2p_ring(size_px=32, global_size_px=None)
    views = render_views(noise_erp(64, 128), layout)
    plain = erp_from_views(views, layout, height=64, width=128)
    turned = erp_from_views([views[-1], *views[:-1]], layout, height=64, width=128)
    np.testing.assert_array_equal(turned, roll_erp(plain, 16))


def test_feathering_hides_a_step_that_owners_show():
    layout = e2p_ring(size_px=64, global_size_px=None)
    views = [np.full((64, 64), 100.0 + 10.0 * (i % 2), np.float32) for i in range(8)]
    steps = {
        blend: np.abs(np.diff(erp_from_views(views, layout, height=64, width=256, blend=blend)[32])).max()
        for blend in ("owner", "feather")
    }
    assert steps["owner"] == 10.0
    assert steps["feather"] < 1.0


@pytest.mark.parametrize("blend", ["owner", "feather"])
@pytest.mark.parametrize("name", ["cubemap", "ring", "icosahedron", "tiles"])
def test_both_stitchers_agree(name, blend):
    layout = LAYOUTS[name]
    views = painted_views(layout)
    tensors = [torch.from_numpy(view).permute(2, 0, 1)[None] for view in views]
    expected = erp_from_views(views, layout, height=90, width=180, blend=blend, fill=7)
    got = erp_from_views_torch(tensors, layout, height=90, width=180, blend=blend, fill=7.0)
    np.testing.assert_allclose(got[0].permute(1, 2, 0).numpy(), expected, atol=0.05)


def test_gradients_reach_every_view():
    layout = cubemap(size_px=3)
    views = [torch.rand(1, 1, 3, 3, dtype=torch.float64, requires_grad=True) for _ in layout.views]
    for blend in ("owner", "feather"):
        assert torch.autograd.gradcheck(
            lambda *v, blend=blend: erp_from_views_torch(v, layout, height=6, width=12, blend=blend), tuple(views)
        )


def test_a_second_panorama_plans_nothing(noise_erp):
    layout = cubemap(size_px=24)
    views = render_views(noise_erp(64, 128), layout)
    erp_from_views(views, layout, height=50, width=100)
    before = stitch._patches.builds
    erp_from_views(views, layout, height=50, width=100)
    assert stitch._patches.builds == before


def test_much_finer_views_are_averaged_not_skipped(noise_erp):
    layout = cubemap(size_px=256)
    noise = [np.random.default_rng(i).uniform(0, 255, (256, 256)).astype(np.float32) for i in range(6)]
    assert erp_from_views(noise, layout, height=32, width=64).std() < 0.5 * noise[0].std()


@pytest.mark.parametrize(
    ("views", "message"),
    [
        ([np.zeros((8, 8, 3), np.uint8)] * 5, "5 pictures for layout 'cubemap' with 6 views"),
        ([np.zeros((8, 9, 3), np.uint8)] * 6, r"view 'front' is 8 x 9 \(height x width\); the layout says 8 x 8"),
        ([np.zeros((8, 8, 3), np.uint8)] * 5 + [np.zeros((8, 8, 3), np.float32)], "view 'down' is float32"),
        ([np.zeros((8, 8, 3), np.int32)] * 6, "is int32"),
    ],
)
def test_views_that_do_not_fit_are_refused(views, message):
    with pytest.raises(GeometryError, match=message):
        erp_from_views(views, cubemap(size_px=8), height=16, width=32)


def test_other_mistakes_are_named():
    faces = [np.zeros((8, 8, 3), np.uint8)] * 6
    with pytest.raises(GeometryError, match="unknown blend 'feathered'"):
        erp_from_views(faces, cubemap(size_px=8), height=16, width=32, blend="feathered")
    with pytest.raises(GeometryError, match="height is 0"):
        erp_from_views(faces, cubemap(size_px=8), height=0, width=32)
    with pytest.raises(GeometryError, match=r"view 'front' is torch.float32 of shape \(1, 3, 8, 9\)"):
        erp_from_views_torch([torch.zeros(1, 3, 8, 9)] * 6, cubemap(size_px=8), height=16, width=32)


def test_a_rolled_view_is_stitched_where_it_looks():
    view = ViewSpec.perspective("v", yaw_deg=170, pitch_deg=40, roll_deg=30, hfov_deg=60, height_px=90, width_px=120)
    layout = ViewLayout((view,), "one")
    erp = erp_from_views(painted_views(layout), layout, height=180, width=360)
    seen = erp_coverage(layout, height=180, width=360)
    np.testing.assert_allclose(erp[seen], paint(erp_rays(180, 360))[seen], atol=4.0)
    assert 0.9 < seen.mean() / np.mean(view.project(erp_rays(180, 360))[2]) < 1.1
