import subprocess
import sys

import numpy as np
import pytest

from panollava.errors import GeometryError
from panollava.geometry import anyres, build_layout, cubemap, e2p_ring, erp_rays, resize, sliding_window


@pytest.mark.parametrize(
    ("hfov_deg", "overlap", "count"),
    [(90, 0.5, 8), (90, 0.0, 4), (90, 0.25, 6), (45, 0.25, 11), (65, 0.0, 6), (120, 0.0, 3), (100, 0.1, 4)],
)
@pytest.mark.parametrize("build", [e2p_ring, sliding_window])
def test_a_ring_has_as_few_views_as_keep_the_overlap(build, hfov_deg, overlap, count):
    layout = build(hfov_deg=hfov_deg, overlap=overlap, global_size_px=None)
    assert len(layout.views) == count
    assert layout.ring_indices == tuple(range(count))
    stride = 360 / count
    assert 1 - stride / hfov_deg >= overlap - 1e-12
    assert 1 - (360 / (count - 1)) / hfov_deg < overlap
    yaws = np.array([view.yaw_deg for view in layout.views])
    assert yaws[0] == 0.0
    np.testing.assert_allclose(np.diff(yaws) % 360, stride)


def test_e2p_is_named_by_direction_and_the_global_view_comes_last():
    layout = e2p_ring(size_px=(32, 64), pitch_deg=-10)
    names = [view.name for view in layout.views]
    assert names[:3] == ["front", "front right", "right"] and names[-1] == "global"
    assert layout.views[0].pitch_deg == -10 and (layout.views[0].height_px, layout.views[0].width_px) == (
        32,
        64,
    )
    assert layout.views[-1].is_global and 8 not in layout.ring_indices
    assert [view.name for view in e2p_ring(overlap=0.25).views][1] == "yaw +60"


def test_cube_faces_look_where_they_say():
    by_name = {view.name: view.rays(1, 1)[0, 0].round(9).tolist() for view in cubemap().views}
    assert by_name == {
        "front": [0, 0, 1],
        "right": [1, 0, 0],
        "behind": [0, 0, -1],
        "left": [-1, 0, 0],
        "up": [0, -1, 0],
        "down": [0, 1, 0],
    }
    assert len(cubemap(poles=False, global_size_px=(8, 16)).views) == 5


def test_anyres_tiles_cut_the_flat_picture():
    layout = anyres(grid=(2, 4), tile_px=16)
    rays = erp_rays(32, 64)
    for index in range(8):
        row, col = divmod(index, 4)
        tile = rays[row * 16 : row * 16 + 16, col * 16 : col * 16 + 16]
        np.testing.assert_allclose(layout.views[index].rays(16, 16), tile, atol=1e-12)
    assert anyres(grid=(1, 6)).ring_indices == (0, 1, 2, 3, 4, 5)


def test_resize_is_the_global_view_alone():
    layout = resize(size_px=224)
    assert [view.is_global for view in layout.views] == [True]
    assert (layout.views[0].height_px, layout.views[0].width_px) == (224, 224)
    assert layout.ring_indices == ()


def test_build_layout_takes_plain_values():
    built = build_layout("e2p", hfov_deg=90, overlap=0.5, global_size_px=[96, 192])
    assert built == e2p_ring()


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("e2", {}, "unknown layout 'e2'. Did you mean 'e2p'"),
        ("e2p", {"hfov": 90}, "unknown option of layout 'e2p' 'hfov'. Did you mean 'hfov_deg'"),
        ("e2p", {"hfov_deg": 180}, "hfov_deg is 180"),
        ("e2p", {"hfov_deg": -5}, "hfov_deg is -5"),
        ("e2p", {"overlap": 1.0}, "overlap is 1.0; it is 1 - stride / hfov"),
        ("e2p", {"overlap": -0.1}, "overlap is -0.1"),
        ("e2p", {"overlap": 0.999}, "makes 4000 views; at most 256"),
        ("e2p", {"size_px": 0}, "size_px is 0"),
        ("e2p", {"size_px": (8, 8, 3)}, r"size_px is \(8, 8, 3\); give one number or a pair"),
        ("cubemap", {"size_px": (8, 9)}, "the faces of a cube are square"),
        ("anyres", {"grid": (0, 4)}, "grid is 0"),
    ],
)
def test_impossible_options_are_refused(kind, options, message):
    with pytest.raises(GeometryError, match=message):
        build_layout(kind, **options)


def test_the_room_does_not_import_torch():
    code = "import sys, panollava.geometry; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
