"""Linear light: the formulas, the readers, and what is refused."""

import struct
import sys

import cv2
import numpy as np
import pytest

from panollava.data.images import open_panorama
from panollava.data.images.radiance import read_radiance, read_radiance_header
from panollava.data.images.tone_map import apply_tone_map
from panollava.errors import DataError

from .files import exr, radiance, tiff

LIGHT = (np.random.default_rng(2).random((32, 64, 3), dtype=np.float32) ** 4) * 50
SMALL = LIGHT[:8, :16]


def srgb(linear):
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def expected(light, tone_map):
    """Return the bytes by the formulas, in float64."""
    light = np.maximum(light.astype(np.float64), 0)
    if tone_map == "reinhard":
        luminance = light @ [0.2126, 0.7152, 0.0722]
        light = light * 0.18 / np.exp(np.log(1e-6 + luminance).mean())
        shown = light / (1 + light)
    else:
        shown = 1 - np.exp(-light) if tone_map == "exposure" else np.minimum(light, 1)
    return np.floor(255 * srgb(shown) + 0.5)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("tone_map", ["reinhard", "exposure", "clip"])
def test_a_tone_map_is_its_formula(tone_map, dtype):
    light = np.concatenate([LIGHT, LIGHT * 1e-4, -LIGHT], axis=0).astype(dtype)
    error = apply_tone_map(light, tone_map=tone_map) - expected(light, tone_map)
    assert np.abs(error).max() <= 1
    assert (error == 0).mean() > 0.995


def test_reinhard_does_not_ask_for_the_exposure_and_the_others_do():
    brighter = {t: apply_tone_map(LIGHT * 8, tone_map=t) for t in ("reinhard", "exposure", "clip")}
    same = {t: np.abs(brighter[t].astype(int) - apply_tone_map(LIGHT, tone_map=t)).max() for t in brighter}
    assert same["reinhard"] <= 1
    assert min(same["exposure"], same["clip"]) > 50


@pytest.mark.parametrize("tone_map", ["reinhard", "exposure", "clip"])
def test_darkness_and_the_brightest_float_are_black_and_white(tone_map):
    light = np.zeros((2, 4, 3), np.float32)
    light[0] = np.finfo(np.float32).max
    shown = apply_tone_map(light, tone_map=tone_map)
    assert (shown[0] == 255).all()
    assert (shown[1] == 0).all()
    assert (apply_tone_map(light[1:], tone_map=tone_map) == 0).all()


def test_pixels_that_are_not_finite_are_counted():
    light = LIGHT.copy()
    light[0, 0, 0], light[1, 1], light[2, 2, 1] = np.inf, np.nan, -np.inf
    with pytest.raises(DataError, match="3 of 2048 pixels are not finite"):
        apply_tone_map(light, tone_map="clip")


FILES = {
    "a Radiance HDR file": radiance(LIGHT),
    "an OpenEXR file": exr({"RGB": LIGHT}),
    "a float TIFF": tiff(LIGHT, photometric=2),
}


@pytest.mark.parametrize("what", FILES)
def test_a_tone_map_must_be_named(what):
    with pytest.raises(DataError, match=f"<bytes>: {what} holds linear light.*'reinhard'.*'exposure'.*'clip'"):
        open_panorama(FILES[what])


@pytest.mark.parametrize("tone_map", ["reinhard", "exposure", "clip"])
@pytest.mark.parametrize("what", FILES)
def test_a_file_of_light_opens(what, tone_map):
    pixels = open_panorama(FILES[what], tone_map=tone_map)
    assert (pixels.dtype, pixels.flags["C_CONTIGUOUS"], pixels.flags["WRITEABLE"]) == (np.uint8, True, True)
    light = LIGHT
    if "Radiance" in what:  # its 8 bits are shared by the channels
        light = cv2.imdecode(np.frombuffer(FILES[what], np.uint8), -1)[:, :, ::-1]
    error = np.abs(pixels - expected(light, tone_map))
    assert error.max() <= 1
    assert (error == 0).mean() > 0.995


@pytest.mark.parametrize("what", FILES)
def test_the_pixel_limit_counts_before_decoding(what):
    with pytest.raises(DataError, match="64 x 32 = 2048 pixels, more than max_pixels=2047"):
        open_panorama(FILES[what], tone_map="clip", max_pixels=2047)


