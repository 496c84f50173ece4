"""JPEG: the same pixels as Pillow at every size, strictly, and never below the width asked for."""

import io
import struct
import subprocess
import sys

import numpy as np
import pytest
import simplejpeg
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from panollava.data.images import jpeg, open_panorama
from panollava.errors import DataError

from .files import crop_tags, gpano, jpeg_with, pillow, seen

NOISE = np.random.default_rng(1).integers(0, 256, (4, 8, 3), dtype=np.uint8)


def scene(width, height):
    return Image.fromarray(NOISE).resize((width, height), Image.Resampling.BICUBIC)


def reference(data, *, scale=1):
    with Image.open(io.BytesIO(data)) as image:
        if scale > 1:
            image.draft(image.mode, (image.width // scale, image.height // scale))
        return np.asarray(image.convert("RGB"))


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("size", [(512, 256), (510, 255), (64, 31)])
def test_pixels_are_those_of_pillow(size, subsampling, progressive):
    data = pillow(scene(*size), "JPEG", subsampling=subsampling, progressive=progressive, quality=90)
    np.testing.assert_array_equal(open_panorama(data), reference(data))


@pytest.mark.parametrize("progressive", [False, True])
def test_grey_and_rgb_coded_files_too(progressive):
    grey = pillow(scene(128, 64).convert("L"), "JPEG", progressive=progressive)
    np.testing.assert_array_equal(open_panorama(grey), reference(grey))
    coded = pillow(scene(128, 64), "JPEG", keep_rgb=True, progressive=progressive)
    np.testing.assert_array_equal(open_panorama(coded), reference(coded))


@pytest.mark.parametrize("height", range(1, 12))
def test_pictures_of_about_a_block_too(height):
    data = pillow(scene(2 * height, height), "JPEG", quality=95)
    np.testing.assert_array_equal(open_panorama(data), reference(data))
    if height < 4:  # less than a block: the decoder cannot be held to one scale
        np.testing.assert_array_equal(open_panorama(data, min_width=1), reference(data))


@pytest.mark.parametrize("scale", [2, 4, 8])
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
def test_a_scaled_decode_is_libjpegs(scale, subsampling):
    data = pillow(scene(512, 256), "JPEG", subsampling=subsampling)
    pixels = open_panorama(data, min_width=512 // scale)
    assert pixels.shape == (256 // scale, 512 // scale, 3)
    np.testing.assert_array_equal(pixels, reference(data, scale=scale))
    boxes = reference(data).reshape(256 // scale, scale, 512 // scale, scale, 3).mean(axis=(1, 3))
    luma = (pixels - boxes) @ [0.299, 0.587, 0.114]  # at 1/8 libjpeg keeps half the colour columns of 4:2:2
    assert np.abs(luma).mean() < 1  # the same picture, antialiased


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 12), st.integers(1, 12), st.sampled_from([1, 2, 4, 8]))
def test_the_decoder_can_be_forced_to_every_scale(across, down, scale):
    width, height = 8 * across, 8 * down
    data = pillow(scene(width, height), "JPEG")
    pixels = jpeg.decode(data, jpeg.read_header(data), scale=scale)
    np.testing.assert_array_equal(pixels, reference(data, scale=scale))


@settings(max_examples=120, deadline=None)
@given(
    height=st.integers(8, 100),
    orientation=st.integers(1, 8),
    min_width=st.integers(1, 260),
    full=st.integers(1, 3),
)
def test_it_is_never_narrower_than_asked_and_never_larger_than_needed(height, orientation, min_width, full):
    width = 2 * height
    stored = (height, width) if orientation >= 5 else (width, height)
    tags = gpano(**crop_tags(width, height, 0, 0, full * width, full * height))
    data = jpeg_with(pillow(scene(*stored), "JPEG"), xmp=tags, orientation=orientation)
    whole = full * width
    pixels = open_panorama(data, min_width=min_width)
    assert whole % pixels.shape[1] == 0
    scale = whole // pixels.shape[1]
    assert pixels.shape == (full * height // scale, whole // scale, 3)
    assert pixels.shape[1] >= min(min_width, whole)
    coarser = [k for k in (2, 4, 8) if k > scale and height % k == 0 and width % k == 0]
    assert all(whole // k < min_width for k in coarser)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_scaled_decode_is_turned_upright(orientation):
    stored = scene(64, 32) if orientation < 5 else scene(32, 64)
    data = pillow(stored, "JPEG", orientation)
    pixels = open_panorama(data, min_width=32)
    np.testing.assert_array_equal(pixels, seen(reference(pillow(stored, "JPEG"), scale=2), orientation))


def test_without_a_width_it_is_the_full_size():
    data = pillow(scene(512, 256), "JPEG")
    assert open_panorama(data).shape == open_panorama(data, min_width=9999).shape == (256, 512, 3)


def test_an_orientation_in_xmp_counts_where_exif_has_none():
    packet = b'<x xmlns:tiff="t" tiff:Orientation="6"/>'
    data = jpeg_with(pillow(scene(32, 64), "JPEG"), xmp=packet)
    np.testing.assert_array_equal(open_panorama(data), seen(reference(pillow(scene(32, 64), "JPEG")), 6))


def scan_start(data):
    at = data.index(b"\xff\xda")
    return at + 2 + struct.unpack_from(">H", data, at + 2)[0]


def test_damage_that_pillow_paints_grey_is_refused():
    sound = pillow(scene(512, 256), "JPEG", quality=95)
    data = bytearray(sound)
    middle = (scan_start(data) + len(data)) // 2
    data[middle : middle + 2] = b"\xff\xd9"  # the end of the image, in its middle
    painted = reference(bytes(data))
    assert painted.shape == (256, 512, 3)
    assert not np.array_equal(painted, reference(sound))
    for min_width in (None, 128):
        with pytest.raises(DataError, match="<bytes>: the image is truncated or damaged"):
            open_panorama(bytes(data), min_width=min_width)


def test_a_slip_in_the_scan_header_that_phones_make_is_forgiven():
    data = bytearray(pillow(scene(64, 32), "JPEG"))
    data[scan_start(data) - 2] = 0  # Se of a baseline scan, which must be 63 and is never used
    with pytest.raises(ValueError, match="Invalid SOS parameters"):
        simplejpeg.decode_jpeg(bytes(data))
    np.testing.assert_array_equal(open_panorama(bytes(data)), open_panorama(pillow(scene(64, 32), "JPEG")))


def test_what_follows_the_end_is_ignored():
    data = pillow(scene(64, 32), "JPEG")
    np.testing.assert_array_equal(open_panorama(data + b"a phone's trailer"), open_panorama(data))


def test_fill_bytes_and_other_segments_are_passed_over():
    data = pillow(scene(64, 32), "JPEG")
    more = data[:2] + b"\xff\xff\xff\xe2" + struct.pack(">H", 10) + b"\xff\xc0" * 4 + data[2:]
    assert jpeg.read_header(more) == jpeg.read_header(data)


@pytest.mark.parametrize("rest", [b"", b"\xe0\0\0", b"\xd9", b"\xda\0\2", b"\xe0\0\4ab?"])
def test_a_broken_header_is_damage(rest):
    with pytest.raises(DataError, match="truncated or damaged"):
        open_panorama(b"\xff\xd8\xff" + rest)


def test_a_subsampling_that_the_fast_decoder_does_not_know_is_left_to_pillow(monkeypatch):
    def refuse(*args, **options):
        raise ValueError("Could not determine subsampling level of JPEG image")

    data = pillow(scene(64, 32), "JPEG")
    monkeypatch.setattr(simplejpeg, "decode_jpeg", refuse)
    np.testing.assert_array_equal(open_panorama(data), reference(data))
    np.testing.assert_array_equal(open_panorama(data, min_width=16), reference(data))


MEMORY = """
import re, sys
from panollava.data.images import open_panorama

def peak():  # of this program: ru_maxrss would count the one that started it
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1])

open_panorama(sys.argv[1])
before = peak()
pixels = open_panorama(sys.argv[2], min_width=int(sys.argv[3]))
print(peak() - before, pixels.shape[1])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_a_quarter_of_a_large_file_does_not_cost_the_memory_of_all(tmp_path):
    small, large = tmp_path / "small.jpg", tmp_path / "large.jpg"
    small.write_bytes(pillow(scene(256, 128), "JPEG"))
    large.write_bytes(pillow(scene(8192, 4096), "JPEG"))
    for least, limit in ((2048, (5, 30)), (8192, (90, 200))):  # the picture: 6 MiB; all of it: 96 MiB
        words = [sys.executable, "-c", MEMORY, small, large, str(least)]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        grown_kib, width = map(int, done.stdout.split())
        assert width == least
        assert limit[0] < grown_kib / 1024 < limit[1]
