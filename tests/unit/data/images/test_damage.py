"""Damaged files: an error or the right pixels, never a part of them and never another exception."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from panollava.data.images import open_panorama
from panollava.errors import DataError

from .files import exr, pillow, radiance, tiff

COLOURS = np.random.default_rng(0).integers(0, 256, (8, 16, 3), dtype=np.uint8)
SMOOTH = np.asarray(Image.fromarray(COLOURS).resize((64, 32), Image.Resampling.BICUBIC))
LIGHT = SMOOTH.astype(np.float32) / 64
FILES = {
    "HDR": radiance(LIGHT),
    "EXR": exr({"RGB": LIGHT}),
    "float TIFF": tiff(LIGHT, photometric=2),
    "JPEG": pillow(Image.fromarray(SMOOTH), "JPEG"),
    "progressive JPEG": pillow(Image.fromarray(SMOOTH), "JPEG", progressive=True),
    "PNG": pillow(Image.fromarray(SMOOTH), "PNG"),
    "WEBP": pillow(Image.fromarray(SMOOTH), "WEBP"),
    "TIFF": pillow(Image.fromarray(SMOOTH), "TIFF"),
    "BMP": pillow(Image.fromarray(SMOOTH), "BMP"),
}


@pytest.mark.parametrize("fmt", FILES)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
def test_a_truncated_file_is_never_a_partial_image(tmp_path: Path, fmt: str, share: float):
    path = tmp_path / "cut"
    path.write_bytes(FILES[fmt])
    assert open_panorama(path, tone_map="clip").shape == (32, 64, 3)
    path.write_bytes(FILES[fmt][: int(len(FILES[fmt]) * share)])
    with pytest.raises(DataError, match=r"cut: the image is truncated or damaged"):
        open_panorama(path, tone_map="clip")


@settings(max_examples=300, deadline=None)
@given(
    fmt=st.sampled_from(sorted(FILES)),
    changes=st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), max_size=4),
    keep=st.integers(1, 20000),
)
def test_a_damaged_file_loads_or_gives_a_data_error(
    tmp_path_factory: pytest.TempPathFactory, fmt: str, changes: list[tuple[int, int]], keep: int
):
    data = bytearray(FILES[fmt])
    for position, value in changes:
        data[position % len(data)] = value
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(data[:keep])
    try:
        pixels = open_panorama(path, assume_full=True, max_pixels=1_000_000, tone_map="clip")
    except DataError as error:
        assert str(path) in str(error)
    else:
        assert pixels.dtype == np.uint8
        assert pixels.shape[2] == 3


@settings(max_examples=150, deadline=None)
@given(fmt=st.sampled_from(sorted(FILES)), share=st.floats(0, 1))
def test_the_beginning_of_a_file_gives_its_pixels_or_a_data_error(fmt: str, share: float):
    data = FILES[fmt]
    try:
        pixels = open_panorama(data[: int(share * len(data))], tone_map="clip")
    except DataError as error:
        assert str(error).startswith("<bytes>: ")
    else:
        np.testing.assert_array_equal(pixels, open_panorama(data, tone_map="clip"))


def test_a_bit_that_flips_in_a_png_is_found_by_its_checksums():
    for place in range(0, len(FILES["PNG"]), 5):
        data = bytearray(FILES["PNG"])
        data[place] ^= 1 << place % 8
        with pytest.raises(DataError):
            open_panorama(bytes(data))


@pytest.mark.parametrize("planes", [1, 3])
def test_a_tiff_whose_strips_do_not_cover_it_is_not_filled_up_with_black(planes: int):
    whole = SMOOTH[:, :, 0] if planes == 1 else SMOOTH
    data = bytearray(pillow(Image.fromarray(whole), "TIFF"))
    assert open_panorama(bytes(data)).shape == (32, 64, 3)
    tag = data.index(b"\x01\x01\x04\x00") if b"\x01\x01\x04\x00" in data else data.index(b"\x01\x01\x03\x00")
    data[tag + 8 : tag + 10] = (64).to_bytes(2, "little")  # twice as high as its one strip
    with pytest.raises(DataError, match=r"truncated or damaged \(its strips have 2048 of 4096 pixels\)"):
        open_panorama(bytes(data), assume_full=True)