@pytest.mark.parametrize("width", [4, 8, 200, 1000])
@pytest.mark.parametrize("flat", [False, True])
def test_radiance_pixels_are_those_of_opencv(width, flat):
    light = np.random.default_rng(width).random((5, width, 3), dtype=np.float32) * 9
    light[:, : width // 2] = light[:1, :1] if flat else 0  # long runs
    data = radiance(light)
    ours = read_radiance(data, read_radiance_header(data))
    np.testing.assert_array_equal(ours, cv2.imdecode(np.frombuffer(data, np.uint8), -1)[:, :, ::-1])


def test_radiance_lines_that_are_not_coded():
    rgbe = np.array([[[128, 64, 32, 129], [255, 0, 0, 128]]], np.uint8)
    data = b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 1 +X 2\n" + rgbe.tobytes()
    light = read_radiance(data, read_radiance_header(data))
    np.testing.assert_allclose(light, [[[1.0, 0.5, 0.25], [255 / 256, 0, 0]]])


def test_radiance_exposures_are_taken_out():
    data = radiance(SMALL, head=b"EXPOSURE=2.0\nEXPOSURE = 4\n")
    plain = radiance(SMALL)
    twice = read_radiance(data, read_radiance_header(data))
    np.testing.assert_allclose(twice, read_radiance(plain, read_radiance_header(plain)) / 8)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (b"32-bit_rle_rgbe", b"32-bit_rle_xyze", "Radiance format '32-bit_rle_xyze'"),
        (b"-Y 8 +X 16", b"+Y 8 +X 16", "Radiance size"),
        (b"FORMAT=", b"EXPOSURE=0\nFORMAT=", "Radiance exposure 0.0"),
        (b"FORMAT=", b"EXPOSURE=bright\nFORMAT=", "truncated or damaged"),
        (b"\n\n", b"\n", "truncated or damaged"),
    ],
)
def test_a_radiance_header_that_is_not_read(old, new, words):
    with pytest.raises(DataError, match=words):
        open_panorama(radiance(SMALL).replace(old, new, 1), tone_map="clip")


def test_radiance_runs_that_do_not_fit_their_line_are_damage():
    head = b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 8 +X 16\n" + bytes((2, 2, 0, 16))
    for body in (bytes((128 + 17, 7)) * 40, bytes((0,)) * 200, bytes((10,))):
        with pytest.raises(DataError, match="truncated or damaged"):
            open_panorama(head + body, tone_map="clip")


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_openexr_kinds(dtype):
    light = SMALL.astype(dtype)
    colour = open_panorama(exr({"RGB": light}), tone_map="clip")
    np.testing.assert_array_equal(colour, apply_tone_map(light, tone_map="clip"))
    alpha = np.zeros((8, 16, 1), dtype)
    np.testing.assert_array_equal(open_panorama(exr({"RGBA": np.dstack([light, alpha])}), tone_map="clip"), colour)
    grey = np.ascontiguousarray(light[:, :, 0])
    shown = open_panorama(exr({"Y": grey}), tone_map="clip")
    np.testing.assert_array_equal(shown, apply_tone_map(np.repeat(grey[:, :, None], 3, 2), tone_map="clip"))


def test_openexr_files_that_are_no_picture_are_refused():
    depth = np.ascontiguousarray(SMALL[:, :, 0])
    with pytest.raises(DataError, match="has the channels Z; R, G, B or Y are needed"):
        open_panorama(exr({"Z": depth}), tone_map="clip")
    with pytest.raises(DataError, match=r"channel Y has .* samples of uint32"):
        open_panorama(exr({"Y": depth.astype(np.uint32)}), tone_map="clip")
    windows = {"displayWindow": (np.array([0, 0], np.int32), np.array([31, 15], np.int32))}
    with pytest.raises(DataError, match=r"the data window .* is not the display window"):
        open_panorama(exr({"RGB": SMALL}, windows), tone_map="clip")


def test_without_openexr_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "OpenEXR", None)
    with pytest.raises(DataError, match=r"pip install 'panollava\[exr\]'"):
        open_panorama(FILES["an OpenEXR file"], tone_map="clip")


def test_a_float_tiff_that_ends_early_or_has_half_floats_is_refused():
    data = tiff(SMALL, photometric=2)
    cut = data[:8] + data[8 + SMALL.nbytes :]
    moved = bytearray(cut)
    struct.pack_into("<I", moved, 4, 8)
    with pytest.raises(DataError, match="truncated or damaged"):
        open_panorama(bytes(moved), tone_map="clip")
    with pytest.raises(DataError, match="the float TIFF cannot be decoded"):
        open_panorama(tiff(SMALL.astype(np.float16), photometric=2), tone_map="clip")
