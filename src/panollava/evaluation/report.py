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
from panollava.evaluation import plots, report_samples, report_sections, report_training
from panollava.evaluation.report_html import Html, join, tag
from panollava.evaluation.report_palette import DARK, LIGHT, Palette
from panollava.evaluation.report_run import Run, read_run
from panollava.evaluation.report_style import style_sheet
from panollava.evaluation.report_text import count

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_PARTS = {
    "result": "Result",
    "kinds": "Kinds",
    "directions": "Directions",
    "captions": "Captions",
    "samples": "Samples",
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
        for name, draw in charts(run).items():
            _write_chart(run_dir / "plots" / f"{name}.png", draw)
        _replace(path, page(run).encode("utf-8", errors="replace"))
    except OSError as error:
        raise DataError(
            f"{path}: cannot be written ({error.strerror or error}). Check the folder and the disk."
        ) from error
    return path


def charts(run: Run) -> dict[str, Callable[[Palette], Figure] | None]:
    """Return the charts of plots/ by name, None for one that this run has no numbers for."""
    model, blind = run.scores.model, run.scores.blind
    looks, blind_looks = model.direction8, blind.direction8 if blind else None
    return {
        "accuracy": lambda palette: plots.accuracy_figure(model, blind=blind, palette=palette),
        "directions": (lambda palette: plots.directions_figure(looks, blind=blind_looks, palette=palette))
        if looks
        else None,
        "curves": (lambda palette: plots.curves_figure(run.curves, palette=palette)) if run.curves else None,
    }


def page(run: Run) -> str:
    """Return the report as one HTML document."""
    scores = run.scores
    drawn = charts(run)
    accuracy, curves = drawn["accuracy"], drawn["curves"]
    sections = [
        report_sections.headline(scores),
        report_sections.kinds(scores, _picture(accuracy, _accuracy_words(run)) if accuracy else Html("")),
        report_sections.directions(scores.model.direction8, _direction_pictures(run)),
        report_sections.captions(scores),
        report_samples.samples(run),
        report_training.training(
            run, _picture(curves, "Loss and learning rate of each stage") if curves else None
        ),
        report_training.run_facts(run),
    ]
    title = f"{scores.experiment}: panollava report"
    head = tag(
        "head",
        tag("meta", attrs={"charset": "utf-8"}),
        tag("meta", attrs={"http-equiv": "Content-Security-Policy", "content": POLICY}),
        tag("meta", attrs={"name": "viewport", "content": "width=device-width, initial-scale=1"}),
        tag("meta", attrs={"name": "color-scheme", "content": "light dark"}),
        tag("title", title),
        tag("link", attrs={"rel": "icon", "href": "data:,"}),
        tag("style", Html(style_sheet())),
    )
    body = tag("body", _header(run), tag("main", *sections), _footer())
    return f"<!doctype html>\n{tag('html', head, body, attrs={'lang': 'en'})}\n"


def _header(run: Run) -> Html:
    scores = run.scores
    links = [tag("li", tag("a", name, attrs={"href": f"#{part}"})) for part, name in _PARTS.items()]
    facts = [
        f"{count(scores.questions)} questions",
        f"{count(scores.panoramas)} held-out panoramas",
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


def _accuracy_words(run: Run) -> str:
    model, blind = run.scores.model, run.scores.blind
    text = f"Bar chart of accuracy by kind of question. All questions: model {100 * model.accuracy:.1f} %"
    if blind:
        text += f", blind baseline {100 * blind.accuracy:.1f} %"
    return f"{text}. The table below has every number."


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
    confusion = _picture(
        lambda palette: plots.confusion_figure(model, palette=palette),
        "Heat map of answered against true direction; the table below has the counts",
    )
    compass = _picture(
        lambda palette: plots.compass_figure(model, blind=other, palette=palette),
        f"Compass of the share of right answers by true direction: {recall}",
    )
    return tag("div", confusion, compass, attrs={"class": "pair"})


def _picture(draw: Callable[[Palette], Figure], words: str) -> Html:
    """Return a chart, in light and in dark, with its content in words."""
    light, dark = draw(LIGHT), draw(DARK)
    width, height = (round(inches * plots.CSS_PIXELS_PER_INCH) for inches in light.get_size_inches())
    source = tag("source", attrs={"media": "(prefers-color-scheme: dark)", "srcset": _data_uri(dark)})
    attrs = {"src": _data_uri(light), "width": str(width), "height": str(height), "alt": words}
    return tag(
        "figure", tag("picture", source, tag("img", attrs=attrs)), attrs={"class": "chart", "tabindex": "0"}
    )


def _data_uri(figure: Figure) -> str:
    return f"data:image/png;base64,{base64.b64encode(plots.png_bytes(figure)).decode('ascii')}"


def _write_chart(path: Path, draw: Callable[[Palette], Figure] | None) -> None:
    """Write a chart; remove one of an earlier evaluation that this run has no numbers for."""
    if draw is None:
        path.unlink(missing_ok=True)
    else:
        _replace(path, plots.png_bytes(draw(LIGHT)))


def _replace(path: Path, content: bytes) -> None:
    """Write a file whole or not at all: a reader meets the old one or the new one."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
