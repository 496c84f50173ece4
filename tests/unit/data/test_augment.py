"""Draws are arithmetic, pictures turn exactly, and texts turn with them."""

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from panollava.config import build_config
from panollava.data.augment import Augment, Draw, apply_draw, augmented, carry, draw
from panollava.data.synthetic.raycast import render_erp
from panollava.data.synthetic.scene import Place, Scene, SceneObject
from panollava.errors import ConfigError, DataError
from panollava.geometry import cubemap, e2p_ring, resize, sector
from panollava.text.turn import Freedom, Turn

PAIRS = [("what is behind me?", "a lamp"), ("which side is the bed on: front, right, behind or left?", "right")]


@pytest.fixture
def erp():
    return np.random.default_rng(0).integers(0, 256, (32, 64, 3), np.uint8)


@pytest.fixture
def file(tmp_path, erp):
    path = tmp_path / "pano.png"
    Image.fromarray(erp).save(path)
    return path


def yaws(augment, *, freedom, width=64, count=400):
    return [draw(augment, epoch=e, index=7, freedom=freedom, width=width).turn.yaw_deg for e in range(count)]


def test_a_draw_is_a_function_of_seed_epoch_and_index():
    augment = Augment(3, "any", 0.5, 4.0, 2.0)
    first = draw(augment, epoch=1, index=2)
    assert first == draw(augment, epoch=1, index=2)
    others = [
        draw(augment, epoch=2, index=2),
        draw(augment, epoch=1, index=3),
        draw(Augment(4, "any"), epoch=1, index=2),
    ]
    assert len({d.turn.yaw_deg for d in [first, *others]}) == 4


@pytest.mark.parametrize(
    ("yaw", "freedom", "width", "wanted"),
    [
        ("none", Freedom(), 64, 1), ("stride", Freedom(), 64, 8), ("columns", Freedom(), 16, 16),
        ("columns", Freedom(4), 64, 4), ("columns", Freedom(8), 60, 4), ("any", Freedom(12), 64, 12),
        ("stride", Freedom(1), 64, 1), ("columns", Freedom(4), 63, 1), ("columns", Freedom(8), None, 8),
    ],
)  # fmt: skip
def test_turns_are_drawn_evenly_among_those_that_keep_the_text_true(yaw, freedom, width, wanted):
    seen = Counter(yaws(Augment(0, yaw, ring=8), freedom=freedom, width=width))
    assert len(seen) == wanted
    assert all((angle * wanted / 360.0).is_integer() for angle in seen)
    assert min(seen.values()) > 400 / wanted / 3


def test_any_angle_is_any_angle():
    drawn = np.array(yaws(Augment(0, "any"), freedom=Freedom()))
    assert len(set(drawn.tolist())) == 400
    assert np.histogram(drawn, bins=8, range=(-180, 180))[0].min() > 25


def test_mirror_and_tilt_stay_within_their_limits():
    drawn = [
        draw(Augment(0, mirror=0.25, pitch_jitter_deg=4.0, roll_jitter_deg=2.0), epoch=e, index=0) for e in range(400)
    ]
    assert 60 < sum(d.turn.mirror for d in drawn) < 140
    pitch, roll = (np.array([getattr(d, name) for d in drawn]) for name in ("pitch_deg", "roll_deg"))
    assert 3.8 < pitch.max() <= 4.0 and -4.0 <= pitch.min() < -3.8
    assert 1.9 < roll.max() <= 2.0 and -2.0 <= roll.min() < -1.9
    assert abs(np.corrcoef(pitch, roll)[0, 1]) < 0.2
    barred = [draw(Augment(0, mirror=1.0), epoch=e, index=0, freedom=Freedom(0, mirror=False)) for e in range(20)]
    assert not any(d.turn.mirror for d in barred)


def test_whole_columns_and_a_mirror_move_pixels_and_change_none(erp):
    assert apply_draw(erp, Draw(Turn())) is erp
    assert np.array_equal(apply_draw(erp, Draw(Turn(5 * 360 / 64))), np.roll(erp, 5, axis=1))
    assert np.array_equal(apply_draw(erp, Draw(Turn(-90, mirror=True))), np.roll(erp[:, ::-1], -16, axis=1))


def smooth(height=64):
    """Return a panorama of low frequencies and its value at any yaw and pitch."""

    def value(yaw_deg, pitch_deg):
        y, p = np.deg2rad(yaw_deg), np.deg2rad(pitch_deg)
        return 128 + 60 * np.cos(p) * np.sin(y) + 40 * np.cos(p) * np.cos(y) + 20 * np.sin(p)

    yaw = ((np.arange(2 * height) + 0.5) / (2 * height) - 0.5) * 360
    pitch = (0.5 - (np.arange(height) + 0.5) / height) * 180
    return np.repeat(value(yaw[None], pitch[:, None])[..., None], 3, axis=2).astype(np.float32), value, yaw, pitch


