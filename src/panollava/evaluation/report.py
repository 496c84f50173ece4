"""report.html: one file that shows what a run found, and needs nothing else to be read.

    run_dir (metrics.json, predictions.csv, ...) -> read_run -> sections and charts -> report.html, plots/

Style and pictures are inside the page; it has no script and makes no request, and its content security policy
says so to the browser. All text of the run is escaped.
"""

import base64
import secrets
from collections.abc import Callable
from pathlib import Path

from matplotlib.figure import Figure

from panollava.errors import DataError
from panollava.evaluation import (
    plots,
    report_panoramic,
    report_samples,
    report_sections,
    report_skipped,
    report_training,
)
from panollava.evaluation.plot_look import CSS_PIXELS_PER_INCH, png_bytes
from panollava.evaluation.report_html import Html, join, tag
from panollava.evaluation.report_palette import DARK, LIGHT, Palette
from panollava.evaluation.report_run import Run, read_run
from panollava.evaluation.report_style import style_sheet
from panollava.evaluation.report_text import counted, percent

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
NARROW = "screen and (max-width: 46rem)"
_PARTS = {
    "result": "Result",
    "kinds": "Kinds",
    "directions": "Directions",
    "rolls": "Rolls",
    "captions": "Captions",
    "samples": "Samples",
    "skipped": report_skipped.TITLE,
    "training": "Training",
    "run": "Run",
}


def write_report(run_dir: Path) -> Path:
    """Write ``report.html`` and ``plots/*.png`` into a run's folder, from the files in it.

    Args:
        run_dir: The folder with metrics.json; what else is read, `report_run` says.

    Returns:
        The path of report.html.

    Raises:
        DataError: metrics.json is absent, a file is damaged, or the report cannot be written.
    """
    run_dir = Path(run_dir)
    run = read_run(run_dir)
    path = run_dir / "report.html"
    try:
        (run_dir / "plots").mkdir(exist_ok=True)
        _write_charts(run)
        write_whole(path, page(run).encode("utf-8", errors="replace"))
    except OSError as error:
        raise DataError(
            f"{path}: cannot be written ({error.strerror or error}). Check the folder and the disk."
        ) from error
    return path


def _accuracy(run: Run, *, narrow: bool) -> Callable[[Palette], Figure]:
    model, blind = run.scores.model, run.scores.blind
    return lambda palette: plots.accuracy_figure(model, blind=blind, palette=palette, narrow=narrow)


def _curves(run: Run, *, narrow: bool) -> Callable[[Palette], Figure]:
    return lambda palette: plots.curves_figure(run.curves, palette=palette, narrow=narrow)


def page(run: Run) -> str:
    """Return the report as one HTML document."""
    scores = run.scores
    sections = [
        report_sections.headline(scores),
        report_sections.kinds(scores, _accuracy_picture(run)),
        report_sections.directions(scores.model.direction8, _direction_pictures(run)),
        *([report_panoramic.rolls(scores.model.panoramic)] if scores.model.panoramic else []),
        report_sections.captions(scores),
        report_samples.samples(run),
        *([report_skipped.skipped_rows(run.skipped)] if run.skipped else []),
        report_training.training(run, _curves_picture(run)),
        report_training.run_facts(run),
    ]
    return document(f"{scores.experiment}: panollava report", _header(run), tag("main", *sections), _footer())


def document(title: str, *body: str, style: str = "") -> str:
    """Return a whole page in the report's look, which needs no network and runs no script.

    Args:
        title: of the browser's tab.
        body: what it holds.
        style: rules that follow those of the report.
    """
    head = tag(
        "head",
        tag("meta", attrs={"charset": "utf-8"}),
        tag("meta", attrs={"http-equiv": "Content-Security-Policy", "content": POLICY}),
        tag("meta", attrs={"name": "viewport", "content": "width=device-width, initial-scale=1"}),
        tag("meta", attrs={"name": "color-scheme", "content": "light dark"}),
        tag("title", title),
        tag("link", attrs={"rel": "icon", "href": "data:,"}),
        tag("style", Html(style_sheet() + style)),
    )
    return f"<!doctype html>\n{tag('html', head, tag('body', *body), attrs={'lang': 'en'})}\n"


