"""GPano tags: where a picture lies on the sphere, and how the camera was held."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from panollava.data.images import open_panorama
from panollava.data.images.gpano import Crop, GPano, parse_gpano
from panollava.errors import DataError
from panollava.geometry import erp_rays, rotation

from .files import crop_tags, gpano, jpeg_with, pillow, tiff

PICTURE = np.random.default_rng(4).integers(1, 256, (16, 48, 3), dtype=np.uint8)
CROP = crop_tags(48, 16, 8, 4, 64, 32)


def png(pixels, xmp):
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", xmp.decode())
    return pillow(Image.fromarray(pixels), "PNG", pnginfo=info)


CARRIERS = {
    "JPEG": lambda pixels, xmp: jpeg_with(pillow(Image.fromarray(pixels), "JPEG", quality=100), xmp=xmp),
    "CMYK JPEG": lambda pixels, xmp: jpeg_with(pillow(Image.fromarray(pixels).convert("CMYK"), "JPEG"), xmp=xmp),
    "PNG": png,
    "WebP": lambda pixels, xmp: pillow(Image.fromarray(pixels), "WEBP", lossless=True, xmp=xmp),
    "TIFF": lambda pixels, xmp: tiff(pixels, photometric=2, xmp=xmp),
    "float TIFF": lambda pixels, xmp: tiff(pixels.astype(np.float32) / 255, photometric=2, xmp=xmp),
}


@pytest.mark.parametrize("form", ["attributes", "elements"])
@pytest.mark.parametrize("carrier", CARRIERS)
def test_a_crop_is_padded_to_the_full_sphere(carrier, form):
    make = CARRIERS[carrier]
    alone = open_panorama(make(PICTURE, b"<x/>"), assume_full=True, tone_map="clip")
    pixels = open_panorama(make(PICTURE, gpano(form, **CROP)), tone_map="clip")
    assert pixels.shape == (32, 64, 3)
    np.testing.assert_array_equal(pixels[4:20, 8:56], alone)
    outside = np.ones((32, 64), bool)
    outside[4:20, 8:56] = False
    assert (pixels[outside] == 0).all()


def test_a_picture_that_was_resized_since_is_placed_in_proportion():
    pixels = open_panorama(png(PICTURE, gpano(**crop_tags(480, 160, 80, 40, 640, 320))))
    np.testing.assert_array_equal(pixels, open_panorama(png(PICTURE, gpano(**CROP))))


@settings(max_examples=80, deadline=None)
@given(
    rows=st.integers(1, 60), cols=st.integers(1, 60), left=st.integers(0, 60), top=st.integers(0, 60),
    times=st.floats(0.05, 4.0),
)  # fmt: skip
def test_wherever_a_resized_crop_lies_it_fits(rows, cols, left, top, times):
    full = max(top + rows, -(-(left + cols) // 2))
    width, height = max(1, round(cols * times)), max(1, round(rows * times))
    tags = gpano(**crop_tags(cols, rows, left, top, 2 * full, full))
    data = png(np.full((height, width, 3), 255, np.uint8), tags)
    try:
        pixels = open_panorama(data)
    except DataError as error:
        assert "which has another shape" in str(error) or "twice" in str(error)
        return
    found = np.argwhere(pixels[:, :, 0] > 0)
    assert len(found) == width * height
    where, scale = found.min(axis=0), np.array([height / rows, width / cols])
    assert (np.abs(where - np.array([top, left]) * scale) <= 1.0 + 1e-9).all()


@pytest.mark.parametrize("min_width", [16, 17, 32, 33, 64, None])
def test_the_density_of_the_full_panorama_counts(min_width):
    data = jpeg_with(pillow(Image.fromarray(PICTURE[:, :32]), "JPEG"), xmp=gpano(**crop_tags(32, 16, 16, 8, 64, 32)))
    pixels = open_panorama(data, min_width=min_width)
    assert pixels.shape[1] == {16: 16, 17: 32, 32: 32, 33: 64, 64: 64, None: 64}[min_width]
    scale = 64 // pixels.shape[1]
    lit = np.argwhere(pixels.any(axis=2))
    assert (lit.min(axis=0) * scale).tolist() == [8, 16]


def test_a_crop_is_never_moved_by_a_part_of_a_pixel():
    data = jpeg_with(pillow(Image.fromarray(PICTURE[:, :32]), "JPEG"), xmp=gpano(**crop_tags(32, 16, 14, 8, 64, 32)))
    assert open_panorama(data, min_width=1).shape == (16, 32, 3)  # 14 columns are whole at 1/2, not at 1/4


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"CroppedAreaLeftPixels": 17},
            "48 x 16 pixels at (17, 4) does not lie inside the full panorama of 64 x 32",
        ),
        ({"CroppedAreaTopPixels": -1}, "does not lie inside"),
        ({"CroppedAreaImageHeightPixels": 0}, "does not lie inside"),
        ({"FullPanoWidthPixels": 80}, "is 80 x 32, but a sphere is twice as wide as high"),
        ({"CroppedAreaImageWidthPixels": 40}, "the image is 48 x 16, but its GPano tags speak of a crop of 40 x 16"),
        ({"CroppedAreaImageWidthPixels": "wide"}, "GPano:CroppedAreaImageWidthPixels is 'wide'; a finite number"),
        ({"ProjectionType": "cylindrical"}, "GPano:ProjectionType is 'cylindrical'; only equirectangular"),
        ({"PosePitchDegrees": 91}, "GPano:PosePitchDegrees is '91'; a number from -90 to 90 is needed"),
        ({"PoseRollDegrees": "nan"}, "GPano:PoseRollDegrees is 'nan'"),
        ({"FullPanoWidthPixels": 64_000_000, "FullPanoHeightPixels": 32_000_000}, "padded to the full sphere"),
    ],
)
def test_tags_that_contradict_are_refused(change, words):
    with pytest.raises(DataError) as caught:
        open_panorama(png(PICTURE, gpano(**{**CROP, **change})))
    assert words in str(caught.value)
    assert str(caught.value).startswith("<bytes>: ")


def test_a_crop_that_lacks_a_number_is_refused_and_sizes_alone_are_no_crop():
    tags = {name: value for name, value in CROP.items() if name != "CroppedAreaTopPixels"}
    with pytest.raises(DataError, match="the GPano crop lacks CroppedAreaTopPixels"):
        open_panorama(png(PICTURE, gpano(**tags)))
    sizes = gpano(FullPanoWidthPixels=10000, FullPanoHeightPixels=5000)
    assert open_panorama(png(PICTURE[:, :32], sizes)).shape == (16, 32, 3)


def test_assume_full_ignores_the_crop():
    pixels = open_panorama(png(PICTURE, gpano(**CROP)), assume_full=True)
    np.testing.assert_array_equal(pixels, PICTURE)


def test_the_tags_are_read_as_numbers_of_any_form():
    wanted = GPano(Crop(48, 16, 8, 4, 64, 32), 12.5, -3.0, 1e-3)
    pose = {"PoseHeadingDegrees": "12.5", "PosePitchDegrees": " -3 ", "PoseRollDegrees": "1e-3"}
    floats = {name: f"{value}.0" for name, value in CROP.items()}
    for form in ("attributes", "elements"):
        assert parse_gpano(gpano(form, **floats, **pose)) == wanted
    assert parse_gpano(b"\0\n" + gpano(**CROP, **pose) + b"  \n\0\0") == wanted
    assert parse_gpano(b"<not xml, and not about panoramas") == GPano()


@pytest.mark.parametrize(
    "packet",
    [
        gpano()[:-40],
        b'<!DOCTYPE x [<!ENTITY a "b">]><x xmlns:g="http://ns.google.com/photos/1.0/panorama/">&a;</x>',
        b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><x xmlns:g="http://ns.google.com/photos/1.0/panorama/">&a;</x>',
        b'<?xml version="1.0" encoding="no-such"?><x xmlns:g="http://ns.google.com/photos/1.0/panorama/"/>',
    ],
)
def test_a_packet_that_cannot_be_parsed_safely_is_refused(packet):
    with pytest.raises(DataError, match="the XMP packet with GPano tags cannot be parsed"):
        parse_gpano(packet)


def test_a_tag_with_two_values_is_refused():
    packet = gpano(**CROP).replace(b"</rdf:RDF>", gpano("elements", FullPanoWidthPixels=65).split(b"RDF xmlns", 1)[1]
                                   .split(b">", 1)[1].split(b"</rdf:RDF>")[0] + b"</rdf:RDF>")  # fmt: skip
    with pytest.raises(DataError, match="GPano:FullPanoWidthPixels is both '64' and '65'"):
        parse_gpano(packet)


def world(rays):
    """Return smooth colours of the world by direction: x east or right, y down, z ahead."""
    x, y, z = np.moveaxis(rays, -1, 0)
    channels = [x + 0.3 * y * z, y - 0.4 * x * z, z + 0.3 * x * y]
    return np.rint(np.clip(128 + 90 * np.stack(channels, axis=-1), 0, 255)).astype(np.uint8)


RAYS = erp_rays(128, 256)
ANGLES = [(0, 20, 0), (0, 0, 35), (90, 0, 0), (33, 0, 0), (200, -40, 15), (350, 70, -170), (0, 90, 0), (10, 1, 180)]


@pytest.mark.parametrize(("heading", "pitch", "roll"), ANGLES)
def test_what_a_tilted_camera_recorded_is_levelled(heading, pitch, roll):
    recorded = world(RAYS @ rotation(heading, pitch, roll).T)
    pose = {"PoseHeadingDegrees": heading, "PosePitchDegrees": pitch, "PoseRollDegrees": roll}
    data = png(recorded, gpano(**pose))
    ahead = world(RAYS @ rotation(heading).T)  # the same camera, held level
    for choice, wanted in (("level", ahead), ("north", world(RAYS)), ("ignore", recorded)):
        pixels = open_panorama(data, pose=choice)
        assert (pixels.flags["C_CONTIGUOUS"], pixels.flags["WRITEABLE"]) == (True, True)
        assert np.abs(pixels.astype(int) - wanted).max() <= 2, choice
    np.testing.assert_array_equal(open_panorama(data), open_panorama(data, pose="level"))


def recorded_sky(up):
    """Return the panorama of a camera that sees white where a ray rises above the horizon; `up` in its own frame."""
    return np.repeat(np.where(RAYS @ up > 0, 255, 0).astype(np.uint8)[:, :, None], 3, axis=2)


@pytest.mark.parametrize(
    ("tags", "up"),
    [
        # with growing roll the horizon turns counterclockwise in the image: up leans to the left
        ({"PoseRollDegrees": 30}, (-0.5, -np.sqrt(0.75), 0)),
        # the centre of the image is 30 degrees above the horizon: up leans towards the viewer's front
        ({"PosePitchDegrees": 30}, (0, -np.sqrt(0.75), 0.5)),
    ],
)
def test_the_signs_are_those_of_the_specification(tags, up):
    recorded = recorded_sky(np.array(up))
    if "PoseRollDegrees" in tags:  # right of the centre the horizon is higher: counterclockwise
        assert recorded[60, 128 + 40, 0] == 0
        assert recorded[60, 128 - 40, 0] == 255
    else:  # at the centre it is lower, since the camera looks up
        assert recorded[70, 128, 0] == 255
    level = open_panorama(png(recorded, gpano(**tags)))
    assert (level[:62] == 255).all()
    assert (level[66:] == 0).all()


def test_a_heading_turns_clockwise_from_north():
    east = np.zeros((32, 64, 3), np.uint8)
    east[:, 16] = 255  # a camera that faces east has north 90 degrees to its left
    pixels = open_panorama(png(east, gpano(PoseHeadingDegrees=90)), pose="north")
    assert np.flatnonzero(pixels[0, :, 0]).tolist() == [32]


def test_north_without_a_heading_is_refused():
    plain = png(PICTURE[:, :32], gpano(PosePitchDegrees=0))
    with pytest.raises(DataError, match="pose='north' needs the tag GPano:PoseHeadingDegrees"):
        open_panorama(plain, pose="north")
    with pytest.raises(DataError, match="pose='north' needs"):
        open_panorama(pillow(Image.fromarray(PICTURE[:, :32]), "PNG"), pose="north")


def test_a_cropped_and_tilted_picture_is_padded_before_it_is_levelled():
    whole = world(RAYS @ rotation(0, 10, 5).T)
    cropped = whole[16:112]
    tags = {**crop_tags(256, 96, 0, 16, 256, 128), "PosePitchDegrees": 10, "PoseRollDegrees": 5}
    pixels = open_panorama(png(cropped, gpano(**tags)))
    np.testing.assert_allclose(pixels[50:80].astype(int), world(RAYS)[50:80], atol=2)


def test_a_tag_after_the_pixels_of_a_png_counts():
    plain = pillow(Image.fromarray(PICTURE), "PNG")
    tagged = png(PICTURE, gpano(**CROP))
    start = tagged.index(b"iTXt") - 4
    size = int.from_bytes(tagged[start : start + 4], "big") + 12
    late = plain[:-12] + tagged[start : start + size] + plain[-12:]
    np.testing.assert_array_equal(open_panorama(late), open_panorama(tagged))
    assert Image.open(io.BytesIO(late)).size == (48, 16)
