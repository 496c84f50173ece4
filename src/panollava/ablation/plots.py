"""The charts of a study: score against tokens, and how training went in every arm."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from panollava.ablation.statistics import Spread
from panollava.evaluation.plot_look import NARROW_IN, WIDE_IN, add_legend, new_figure, plain_axes
from panollava.evaluation.report_curves import Series, smoothed
from panollava.evaluation.report_palette import Palette

_LABEL_CHARACTERS = 40
_COLUMNS = 4
_TICKS = 6
_STEPS = 200


@dataclass(frozen=True, slots=True)
class Point:
    """An arm in the plot of score against tokens; ``spread`` is over seeds."""

    name: str
    tokens: float
    score: float
    spread: Spread | None
    baseline: bool


@dataclass(frozen=True, slots=True)
class ArmCurves:
    """The losses of an arm's runs in one stage."""

    name: str
    train: tuple[Series, ...]
    val: tuple[Series, ...]


def tokens_figure(
    points: Sequence[Point], *, label: str, as_text: Callable[[float], str], palette: Palette, narrow: bool = False
) -> Figure:
    """Draw every arm's score over its vision tokens, intervals over seeds, names at the right with a line to each.

    Args:
        points: the arms.
        label: what the score is called.
        as_text: how a score is written at the axis.
        palette: the colours.
        narrow: for a narrow screen.
    """
    width = NARROW_IN if narrow else WIDE_IN
    figure = new_figure(width, max(3.4, 0.6 + 0.34 * len(points)), palette)
    axes, names = figure.subplots(1, 2, width_ratios=(5.0, 3.2 if not narrow else 5.0), sharey=True)
    plain_axes(axes, palette, grid="y")
    plain_axes(names, palette, grid=None)
    places = _beside(points)
    for place, point in zip(places, points, strict=True):
        colour = palette.chance if point.baseline else palette.model
        if point.spread:
            axes.plot([place] * 2, [point.spread.low, point.spread.high], color=colour, lw=1.6, zorder=2)
        marker = "D" if point.baseline else "o"
        axes.plot([place], [point.score], marker=marker, ms=7, color=colour, mec=palette.surface, mew=1.2, zorder=3)
    _token_axis(axes, points, places)
    axes.set_xlabel("vision tokens of a panorama", color=palette.muted)
    axes.set_ylabel(label, color=palette.muted)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: as_text(value)))
    _name_points(axes, names, points, places, palette, characters=18 if narrow else _LABEL_CHARACTERS)
    return figure


def _token_axis(axes: Axes, points: Sequence[Point], places: Sequence[float]) -> None:
    """Set a logarithmic axis with a tick at every number of tokens, or at powers of two where there are many."""
    axes.set_xscale("log", base=2)
    tokens = sorted({point.tokens for point in points})
    if len(tokens) <= _TICKS:
        axes.set_xticks(tokens)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.minorticks_off()
    axes.set_xlim(0.8 * min(places), 1.25 * max(places))


def _beside(points: Sequence[Point]) -> list[float]:
    """Return where points stand: those of equal tokens side by side, a twentieth apart, in the order given."""
    places = []
    for index, point in enumerate(points):
        equal = [i for i, other in enumerate(points) if other.tokens == point.tokens]
        places.append(point.tokens * 1.05 ** (equal.index(index) - (len(equal) - 1) / 2))
    return places


def _name_points(
    axes: Axes,
    names: Axes,
    points: Sequence[Point],
    places: Sequence[float],
    palette: Palette,
    *,
    characters: int,
) -> None:
    """Write the names in a column of their own, from the best down, each joined to its point."""
    low, high = axes.get_ylim()
    names.set_xlim(0, 1)
    names.set_xticks([])
    names.tick_params(labelleft=False)
    order = sorted(range(len(points)), key=lambda i: points[i].score)
    lines = 2 if any(len(point.name) > characters for point in points) else 1
    heights = apart([points[i].score for i in order], gap=(high - low) * 0.055 * lines)
    right = axes.get_xlim()[1]
    bottom, top = min(low, *heights), max(high, *heights)
    axes.set_ylim(bottom - 0.02 * (top - bottom), top + 0.02 * (top - bottom))
    for height, i in zip(heights, order, strict=True):
        point = points[i]
        colour = palette.chance if point.baseline else palette.model
        text = names.text(0.06, height, wrapped(point.name, width=characters), va="center", color=palette.text)
        text.set(fontsize=8.5 if characters == _LABEL_CHARACTERS else 6.5, parse_math=False)
        text.set_fontweight("bold" if point.baseline else "normal")
        for where, ends in ((names, ([0.0, 0.045], [height] * 2)), (axes, ([places[i], right], [point.score, height]))):
            where.plot(*ends, color=colour, lw=0.7, alpha=0.6, zorder=1, clip_on=False)


