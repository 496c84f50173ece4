"""From a file to views: decoded no finer than needed, rendered as configured, normalised like the encoder."""

import io

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from panollava.data.features import FeatureStore
from panollava.data.images import ImageOptions
from panollava.data.views import load_erp, load_views, normalised_views, stacked_views, views_of
from panollava.errors import DataError
from panollava.geometry import cubemap, e2p_ring, render_views
from panollava.models.vision import EncoderContract, VisionEncoder

LAYOUT = e2p_ring(size_px=48, global_size_px=(24, 48))


def smooth(width: int) -> np.ndarray:
    noise = np.random.default_rng(0).integers(0, 256, (16, 32, 3), dtype=np.uint8)
    return cv2.resize(noise, (width, width // 2), interpolation=cv2.INTER_CUBIC)


@pytest.fixture
def jpeg() -> bytes:
    file = io.BytesIO()
    Image.fromarray(smooth(1024)).save(file, "JPEG", quality=95)
    return file.getvalue()


def test_a_jpeg_is_decoded_no_finer_than_the_views_need(jpeg):
    needed = 1.5 * np.pi * 48  # 1.5 panorama pixels at the middle of a view of 90 degrees
    assert load_erp(jpeg, LAYOUT).shape == (128, 256, 3)
    assert needed <= 256 < 2 * needed
    assert load_erp(jpeg, LAYOUT, images=ImageOptions(antialias="quality")).shape == (256, 512, 3)
    assert load_erp(jpeg, LAYOUT, images=ImageOptions(antialias="none")).shape == (512, 1024, 3)


def test_views_of_the_scaled_picture_are_those_of_the_whole(jpeg):
    whole = load_erp(jpeg, LAYOUT, images=ImageOptions(antialias="none"))
    for antialias, most in (("fast", 2.5), ("quality", 2.5)):
        scaled = load_views(jpeg, LAYOUT, images=ImageOptions(antialias=antialias))
        for group, picture in zip(scaled, views_of(whole, LAYOUT, antialias=antialias), strict=True):
            error = group.float() - picture.float()
            assert error.abs().max() <= 12 and error.square().mean().sqrt() < most


def test_groups_are_ordered_like_the_layout(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(smooth(256)).save(path)
    groups = load_views(path, LAYOUT)
    assert [tuple(g.shape) for g in groups] == [(8, 48, 48, 3), (1, 24, 48, 3)]
    views = render_views(smooth(256), LAYOUT)
    np.testing.assert_array_equal(groups[0][3].numpy(), views[3])
    np.testing.assert_array_equal(groups[1][0].numpy(), views[8])
    assert [tuple(g.shape) for g in stacked_views([path, path], LAYOUT)] == [(2, 8, 48, 48, 3), (2, 1, 24, 48, 3)]


def test_normalised_views_are_the_encoders_to_the_bit(jpeg):
    mean, std = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
    contract = EncoderContract(patch_px=12, image_px=48, prefix_tokens=0, mean=mean, std=std, interpolate_flag=False)
    encoder = VisionEncoder(torch.nn.Identity(), contract)
    ours = normalised_views(jpeg, LAYOUT, mean=mean, std=std)
    for mine, group in zip(ours, load_views(jpeg, LAYOUT), strict=True):
        assert mine.dtype == np.float32
        np.testing.assert_array_equal(mine, encoder.normalise(group).numpy())


@pytest.mark.parametrize(("mean", "std"), [([0.5] * 2, [0.5] * 3), ([0.5] * 3, [0.5, 0.0, 0.5])])
def test_a_wrong_normalisation_is_refused(jpeg, mean, std):
    with pytest.raises(DataError, match="three numbers each, std above 0"):
        normalised_views(jpeg, cubemap(size_px=8), mean=mean, std=std)


def test_a_panorama_that_is_too_wide_for_the_views_is_named(tmp_path):
    path = tmp_path / "wide.png"
    Image.new("RGB", (140_000, 64)).save(path)
    layout = e2p_ring(hfov_deg=90.0, overlap=0.5, size_px=16)
    options = ImageOptions(assume_full=True)
    with pytest.raises(DataError, match=r"wide\.png: a view needs .* Resize the panorama"):
        load_views(path, layout, images=options)
    with pytest.raises(DataError, match=r"wide\.png: a view needs"):
        normalised_views(path, layout, mean=[0.5] * 3, std=[0.5] * 3, images=options)
    with pytest.raises(DataError, match=r"wide\.png: a view needs"):
        FeatureStore(encode=lambda views: views, layout=layout, folder=None, images=options).get([path])
