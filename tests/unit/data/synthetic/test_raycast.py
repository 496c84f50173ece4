from dataclasses import replace

import numpy as np
import pytest

from panollava.data.synthetic.raycast import render_erp, render_twice, trace
from panollava.data.synthetic.scene import sample_scene
from panollava.data.synthetic.vocabulary import CAMERA_HEIGHT_M, SHAPES
from panollava.geometry import ViewLayout, ViewSpec, erp_rays, pixel_solid_angle, render_views

H = 128
RAYS = erp_rays(H, 2 * H)


def seen_from(yaw_deg, pitch_deg):
    yaw, pitch = np.radians([yaw_deg, pitch_deg])
    return np.array([np.cos(pitch) * np.sin(yaw), -np.sin(pitch), np.cos(pitch) * np.cos(yaw)])


def angle_deg(a, b):
    return np.degrees(np.arccos(np.clip(a @ b / np.linalg.norm(a) / np.linalg.norm(b), -1, 1)))


@pytest.mark.parametrize("yaw, pitch", [(0, -10), (90, 30), (-179, -8), (180, 10), (40, 75), (-120, 88)])
def test_a_ball_is_where_it_is_said_to_be(make_object, make_scene, yaw, pitch):
    ball = make_object("ball", yaw=yaw, pitch=pitch, distance=3.5)
    rays = erp_rays(256, 512)
    seen = render_erp(make_scene(ball), height=256)
    mask = seen.instance == 0
    area = pixel_solid_angle(256, 512)[:, None] * mask
    centroid = (rays * area[..., None]).sum(axis=(0, 1))
    assert angle_deg(centroid, seen_from(yaw, pitch)) < 0.15  # a pixel is 0.7 degrees
    cap = 2 * np.pi * (1 - np.sqrt(1 - (0.85 / 3.5) ** 2))
    assert area.sum() == pytest.approx(cap, rel=0.02)
    assert seen.depth_m[mask].min() == pytest.approx(3.5 - 0.85, abs=2e-3)
    inside = rays @ seen_from(yaw, pitch) > np.sqrt(1 - (0.85 / 3.5) ** 2)
    assert (inside == mask).mean() > 0.9999


def test_depth_of_a_ball_is_analytic_at_every_pixel(make_object, make_scene):
    seen = render_erp(make_scene(make_object("ball", distance=3.0)), height=H)
    mask = seen.instance == 0
    along = RAYS[mask] @ (3.0 * seen_from(0, -10))
    assert seen.depth_m[mask] == pytest.approx(along - np.sqrt(along**2 - 9.0 + 0.85**2), abs=2e-3)


def test_ground_and_sky_depths_are_analytic(make_scene):
    seen = render_erp(make_scene(), height=H)
    below = RAYS[..., 1] > 0
    assert (seen.instance == -1).all()
    assert np.isinf(seen.depth_m[~below]).all()
    assert seen.depth_m[below] == pytest.approx(CAMERA_HEIGHT_M / RAYS[..., 1][below], rel=1e-5)


def test_a_room_is_a_turned_box(make_scene):
    scene = make_scene(kind="room")
    points = RAYS * render_erp(scene, height=H).depth_m[..., None]
    turn = np.radians(scene.place.turn_deg)
    first = np.cos(turn) * points[..., 0] - np.sin(turn) * points[..., 2]
    second = np.sin(turn) * points[..., 0] + np.cos(turn) * points[..., 2]
    faces = np.stack(
        [
            abs(first) / 6.0,
            abs(second) / 7.0,
            points[..., 1] / CAMERA_HEIGHT_M,
            -points[..., 1] / (scene.place.height_m - CAMERA_HEIGHT_M),
        ]
    )
    assert faces.max(axis=0) == pytest.approx(np.ones((H, 2 * H)), rel=1e-4)


@pytest.mark.parametrize("shape", list(SHAPES))
def test_a_silhouette_stays_in_its_bounding_cone(make_object, make_scene, shape):
    item = make_object(shape, yaw=175.0, distance=3.0)
    mask = render_erp(make_scene(item), height=H).instance == 0
    away = np.degrees(np.arccos(RAYS[mask] @ seen_from(175, -10)))
    assert mask.sum() > 100
    assert away.max() <= item.angular_radius_deg + 1e-3
    if shape != "cylinder":  # its rim is the bounding sphere too, but seen from above it need not show
        assert away.max() > 0.8 * item.angular_radius_deg


def test_the_nearer_object_hides_the_farther(make_object, make_scene):
    near, far = make_object(distance=2.0, size="small"), make_object(distance=3.6, colour="blue")
    for order in ((near, far), (far, near)):
        seen = render_erp(make_scene(*order), height=H)
        straight = np.unravel_index((RAYS @ seen_from(0, -10)).argmax(), (H, 2 * H))
        assert seen.instance[straight] == order.index(near)
        assert seen.depth_m[straight] == pytest.approx(1.5, abs=0.02)


