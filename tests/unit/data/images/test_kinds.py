"""Every kind of pixel in every orientation."""

import io

import numpy as np
import pytest
from PIL import Image

from panollava.data.images import open_panorama
from panollava.data.images.tone_map import encode_srgb
from panollava.errors import DataError

from .files import pillow, png16, seen, tiff

RNG = np.random.default_rng(5)
RGB = RNG.integers(0, 256, (8, 16, 3), dtype=np.uint8)
GREY = RGB[:, :, 0]
ALPHA = RNG.choice(np.array([0, 255], np.uint8), (8, 16))
DEEP = RNG.integers(0, 65536, (8, 16, 3), dtype=np.uint16)
LIGHT = RNG.random((8, 16, 3), dtype=np.float32)
MASK = (ALPHA > 0)[:, :, None]


def three(grey):
    return np.repeat(grey[:, :, None], 3, axis=2)


def palette():
    image = Image.frombytes("P", (16, 8), (GREY % 4).tobytes())
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9])
    return image


def coloured():
    return np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [9, 9, 9]], np.uint8)[GREY % 4]


def cmyk():
    return Image.frombytes("CMYK", (16, 8), np.dstack([RGB, GREY]).tobytes())


def bytes_of(light):
    return np.floor(255 * encode_srgb(light.astype(np.float64)) + 0.5).astype(np.uint8)


def through_jpeg(image):
    """Return how to write an image as JPEG, and the pixels that Pillow reads."""
    return lambda o: pillow(image, "JPEG", o), np.asarray(Image.open(io.BytesIO(pillow(image, "JPEG"))).convert("RGB"))


KINDS = {
    "u8 RGB, JPEG": through_jpeg(Image.fromarray(RGB)),
    "u8 grey, JPEG": through_jpeg(Image.fromarray(GREY)),
    "CMYK, JPEG": through_jpeg(cmyk()),
    "u8 RGB, PNG": (lambda o: pillow(Image.fromarray(RGB), "PNG", o), RGB),
    "1 bit, PNG": (lambda o: pillow(Image.fromarray(GREY > 99), "PNG", o), three(np.uint8(255) * (GREY > 99))),
    "palette, PNG": (lambda o: pillow(palette(), "PNG", o), coloured()),
    "palette with a clear colour, PNG": (
        lambda o: pillow(palette(), "PNG", o, transparency=1), coloured() * (GREY % 4 != 1)[:, :, None],
    ),
    "RGBA, PNG": (lambda o: pillow(Image.fromarray(np.dstack([RGB, ALPHA])), "PNG", o), RGB * MASK),
    "LA, PNG": (lambda o: pillow(Image.fromarray(np.dstack([GREY, ALPHA]), "LA"), "PNG", o), three(GREY) * MASK),
    "u16 grey, PNG": (lambda o: png16(DEEP[:, :, 0], o), three((DEEP[:, :, 0] >> 8).astype(np.uint8))),
    "u16 RGB, PNG": (lambda o: png16(DEEP, o), (DEEP >> 8).astype(np.uint8)),
    "RGBA, WebP": (
        lambda o: pillow(Image.fromarray(np.dstack([RGB, ALPHA])), "WEBP", o, lossless=True, exact=True), RGB * MASK,
    ),
    "u8 RGB, TIFF": (lambda o: tiff(RGB, o, photometric=2), RGB),
    "u8 grey, TIFF": (lambda o: tiff(GREY, o, photometric=1), three(GREY)),
    "u8 white is zero, TIFF": (lambda o: tiff(GREY, o, photometric=0), three(255 - GREY)),
    "RGBA, TIFF": (lambda o: tiff(np.dstack([RGB, ALPHA]), o, photometric=2, extra=2), RGB * MASK),
    "CMYK, TIFF": (lambda o: tiff(np.dstack([255 - RGB, 0 * GREY]), o, photometric=5), RGB),
    "u16 grey, TIFF": (lambda o: tiff(DEEP[:, :, 0], o, photometric=1), three((DEEP[:, :, 0] >> 8).astype(np.uint8))),
    "u16 RGB, TIFF": (lambda o: tiff(DEEP, o, photometric=2), (DEEP >> 8).astype(np.uint8)),
    "f32 grey, TIFF": (lambda o: tiff(LIGHT[:, :, 0], o, photometric=1), three(bytes_of(LIGHT[:, :, 0]))),
    "f32 RGB, TIFF": (lambda o: tiff(LIGHT, o, photometric=2), bytes_of(LIGHT)),
    "f32 RGBA, TIFF": (
        lambda o: tiff(np.dstack([LIGHT, ALPHA / np.float32(255)]), o, photometric=2, extra=2), bytes_of(LIGHT) * MASK,
    ),
}  # fmt: skip


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_of_pixel_in_an_orientation(kind, orientation):
    make, stored = KINDS[kind]
    pixels = open_panorama(make(orientation), assume_full=True, tone_map="clip")
    expected = seen(np.ascontiguousarray(stored), orientation)
    assert pixels.shape == expected.shape
    assert (pixels.dtype, pixels.flags["C_CONTIGUOUS"], pixels.flags["WRITEABLE"]) == (np.uint8, True, True)
    if kind.startswith("f32"):  # float32 arithmetic beside float64
        assert np.abs(pixels.astype(int) - expected).max() <= 1
        assert (pixels == expected).mean() > 0.99
    else:
        np.testing.assert_array_equal(pixels, expected)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.startswith("f32")])
def test_light_is_refused_without_a_tone_map(kind):
    with pytest.raises(DataError, match=r"a float TIFF holds linear light.*'reinhard'.*'exposure'.*'clip'"):
        open_panorama(KINDS[kind][0](1))
