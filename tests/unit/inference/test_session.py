"""A loaded model answers, encodes a panorama once, and never answers about another picture."""

import shutil

import numpy as np
import pytest
from PIL import Image

from panollava.errors import CheckpointError, DataError
from panollava.inference.session import Session


@pytest.fixture
def session(three_stages):
    return Session.load(three_stages.run_dir, device="cpu")


@pytest.fixture
def encoded(session, monkeypatch):
    """Return the number of times that views were encoded, as a growing list."""
    calls, encode = [], session.model.encode
    monkeypatch.setattr(session.model, "encode", lambda views: calls.append(1) or encode(views))
    return calls


@pytest.fixture
def images(panoramas):
    return [p.image for p in panoramas("train")[:2]]


def test_a_session_says_what_the_trained_model_says(session, three_stages, images):
    from panollava.data.views import load_views

    model = three_stages.model.eval()
    features = model.encode(tuple(g[None] for g in load_views(images[0], model.layout)))
    questions = ["what is behind me?", "up?", "is there a red ball to the left of the cube?"]
    wanted = model.generate(features, [(0, q) for q in questions], max_new_tokens=4)
    assert session.ask_many(images[0], questions) == wanted
    assert [session.ask(images[0], q) for q in questions] == wanted
    assert session.meta.stage == "finetune"


def test_a_panorama_is_encoded_once(session, encoded, images):
    session.ask_many(images[0], ["a?", "b?"])
    session.ask(str(images[0]), "c?")
    assert len(encoded) == 1
    session.ask(images[1], "a?")
    assert len(encoded) == 2


def test_another_picture_under_the_same_name_is_looked_at(session, encoded, images, tmp_path):
    upload = tmp_path / "upload.jpg"
    for image in images:
        shutil.copy(image, upload)
        session.ask(upload, "what is it?")
    assert len(encoded) == 2


def test_a_blind_model_opens_no_picture(tiny_model, tiny_config, three_stages, tmp_path):
    session = Session(tiny_model(blind=True), tiny_config(), Session.load(three_stages.checkpoint).meta)
    assert isinstance(session.ask(tmp_path / "nowhere.jpg", "what?"), str)


def test_what_is_no_panorama_is_refused(session, tmp_path):
    Image.fromarray(np.zeros((30, 40, 3), np.uint8)).save(tmp_path / "flat.jpg")
    with pytest.raises(DataError, match=r"flat\.jpg"):
        session.ask(tmp_path / "flat.jpg", "what?")


def test_a_folder_without_checkpoint_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="no checkpoint below"):
        Session.load(tmp_path)