def test_part_of_a_column_moves_content_to_the_right():
    erp, value, yaw, pitch = smooth()
    turned = apply_draw(erp, Draw(Turn(10.3, mirror=True)))
    wanted = value(-(yaw[None] - 10.3), pitch[:, None])
    assert np.abs(turned[..., 0] - wanted).max() < 0.1


def test_a_tilt_lowers_what_was_ahead_and_is_one_resampling_with_the_turn():
    erp, value, _, _ = smooth()
    turned = apply_draw(erp, Draw(Turn(90.0), pitch_deg=8.0))
    # the camera looks up by 8 degrees at what was left (yaw -90): its centre row shows pitch +8
    seen = float(turned[31:33, 63:65, 0].mean())
    assert seen == pytest.approx(float(value(-90.0, 8.0)), abs=0.2)
    assert float(value(-90.0, 8.0)) != pytest.approx(float(value(-90.0, -8.0)), abs=2)


def test_picture_and_text_turn_alike():
    """An object stands where the transported answer says."""
    ball = SceneObject("red", "ball", "large", "matte", 90.0, -15.0, 3.0, heading_deg=0.0)
    place = Place("outdoor", "asphalt", "overcast", (6.0, 7.0), 4.5, 30.0, 30.0, texture_seed=5)
    rendering = render_erp(Scene(seed=0, index=0, place=place, objects=(ball,)), height=64)
    marked = (rendering.instance == rendering.instance[int(64 * (0.5 + 15 / 180)), 96]).astype(np.uint8)[..., None]
    assert 0 < marked.mean() < 0.1
    for turn in (Turn(90), Turn(-45), Turn(0, mirror=True), Turn(135, mirror=True)):
        columns = np.flatnonzero(apply_draw(marked, Draw(turn)).any(axis=(0, 2)))
        angle = np.exp(2j * math.pi * (columns + 0.5) / 128).mean()
        seen = sector(math.degrees(float(np.angle(-angle))), count=8)
        assert carry([("in which of eight directions is the ball?", "right")], turn)[0][1] == seen


@pytest.mark.parametrize(
    ("yaw_deg", "query", "answer"),
    [
        (0.0, "what is behind me?", "right"), (90.0, "what is to my left?", "behind"),
        (-180.0, "what is in front of me?", "left"), (-90.0, "what is to my right?", "front"),
    ],
)  # fmt: skip
def test_views_and_texts_of_a_file(file, erp, yaw_deg, query, answer):
    augment = Augment(1, "columns")
    epoch = yaws(augment, freedom=Freedom(4)).index(yaw_deg)
    views, pairs = augmented(file, PAIRS, augment, layout=resize(size_px=(16, 32)), epoch=epoch, index=7)
    rolled = np.roll(erp, round(yaw_deg * 64 / 360), axis=1)
    halved = rolled.reshape(16, 2, 32, 2, 3).mean(axis=(1, 3))
    assert np.abs(views[0][0].numpy() - halved).max() <= 1
    assert (pairs[0], pairs[1][1]) == ((query, "a lamp"), answer)


def test_a_blind_model_gets_the_words_and_opens_no_file():
    absent = Path("absent.jpg")
    told = {augmented(absent, PAIRS, Augment(0, "columns"), layout=None, epoch=e, index=0)[1][1][1] for e in range(40)}
    assert told == {"front", "right", "behind", "left"}
    assert augmented(absent, PAIRS, Augment(0, "columns"), layout=None, epoch=0, index=0)[0] == ()


def test_texts_that_are_not_understood_stay_where_they_are(file):
    pairs = [("what is the leftmost thing?", "a lamp")]
    for epoch in range(20):
        _, told = augmented(file, pairs, Augment(0, "any", 1.0), layout=resize(size_px=(16, 32)), epoch=epoch, index=0)
        assert told == pairs


def settings(*overrides):
    return build_config({}, overrides=[f"data.augment.{o}" for o in overrides]).data.augment


def test_settings():
    ring = e2p_ring(hfov_deg=90, overlap=0.5)
    assert Augment.from_settings(settings(), layout=ring, seed=1) is None
    made = Augment.from_settings(settings("yaw=stride", "mirror=0.5", "pitch_jitter_deg=3"), layout=ring, seed=1)
    assert made == Augment(1, "stride", 0.5, 3.0, 0.0, ring=8)
    with pytest.raises(DataError, match="layout 'resize' has no ring"):
        Augment.from_settings(settings("yaw=stride"), layout=resize(size_px=(16, 32)), seed=1)
    assert Augment.from_settings(settings("yaw=columns"), layout=cubemap(size_px=16), seed=1) is not None


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("yaw=all", "yaw"), ("mirror=1.5", "mirror"), ("pitch_jitter_deg=11", "pitch_jitter_deg"),
    ],
)  # fmt: skip
def test_settings_out_of_range(override, message):
    with pytest.raises(ConfigError, match=message):
        settings(override)


def test_a_tilt_past_ten_degrees_in_all_is_refused():
    with pytest.raises(ConfigError, match=r"together tilt the camera by up to 11\.3 degrees"):
        settings("pitch_jitter_deg=8", "roll_jitter_deg=8")