def _header(run: Run) -> Html:
    scores = run.scores
    left_out = {"rolls": not scores.model.panoramic, "skipped": not run.skipped}
    parts = {k: name for k, name in _PARTS.items() if not left_out.get(k)}
    links = [tag("li", tag("a", name, attrs={"href": f"#{part}"})) for part, name in parts.items()]
    facts = [
        counted(scores.questions, "question"),
        counted(scores.panoramas, "held-out panorama"),
        *([f"{counted(scores.skipped, 'question')} left out"] if scores.skipped else []),
        scores.created.replace("T", " "),
    ]
    return tag(
        "header",
        tag("p", "panollava report", attrs={"class": "kicker"}),
        tag("h1", scores.experiment),
        tag("p", join(facts, between=" \u00b7 "), attrs={"class": "facts-line"}),
        tag("nav", tag("ul", *links), attrs={"aria-label": "Sections"}),
    )


def _footer() -> Html:
    text = "Written by panollava from the files of this run. The page needs no network and runs no script."
    return tag("footer", tag("p", text))


def _accuracy_picture(run: Run) -> Html:
    model, blind = run.scores.model, run.scores.blind
    if model.accuracy is None:
        return Html("")
    words = f"Bar chart of accuracy by kind of question. All questions: model {percent(model.accuracy)}"
    if blind:
        words += f", blind baseline {percent(blind.accuracy)}"
    words += ". The table below has every number."
    return picture(_accuracy(run, narrow=False), words, narrow=_accuracy(run, narrow=True))


def _curves_picture(run: Run) -> Html | None:
    if not run.curves:
        return None
    words = f"Loss and learning rate over steps, for {', '.join(stage.name for stage in run.curves)}"
    return picture(_curves(run, narrow=False), words, narrow=_curves(run, narrow=True))


def _direction_pictures(run: Run) -> Html:
    """Return confusion and compass as two pictures, which stack on a narrow screen."""
    model, blind = run.scores.model.direction8, run.scores.blind
    if model is None:
        return Html("")
    other = blind.direction8 if blind else None
    recall = ", ".join(
        f"{label} {100 * value:.0f} %"
        for label, value in zip(model.labels, model.recall, strict=True)
        if value is not None
    )
    confusion = picture(
        lambda palette: plots.confusion_figure(model, palette=palette),
        "Heat map of answered against true direction; the table below has the counts",
    )
    compass = picture(
        lambda palette: plots.compass_figure(model, blind=other, palette=palette),
        f"Compass of the share of right answers by true direction: {recall}",
    )
    return tag("div", confusion, compass, attrs={"class": "pair"})


def picture(
    draw: Callable[[Palette], Figure], words: str, *, narrow: Callable[[Palette], Figure] | None = None
) -> Html:
    """Return a chart in light and dark, and in a narrow form if there is one, with its content in words."""
    dark = "(prefers-color-scheme: dark)"
    sources = [_source(draw(DARK), f"screen and {dark}")]
    if narrow:
        sources[:0] = [_source(narrow(DARK), f"{NARROW} and {dark}"), _source(narrow(LIGHT), NARROW)]
    light = draw(LIGHT)
    image = tag("img", attrs={"src": _data_uri(light), **_size(light), "alt": words})
    return tag("figure", tag("picture", *sources, image), attrs={"class": "chart"})


def _source(figure: Figure, media: str) -> Html:
    return tag("source", attrs={"media": media, "srcset": _data_uri(figure), **_size(figure)})


def _size(figure: Figure) -> dict[str, str]:
    """Return the size of a chart on the page, in CSS pixels."""
    width, height = (round(inches * CSS_PIXELS_PER_INCH) for inches in figure.get_size_inches())
    return {"width": str(width), "height": str(height)}


def _data_uri(figure: Figure) -> str:
    return f"data:image/png;base64,{base64.b64encode(png_bytes(figure)).decode('ascii')}"


def _write_charts(run: Run) -> None:
    """Write the charts into plots/; remove one of an earlier evaluation that this run has no numbers for."""
    model, blind = run.scores.model, run.scores.blind
    looks, other = model.direction8, blind.direction8 if blind else None
    figures = {
        "accuracy": _accuracy(run, narrow=False)(LIGHT) if model.accuracy is not None else None,
        "directions": plots.directions_figure(looks, blind=other, palette=LIGHT) if looks else None,
        "curves": _curves(run, narrow=False)(LIGHT) if run.curves else None,
    }
    for name, figure in figures.items():
        path = run.folder / "plots" / f"{name}.png"
        if figure is None:
            path.unlink(missing_ok=True)
        else:
            write_whole(path, png_bytes(figure))


def write_whole(path: Path, content: bytes) -> None:
    """Write a file whole or not at all: a reader meets the old one or the new one."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
