import numpy as np
import pytest

from panollava.errors import GeometryError
from panollava.geometry import anyres, contact_sheet, cubemap, e2p_ring, render_views, resize


def grey(layout, level=100):
    return [np.full((view.height_px, view.width_px, 3), level, np.uint8) for view in layout.views]


@pytest.mark.parametrize("layout", [e2p_ring(), cubemap(), anyres(), resize()], ids=lambda x: x.name)
@pytest.mark.parametrize("columns", [1, 4])
def test_the_sheet_is_a_picture_as_wide_as_its_columns(layout, columns):
    sheet = contact_sheet(grey(layout), layout, columns=columns, cell_px=64)
    across = columns if len(layout.views) > 1 else 2
    assert sheet.dtype == np.uint8
    assert sheet.shape[1] == across * 64 + (across - 1) * 14 + 28
    assert sheet.shape[2] == 3


def test_every_view_is_in_its_cell():
    layout = cubemap(size_px=64)
    images = [np.full((64, 64, 3), 40 * i + 20, np.uint8) for i in range(6)]
    sheet = contact_sheet(images, layout, columns=4, cell_px=64)
    for i in range(6):
        row, col = divmod(i, 4)
        top, left = 14 + row * (64 + 40 + 14), 14 + col * (64 + 14)
        cell = sheet[top : top + 64, left : left + 64]
        assert np.median(cell) == 40 * i + 20
        assert sheet[top + 64 : top + 104, left : left + 64].max() > 200  # its label


def test_the_horizon_is_drawn_where_the_pitch_is_zero():
    layout = e2p_ring(pitch_deg=20, size_px=101, global_size_px=None)
    cell = contact_sheet(grey(layout, 0), layout, cell_px=101)[14:115, 14:115].astype(int)
    yellow = cell[:, 50, 0] - cell[:, 50, 2]  # red without blue
    row = int(np.argmax(yellow))
    assert row == pytest.approx((1 + np.tan(np.deg2rad(20))) / 2 * 101 - 0.5, abs=1)


def test_no_line_joins_the_two_sides_of_the_seam():
    layout = resize(size_px=(90, 180))
    sheet = contact_sheet(render_views(np.zeros((90, 180, 3), np.uint8), layout), layout, cell_px=90)
    picture = sheet[14:111, 14:208, 0]
    between = picture[[5, 6, 7, 8, 9, 10]]  # rows above the first parallel: only meridians cross them
    assert (between.max(axis=0) > 0).mean() < 0.3


def test_images_that_do_not_fit_are_refused():
    layout = cubemap(size_px=8)
    with pytest.raises(GeometryError, match="5 images for layout 'cubemap' with 6 views"):
        contact_sheet(grey(layout)[:5], layout)
    with pytest.raises(GeometryError, match=r"the image of view 'front' is uint8 \(4, 4, 3\)"):
        contact_sheet([np.zeros((4, 4, 3), np.uint8)] * 6, layout)
    with pytest.raises(GeometryError, match="columns is 0"):
        contact_sheet(grey(layout), layout, columns=0)
