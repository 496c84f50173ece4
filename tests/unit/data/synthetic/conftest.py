"""Scenes built by hand, and one set of sampled scenes with their questions, for the tests of this room."""

from collections import Counter

import pytest

from panollava.data.synthetic.questions import QuestionSampler
from panollava.data.synthetic.raycast import render_erp
from panollava.data.synthetic.scene import Place, Scene, SceneObject, sample_scene
from panollava.data.synthetic.truth import scene_record

SEED = 11
SCENES = 200


@pytest.fixture(scope="session")
def make_object():
    def make(shape="ball", *, yaw=0.0, pitch=-10.0, distance=3.0, size="large", heading=20.0, **other):
        look = {"colour": "red", "material": "matte"} | other
        return SceneObject(look["colour"], shape, size, look["material"], yaw, pitch, distance, heading_deg=heading)

    return make


@pytest.fixture(scope="session")
def make_scene():
    def make(*objects, kind="outdoor", light_yaw=30.0, index=0):
        floor, upper = ("carpeted", "white") if kind == "room" else ("asphalt", "overcast")
        place = Place(kind, floor, upper, (6.0, 7.0), 4.5, 30.0, light_yaw, texture_seed=5)
        return Scene(seed=0, index=index, place=place, objects=tuple(objects))

    return make


@pytest.fixture(scope="session")
def scenes():
    return [sample_scene(SEED, index) for index in range(SCENES)]


@pytest.fixture(scope="session")
def records(scenes):
    """The ground truth of the scenes as a user reads it; a coarse mask changes no stated number."""
    return [scene_record(scene, render_erp(scene, height=24)) for scene in scenes]


@pytest.fixture(scope="session")
def questions(scenes):
    """Questions of every scene, drawn in order by one sampler."""
    sampler = QuestionSampler(SEED)
    return [sampler.draw(scene, count=24) for scene in scenes]


@pytest.fixture(scope="session")
def answers_by_template(questions):
    counts = {}
    for drawn in questions:
        for question in drawn:
            counts.setdefault(question.template, Counter())[question.answer] += 1
    return counts
