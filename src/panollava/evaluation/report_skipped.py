"""The report's section on images that were left out because they cannot be used."""

from collections.abc import Sequence

from panollava.data.skipped import SKIPPED, Skipped
from panollava.evaluation.report_html import Html, section, table, tag
from panollava.evaluation.report_text import count, counted

TITLE = "Skipped rows"
SHOWN = 100
"""Most images in the table; the file lists them all."""
_SPLITS = {"train": "training", "val": "validation", "test": "test"}


def skipped_rows(listed: Sequence[tuple[str, Skipped]]) -> Html:
    """Return the table of images that were left out of training, validation and test, with their rows."""
    parts = []
    for split, name in _SPLITS.items():
        some = [one for part, one in listed if part == split]
        if some:
            images, rows = len({one.image for one in some}), sum(len(one.rows) for one in some)
            parts.append(f"{counted(images, 'panorama')} with {counted(rows, 'row')} of {name}")
    told = (
        f"Left out, because the image cannot be used: {', '.join(parts)}. No other image took its place, and "
        "scores are over the others."
    )
    headers = ["Image", "Of", "Manifest", "Rows", "Count", "Reason"]
    rows_of = [
        [one.image, _SPLITS.get(split, split), one.source, spans(one.rows), count(len(one.rows)), one.reason]
        for split, one in listed[:SHOWN]
    ]
    content = [tag("p", told), table(headers, rows_of, caption=TITLE, numeric=(4,), stacks=True)]
    if len(listed) > SHOWN:
        more = f"The first {SHOWN} of {count(len(listed))}; {SKIPPED} beside this page lists them all."
        content.append(tag("p", more, attrs={"class": "note"}))
    return section("skipped", TITLE, *content)


def spans(rows: Sequence[int]) -> str:
    """Return row numbers, those in a row as one span.

    Example:
        >>> spans([2, 3, 4, 9, 11, 12])
        '2-4, 9, 11-12'
    """
    found: list[list[int]] = []
    for row in sorted(rows):
        if found and row == found[-1][1] + 1:
            found[-1][1] = row
        else:
            found.append([row, row])
    return ", ".join(f"{first}-{last}" if last > first else str(first) for first, last in found)
