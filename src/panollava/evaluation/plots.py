"""The charts of a run: accuracy by kind, directions, training curves.

Every function takes values and a palette and returns a matplotlib figure, drawn without pyplot and so without
any global state; ``plot_look`` has what they share.
"""

import math
from collections.abc import Iterable, Sequence

from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.patheffects import withStroke
from matplotlib.projections.polar import PolarAxes
from matplotlib.ticker import MaxNLocator

from panollava.evaluation.plot_look import NARROW_IN, WIDE_IN, add_legend, new_figure, plain_axes
from panollava.evaluation.report_curves import Series, StageCurves, smoothed
from panollava.evaluation.report_palette import Palette, readable_on
from panollava.evaluation.report_scores import DirectionScore, ModelScores

ALL_KINDS = "all questions"
_CURVE_COLUMNS = 3


def kinds_by_accuracy(model: ModelScores) -> list[str]:
    """Return the kinds of question, the one the model answers best first."""
    return sorted(model.by_kind, key=lambda kind: (-model.by_kind[kind].accuracy, kind))


# -- accuracy by kind ------------------------------------------------------------------------------


def accuracy_figure(model: ModelScores, *, blind: ModelScores | None, palette: Palette, narrow: bool = False) -> Figure:
    """Draw one row per kind of question: bars for model and blind baseline, a mark at chance."""
    kinds = kinds_by_accuracy(model)
    if model.accuracy is None:
        raise ValueError("a test without short-answer questions has no accuracy to draw")
    rows: list[tuple[str, float, float | None, float | None]] = [
        (ALL_KINDS, model.accuracy, blind.accuracy if blind else None, model.chance)
    ]
    for kind in kinds:
        other = blind.by_kind.get(kind) if blind else None
        score = model.by_kind[kind]
        rows.append((kind, score.accuracy, other.accuracy if other else None, score.chance))
    figure = new_figure(NARROW_IN if narrow else WIDE_IN, 0.9 + 0.36 * len(rows), palette)
    axes = figure.add_subplot()
    plain_axes(axes, palette, grid="x")
    places = [0.0, *(i + 0.4 for i in range(1, len(rows)))]  # a gap below the total
    for place, (_, accuracy, without, chance) in zip(places, rows, strict=True):
        _accuracy_row(axes, place, accuracy, without, chance, palette)
    axes.set_yticks(places, [row[0] for row in rows], color=palette.text, parse_math=False)
    axes.get_yticklabels()[0].set_fontweight("bold")
    axes.set_ylim(places[-1] + 0.6, -0.6)
    axes.set_xlim(0, 108)
    axes.set_xticks(range(0, 101, 20), [f"{tick} %" for tick in range(0, 101, 20)])
    handles: list[Patch | Line2D] = [Patch(color=palette.model, label="model")]
    if blind:
        handles.append(Patch(color=palette.blind, label="blind baseline"))
    if any(row[3] is not None for row in rows):
        handles.append(
            Line2D([], [], color=palette.text, marker="|", markersize=10, markeredgewidth=2, lw=0, label="chance")
        )
    add_legend(figure, handles, palette)
    return figure


def _accuracy_row(
    axes: Axes, place: float, accuracy: float, blind: float | None, chance: float | None, palette: Palette
) -> None:
    high, low = (-0.15, 0.2) if blind is not None else (0.0, 0.0)
    axes.barh(place + high, 100 * accuracy, height=0.4, color=palette.model, zorder=2)
    if blind is not None:
        axes.barh(place + low, 100 * blind, height=0.26, color=palette.blind, zorder=2)
    if chance is not None:
        for width, colour in ((4.2, palette.surface), (1.8, palette.text)):  # a halo, then the mark
            axes.plot([100 * chance] * 2, [place - 0.4, place + 0.38], color=colour, lw=width, zorder=3)
    beside = 100 * max(accuracy, chance if chance is not None and chance - accuracy < 0.12 else 0.0)
    axes.text(beside + 1.2, place + high, f"{100 * accuracy:.1f}", va="center", color=palette.text, size=8.5)


# -- directions ------------------------------------------------------------------------------------


def directions_figure(model: DirectionScore, *, blind: DirectionScore | None, palette: Palette) -> Figure:
    """Draw the confusion of directions and, beside it, the recall of each as a compass."""
    figure = new_figure(8.8, 4.4, palette)
    left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=(4.8, 4.0)).flat
    for part in (left, right):
        part.set_facecolor(palette.surface)
    _draw_confusion(left.add_subplot(), model, palette)
    _draw_compass(right.add_subplot(projection="polar"), model, blind, palette)
    return figure


