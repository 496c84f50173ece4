"""The charts of a study: what they hold, in every size."""

import numpy as np
import pytest

from panollava.ablation.plots import ArmCurves, Point, aligned, apart, curves_figure, tokens_figure, wrapped
from panollava.ablation.statistics import Spread
from panollava.evaluation.plot_look import png_bytes
from panollava.evaluation.report_curves import Series
from panollava.evaluation.report_palette import DARK, LIGHT


def points(count):
    return [Point(f"arm, number={i}", 160.0, 0.3 + 0.01 * i, Spread(0.2, 0.6), i == 0) for i in range(count)]


@pytest.mark.parametrize("palette", [LIGHT, DARK])
@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("count", [1, 3, 12])
def test_every_arm_is_named_once_in_the_plot_of_tokens(count, narrow, palette):
    figure = tokens_figure(points(count), label="accuracy", as_text=str, palette=palette, narrow=narrow)
    texts = [text.get_text().replace("\n", "") for text in figure.axes[1].texts]
    assert sorted(texts) == sorted(point.name for point in points(count))
    assert png_bytes(figure).startswith(b"\x89PNG")


def test_names_do_not_overlap_and_stay_near_their_points():
    heights = apart([0.1, 0.1, 0.1, 0.9], gap=0.05)
    assert min(np.diff(heights)) >= 0.05 - 1e-12
    assert heights[:3] == pytest.approx([0.05, 0.1, 0.15]) and heights[3] == 0.9
    assert heights == sorted(heights)


@pytest.mark.parametrize("name", ["views.kind=cubemap,lora.r=16,position.kind=spherical", "x" * 90, ""])
def test_long_names_fit_their_lines(name):
    lines = wrapped(name, width=20).splitlines()
    assert len(lines) <= 2 and all(len(line) <= 20 for line in lines)


@pytest.mark.parametrize("narrow", [False, True])
def test_curves_have_a_panel_per_arm_with_the_baseline_behind(narrow):
    run = Series(tuple(range(30)), tuple(np.linspace(2, 1, 30)))
    arms = [ArmCurves(f"arm {i}", (run, run), (Series((29,), (0.9,)),)) for i in range(5)]
    figure = curves_figure(arms, baseline=arms[0], palette=LIGHT, narrow=narrow)
    panels = [axes for axes in figure.axes if axes.get_title(loc="left")]
    assert [len(axes.lines) for axes in panels] == [2, 3, 3, 3, 3]
    assert all(axes.collections for axes in panels)  # the band


def test_runs_are_aligned_on_the_steps_that_all_have():
    steps, values = aligned([Series((0, 10), (0.0, 1.0)), Series((5, 20), (3.0, 6.0))], smooth=False)
    assert steps.tolist() == [5, 10]
    assert values.tolist() == [[0.5, 1.0], [3.0, 4.0]]


def test_an_arm_without_a_log_has_an_empty_panel():
    figure = curves_figure([ArmCurves("a", (Series(),), ())], baseline=None, palette=LIGHT)
    assert not figure.axes[0].lines and png_bytes(figure)
