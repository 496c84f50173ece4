import numpy as np
import pytest

from panollava.errors import GeometryError
from panollava.geometry import (
    ViewLayout,
    ViewSpec,
    build_layout,
    e2p_ring,
    erp_pixel_from_ray,
    erp_rays,
    render_views,
    roll_erp,
)
from panollava.geometry import render as render_module
from panollava.geometry.antialias import halvings
from panollava.geometry.boxes import window_edges
from panollava.geometry.erp_pixels import Window, extract_window


def look(yaw_deg=0.0, pitch_deg=0.0, roll_deg=0.0, hfov_deg=90.0, height_px=48, width_px=48):
    return ViewSpec.perspective(
        "view",
        yaw_deg=yaw_deg,
        pitch_deg=pitch_deg,
        roll_deg=roll_deg,
        hfov_deg=hfov_deg,
        height_px=height_px,
        width_px=width_px,
    )


def window(**changes):
    return ViewSpec.window("view", **({"height_px": 24, "width_px": 48} | changes))


def render(erp, view, **options):
    return render_views(erp, ViewLayout((view,), "test"), **options)[0]


def exact_bilinear(erp, view):
    """Four taps in float64 from a picture padded by hand: the slow and certain way."""
    height, width = erp.shape[:2]
    rows = np.concatenate([np.roll(erp[:1], width // 2, 1), erp, np.roll(erp[-1:], width // 2, 1)]).astype(float)
    u, v = erp_pixel_from_ray(view.rays(view.height_px, view.width_px), height=height, width=width)
    u0, v0 = np.floor(u).astype(int), np.floor(v).astype(int)
    a, b = (u - u0)[..., None], (v - v0)[..., None]

    def tap(row, col):
        return rows[row + 1, col % width]

    upper = tap(v0, u0) * (1 - a) + tap(v0, u0 + 1) * a
    lower = tap(v0 + 1, u0) * (1 - a) + tap(v0 + 1, u0 + 1) * a
    return upper * (1 - b) + lower * b


VIEWS = {
    "front": look(),
    "seam": look(180),
    "seam, narrow": look(180, hfov_deg=20),
    "seam, off the column grid": look(179.3, hfov_deg=20),
    "turned": look(-170, 35, 40),
    "wide and flat": look(100, 10, hfov_deg=140, height_px=20, width_px=60),
    "zenith": look(0, 90),
    "nadir": look(77, -90, 10),
    "zenith, narrow": look(0, 90, hfov_deg=5),
    "nadir, narrow": look(-30, -90, hfov_deg=5),
    "beside the pole": look(140, 84, -20, hfov_deg=20),
}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_floats_are_read_exactly(view, noise_erp):
    erp = noise_erp(64, 120).astype(np.float32)
    image = render(erp, view, antialias="none")
    assert image.dtype == np.float32
    np.testing.assert_allclose(image, exact_bilinear(erp, view), atol=0.02)


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_bytes_are_read_exactly_when_asked(view, noise_erp):
    erp = noise_erp(64, 120)
    image = render(erp, view, antialias="none", exact=True)
    assert np.abs(image - exact_bilinear(erp, view)).max() <= 0.52


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_a_view_shows_the_colour_of_its_rays(view, colour, painted_erp):
    image = render(painted_erp(1024, 2048), view, antialias="none")
    error = image - colour(view.rays(view.height_px, view.width_px))
    assert np.abs(error).max() <= 1.2  # half a level here, half a level in the source, 1/32 pixel
    assert abs(error.mean()) < 0.1


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
@pytest.mark.parametrize("shape", [(64, 128), (64, 120), (50, 118)])
def test_noise_is_read_with_exact_bilinear_taps(view, shape, noise_erp):
    """On noise a wrong tap costs a hundred levels; 1/32 pixel costs up to 255 / 64 per axis."""
    erp = noise_erp(*shape)
    assert np.abs(render(erp, view, antialias="none") - exact_bilinear(erp, view)).max() <= 9.0


@pytest.mark.parametrize("hfov_deg", [20, 90])
@pytest.mark.parametrize("pitch_deg", [0, 60])
def test_the_seam_is_like_any_other_column(hfov_deg, pitch_deg, noise_erp):
    erp = noise_erp(256, 512)
    behind = render(erp, look(180, pitch_deg, hfov_deg=hfov_deg), antialias="none")
    rolled = render(roll_erp(erp, 256), look(0, pitch_deg, hfov_deg=hfov_deg), antialias="none")
    np.testing.assert_array_equal(behind, rolled)


def test_turning_the_panorama_permutes_the_ring(noise_erp):
    erp, layout = noise_erp(64, 128), e2p_ring(size_px=32, global_size_px=None)
    plain, turned = render_views(erp, layout), render_views(roll_erp(erp, 16), layout)
    for i in range(8):
        np.testing.assert_array_equal(plain[i], turned[(i + 1) % 8])


def test_a_rolled_camera_turns_the_picture_the_other_way(painted_erp):
    erp = painted_erp(256, 512)
    upright = render(erp, look(20, 10))
    np.testing.assert_allclose(render(erp, look(20, 10, 90)), np.rot90(upright), atol=1)


@pytest.mark.parametrize("shape", [(33, 67), (64, 127), (37, 64)])
@pytest.mark.parametrize("pitch_deg", [0, 90, -90])
def test_odd_sizes_keep_their_geometry(shape, pitch_deg, colour):
    """Slow waves, because a small picture cannot hold fast ones."""
    waves = np.rint(colour(erp_rays(*shape) / 8)).astype(np.uint8)
    view = look(180, pitch_deg)
    expected = colour(view.rays(48, 48) / 8)
    assert np.abs(render(waves, view, antialias="none") - expected).max() <= 1.5


def test_whole_window_of_the_same_size_is_the_erp_itself(noise_erp):
    erp = noise_erp(24, 48)
    for antialias in ("fast", "quality", "none"):
        np.testing.assert_array_equal(render(erp, window(), antialias=antialias), erp)
    np.testing.assert_array_equal(render(erp, window(yaw_deg=90)), roll_erp(erp, -12))


@pytest.mark.parametrize("factor", [2, 3, 8])
@pytest.mark.parametrize("columns", [0, 1, 40, -47])
def test_a_shrunk_window_is_the_box_average(factor, columns, noise_erp):
    """Centred on any column, also on an odd one, where a halved panorama would mix two boxes."""
    erp = noise_erp(24 * factor, 48 * factor)
    boxes = roll_erp(erp, -columns).reshape(24, factor, 48, factor, 3).mean(axis=(1, 3))
    view = window(yaw_deg=columns * 360 / (48 * factor))
    error = render(erp, view, antialias="quality") - boxes
    if factor == 8 and columns % 2:  # halved once, although the boxes cut through its pixels
        assert np.sqrt((error**2).mean()) < 0.02 * 255
    else:
        assert np.abs(error).max() <= (2.1 if factor == 8 else 0.51)  # each of three steps rounds


def test_a_window_that_cuts_pixels_is_still_the_box_average(noise_erp):
    """Every pixel is repeated 12 x 12 times; then the edges lie between pixels and plain means apply."""
    erp, view = (
        noise_erp(10, 20),
        window(yaw_deg=183, pitch_deg=-6, hfov_deg=90, vfov_deg=60, height_px=2, width_px=3),
    )
    assert not all(float(edge).is_integer() for edge in window_edges(view, height=10, width=20))
    fine = roll_erp(erp.repeat(12, 0).repeat(12, 1), 120)
    left, top = round((183 - 45 - 360) / 360 * 240 + 240), round((0.5 - 24 / 180) * 120)
    crop = np.take(fine, np.arange(left, left + 60), axis=1, mode="wrap")[top : top + 40]
    boxes = crop.reshape(2, 20, 3, 20, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(render(erp, view), boxes, atol=0.51)


@pytest.mark.parametrize("size_px", [24, 12])
def test_antialiasing_comes_close_to_the_true_average(size_px, noise_erp):
    """Against 8 x 8 rays per pixel, of a picture with detail at every scale up to one pixel."""
    erp = noise_erp(256, 512)
    view, fine = (
        look(30, 10, height_px=size_px, width_px=size_px),
        look(30, 10, height_px=8 * size_px, width_px=8 * size_px),
    )
    truth = exact_bilinear(erp, fine).reshape(size_px, 8, size_px, 8, 3).mean(axis=(1, 3))

    def error(antialias):
        return np.sqrt(np.mean((render(erp, view, antialias=antialias) - truth) ** 2))

    assert error("fast") < 0.6 * error("none")


@pytest.mark.parametrize(("size_px", "count"), [(336, 0), (160, 1), (96, 2)])
@pytest.mark.parametrize("shape", [(1024, 2048), (1021, 2045)])
def test_halving_leaves_the_geometry_alone(size_px, count, shape, colour, painted_erp):
    view = look(180, 30, height_px=size_px, width_px=size_px)
    assert halvings(view, height=shape[0], width=shape[1], antialias="fast") == count
    error = render(painted_erp(*shape), view) - colour(view.rays(size_px, size_px))
    assert np.abs(error).max() <= 1.5 + 0.5 * count
    assert abs(error.mean()) < 0.1 + 0.15 * count


def test_rounding_has_no_bias(noise_erp):
    erp = noise_erp(64, 128)
    errors = [
        (render(erp, look(yaw, 5), antialias="none") - exact_bilinear(erp, look(yaw, 5))).mean()
        for yaw in np.linspace(-180, 170, 12)
    ]
    assert abs(np.mean(errors)) < 0.05  # truncation would give -0.5


def test_a_ring_builds_one_map_and_the_second_panorama_none(noise_erp):
    layout = e2p_ring(size_px=31, global_size_px=None)
    before = render_module._maps.builds
    render_views(noise_erp(64, 128), layout)
    assert render_module._maps.builds == before + 1
    render_views(noise_erp(64, 128), layout)
    assert render_module._maps.builds == before + 1


@pytest.mark.parametrize("kind", ["e2p", "cubemap", "sliding", "resize", "anyres"])
def test_every_layout_renders_its_sizes_from_any_memory_order(kind, noise_erp):
    erp, layout = noise_erp(64, 128), build_layout(kind)
    images = render_views(erp, layout)
    assert [image.shape for image in images] == [(v.height_px, v.width_px, 3) for v in layout.views]
    assert {image.dtype for image in images} == {np.dtype(np.uint8)}
    swapped = render_views(erp[..., ::-1], layout)
    for image, other in zip(images, swapped, strict=True):
        np.testing.assert_array_equal(image[..., ::-1], other)


@pytest.mark.parametrize("shape", [(6, 12), (5, 11)])
@pytest.mark.parametrize(
    "window", [Window(-1, 8, -1, 14), Window(2, 3, 9, 5), Window(-1, 3, -7, 30), Window(1, 2, 3, 4)]
)
def test_windows_wrap_columns_and_turn_past_the_poles(shape, window, noise_erp):
    erp = noise_erp(*shape)
    height, width = shape
    window = Window(window.row0, min(window.rows, height + 1 - window.row0), window.col0, window.cols)
    got = extract_window(erp, window)
    for r in range(window.rows):
        for c in range(window.cols):
            row, col = window.row0 + r, window.col0 + c
            if 0 <= row < height:
                expected = erp[row, col % width].astype(float)
            else:
                edge = erp[0 if row < 0 else -1].astype(float)
                low, high = int(np.floor(col + width / 2)), int(np.ceil(col + width / 2))
                expected = (edge[low % width] + edge[high % width]) / 2
            np.testing.assert_allclose(got[r, c], expected, atol=0.51)


def test_a_window_inside_is_not_a_copy(noise_erp):
    erp = noise_erp(6, 12)
    assert np.shares_memory(extract_window(erp, Window(1, 2, 3, 4)), erp)


@pytest.mark.parametrize("shape", [(40, 80), (40, 80, 1), (40, 80, 4)])
@pytest.mark.parametrize("antialias", ["none", "fast", "quality"])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_channels_are_rendered_alike(shape, antialias, dtype, noise_erp):
    erp = noise_erp(40, 80)
    many = np.resize(erp[..., 0], shape) if len(shape) == 2 else np.repeat(erp[..., :1], shape[2], axis=2)
    layout = build_layout("cubemap", size_px=8, global_size_px=(6, 12))
    views = render_views(many.astype(dtype), layout, antialias=antialias)
    for image, one in zip(views, render_views(erp.astype(dtype), layout, antialias=antialias), strict=True):
        assert image.dtype == dtype and image.shape == one.shape[:2] + shape[2:]
        if len(shape) == 3:
            np.testing.assert_allclose(image[..., -1], one[..., 0], atol=1e-4 if dtype == np.float32 else 0)


def test_the_input_is_not_written_to(noise_erp):
    erp = noise_erp(64, 128)
    kept = erp.copy()
    render_views(erp, e2p_ring())
    np.testing.assert_array_equal(erp, kept)


@pytest.mark.parametrize(
    ("erp", "message"),
    [
        (np.zeros((4, 8, 3), np.float64), r"the ERP is float64 \(4, 8, 3\); give a uint8 or float32 array"),
        (np.zeros((4, 8, 2), np.uint8), r"the ERP is uint8 \(4, 8, 2\).*with 1, 3 or 4 channels"),
        (np.zeros((4, 8, 3, 1), np.uint8), r"the ERP is uint8 \(4, 8, 3, 1\)"),
        (np.zeros((0, 8, 3), np.uint8), "is empty"),
        ([[1]], "the ERP is list"),
    ],
)
def test_other_pictures_are_refused(erp, message):
    with pytest.raises(GeometryError, match=message):
        render(erp, look())


def test_a_panorama_too_wide_for_opencv_is_refused_at_the_pole_only():
    erp = np.zeros((4, 40000, 3), np.uint8)
    assert render(erp, look(hfov_deg=60), antialias="none").shape == (48, 48, 3)
    with pytest.raises(GeometryError, match="above 32767"):
        render(erp, look(pitch_deg=90), antialias="none")


def supersampled(erp, view, times):
    """The mean of times x times exact rays in each pixel: the truth that antialiasing is measured by."""
    fine = look(
        view.yaw_deg,
        view.pitch_deg,
        view.roll_deg,
        view.hfov_deg,
        height_px=times * view.height_px,
        width_px=times * view.width_px,
    )
    boxes = exact_bilinear(erp, fine).reshape(view.height_px, times, view.width_px, times, 3)
    return boxes.mean(axis=(1, 3))


def rms(error):
    return float(np.sqrt(np.mean(np.square(error))))


@pytest.mark.parametrize("pitch_deg", [0, 90, -70])
def test_more_antialiasing_is_nearer_to_the_truth(pitch_deg, noise_erp):
    """Noise of one pixel, the worst that a panorama can hold, 3.4 pixels of it in one of the view."""
    erp, view = noise_erp(256, 512), look(30, pitch_deg, height_px=48, width_px=48)
    truth = supersampled(erp, view, 12)
    error = {mode: rms(render(erp, view, antialias=mode) - truth) for mode in ("none", "fast", "quality")}
    assert error["fast"] < 0.8 * error["none"]
    assert error["quality"] < 0.5 * error["none"]


def test_polar_rows_are_averaged_only_for_views_that_read_them(noise_erp):
    erp, size = noise_erp(256, 512), {"height_px": 100, "width_px": 100}
    level = look(0, 0, **size)
    np.testing.assert_array_equal(render(erp, level), render(erp, level, antialias="none"))
    up = look(0, 90, **size)
    truth = supersampled(erp, up, 8)
    assert rms(render(erp, up) - truth) < 0.8 * rms(render(erp, up, antialias="none") - truth)


def test_an_unknown_mode_is_refused_with_the_nearest(noise_erp):
    with pytest.raises(GeometryError, match=r"unknown antialias 'qualty'. Did you mean 'quality'"):
        render(noise_erp(8, 16), look(), antialias="qualty")
