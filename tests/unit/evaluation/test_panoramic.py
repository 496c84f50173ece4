"""Scores under rolls whose right values can be computed by hand, and an oracle that looks at the picture."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from panollava.data.features import FeatureStore
from panollava.data.images import DEFAULT_OPTIONS
from panollava.data.manifest import Sample
from panollava.evaluation.panoramic import Trial, TurnedFeatures, roll_scores, roll_trials, turned_samples, turns
from panollava.geometry import resize, sector
from panollava.geometry.sphere import SECTORS4
from panollava.text.directions import transport
from panollava.text.turn import Turn

SIDE = "which side is the lamp on: front, right, behind or left?"
FACING = "facing the bed, is the lamp to the left or to the right?"


def sample(number, query, answer, kind):
    return Sample(Path(f"{number}.png"), query, answer, kind, str(number), "p", "m", number)


SIDES = [sample(i, SIDE, name, "direction4") for i, name in enumerate(SECTORS4)]
COLOURS = [sample(10, "what colour is the lamp?", "red", "colour"), sample(11, "what colour is it?", "blue", "colour")]


def trials(samples, answer, rolls=4):
    """Answer by a function of the turned sample and the turn."""
    asked = [(turn, s) for turn in (Turn(), *turns(rolls)) for s in turned_samples(samples, turn)]
    return [Trial(turn, replace(s, prediction=answer(s, turn))) for turn, s in asked]


def test_a_perfect_oracle_has_one_everywhere():
    scores = roll_scores(trials([*SIDES, *COLOURS], lambda s, _: s.answer), rolls=4)
    assert scores["skipped"] == 0 and set(scores["by_kind"]) == {"direction4", "colour"}
    for part in (scores["all"], *scores["by_kind"].values()):
        assert [part[n] for n in ("yra", "yra_min", "gap", "yrc", "kappa", "mir")] == [1, 1, 0, 1, 1, 1]
    assert scores["all"]["questions"] == scores["all"]["mirrored"] == 6


def test_a_constant_answer_has_kappa_zero():
    colour = roll_scores(trials(COLOURS, lambda *_: "red"), rolls=4)["by_kind"]["colour"]
    assert (colour["yrc"], colour["kappa"], colour["mir"], colour["yra"]) == (1, 0, 1, 0.5)


def test_a_front_biased_answer_by_hand():
    """ "front" is right in one pose of four; carried back it is four different answers, a quarter of all each."""
    side = roll_scores(trials(SIDES, lambda *_: "front"), rolls=4)["by_kind"]["direction4"]
    assert (side["yra"], side["yra_min"], side["yrc"], side["chance"]) == (0.25, 0, 0, 0.25)
    assert side["gap"] == pytest.approx(0.25 - 0.25)  # of the four samples one is right as it is
    assert side["kappa"] == pytest.approx((0 - 0.25) / 0.75)
    assert side["mir"] == 1  # "front" is its own mirror image
    only_front = roll_scores(trials(SIDES[:1], lambda *_: "front"), rolls=4)["by_kind"]["direction4"]
    assert (only_front["gap"], only_front["yra"]) == (1, 0.25)


def test_half_right_by_hand():
    """Right as it is and by 90 degrees, "front" for the other two: poses A A B C carried back."""
    [right] = [s for s in SIDES if s.answer == "right"]
    said = {0.0: "right", 90.0: "behind", -180.0: "front", -90.0: "right"}  # carried back: right right behind behind
    side = roll_scores(trials([right], lambda _, turn: said[turn.yaw_deg]), rolls=4)["by_kind"]["direction4"]
    assert side["yra"] == 0.5 and side["gap"] == pytest.approx(1 - 1 / 3)
    assert side["yrc"] == pytest.approx(4 / 12) and side["chance"] == 0.5
    assert side["kappa"] == pytest.approx((1 / 3 - 0.5) / 0.5)
    assert side["mir"] == 0  # mirrored it says "right" again


def test_a_relation_is_asked_in_every_pose_and_swapped_in_the_mirror():
    asked = sample(0, FACING, "left", "relative")
    rows = trials([asked], lambda s, _: s.answer, rolls=8)
    assert [t.sample.answer for t in rows] == ["left"] * 8 + ["right"]
    assert roll_scores(rows, rolls=8)["by_kind"]["relative"]["mir"] == 1


def test_a_question_takes_part_in_the_poses_that_it_can_follow():
    unclear = sample(5, "what is the leftmost thing?", "a lamp", "existence")
    rows = trials([SIDES[0], unclear, COLOURS[0]], lambda s, _: s.answer, rolls=8)
    assert {k: sum(t.sample.sample_id == str(k) for t in rows) for k in (0, 5, 10)} == {0: 5, 5: 1, 10: 9}
    scores = roll_scores(rows, rolls=8)
    assert scores["skipped"] == 1 and "existence" not in scores["by_kind"]


def test_an_answer_that_cannot_be_carried_back_agrees_with_none():
    side = roll_scores(trials(SIDES, lambda *_: "the leftmost wall"), rolls=4)["by_kind"]["direction4"]
    assert side["yrc"] == 0 and side["mir"] == 0
    assert roll_scores([], rolls=4)["all"]["yra"] is None


class Looker:
    """A model that looks where the white bar of the picture is; ``bias`` turns what it says to the right."""

    blind, token_count, device = False, 1, torch.device("cpu")
    layout = resize(size_px=(16, 32))

    def __init__(self, bias=0.0):
        self.bias = bias

    def encode(self, views):
        return tuple(v.float() for v in views)

    def generate(self, features, queries, **_):
        said = []
        for row, query in queries:
            column = int(features[0][row, 0].sum(dim=(0, 2)).argmax())
            yaw = (column + 0.5) / 32 * 360 - 180
            said.append(sector(yaw, count=4) if query == SIDE else "white")
        return [transport(text, Turn(self.bias)) for text in said]


@pytest.fixture
def photographs(tmp_path):
    """Return one panorama a side with a white bar there, and two questions about each."""
    rows = []
    for number, name in enumerate(SECTORS4):
        erp = np.zeros((32, 64, 3), np.uint8)
        erp[:, (32 + 16 * number + 3) % 64] = 255
        path = tmp_path / f"{name}.png"
        Image.fromarray(erp).save(path)
        rows.append(replace(SIDES[number], image=path))
        rows.append(replace(COLOURS[0], image=path, answer="white", sample_id=f"c{number}"))
    return rows


@pytest.mark.parametrize(("bias", "accuracy"), [(0.0, 1.0), (90.0, 0.0)])
def test_pictures_and_questions_roll_alike(photographs, tiny_config, bias, accuracy):
    """Who always says the next side is wrong, but agrees with himself in every pose, though not in the mirror."""
    model, cfg = Looker(bias), tiny_config("evaluation.rolls=4")
    answered = [replace(s, prediction="white" if s.kind == "colour" else s.answer) for s in photographs]
    answered = [replace(s, prediction=transport(s.prediction, Turn(bias))) for s in answered]
    progress = []
    rows = roll_trials(model, answered, cfg, progress=lambda *at: progress.append(at))
    scores = roll_scores(rows, rolls=4)["by_kind"]
    assert scores["direction4"]["yra"] == accuracy and scores["direction4"]["yrc"] == 1
    assert scores["direction4"]["mir"] == accuracy
    assert scores["colour"]["yra"] == 1
    assert progress[-1] == (32, 32)


def test_a_turn_by_nothing_gives_the_features_of_the_store(tiny_model, panoramas):
    """Else the gap between the pose of the file and the others would be one of decoding or antialiasing."""
    model, paths = tiny_model(), [p.image for p in panoramas("train")[:2]]
    for options in (DEFAULT_OPTIONS, replace(DEFAULT_OPTIONS, antialias="quality")):
        stored = FeatureStore(encode=model.encode, layout=model.layout, folder=None, images=options).get(paths)
        seen = TurnedFeatures(model, Turn(), options).get(paths)
        assert all(torch.equal(a, b) for a, b in zip(seen, stored, strict=True))


def test_a_width_that_does_not_divide_rolls_by_the_nearest_column(tmp_path):
    erp = np.zeros((33, 66, 3), np.uint8)
    erp[:, 33] = 255
    Image.fromarray(erp).save(tmp_path / "odd.png")
    turned = TurnedFeatures(Looker(), Turn(90.0), DEFAULT_OPTIONS)._erp(tmp_path / "odd.png")
    assert np.flatnonzero(turned[0, :, 0]).tolist() == [33 + round(66 / 4)]


def test_metrics_json_and_the_report_hold_the_table_where_it_was_asked_for(three_stages, tmp_path, panoramas):
    from panollava.config import build_config, to_dict
    from panollava.evaluation.report import write_report
    from panollava.workflow import EvaluationRunner

    cfg = build_config(to_dict(three_stages.cfg), overrides=["evaluation.rolls=2"], origin="test")
    metrics = EvaluationRunner(cfg).run(checkpoint_dir=three_stages.checkpoint, out_dir=tmp_path)
    found = json.loads((tmp_path / "metrics.json").read_text())["model"]["panoramic"]
    assert found == metrics["model"]["panoramic"] and found["rolls"] == 2
    assert 0 <= found["all"]["yra"] <= 1 and math.isfinite(found["all"]["kappa"])
    page = write_report(tmp_path).read_text(encoding="utf-8")
    assert 'id="rolls"' in page and 'href="#rolls"' in page and "YRA-min" in page
    del metrics["model"]["panoramic"]
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    assert "rolls" not in write_report(tmp_path).read_text(encoding="utf-8").split("<pre")[0].split("</style>")[1]
