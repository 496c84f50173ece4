"""The report's sample panoramas: the picture with a yaw ruler, and every answer beside its reference.

-180       -90         0         90        180   degrees of yaw
behind     left      front     right    behind
"""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from panollava.data.images import ImageOptions, open_with_options
from panollava.data.manifest import PanoramaSamples, Sample, group_by_image
from panollava.errors import DataError
from panollava.evaluation.report_html import Html, absent, join, section, table, tag
from panollava.evaluation.report_run import Run
from panollava.evaluation.report_text import counted
from panollava.geometry.sphere import sector
from panollava.metrics.accuracy import exact_match

MAX_WIDTH_PX = 900
JPEG_QUALITY = 82
SHOWN_QUESTIONS = 8


@dataclass(frozen=True, slots=True)
class Answer:
    """One question of a panorama, with all its references; ``right`` is None where no accuracy is scored."""

    sample: Sample
    references: tuple[str, ...]
    right: bool | None


def samples(run: Run) -> Html:
    """Return the sample panoramas, taken at even steps from the test and not by their results."""
    title = "Sample panoramas"
    if run.predictions is None:
        return section("samples", title, absent("There is no predictions.csv in this run's folder."))
    if run.sample_panoramas == 0:
        return section("samples", title, absent("evaluation.sample_panoramas is 0, so none are shown."))
    panoramas = group_by_image(run.predictions)
    chosen = evenly(panoramas, number=run.sample_panoramas)
    kinds = set(run.scores.model.by_kind)
    cards = [_card(panorama, kinds, run.blind_answers, run.images) for panorama in chosen]
    text = (
        f"{len(chosen)} of {counted(len(panoramas), 'panorama')}, taken at even steps from the test, whatever "
        "their results. The ruler shows the direction of each column as seen from the centre."
    )
    return section("samples", title, tag("p", text), *cards)


def evenly(items: Sequence[PanoramaSamples], *, number: int) -> list[PanoramaSamples]:
    """Return at most `number` items at even steps, the first among them."""
    number = min(number, len(items))
    return [items[i * len(items) // number] for i in range(number)]


def answers(panorama: PanoramaSamples, *, accuracy_kinds: set[str]) -> list[Answer]:
    """Return a panorama's questions; rows that repeat one with another reference are joined.

    A question whose kind has no accuracy, such as a caption, is neither right nor wrong.
    """
    joined: dict[tuple[str, str, str], list[Sample]] = {}
    for sample in panorama.samples:
        joined.setdefault((sample.kind, sample.query, sample.prediction or ""), []).append(sample)
    found = []
    for (kind, _, prediction), rows in joined.items():
        references = tuple(row.answer for row in rows if row.answer is not None)
        scored = kind in accuracy_kinds and references
        right = bool(exact_match([prediction], [references])[0]) if scored else None
        found.append(Answer(rows[0], references, right))
    return found


def _card(panorama: PanoramaSamples, kinds: set[str], blind: Mapping[str, str] | None, images: ImageOptions) -> Html:
    found = answers(panorama, accuracy_kinds=kinds)
    scored = [answer.right for answer in found if answer.right is not None]
    name = panorama.samples[0].image.name
    heading = tag("h3", name)
    if scored:
        heading = tag("h3", name, tag("span", f"{sum(scored)} of {len(scored)} right", attrs={"class": "tally"}))
    shown = _questions(found[:SHOWN_QUESTIONS], blind, f"Questions about {name}")
    rest = found[SHOWN_QUESTIONS:]
    more = (
        [
            tag(
                "details",
                tag("summary", f"The other {len(rest)} questions"),
                _questions(rest, blind, f"More questions about {name}"),
            )
        ]
        if rest
        else []
    )
    return tag("article", heading, panorama_picture(panorama, images), shown, *more, attrs={"class": "panorama"})


def panorama_picture(panorama: PanoramaSamples, images: ImageOptions) -> Html:
    """Return the panorama above its ruler, or the reason why it cannot be shown."""
    try:
        pixels = open_with_options(_file(panorama), min_width=MAX_WIDTH_PX, options=images)
    except DataError as error:
        return absent(f"The picture cannot be shown: {error}")
    image = Image.fromarray(pixels)
    image.thumbnail((MAX_WIDTH_PX, MAX_WIDTH_PX), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=JPEG_QUALITY, optimize=True, progressive=True)
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    attrs = {
        "src": f"data:image/jpeg;base64,{data}",
        "width": str(image.width),
        "height": str(image.height),
        "alt": f"Panorama {panorama.image.name}, 360 by 180 degrees, front in the middle",
        "loading": "lazy",
    }
    return tag("figure", tag("img", attrs=attrs), _ruler(), attrs={"class": "erp"})


def _file(panorama: PanoramaSamples) -> Path:
    """Return the picture's file: below the run's folder or, as paths in configurations, the current one."""
    below_current = Path(panorama.samples[0].image_id)
    return below_current if not panorama.image.exists() and below_current.exists() else panorama.image


def _ruler() -> Html:
    """Return ticks every 45 degrees of yaw, with the names of the four sides."""
    ticks = []
    for yaw_deg in range(-180, 181, 45):
        attrs = {"style": f"left:{(yaw_deg + 180) / 3.6:g}%", "class": "tick"}
        if yaw_deg % 90:
            ticks.append(tag("span", attrs={**attrs, "class": "tick minor"}))
            continue
        edge = {-180: " first", 180: " last"}.get(yaw_deg, "")
        name = tag("span", sector(yaw_deg, count=4), attrs={"class": "side"})
        degrees = tag("span", f"{yaw_deg}\u00b0".replace("-", "\u2212"), attrs={"class": "degrees"})
        ticks.append(tag("span", name, degrees, attrs={**attrs, "class": f"tick{edge}"}))
    return tag("figcaption", *ticks, attrs={"class": "ruler", "aria-hidden": "true"})


def _questions(found: Sequence[Answer], blind: Mapping[str, str] | None, caption: str) -> Html:
    headers = ["Question", "Kind", "Verdict", "Answer", "Reference"]
    if blind is not None:
        headers.append("Blind answer")
    rows = []
    for answer in found:
        sample = answer.sample
        row = [
            spoken_text(sample.query),
            sample.kind,
            verdict(answer.right),
            spoken_text(sample.prediction or ""),
            tag("div", join([spoken_text(text) for text in answer.references], between=Html("<br>"))),
        ]
        if blind is not None:
            row.append(spoken_text(blind[sample.sample_id]) if sample.sample_id in blind else "not asked")
        rows.append(row)
    return table(headers, rows, caption=caption, stacks=True)


def spoken_text(text: str) -> Html:
    """Return a text in its own direction of writing; an empty one says so."""
    if not text.strip():
        return tag("em", "empty", attrs={"class": "note"})
    return tag("span", text, attrs={"dir": "auto", "class": "words"})


def verdict(right: bool | None) -> Html:
    """Return whether an answer is right, as a sign and a word; None where that is not scored."""
    if right is None:
        return tag("span", "not scored", attrs={"class": "verdict none"})
    mark, word, kind = ("\u2713", "right", "right") if right else ("\u2717", "wrong", "wrong")
    sign = tag("span", mark, attrs={"aria-hidden": "true"})
    return tag("span", sign, f" {word}", attrs={"class": f"verdict {kind}"})
