"""The page's sections on other metrics, and on groups of questions: where an arm gains, and where it loses."""

from collections.abc import Sequence

from panollava.ablation.breakdown import Cell
from panollava.ablation.outcome import MetricOutcome, Outcome
from panollava.ablation.page_table import breakable
from panollava.ablation.statistics import Contrast
from panollava.ablation.words import other_cell
from panollava.evaluation.report_html import Html, absent, join, section, table, tag
from panollava.evaluation.report_text import NOT_MEASURED, count, percent, points

_UP, _DOWN = "\u2191", "\u2193"
_STRONG = 0.25  # a difference of accuracies that has the full colour
_DEEPEST = 45.0  # per cent of the colour in a cell; more would hide the number


def other_metrics(outcome: Outcome) -> Html:
    """Return every other metric: the baseline's score, the differences of the arms, and why one is missing."""
    title = "Other scores"
    metrics = outcome.metrics[1:]
    if not metrics:
        return section("others", title, absent("There is no other score."))
    heads = ["Arm", *(f"{metric.label} {_UP if metric.higher_is_better else _DOWN}" for metric in metrics)]
    rows = [[breakable(arm.name), *(other_cell(metric, arm.name) for metric in metrics)] for arm in outcome.study.arms]
    numbers = table(
        heads, rows, caption="Differences to the baseline in every other score", numeric=range(1, len(heads))
    )
    note = (
        "The line of the baseline has its scores, the others their differences to it. * holds after "
        "correction for the number of arms; the number of metrics is not corrected for, so these are hints. In "
        "parentheses: a score that cannot be compared."
    )
    more = [
        _details("Why scores are missing or not compared", _reasons(metrics)),
        _details(
            "Signatures",
            [
                join([f"{metric.label}: ", tag("code", metric.signature)])
                for metric in outcome.metrics
                if metric.signature
            ],
        ),
    ]
    return section("others", title, numbers, tag("p", note, attrs={"class": "note"}), *more)


def _reasons(metrics: Sequence[MetricOutcome]) -> list[str]:
    found = []
    for metric in metrics:
        for arm, score in metric.arms.items():
            untested = score.contrast.reason if score.contrast else ""
            if score.reason or untested:
                found.append(f"{metric.label}, {arm}: {score.reason or untested}")
    return found


def _details(title: str, lines: Sequence[str]) -> Html:
    """Return lines that a reader opens; nothing where there are none."""
    if not lines:
        return Html("")
    return tag(
        "details", tag("summary", title), tag("ul", *(tag("li", line) for line in lines), attrs={"class": "note"})
    )


def groups(outcome: Outcome, cells: Sequence[Cell]) -> Html:
    """Return the heat table: a line per group of questions, a column per arm, differences in points."""
    title = "Where arms gain and lose"
    if not cells:
        return section("groups", title, absent("No question of this test has a short answer that is right or wrong."))
    arms = [arm.name for arm in outcome.study.arms if arm.name != outcome.study.baseline]
    heads = ["Questions about", "asked", *(breakable(name) for name in (outcome.study.baseline, *arms))]
    rows: list[Html] = []
    for index, cell in enumerate(cells):
        if index == 0 or cells[index - 1].theme != cell.theme:
            rows.append(tag("tr", tag("th", cell.theme.capitalize(), attrs={"colspan": str(len(heads))}),
                            attrs={"class": "theme"}))  # fmt: skip
        rows.append(_row(cell, arms))
    head = [
        tag("th", text, attrs={"scope": "col", **({"class": "number"} if i else {})}) for i, text in enumerate(heads)
    ]
    caption = "Accuracy of the baseline, and differences to it in percentage points, by group of questions"
    numbers = tag("table", tag("caption", caption), tag("thead", tag("tr", *head)), tag("tbody", *rows))
    scroll = {"class": "scroll", "tabindex": "0", "role": "region", "aria-label": caption}
    note = (
        "Nothing here is tested: with so many cells some differ by chance, the more so the fewer questions they have. "
        "Point at a cell for its interval. Direction, height and seam are those of the one object that a question "
        "names; questions that name none or several are left out there."
    )
    return section("groups", title, tag("div", numbers, attrs=scroll), tag("p", note, attrs={"class": "note"}))


def _row(cell: Cell, arms: Sequence[str]) -> Html:
    first = [tag("th", cell.group, attrs={"scope": "row"}), tag("td", count(cell.questions), attrs={"class": "number"})]
    first.append(tag("td", percent(cell.baseline), attrs={"class": "number"}))
    return tag("tr", *first, *(_heat(cell.contrasts[arm]) for arm in arms))


def _heat(contrast: Contrast) -> Html:
    difference = contrast.difference
    if difference is None:
        return tag("td", NOT_MEASURED, attrs={"class": "number", "title": contrast.reason})
    part = _DEEPEST * min(1.0, abs(difference) / _STRONG)
    known = contrast.reason
    if contrast.interval is not None and not known:
        known = f"95 % interval {points(contrast.interval.low)} to {points(contrast.interval.high)}"
    style = f"--part:{part:.0f}"
    kind = "gain" if difference > 0 else "loss"
    return tag("td", points(difference), attrs={"class": f"number heat {kind}", "style": style, "title": known})
