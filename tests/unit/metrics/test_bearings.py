import pytest

from panollava.geometry import SECTORS8
from panollava.metrics import compute_text_metrics
from panollava.metrics.bearings import read_yaw_deg


@pytest.mark.parametrize(
    ("text", "yaw_deg"),
    [
        ("right 90 degrees", 90),
        ("turn left by 45 degrees", -45),
        ("90 degrees to your left", -90),
        ("turn around", -180),
        ("stay", 0),
        ("bearing 315, front left", -45),
        ("at yaw -30", -30),
        ("yaw: \u221230", -30),
        ("350", -10),
        ("12.5 deg", 12.5),
        ("180\u00b0", -180),
        ("It is front-left.", -45),
        ("behind", -180),
        ("left or right", None),
        ("left 30 degrees or right 30 degrees", None),
        ("two chairs", None),
        ("3 chairs", None),
        ("", None),
    ],
)
def test_the_one_direction_of_a_text(text, yaw_deg):
    assert read_yaw_deg(text, sectors=SECTORS8) == yaw_deg


def scores(said, true, *names):
    return compute_text_metrics(said, true, metrics=list(names))


def test_sectors_of_four_and_eight():
    said, true = ["left", "front left", "", "red"], ["left", "left", "right", "blue"]
    report = scores(said, true, "direction4", "direction8")
    assert report.scores == {"direction4": 1 / 3, "direction8": 1 / 3}
    assert "3 of 4 items" in report["direction8"].note
    report = scores(["front left", "left"], ["front left", "left"], "direction4", "direction8")
    assert report.scores == {"direction4": 1.0, "direction8": 1.0}
    assert "1 of 2 items" in report["direction4"].note  # "front left" is none of four


def test_angles_within_half_a_sector_over_the_seam():
    said = ["170", "bearing 157.4", "-157.6", "no idea"]
    report = scores(said, ["behind"] * 4, "direction_deg", "direction_mae_deg")
    assert report["direction_deg"].per_item == (1.0, 0.0, 1.0, 0.0)
    assert report.scores["direction_mae_deg"] == pytest.approx((10 + 22.6 + 22.4) / 3)
    assert "3 of 4 predictions" in report["direction_mae_deg"].note


def test_no_direction_anywhere_is_missing():
    report = scores(["left"], ["a cat"], "direction4", "direction8", "direction_deg", "direction_mae_deg")
    assert set(report.scores.values()) == {None}
