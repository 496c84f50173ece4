"""Parts of the report: samples, curves, scores, colours, markup."""

from pathlib import Path

import pytest

from panollava.data.manifest import PanoramaSamples, Sample
from panollava.errors import DataError
from panollava.evaluation.report_curves import read_curves
from panollava.evaluation.report_html import Html, table, tag
from panollava.evaluation.report_palette import DARK, LIGHT, Palette, contrast
from panollava.evaluation.report_samples import answers, evenly
from panollava.evaluation.report_scores import parse_scores
from panollava.evaluation.report_text import duration, interval, loss, margin, parameters, points
from panollava.geometry.sphere import SECTORS8


def sample(query: str, prediction: str, answer: str | None, *, kind: str = "colour") -> Sample:
    return Sample(Path("a.jpg"), query, answer, kind, query, "a.jpg", "p.csv", 2, prediction)


def panorama(*samples: Sample) -> PanoramaSamples:
    return PanoramaSamples(Path("a.jpg"), samples)


def test_rows_with_several_references_are_one_question():
    rows = panorama(sample("q", "red", "blue"), sample("q", "red", "Red"), sample("r", "red", "blue"))
    found = answers(rows, accuracy_kinds={"colour"})
    assert [(answer.references, answer.right) for answer in found] == [
        (("blue", "Red"), True),
        (("blue",), False),
    ]


def test_captions_and_questions_without_reference_have_no_verdict():
    rows = panorama(sample("q", "a", "a", kind="caption"), sample("r", "a", None))
    assert [answer.right for answer in answers(rows, accuracy_kinds={"colour"})] == [None, None]


@pytest.mark.parametrize(("total", "number", "chosen"), [(9, 3, [0, 3, 6]), (2, 6, [0, 1]), (5, 2, [0, 2])])
def test_samples_are_taken_at_even_steps(total: int, number: int, chosen: list[int]):
    items = [panorama(sample(str(i), "", "")) for i in range(total)]
    assert [items.index(item) for item in evenly(items, number=number)] == chosen


def test_curves_come_from_sparse_rows_in_the_order_of_the_stages(tmp_path: Path):
    for name in ("resampler", "vision", "extra"):
        (tmp_path / name).mkdir()
        text = "epoch,lr,step,train/loss,val/loss\n0,,1,2.0,\n0,0.1,1,,\n0,,2,nan,\n0,,2,,1.5\n"
        (tmp_path / name / "metrics.csv").write_text(text)
    curves = read_curves(tmp_path, order=["vision", "resampler", "finetune"])
    assert [stage.name for stage in curves] == ["vision", "resampler", "extra"]
    assert curves[0].train.steps == (1.0, 2.0)
    assert (curves[0].val.steps, curves[0].val.values) == ((2.0,), (1.5,))
    assert curves[0].rates["lr"].values == (0.1,)


def test_no_logs_are_no_curves(tmp_path: Path):
    assert read_curves(tmp_path / "logs", order=[]) == []


def scores(**model: object) -> dict[str, object]:
    return {
        "format": 1, "experiment": "e", "created": "", "checkpoint": "",
        "test": {"panoramas": 1, "questions": 2}, "blind": None,
        "model": {"accuracy": 0.5, "by_kind": {}, "direction8": None, "captions": {}, **model},
    }  # fmt: skip


def test_directions_are_put_in_ring_order():
    labels = sorted(SECTORS8)
    confusion = [[0] * 9 for _ in labels]
    confusion[labels.index("front")][labels.index("front right")] = 5
    confusion[labels.index("left")][8] = 2
    parsed = parse_scores(scores(direction8={"labels": labels, "confusion": confusion, "soft": None}))
    looks = parsed.model.direction8
    assert looks is not None
    assert looks.labels == SECTORS8
    assert looks.confusion[0][1] == 5
    assert looks.confusion[SECTORS8.index("left")][8] == 2
    assert looks.recall == (0.0, None, None, None, None, None, 0.0, None)


def test_a_confusion_of_another_shape_is_an_error():
    with pytest.raises(DataError, match="must be 8 x 9"):
        parse_scores(scores(direction8={"labels": list(SECTORS8), "confusion": [[1]], "soft": None}))


def test_chance_is_weighted_by_the_number_of_questions():
    kinds = {
        "a": {"accuracy": 1.0, "count": 30, "chance": 0.5},
        "b": {"accuracy": 0.0, "count": 10, "chance": 0.1},
    }
    parsed = parse_scores(scores(by_kind=kinds)).model
    assert parsed.chance == pytest.approx(0.4)
    assert parsed.answered == 40


@pytest.mark.parametrize("palette", [LIGHT, DARK])
def test_colours_can_be_told_from_their_surface(palette: Palette):
    for colour in (palette.text, palette.muted, palette.right, palette.wrong, palette.model):
        assert contrast(colour, palette.surface) >= 4.5
    for colour in (palette.text, palette.muted, palette.model):
        assert contrast(colour, palette.page) >= 4.5
    for colour in (palette.blind, palette.chance):
        assert contrast(colour, palette.surface) >= 3.0


def test_markup_is_built_and_text_is_escaped():
    assert tag("p", "a<b", Html("<br>"), attrs={"title": '"'}) == '<p title="&quot;">a&lt;b<br></p>'
    assert "&lt;b&gt;" in table(["h"], [["<b>"]], caption="c")


def test_numbers_are_written_for_people():
    assert (points(-0.105), points(0.0001), points(None)) == ("\u221210.5", "0.0", "\u2013")
    assert (duration(59.6), duration(3599.6)) == ("1\u00a0min 00\u00a0s", "1\u00a0h 00\u00a0min")
    assert (loss(None), loss(float("nan")), loss(1.0)) == ("\u2013", "not finite", "1.0000")
    assert [parameters(n) for n in (999, 1000, 812_000, 5_120_000_000)] == [
        "999",
        "1.00\u00a0k",
        "812\u00a0k",
        "5.12\u00a0G",
    ]


def test_intervals_hold_their_share_and_stay_in_range():
    for share, total in ((0.0, 10), (1.0, 10), (0.3, 1000)):
        low, high = interval(share, total)
        assert 0.0 <= low <= share <= high <= 1.0
    assert interval(0.5, 0) == (0.0, 1.0)
    assert margin(0.5, 0.5, 400) == pytest.approx(0.0693, abs=1e-4)


def test_intervals_of_whole_images_are_shown_where_the_file_has_them():
    from panollava.evaluation.report_sections import captions, kinds

    ends = {
        "low": 0.41,
        "high": 0.592,
        "confidence": 0.95,
        "method": "bca",
        "resamples": 1000,
        "seed": 0,
        "clusters": 40,
    }
    entry = {"value": 0.5, "implementation": "i", "signature": "s", "higher_is_better": True, "reason": None}
    by_kind = {"a": {"accuracy": 0.5, "count": 100, "chance": None}}
    plain = parse_scores(scores(by_kind=by_kind, captions={"m": entry}))
    wide = parse_scores(
        scores(
            by_kind={"a": {**by_kind["a"], "interval": ends}},
            accuracy_interval={**ends, "low": 0.3},
            captions={"m": {**entry, "interval": ends}},
        )
    )
    assert "[0.410000, 0.592000]" in captions(wide) and "[" not in captions(plain)
    table_ = kinds(wide, Html(""))
    assert "41.0 \u2013 59.2" in table_ and "30.0 \u2013 59.2" in table_
    assert "40.4 \u2013 59.6" in kinds(plain, Html(""))  # Wilson's, of a file without
