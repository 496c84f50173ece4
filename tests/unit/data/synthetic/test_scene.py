import json
from dataclasses import replace

import numpy as np
import pytest

from panollava.data.synthetic.scene import (
    MAX_OBJECTS,
    MIN_OBJECTS,
    POLE_QUOTA,
    SEAM_QUOTA,
    Scene,
    sample_scene,
)
from panollava.data.synthetic.vocabulary import CAMERA_HEIGHT_M, SHAPES
from panollava.errors import DataError


def centre(item):
    yaw, pitch = np.radians([item.yaw_deg, item.pitch_deg])
    return item.distance_m * np.array([np.cos(pitch) * np.sin(yaw), -np.sin(pitch), np.cos(pitch) * np.cos(yaw)])


def test_a_scene_is_a_pure_function_of_seed_and_index():
    first = [sample_scene(3, index) for index in (5, 2, 5)]
    assert first[0] == first[2] != first[1]
    assert sample_scene(4, 5) != first[0]


def test_negative_seeds_are_refused():
    with pytest.raises(DataError, match="seed -1 does not exist; both numbers start at 0"):
        sample_scene(-1, 0)


def test_id_and_split_depend_on_what_is_seen_only(scenes):
    for scene in scenes[:20]:
        renamed = Scene(seed=987, index=654, place=scene.place, objects=scene.objects)
        assert (renamed.scene_id, renamed.split) == (scene.scene_id, scene.split)
    moved = replace(scenes[0].objects[0], yaw_deg=scenes[0].objects[0].yaw_deg + 1e-9)
    assert replace(scenes[0], objects=(moved, *scenes[0].objects[1:])).scene_id != scenes[0].scene_id


def test_ids_are_unique_and_splits_have_their_shares(scenes):
    assert len({scene.scene_id for scene in scenes}) == len(scenes)
    share = {split: np.mean([s.split == split for s in scenes]) for split in ("train", "val", "test")}
    assert share["train"] == pytest.approx(0.80, abs=0.09)  # 3 standard deviations at 200 scenes
    assert share["val"] == pytest.approx(0.08, abs=0.06)
    assert share["test"] == pytest.approx(0.12, abs=0.07)


def test_every_object_fits_into_its_place(scenes):
    for scene in scenes:
        assert MIN_OBJECTS <= len(scene.objects) <= MAX_OBJECTS
        for item in scene.objects:
            height = centre(item)[1]
            if item.pitch_deg < 0:  # rests on the floor
                assert height + item.radius_m * SHAPES[item.shape] == pytest.approx(CAMERA_HEIGHT_M)
            else:  # hangs with its bounding sphere at the ceiling
                assert -height + item.radius_m == pytest.approx(scene.place.height_m - CAMERA_HEIGHT_M)
            assert item.radius_m < item.distance_m
            assert np.hypot(*centre(item)[[0, 2]]) + item.radius_m < min(scene.place.half_extent_m)
            json.dumps(scene.scene_id)


def test_no_two_objects_touch_or_look_alike(scenes):
    for scene in scenes:
        looks = {(o.colour, o.shape, o.size, o.material) for o in scene.objects}
        assert len(looks) == len(scene.objects)
        for i, a in enumerate(scene.objects):
            for b in scene.objects[:i]:
                cosine = centre(a) @ centre(b) / (a.distance_m * b.distance_m)
                assert np.degrees(np.arccos(cosine)) > a.angular_radius_deg + b.angular_radius_deg


def test_seam_and_pole_are_there_by_quota(scenes):
    """The first object takes the seam and the second the pole; by chance 4 % and 15 % of them would."""
    seam = np.mean([scene.objects[0].crosses_seam for scene in scenes])
    pole = np.mean([scene.objects[1].is_polar for scene in scenes])
    assert seam > SEAM_QUOTA - 0.09  # three standard deviations of 200 scenes
    assert pole > POLE_QUOTA - 0.02


def test_yaw_is_uniform_and_both_sides_of_the_horizon_are_used(scenes):
    items = [o for scene in scenes for o in scene.objects]
    phase = np.exp(1j * np.radians([o.yaw_deg for o in items if not o.crosses_seam]))
    quarters = np.histogram([o.yaw_deg for o in items], bins=np.linspace(-180, 180, 5))[0] / len(items)
    assert abs(phase.mean()) < 0.15  # leaving out the seam leaves a small gap behind
    assert quarters.min() > 0.18
    assert 0.2 < np.mean([o.pitch_deg > 0 for o in items]) < 0.5
