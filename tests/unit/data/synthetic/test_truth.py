import json

import numpy as np
import pytest

from panollava.data.synthetic.raycast import render_erp, trace
from panollava.data.synthetic.scene import sample_scene
from panollava.data.synthetic.truth import bounding_field_of_view, measure, scene_record
from panollava.data.synthetic.vocabulary import SHAPES
from panollava.errors import GeometryError
from panollava.geometry import ViewSpec, ray_from_angles

H = 256
PIXEL_DEG = 180 / H


def only(scene, height=H):
    (visible,) = measure(render_erp(scene, height=height), objects=1)
    return visible


def view_of(bfov, *, wider_deg=0.0):
    yaw, pitch, hfov, vfov = bfov
    return ViewSpec(
        name="v", kind="perspective", yaw_deg=yaw, pitch_deg=pitch, roll_deg=0,
        hfov_deg=hfov + wider_deg, vfov_deg=vfov + wider_deg, height_px=64, width_px=64,
    )  # fmt: skip


@pytest.mark.parametrize("yaw, pitch", [(0, 5), (178, 20), (-60, 40), (120, 80)])
def test_what_is_seen_of_a_ball_is_analytic(make_object, make_scene, yaw, pitch):
    visible = only(make_scene(make_object("ball", yaw=yaw, pitch=pitch, distance=3.0)))
    half = np.arcsin(0.85 / 3.0)
    assert visible.solid_angle_sr == pytest.approx(2 * np.pi * (1 - np.cos(half)), rel=0.02)
    seen_yaw, seen_pitch, hfov, vfov = visible.bfov_deg
    aim = ray_from_angles(np.radians(seen_yaw), np.radians(seen_pitch))
    assert aim @ ray_from_angles(np.radians(yaw), np.radians(pitch)) > np.cos(np.radians(PIXEL_DEG))
    assert (hfov, vfov) == pytest.approx((2 * np.degrees(half),) * 2, abs=1.5 * PIXEL_DEG)
    nearest, median, farthest = visible.depth_m
    assert nearest == pytest.approx(3.0 - 0.85, abs=1e-3)
    assert nearest < median < farthest <= np.sqrt(9 - 0.85**2) + 1e-3


@pytest.mark.parametrize("shape", list(SHAPES))
@pytest.mark.parametrize("pitch", [-8, 62])
def test_the_field_of_view_holds_the_object_edge_to_edge(make_object, make_scene, shape, pitch):
    scene = make_scene(make_object(shape, yaw=-179.0, pitch=pitch, distance=3.0, heading=33.0))
    bfov = only(scene).bfov_deg
    view = view_of(bfov)
    inner = trace(scene, view.rays(64, 64).astype(np.float32)).instance == 0
    edges = (inner[:4].any(), inner[-4:].any(), inner[:, :4].any(), inner[:, -4:].any())
    assert all(edges)  # it reaches all four sides ...
    wide = trace(scene, view_of(bfov, wider_deg=4 * PIXEL_DEG).rays(200, 200).astype(np.float32)).instance == 0
    assert not (wide[0].any() or wide[-1].any() or wide[:, 0].any() or wide[:, -1].any())  # ... and no farther


def test_fields_of_view_are_exact_for_corners():
    rays = view_of((-170.0, 35.0, 50.0, 30.0)).rays(2, 2).reshape(-1, 3)  # centres of 2 x 2 cells
    half = np.degrees(np.arctan(np.tan(np.radians([25.0, 15.0])) / 2))
    assert bounding_field_of_view(rays) == pytest.approx((-170.0, 35.0, *(2 * half)), abs=1e-3)


def test_fields_of_view_that_do_not_exist_are_refused():
    with pytest.raises(GeometryError, match="at least one ray"):
        bounding_field_of_view(np.zeros((0, 3)))
    with pytest.raises(GeometryError, match="half a sphere"):
        bounding_field_of_view(np.array([[1.0, 0, 0.1], [-1.0, 0, 0.1], [0, 0, -1.0], [0, 1, 1]]))


