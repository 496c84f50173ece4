import numpy as np
import pytest

from panollava.errors import GeometryError
from panollava.geometry import anyres, contact_sheet, cubemap, e2p_ring, resize


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


def test_meridians_are_thirty_degrees_apart_and_faint():
    layout = resize(size_px=(180, 360))
    sheet = contact_sheet(grey(layout, 0), layout, cell_px=173)  # 2 x 173 + 14 columns: one per degree
    above = sheet[14 + 5 : 14 + 25, 14:374, 0].mean(axis=0)  # between the pole and the first parallel
    lines = np.flatnonzero(above > 20)
    assert {round(line / 30) * 30 for line in lines.tolist()} - {0} == set(range(30, 360, 30))  # 0 is the edge itself
    assert np.abs(lines - np.round(lines / 30) * 30).max() <= 1
    assert above.max() < 100


def test_images_that_do_not_fit_are_refused():
    layout = cubemap(size_px=8)
    with pytest.raises(GeometryError, match="5 images for layout 'cubemap' with 6 views"):
        contact_sheet(grey(layout)[:5], layout)
    with pytest.raises(GeometryError, match=r"the image of view 'front' is uint8 \(4, 4, 3\)"):
        contact_sheet([np.zeros((4, 4, 3), np.uint8)] * 6, layout)
    with pytest.raises(GeometryError, match="columns is 0"):
        contact_sheet(grey(layout), layout, columns=0)