def apart(heights: Sequence[float], *, gap: float) -> list[float]:
    """Return rising heights moved as little as is needed to be a gap apart, around their middle.

    Example:
        >>> apart([0.0, 0.0, 5.0], gap=1.0)
        [-0.5, 0.5, 5.0]
    """
    groups: list[tuple[float, int]] = []  # mean height, members: neighbours that touch become one block
    for height in heights:
        mean, members = height, 1
        while groups and mean - members * gap / 2 < groups[-1][0] + groups[-1][1] * gap / 2:
            other, more = groups.pop()
            mean, members = (mean * members + other * more) / (members + more), members + more
        groups.append((mean, members))
    return [mean + gap * (i - (members - 1) / 2) for mean, members in groups for i in range(members)]


def wrapped(name: str, *, width: int, lines: int = 2) -> str:
    """Return a name in lines for a chart, broken behind a comma, dot, hyphen or equals sign; dots where it is cut.

    Example:
        >>> wrapped("views.kind=cubemap,lora.r=16", width=20).splitlines()
        ['views.kind=cubemap,', 'lora.r=16']
        >>> wrapped("views.kind=cubemap", width=30)
        'views.kind=cubemap'
    """
    held = [""]
    for part in re.findall(r"[^,.=_-]*[,.=_-]?", name):
        if held[-1] and len(held[-1]) + len(part) > width:
            held.append("")
        held[-1] += part
    held = [line if len(line) <= width else f"{line[: width - 3]}..." for line in held]
    if len(held) > lines:
        held = [*held[: lines - 1], f"{held[lines - 1][: width - 3]}..."]
    return "\n".join(held)


def curves_figure(
    arms: Sequence[ArmCurves], *, baseline: ArmCurves | None, palette: Palette, narrow: bool = False
) -> Figure:
    """Draw a panel per arm: training loss over steps, mean over seeds within lowest and highest.

    Args:
        arms: the arms, the baseline among them; it is drawn behind every other.
        baseline: the one of them.
        palette: the colours.
        narrow: for a narrow screen.
    """
    columns = min(len(arms), 1 if narrow else _COLUMNS)
    rows, width = math.ceil(len(arms) / columns), max(4.8, WIDE_IN / _COLUMNS * columns)
    figure = new_figure(NARROW_IN if narrow else width, 0.5 + 2.0 * rows, palette)
    grid = figure.subplots(rows, columns, squeeze=False, sharey=True, sharex=True)
    for index, axes in enumerate(grid.flat):
        plain_axes(axes, palette, grid="y")
        if index >= len(arms):
            axes.set_axis_off()
            continue
        arm = arms[index]
        axes.set_title(
            wrapped(arm.name, width=26), color=palette.text, size=8, weight="bold", loc="left", parse_math=False
        )
        if baseline is not None and arm.name != baseline.name:
            _draw_band(axes, baseline.train, palette.chance, behind=True)
        _draw_band(axes, arm.train, palette.model)
        _draw_band(axes, arm.val, palette.blind, marks=True)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
        if index + columns >= len(arms):
            axes.tick_params(labelbottom=True)
            axes.set_xlabel("step", color=palette.muted)
        if index % columns == 0:
            axes.set_ylabel("loss", color=palette.muted)
    shown = any(arm.val for arm in arms), baseline is not None and len(arms) > 1
    add_legend(figure, _curve_handles(palette, validation=shown[0], baseline=shown[1]), palette)
    return figure


def _curve_handles(palette: Palette, *, validation: bool, baseline: bool) -> list[Patch | Line2D]:
    handles: list[Patch | Line2D] = [Line2D([], [], color=palette.model, lw=2, label="training (smoothed)")]
    if validation:
        handles.append(Line2D([], [], color=palette.blind, lw=1.6, marker="o", ms=4, label="validation"))
    if baseline:
        handles.append(Line2D([], [], color=palette.chance, lw=1.4, ls=(0, (3, 2)), label="training, baseline"))
    return handles


def _draw_band(axes: Axes, runs: Sequence[Series], colour: str, *, behind: bool = False, marks: bool = False) -> None:
    held = [run for run in runs if run.values]
    if not held:
        return
    steps, values = aligned(held, smooth=not marks)
    if len(held) > 1 and not behind:
        axes.fill_between(steps, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.22, lw=0, zorder=2)
    style = (0, (3, 2)) if behind else "-"
    axes.plot(steps, values.mean(axis=0), color=colour, lw=1.4 if behind else 1.8, ls=style, zorder=3,
              marker="o" if marks else "", ms=4)  # fmt: skip


def aligned(runs: Sequence[Series], *, smooth: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the steps that all runs cover, and the values of each run at them, (runs, steps).

    Example:
        >>> steps, values = aligned([Series((0, 2), (1.0, 3.0)), Series((0, 1, 4), (0.0, 1.0, 4.0))], smooth=False)
        >>> steps.tolist(), values.tolist()
        ([0.0, 1.0, 2.0], [[1.0, 2.0, 3.0], [0.0, 1.0, 2.0]])
    """
    low, high = max(run.steps[0] for run in runs), min(run.steps[-1] for run in runs)
    every = np.unique(np.concatenate([np.asarray(run.steps, dtype=float) for run in runs]))
    steps = every[(every >= low) & (every <= high)] if low <= high else every
    steps = steps[:: math.ceil(len(steps) / _STEPS) or 1]
    values = [np.interp(steps, run.steps, smoothed(run) if smooth else run.values) for run in runs]
    return steps, np.stack(values)