def test_an_object_across_the_seam_has_two_boxes(make_object, make_scene):
    visible = only(make_scene(make_object("ball", yaw=175.0, pitch=0.0, distance=3.0)))
    half = np.degrees(np.arcsin(0.85 / 3.0))
    (left0, _, right0, _), (left1, top, right1, bottom) = visible.boxes
    assert visible.crosses_seam
    assert (left0, right1) == (0.0, 1.0)
    assert right0 == pytest.approx((half - 5) / 360, abs=1 / H)
    assert left1 == pytest.approx(1 - (half + 5) / 360, abs=1 / H)
    assert (top, bottom) == pytest.approx((0.5 - half / 180, 0.5 + half / 180), abs=1 / H)


def test_boxes_fit_their_mask_tightly():
    scene = sample_scene(7, 0)
    rendering = render_erp(scene, height=64)
    for index, visible in enumerate(measure(rendering, objects=len(scene.objects))):
        covered = np.zeros((64, 128), bool)
        for left, top, right, bottom in visible.boxes:
            rows = slice(round(top * 64), round(bottom * 64))
            columns = slice(round(left * 128), round(right * 128))
            part = rendering.instance[rows, columns] == index
            assert part[0].any() and part[-1].any() and part[:, 0].any() and part[:, -1].any()
            covered[rows, columns] = True
        assert covered[rendering.instance == index].all()


def test_an_object_over_the_pole_has_every_column_and_one_box(make_object, make_scene):
    visible = only(make_scene(make_object("ball", yaw=20.0, pitch=88.0, distance=2.5)))
    assert visible.covers_pole
    ((left, top, right, _),) = visible.boxes
    assert (left, top, right) == (0.0, 0.0, 1.0)
    beside = only(make_scene(make_object("ball", yaw=20.0, pitch=40.0, distance=2.5)))
    assert not (beside.covers_pole or beside.crosses_seam)


def test_a_hidden_object_is_unseen_not_invented(make_object, make_scene):
    near = make_object("ball", distance=1.8)
    far = make_object("ball", distance=4.0, size="small", colour="blue")
    record = scene_record(make_scene(near, far), render_erp(make_scene(near, far), height=64))
    hidden = record["objects"][1]
    assert hidden["solid_angle_sr"] == 0
    assert hidden["bfov_deg"] is None and hidden["depth_m"] is None and hidden["boxes"] == []


def test_a_record_is_plain_json_and_states_the_scene():
    scene = sample_scene(7, 1)
    record = scene_record(scene, render_erp(scene, height=64))
    assert json.loads(json.dumps(record)) == record
    assert (record["scene_id"], record["split"], record["index"]) == (scene.scene_id, scene.split, 1)
    assert record["camera_height_m"] == 1.6
    assert record["place"]["floor"] == scene.place.floor
    for number, (said, item) in enumerate(zip(record["objects"], scene.objects, strict=True)):
        assert said["id"] == number
        assert (said["yaw_deg"], said["pitch_deg"], said["distance_m"]) == (
            item.yaw_deg, item.pitch_deg, item.distance_m,
        )  # fmt: skip
        assert np.linalg.norm(said["position_m"]) == pytest.approx(item.distance_m, abs=1e-5)
        assert said["is_polar"] == item.is_polar
        assert said["bfov_deg"][2] <= 2.2 * item.angular_radius_deg
    cube = next(o for o in record["objects"] if o["shape"] == "cube")
    assert cube["size_m"] == pytest.approx([2 * cube["radius_m"] / 3**0.5] * 2, abs=1e-6)


def test_ground_truth_needs_a_whole_panorama():
    view = trace(sample_scene(0, 0), np.broadcast_to(np.float32([0, 0, 1]), (8, 8, 3)))
    with pytest.raises(GeometryError, match=r"this rendering is 8 x 8\. Use render_erp"):
        measure(view, objects=1)
