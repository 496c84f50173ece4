"""The colours of charts and page: one meaning, one colour, in light and dark.

Model, blind baseline and chance differ in lightness as well as in hue, and so do right and wrong. Text on its
surface has a contrast of at least 4.5 : 1 (WCAG 2.2, 1.4.3), marks in charts at least 3 : 1 (1.4.11).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Palette:
    """Colours as ``#rrggbb``.

    Attributes:
        page: Behind everything.
        surface: Behind text, tables and charts.
        text: Words and numbers.
        muted: Second-rank words; axis labels.
        line: Rules between rows; grid lines.
        model: The trained model.
        blind: The model trained without images.
        chance: A guess.
        right: An answer that equals its reference.
        wrong: One that does not.
        heat: Colours of a count, from none to all.
    """

    page: str
    surface: str
    text: str
    muted: str
    line: str
    model: str
    blind: str
    chance: str
    right: str
    wrong: str
    heat: tuple[str, ...]


LIGHT = Palette(
    page="#f5f6f8",
    surface="#ffffff",
    text="#1a2230",
    muted="#566072",
    line="#dde1e8",
    model="#1f5fae",
    blind="#b86e00",
    chance="#6b7485",
    right="#0b6b4f",
    wrong="#b3261e",
    heat=("#ffffff", "#d6e4f5", "#8db5e2", "#3f7fc4", "#143f78"),
)
DARK = Palette(
    page="#10141b",
    surface="#181e28",
    text="#e6eaf1",
    muted="#a3adbd",
    line="#313a49",
    model="#6fa8ec",
    blind="#e0a040",
    chance="#8f9aac",
    right="#63cba4",
    wrong="#ff8f85",
    heat=("#181e28", "#1d3557", "#2a5b98", "#5791d6", "#bcdcff"),
)


def css_variables(palette: Palette) -> str:
    """Return the palette as CSS custom properties.

    Example:
        >>> css_variables(LIGHT).split(";")[0]
        '--page:#f5f6f8'
    """
    return ";".join(f"--{name}:{value}" for name, value in asdict(palette).items() if isinstance(value, str))


def contrast(a: str, b: str) -> float:
    """Return the contrast ratio of two colours, 1 to 21 (WCAG 2.2, relative luminance).

    Example:
        >>> round(contrast("#ffffff", "#000000"))
        21
    """
    bright, dim = sorted((_luminance(a), _luminance(b)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


def readable_on(background: str, *, choices: Sequence[str]) -> str:
    """Return the choice that stands out most from a background.

    Example:
        >>> readable_on("#143f78", choices=("#1a2230", "#ffffff"))
        '#ffffff'
    """
    return max(choices, key=lambda colour: contrast(colour, background))


def _luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255.0 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
