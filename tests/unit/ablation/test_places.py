"""Where a question looks, held to the answers of generated questions, which know."""

import json
from dataclasses import replace

import pytest

from panollava.ablation.places import Place, Places, named_objects
from panollava.data.manifest import read_manifest
from panollava.data.synthetic.write import synthesize
from panollava.errors import DataError

RED_CONE = {"colour": "red", "shape": "cone", "size": "small", "material": "matte"}
RED_BALL = {"colour": "red", "shape": "ball", "size": "large", "material": "matte"}


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("surroundqa")
    synthesize(folder, count=40, seed=3, width=128, questions_per_panorama=26, workers=1)
    return read_manifest(folder / "train.jsonl")


def test_the_place_of_a_direction_question_is_its_answer(asked):
    places = Places()
    rows = [sample for sample in asked if sample.kind == "direction8"]
    assert len(rows) > 20
    assert [places.of(sample).direction for sample in rows] == [sample.answer for sample in rows]


def test_the_height_of_an_object_is_that_of_its_question(asked):
    places = Places()
    rows = [(places.of(sample).height, sample.answer) for sample in asked if sample.kind == "elevation"]
    assert len(rows) > 20
    assert all(height in (answer, "at eye level", "at a pole") for height, answer in rows)
    assert any(height == answer for height, answer in rows)


def test_the_seam_is_the_truth_of_the_scene(asked):
    places = Places()
    scenes = (asked[0].image.parent.parent / "scenes.jsonl").read_text().splitlines()
    crossing = {
        scene["scene_id"] for scene in map(json.loads, scenes) if any(o["crosses_seam"] for o in scene["objects"])
    }
    found = {sample.image.stem for sample in asked if places.of(sample).seam}
    assert found and found <= crossing


def test_questions_about_two_objects_or_none_have_no_place(asked):
    places = Places()
    for sample in asked:
        if sample.kind in ("relative", "distance", "count", "caption"):
            assert places.of(sample) == Place()


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("what size is the cone?", [RED_CONE]),
        ("what material is the large red object?", [RED_BALL]),
        ("facing the cone, is the ball to the left?", [RED_CONE, RED_BALL]),
        ("what colour is the red object?", []),
        ("where is the blue ball?", []),
        ("how many balls are there?", []),
    ],
)
def test_a_name_counts_where_it_fits_one_object(query, found):
    assert named_objects(query, [RED_CONE, RED_BALL]) == found


def test_without_truth_the_reference_of_a_direction_question_tells(asked, tmp_path):
    sample = replace(asked[0], image=tmp_path / "images" / "a.jpg", kind="direction4", answer="Left")
    assert Places().of(sample) == Place("left")
    assert Places().of(replace(sample, kind="open")) == Place()


def test_damaged_truth_is_an_error_that_names_the_file(asked, tmp_path):
    (tmp_path / "scenes.jsonl").write_text("{}\n")
    with pytest.raises(DataError, match=r"scenes\.jsonl"):
        Places().of(replace(asked[0], image=tmp_path / "images" / "a.jpg"))
