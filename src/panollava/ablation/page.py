"""ablation.html: one file that shows what a study found, and needs nothing else to be read."""

from panollava.ablation import page_table
from panollava.ablation.outcome import Outcome
from panollava.evaluation.report import document
from panollava.evaluation.report_html import Html, tag


def page(outcome: Outcome) -> str:
    """Return the page of a study as one HTML document."""
    sections = [page_table.verdicts(outcome), page_table.arms(outcome)]
    return document(f"{outcome.study.name}: panollava study", _header(outcome), tag("main", *sections))


def _header(outcome: Outcome) -> Html:
    return tag("header", tag("p", "panollava study", attrs={"class": "kicker"}), tag("h1", outcome.study.name))
