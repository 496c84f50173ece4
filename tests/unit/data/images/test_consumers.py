"""Whoever reads panoramas reads them by the options of the run."""

import numpy as np
import pytest
import torch
from PIL import Image

from panollava.cli import main
from panollava.data.features import FeatureStore
from panollava.data.images import ImageOptions, open_panorama
from panollava.data.manifest import PanoramaSamples
from panollava.data.views import load_views, stacked_views
from panollava.errors import ConfigError, DataError
from panollava.geometry import resize
from panollava.training.loader import LanguageBatches, PixelBatches, StagePlan

LAYOUT = resize(size_px=(32, 64))
PAD = ImageOptions(pad=True)


@pytest.fixture
def flat(tmp_path):
    """Return a picture that is not 2:1."""
    path = tmp_path / "flat.png"
    Image.fromarray(np.full((32, 32, 3), 200, np.uint8)).save(path)
    return path


def is_padded(views):
    """Whether a view 64 wide shows the picture in its middle half only."""
    seen = views.reshape(-1, *views.shape[-3:])[0]
    return bool((seen[:, :16] == 0).all() and (seen[:, 16:48] == 200).all() and (seen[:, 48:] == 0).all())


def test_views_and_features_are_those_of_the_options(flat):
    for read in (lambda: load_views(flat, LAYOUT), lambda: stacked_views([flat], LAYOUT)):
        with pytest.raises(DataError, match="pad=True"):
            read()
    assert is_padded(load_views(flat, LAYOUT, images=PAD)[0])
    assert is_padded(stacked_views([flat], LAYOUT, images=PAD)[0])
    store = FeatureStore(encode=lambda views: views, layout=LAYOUT, folder=None, images=PAD)
    assert is_padded(store.get([flat])[0])


def test_training_reads_by_the_options(flat, panoramas, tiny_model):
    model = tiny_model()
    samples = panoramas("train")[0].samples
    data, plan = [PanoramaSamples(flat, samples)], StagePlan(((0, (0,)),))
    pixels = PixelBatches(data, plan, model, images=PAD)[0]
    words = LanguageBatches(data, plan, model, None, limit=1, seed=0, images=PAD)[0]
    wanted = stacked_views([flat], model.layout, images=PAD)
    for got in (pixels, words.views):
        assert all(torch.equal(a, b) for a, b in zip(got, wanted, strict=True))
    with pytest.raises(DataError, match="pad=True"):
        PixelBatches(data, plan, model)[0]


def test_features_of_other_options_lie_in_another_folder(flat, tiny_config, tiny_model, tmp_path):
    from panollava.training.feeds import feature_store

    model = tiny_model()
    for setting in ("data.images.pad=true", "data.images.assume_full=true"):
        feature_store(model, tiny_config(f"paths.data={tmp_path}", setting)).get([flat])
    found = sorted(folder.name.rsplit("-", 3)[1:] for folder in (tmp_path / "features").iterdir())
    assert found == [
        ["level", "full", "fast"],
        ["level", "pad", "fast"],
    ]
    with pytest.raises(DataError, match="pad=True"):
        feature_store(model, tiny_config(f"paths.data={tmp_path}")).get([flat])


def test_a_session_reads_by_the_settings_of_its_run_and_of_the_call(flat, three_stages):
    from panollava.inference.session import Session

    with pytest.raises(DataError, match="pad=True"):
        Session.load(three_stages.run_dir, device="cpu").ask(flat, "what?")
    session = Session.load(three_stages.run_dir, device="cpu", settings=["data.images.pad=true"])
    assert isinstance(session.ask(flat, "what?"), str)
    with pytest.raises(ConfigError, match=r"views.hfov_deg=75: this is fixed by training"):
        Session.load(three_stages.run_dir, settings=["data.images.pad=true", "views.hfov_deg=75"])


def test_the_verb_views_reads_by_its_options(flat, tmp_path, capsys):
    words = ["views", str(flat), "--layout", "resize", "--each", "--out", str(tmp_path / "out"), "--size-px", "32"]
    assert main(words) == 1
    assert "flat.png" in capsys.readouterr().err
    assert main([*words, "--pad"]) == 0
    [view] = [path for path in (tmp_path / "out").iterdir() if not path.stem.endswith("_views")]
    assert is_padded(open_panorama(view))
    assert main([*words, "--pad", "--pose", "north"]) == 1
    assert "PoseHeadingDegrees" in capsys.readouterr().err
    assert main([*words, "--tone-map", "loud"]) == 1
    assert "data.images.tone_map" in capsys.readouterr().err
