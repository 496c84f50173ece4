"""Panorama files: every colour mode, every orientation, and what is refused."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile, ImageOps

from panollava.data.images import open_panorama, upright
from panollava.errors import DataError

from .files import chunk

PANOS = Path(__file__).parents[5] / "shared" / "panos"
COLOURS = np.random.default_rng(0).integers(0, 256, (8, 16, 3), dtype=np.uint8)


def save(folder: Path, image: Image.Image, *, name: str = "pano.png", **options: object) -> Path:
    path = folder / name
    image.save(path, **options)
    return path


def png_header(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0"))


@pytest.mark.parametrize(
    ("name", "options"),
    [("a.png", {}), ("a.tif", {}), ("a.bmp", {}), ("a.webp", {"lossless": True}), ("a.jpg", {})],
)
def test_a_plain_file_gives_its_pixels(tmp_path: Path, name: str, options: dict[str, object]):
    path = save(tmp_path, Image.fromarray(COLOURS), name=name, **options)
    pixels = open_panorama(path)
    expected = np.asarray(Image.open(path).convert("RGB")) if name == "a.jpg" else COLOURS
    np.testing.assert_array_equal(pixels, expected)
    assert (pixels.dtype, pixels.flags["C_CONTIGUOUS"], pixels.flags["WRITEABLE"]) == (np.uint8, True, True)


@pytest.mark.parametrize("mode", ["1", "L", "P"])
def test_one_channel_modes_become_rgb(tmp_path: Path, mode: str):
    image = Image.fromarray(COLOURS).convert(mode)
    pixels = open_panorama(save(tmp_path, image))
    np.testing.assert_array_equal(pixels, np.asarray(image.convert("RGB")))
    if mode != "P":
        assert (pixels == pixels[:, :, :1]).all()


def test_transparent_pixels_lie_on_black(tmp_path: Path):
    alpha = np.tile(np.array([0, 128, 255, 51], np.uint8), (8, 4))
    rgba = Image.fromarray(np.dstack([COLOURS, alpha]))
    pixels = open_panorama(save(tmp_path, rgba))
    expected = COLOURS * (alpha[:, :, None] / 255)
    np.testing.assert_allclose(pixels, expected, atol=1)
    np.testing.assert_array_equal(pixels[:, 0], 0)
    np.testing.assert_array_equal(pixels[:, 2], COLOURS[:, 2])
    grey = open_panorama(save(tmp_path, rgba.convert("LA")))
    np.testing.assert_array_equal(grey[:, 2], np.asarray(rgba.convert("L"))[:, 2, None].repeat(3, axis=1))
    np.testing.assert_array_equal(grey[:, 0], 0)


def test_a_transparent_palette_entry_or_colour_key_is_black(tmp_path: Path):
    indices = np.arange(128, dtype=np.uint8).reshape(8, 16) % 4
    palette = Image.fromarray(indices).convert("L")
    palette = Image.frombytes("P", (16, 8), indices.tobytes())
    palette.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9])
    pixels = open_panorama(save(tmp_path, palette, transparency=1))
    np.testing.assert_array_equal(pixels[0, :4], [[255, 0, 0], [0, 0, 0], [0, 0, 255], [9, 9, 9]])
    grey = Image.fromarray(indices * 50)
    pixels = open_panorama(save(tmp_path, grey, transparency=150))
    np.testing.assert_array_equal(pixels[0, :4, 0], [0, 50, 100, 0])


def test_cmyk_inks_darken(tmp_path: Path):
    inks = np.zeros((8, 16, 4), np.uint8)
    inks[:, 4:8, 0], inks[:, 8:12, 1], inks[:, 12:, 3] = 255, 255, 255
    path = save(tmp_path, Image.frombytes("CMYK", (16, 8), inks.tobytes()), name="a.tif")
    np.testing.assert_array_equal(
        open_panorama(path)[0, ::4], [[255, 255, 255], [0, 255, 255], [255, 0, 255], [0, 0, 0]]
    )


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_sixteen_bit_grey_keeps_its_high_byte(tmp_path: Path, name: str):
    values = np.tile(np.array([0, 255, 256, 0x80FF, 0xFFFF, 0x1234, 1, 512], np.uint16), (8, 2))
    pixels = open_panorama(save(tmp_path, Image.fromarray(values), name=name))
    np.testing.assert_array_equal(pixels, (values >> 8).astype(np.uint8)[:, :, None].repeat(3, axis=2))


def test_a_mode_without_an_agreed_conversion_is_refused(tmp_path: Path):
    path = save(tmp_path, Image.fromarray(COLOURS[:, :, 0]).convert("I"), name="a.tif")
    with pytest.raises(DataError, match=r"a\.tif: colour mode 'I' has no agreed conversion"):
        open_panorama(path)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.tif"])
def test_exif_orientation_is_undone(tmp_path: Path, orientation: int, name: str):
    exif = Image.Exif()
    exif[0x0112] = orientation
    options: dict[str, object] = {"exif": exif}
    path = save(tmp_path, Image.fromarray(COLOURS), name=name, **options)
    with Image.open(path) as image:
        expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    pixels = open_panorama(path, assume_full=True)
    np.testing.assert_array_equal(pixels, expected)
    assert pixels.shape == ((16, 8, 3) if orientation >= 5 else (8, 16, 3))


def test_the_shape_is_checked_after_turning(tmp_path: Path):
    exif = Image.Exif()
    exif[0x0112] = 6
    sideways = Image.fromarray(np.ascontiguousarray(np.rot90(COLOURS)))
    path = save(tmp_path, sideways, exif=exif)
    np.testing.assert_array_equal(open_panorama(path), COLOURS)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_each_orientation_has_its_inverse(orientation: int):
    inverse = {6: 8, 8: 6}.get(orientation, orientation)
    turned = upright(COLOURS, orientation=orientation)
    np.testing.assert_array_equal(upright(turned, orientation=inverse), COLOURS)
    assert (orientation == 1) == np.array_equal(turned, COLOURS)


@pytest.mark.parametrize("value", [0, 9, 300])
def test_a_meaningless_orientation_means_upright(tmp_path: Path, value: int):
    exif = Image.Exif()
    exif[0x0112] = value
    np.testing.assert_array_equal(open_panorama(save(tmp_path, Image.fromarray(COLOURS), exif=exif)), COLOURS)


@pytest.mark.parametrize(("width", "height", "missing"), [(20, 12, "4 columns"), (40, 12, "8 rows")])
def test_another_shape_is_refused_with_the_choices(tmp_path: Path, width: int, height: int, missing: str):
    path = save(tmp_path, Image.new("RGB", (width, height)))
    with pytest.raises(DataError) as caught:
        open_panorama(path)
    for part in (f"{width} x {height}", f"pad=True to add the {missing}", "assume_full=True", str(path)):
        assert part in str(caught.value)
    assert open_panorama(path, assume_full=True).shape == (height, width, 3)


@pytest.mark.parametrize(("width", "height", "accepted"), [(64, 32, True), (62, 32, True), (67, 32, False)])
def test_one_row_of_rounding_is_accepted(tmp_path: Path, width: int, height: int, accepted: bool):
    path = save(tmp_path, Image.new("RGB", (width, height)))
    if accepted:
        assert open_panorama(path).shape == (height, width, 3)
    else:
        with pytest.raises(DataError, match="twice as wide as high"):
            open_panorama(path)


def test_a_huge_header_is_refused_before_decoding(tmp_path: Path):
    path = tmp_path / "bomb.png"
    path.write_bytes(png_header(200_000, 100_000))
    with pytest.raises(DataError, match=r"200000 x 100000 = 20000000000 pixels, more than max_pixels=200000000"):
        open_panorama(path)


def test_the_pixel_limit_is_ours_and_not_the_process_wide_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = save(tmp_path, Image.fromarray(COLOURS))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert open_panorama(path, max_pixels=8 * 16).shape == (8, 16, 3)
    with pytest.raises(DataError, match="more than max_pixels=127"):
        open_panorama(path, max_pixels=8 * 16 - 1)


def test_a_process_that_accepts_truncated_images_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = save(tmp_path, Image.fromarray(COLOURS))
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with pytest.raises(DataError, match="LOAD_TRUNCATED_IMAGES is True"):
        open_panorama(path)


def test_bytes_and_a_file_give_the_same(tmp_path: Path):
    path = save(tmp_path, Image.fromarray(COLOURS), name="a.jpg")
    np.testing.assert_array_equal(open_panorama(path.read_bytes()), open_panorama(str(path)))


def test_the_byte_limit_counts_before_reading(tmp_path: Path):
    path = save(tmp_path, Image.fromarray(COLOURS))
    size = path.stat().st_size
    assert open_panorama(path, max_bytes=size).shape == (8, 16, 3)
    for source, name in ((path, str(path)), (path.read_bytes(), "<bytes>")):
        with pytest.raises(DataError) as caught:
            open_panorama(source, max_bytes=size - 1)
        assert f"{name}: the file has {size} bytes, more than max_bytes={size - 1}" in str(caught.value)
    sparse = tmp_path / "sparse.jpg"
    with sparse.open("wb") as file:
        file.truncate(10**12)
    with pytest.raises(DataError, match="the file has 1000000000000 bytes"):
        open_panorama(sparse)


@pytest.mark.parametrize(("width", "height"), [(40, 12), (12, 40), (20, 12), (33, 7), (7, 33)])
def test_padding_centres_the_picture_in_black(width: int, height: int):
    picture = np.random.default_rng(0).integers(1, 256, (height, width, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    pixels = open_panorama(file.getvalue(), pad=True)
    full = max(height, -(-width // 2))
    assert pixels.shape == (full, 2 * full, 3)
    top, left = (full - height) // 2, (2 * full - width) // 2
    np.testing.assert_array_equal(pixels[top : top + height, left : left + width], picture)
    assert (pixels > 0).any(axis=2).sum() == width * height


def test_a_padded_panorama_is_held_to_the_pixel_limit():
    file = io.BytesIO()
    Image.new("RGB", (10, 1000)).save(file, "PNG")
    with pytest.raises(DataError, match="padded to the full sphere, 2000 x 1000 = 2000000 pixels"):
        open_panorama(file.getvalue(), pad=True, max_pixels=100_000)


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"GIF89a", b"\0" * 64, b"RIFF\0\0\0\0WAVE"])
def test_what_is_no_image_is_refused_with_its_first_bytes(tmp_path: Path, content: bytes):
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        open_panorama(path)
    assert (
        f"{path}: not a JPEG, PNG, WebP, TIFF, BMP, Radiance HDR or OpenEXR image (it starts with {content[:16]!r})"
        in str(caught.value)
    )


def test_an_absent_file_or_a_folder_is_named(tmp_path: Path):
    for path in (tmp_path / "absent.jpg", tmp_path):
        with pytest.raises(DataError) as caught:
            open_panorama(path)
        assert f"{path}: the image cannot be read" in str(caught.value)


@pytest.mark.parametrize("name", ["a.png", "a.webp"])
def test_an_animation_is_refused(tmp_path: Path, name: str):
    frames = [Image.fromarray(COLOURS), Image.fromarray(255 - COLOURS)]
    path = save(tmp_path, frames[0], name=name, save_all=True, append_images=frames[1:])
    with pytest.raises(DataError, match=r"animated \(2 frames\)"):
        open_panorama(path)


@pytest.mark.skipif(not PANOS.is_dir(), reason="the folder of real panoramas is not beside the repository")
def test_real_panoramas_open():
    paths = sorted(PANOS.glob("*.jpg"))
    assert paths
    for path in paths:
        pixels = open_panorama(path)
        assert pixels.shape[1] == 2 * pixels.shape[0]
        assert pixels.std() > 10