def confusion_figure(model: DirectionScore, *, palette: Palette) -> Figure:
    """Draw the confusion of directions: truth by row, answer by column, both in ring order."""
    figure = new_figure(4.8, 4.4, palette)
    _draw_confusion(figure.add_subplot(), model, palette)
    return figure


def compass_figure(model: DirectionScore, *, blind: DirectionScore | None, palette: Palette) -> Figure:
    """Draw the recall by true direction as seen from above: front at the top, right to the right."""
    figure = new_figure(4.0, 4.4, palette)
    _draw_compass(figure.add_subplot(projection="polar"), model, blind, palette)
    return figure


def _draw_confusion(axes: Axes, model: DirectionScore, palette: Palette) -> None:
    colours = LinearSegmentedColormap.from_list("heat", palette.heat)
    n = len(model.labels)
    plain_axes(axes, palette, grid=None)
    for row, counts in enumerate(model.confusion):
        total = sum(counts)
        for column, count in enumerate(counts):
            share = count / total if total else 0.0
            colour = to_hex(colours(share))
            x = column + (0.25 if column == n else 0.0)  # 'other' stands apart
            axes.add_patch(_cell(x, row, colour, palette, right=row == column))
            ink = readable_on(colour, choices=(palette.text, palette.surface))
            weight = "bold" if row == column else "normal"
            label = str(count) if count else "\u00b7"
            axes.text(x, row, label, ha="center", va="center", color=ink, size=8.5, weight=weight)
    places = [*range(n), n + 0.25]
    axes.set_xticks(places, [*model.labels, "other"], rotation=45, ha="left", parse_math=False)
    for tick in axes.get_xticklabels():
        tick.set_rotation_mode("anchor")
    axes.xaxis.tick_top()
    axes.set_yticks(range(n), model.labels, parse_math=False)
    for tick in [*axes.get_xticklabels(), *axes.get_yticklabels()]:
        tick.set_color(palette.text)
    axes.set_xlim(-0.55, n + 0.8)
    axes.set_ylim(n - 0.45, -0.55)
    axes.set_aspect("equal")
    axes.set_ylabel("true direction", color=palette.muted)
    axes.set_xlabel("answer (cell: questions; colour: share of the row)", color=palette.muted)


def _cell(x: float, y: float, colour: str, palette: Palette, *, right: bool) -> Patch:
    edge, width = (palette.text, 1.4) if right else (palette.line, 0.6)
    box = (x - 0.46, y - 0.46)
    return Rectangle(box, 0.92, 0.92, facecolor=colour, edgecolor=edge, lw=width, zorder=3 if right else 2)


def _draw_compass(axes: Axes, model: DirectionScore, blind: DirectionScore | None, palette: Palette) -> None:
    if not isinstance(axes, PolarAxes):
        raise TypeError(f"a compass needs polar axes, not {type(axes).__name__}")
    n = len(model.labels)
    angles = [2 * math.pi * i / n for i in range(n)]
    width = 2 * math.pi / n
    axes.set_theta_zero_location("N")
    axes.set_theta_direction(-1)
    axes.set_facecolor(palette.surface)
    recall = [100 * (value or 0.0) for value in model.recall]
    axes.bar(angles, recall, width=0.86 * width, color=palette.model, zorder=2)
    edge = [withStroke(linewidth=4.6, foreground=palette.surface)]
    if blind and blind.labels == model.labels:
        for angle, value in zip(angles, blind.recall, strict=True):
            arc = [angle + width * (0.43 * t / 8) for t in range(-8, 9)]
            axes.plot(
                arc,
                [100 * (value or 0.0)] * len(arc),
                color=palette.blind,
                lw=2.6,
                zorder=4,
                solid_capstyle="butt",
                path_effects=edge,
            )
    circle = [2 * math.pi * i / 180 for i in range(181)]
    axes.plot(circle, [100 / n] * len(circle), color=palette.surface, lw=2.6, zorder=5)
    axes.plot(circle, [100 / n] * len(circle), color=palette.text, lw=1.2, ls=(0, (3, 2)), zorder=5)
    names = [label.replace(" ", "\n") for label in model.labels]
    axes.set_xticks(angles, names, color=palette.text, size=8.5, parse_math=False)
    axes.tick_params(axis="x", pad=4)
    axes.set_ylim(0, 100)
    axes.set_yticks([25, 50, 75, 100], [])
    halo = [withStroke(linewidth=2.5, foreground=palette.surface)]
    for tick in (50, 100):  # between two bars
        axes.text(width / 2, tick, f"{tick} %", color=palette.text, size=7.5, zorder=6, path_effects=halo)
    axes.grid(color=palette.line, lw=0.7)
    axes.spines["polar"].set_color(palette.line)
    handles: list[Patch | Line2D] = [Patch(color=palette.model, label="model")]
    if blind:
        handles.append(Line2D([], [], color=palette.blind, lw=2.6, label="blind"))
    handles.append(Line2D([], [], color=palette.text, lw=1.2, ls=(0, (3, 2)), label="chance"))
    axes.legend(
        handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=3, frameon=False,
        labelcolor=palette.text, fontsize=8.5, handlelength=1.4,
    )  # fmt: skip