def test_the_seam_is_as_smooth_as_any_other_column():
    steps = np.zeros(2 * H)
    for index in range(30):
        scene = sample_scene(1, index)
        if scene.place.floor in ("wooden", "tiled"):
            continue  # their boards and tiles have edges along the axes, which cross the seam's column
        image = render_erp(replace(scene, objects=()), height=H).image.astype(float)
        steps += abs(np.roll(image, -1, axis=1) - image).mean(axis=(0, 2))  # from each column to the next
    assert steps.min() > 0
    assert steps[-1] < 1.3 * np.median(steps)


def test_objects_do_not_break_at_the_seam(make_object, make_scene):
    for shape in SHAPES:
        item = make_object(shape, yaw=180.0, distance=2.6, heading=0.0)
        image = render_erp(make_scene(item, light_yaw=180.0), height=H).image.astype(int)
        # object and light are symmetric about the seam, so columns mirror each other across it
        assert abs(image[: H // 2 + 20, :40] - image[: H // 2 + 20, -40:][:, ::-1]).max() <= 2


def test_turning_the_scene_by_whole_columns_rolls_the_picture(make_object, make_scene):
    columns = 77
    turn = columns * 360.0 / (2 * H)
    items = [
        make_object(shape, yaw=-150.0 + 66 * number, heading=17.0 * number, distance=2.6, material=material)
        for number, (shape, material) in enumerate(
            zip(SHAPES, ("matte", "shiny", "striped", "matte", "shiny"), strict=True)
        )
    ]
    turned = [replace(o, yaw_deg=(o.yaw_deg + turn + 180) % 360 - 180, heading_deg=o.heading_deg - turn) for o in items]
    before = render_erp(make_scene(*items), height=H)
    after = render_erp(make_scene(*turned, light_yaw=30.0 + turn), height=H)
    rolled = np.roll(before.instance, columns, axis=1)
    same = rolled == after.instance
    assert same.mean() > 0.9998  # a ray that grazes an edge may fall to either side
    plain = same & ((rolled >= 0) | (RAYS[..., 1] < 0))  # objects and sky: the texture of the ground stays put
    change = abs(np.roll(before.image, columns, axis=1).astype(int) - after.image)[plain]
    assert np.quantile(change, 0.995) <= 1  # the border of a stripe may fall to either side
    assert np.roll(before.depth_m, columns, axis=1)[same & (rolled >= 0)] == pytest.approx(
        after.depth_m[same & (rolled >= 0)], abs=5e-3
    )


@pytest.mark.parametrize("yaw, pitch, roll", [(180, 0, 0), (30, 50, 10), (-90, -80, 0)])
def test_a_view_traced_directly_agrees_with_the_projection_of_the_erp(yaw, pitch, roll):
    scene = sample_scene(7, 3)
    view = ViewSpec(
        name="v", kind="perspective", yaw_deg=yaw, pitch_deg=pitch, roll_deg=roll,
        hfov_deg=80, vfov_deg=80, height_px=96, width_px=96,
    )  # fmt: skip
    (projected,) = render_views(
        render_erp(scene, height=512).image, ViewLayout(name="one", views=(view,), ring_indices=())
    )
    direct = trace(scene, view.rays(96 * 2, 96 * 2).astype(np.float32), supersample=2).image
    error = abs(projected.astype(int) - direct)
    assert error.mean() < 1.5
    assert np.quantile(error, 0.95) <= 6  # what is left are edges, which the two average differently


def test_picture_and_measurements_come_from_one_tracing():
    scene = sample_scene(7, 4)
    image, fine = render_twice(scene, height=64, supersample=2)
    assert (image == render_erp(scene, height=64, supersample=2).image).all()
    single = render_erp(scene, height=128)
    assert all((a == b).all() for a, b in ((fine.image, single.image), (fine.instance, single.instance)))
    cells = fine.image.reshape(64, 2, 128, 2, 3).astype(float).mean(axis=(1, 3))
    assert abs(image - cells).max() <= 1.0


def test_an_odd_number_of_rays_keeps_the_mask_of_pixel_centres():
    scene = sample_scene(7, 5)
    assert (render_erp(scene, height=32, supersample=3).instance == render_erp(scene, height=32).instance).all()


def test_a_grid_that_cannot_be_averaged_is_refused():
    with pytest.raises(ValueError, match=r"5 x 8 grid .* 2 x 2; choose a multiple"):
        trace(sample_scene(0, 0), np.zeros((5, 8, 3), np.float32), supersample=2)
