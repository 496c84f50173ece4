"""What all charts of reports share: sizes, quiet axes, a legend in one line, and rendering to PNG."""

import io
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from PIL import Image

from panollava.evaluation.report_palette import Palette

PIXELS_PER_INCH = 200
CSS_PIXELS_PER_INCH = PIXELS_PER_INCH // 2
WIDE_IN, NARROW_IN = 9.0, 3.6
_COLOURS = 128


def png_bytes(figure: Figure) -> bytes:
    """Return a figure as PNG, the same bytes for the same figure."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    few = pixels.quantize(_COLOURS, dither=Image.Dither.NONE)  # a third of the bytes, no visible difference
    buffer = io.BytesIO()
    few.save(buffer, "PNG", optimize=True, dpi=(PIXELS_PER_INCH, PIXELS_PER_INCH))
    return buffer.getvalue()


def new_figure(width_in: float, height_in: float, palette: Palette) -> Figure:
    """Return an empty figure in the report's look."""
    return Figure((width_in, height_in), dpi=PIXELS_PER_INCH, facecolor=palette.surface, layout="constrained")


def plain_axes(axes: Axes, palette: Palette, *, grid: str | None) -> None:
    """Keep what carries information: no frame, quiet ticks, a light grid in one direction."""
    axes.set_facecolor(palette.surface)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.tick_params(length=0, colors=palette.muted, labelsize=8.5)
    axes.xaxis.label.set_fontsize(8.5)
    axes.yaxis.label.set_fontsize(8.5)
    axes.set_axisbelow(True)
    if grid == "x":
        axes.xaxis.grid(visible=True, color=palette.line, lw=0.7)
    elif grid == "y":
        axes.yaxis.grid(visible=True, color=palette.line, lw=0.7)


def add_legend(figure: Figure, handles: Sequence[Patch | Line2D], palette: Palette) -> None:
    """Put a legend in one line above the figure."""
    figure.legend(
        handles=list(handles), loc="outside upper left", ncols=len(handles), frameon=False,
        labelcolor=palette.text, fontsize=9, handlelength=1.4, columnspacing=1.6,
    )  # fmt: skip