# -- training curves -------------------------------------------------------------------------------


def curves_figure(stages: Sequence[StageCurves], *, palette: Palette, narrow: bool = False) -> Figure:
    """Draw a column per stage: loss above, learning rate below, over the optimiser's steps."""
    columns = min(len(stages), 1 if narrow else _CURVE_COLUMNS)
    bands = math.ceil(len(stages) / columns)
    rows = 2 if any(stage.rates for stage in stages) else 1
    figure = new_figure(
        NARROW_IN if narrow else max(4.8, WIDE_IN / _CURVE_COLUMNS * columns),
        (3.4 if rows == 2 else 2.6) * bands,
        palette,
    )
    grid = figure.add_gridspec(rows * bands, columns, height_ratios=[3.0, 1.0][:rows] * bands)
    for index, stage in enumerate(stages):
        band, column = divmod(index, columns)
        loss = figure.add_subplot(grid[band * rows, column])
        _draw_loss(loss, stage, palette)
        lowest = loss
        if rows == 2:
            lowest = figure.add_subplot(grid[band * rows + 1, column], sharex=loss)
            loss.tick_params(labelbottom=False)
            _draw_rates(lowest, stage, palette)
        lowest.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
        lowest.set_xlabel("step", color=palette.muted)
        if column == 0:
            loss.set_ylabel("loss", color=palette.muted)
            if rows == 2:
                lowest.set_ylabel("rate", color=palette.muted)
    handles: list[Patch | Line2D] = [Line2D([], [], color=palette.model, lw=2, label="training (smoothed)")]
    if any(stage.val.values for stage in stages):
        handles.append(Line2D([], [], color=palette.blind, lw=1.6, marker="o", ms=4, label="validation"))
    add_legend(figure, handles, palette)
    return figure


def _draw_loss(axes: Axes, stage: StageCurves, palette: Palette) -> None:
    plain_axes(axes, palette, grid="y")
    axes.set_title(stage.name, color=palette.text, size=10, weight="bold", loc="left", parse_math=False)
    axes.plot(stage.train.steps, stage.train.values, color=palette.model, lw=0.7, alpha=0.35, zorder=2)
    axes.plot(stage.train.steps, smoothed(stage.train), color=palette.model, lw=2.0, zorder=3)
    axes.plot(stage.val.steps, stage.val.values, color=palette.blind, lw=1.6, marker="o", ms=4, zorder=4)
    if not (stage.train.values or stage.val.values):
        axes.text(
            0.5,
            0.5,
            "no loss logged",
            transform=axes.transAxes,
            ha="center",
            va="center",
            color=palette.muted,
        )
        axes.set_xticks([])
        axes.set_yticks([])


def _draw_rates(axes: Axes, stage: StageCurves, palette: Palette) -> None:
    plain_axes(axes, palette, grid="y")
    for series in stage.rates.values():
        axes.plot(series.steps, series.values, color=palette.chance, lw=1.5)
    axes.set_ylim(bottom=0.0, top=_above(stage.rates.values()))
    axes.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
    axes.yaxis.get_offset_text().set_color(palette.muted)
    axes.yaxis.get_offset_text().set_fontsize(7.5)
    axes.locator_params(axis="y", nbins=3)


def _above(series: Iterable[Series]) -> float | None:
    """Return the upper limit of the rate axis; None leaves it to matplotlib."""
    values = [value for one in series for value in one.values if math.isfinite(value)]
    return 1.25 * max(values) if values and max(values) > 0 else None
