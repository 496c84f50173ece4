"""ablation.html: one file that shows what a study found, and needs nothing else to be read.

Style and pictures are inside; there is no script and no request, and all text of runs is escaped, as in a run's own
report (``evaluation.report``), whose look it has.
"""

from functools import partial

from panollava.ablation import page_facts, page_groups, page_samples, page_table
from panollava.ablation.breakdown import breakdown
from panollava.ablation.outcome import Outcome
from panollava.ablation.page_style import STYLE
from panollava.ablation.plots import ArmCurves, Point, curves_figure, tokens_figure
from panollava.ablation.words import score_text
from panollava.evaluation.report import document, picture
from panollava.evaluation.report_html import Html, absent, join, section, tag
from panollava.evaluation.report_text import counted

_PARTS = {
    "verdict": "Verdict",
    "arms": "Arms",
    "tokens": "Score and tokens",
    "others": "Other scores",
    "groups": "Groups",
    "curves": "Training",
    "samples": "Samples",
    "failed": "Failed",
    "runs": "Runs",
}


def page(outcome: Outcome) -> str:
    """Return the page of a study as one HTML document."""
    sections = [
        page_table.verdicts(outcome),
        page_table.arms(outcome),
        _tokens(outcome),
        page_groups.other_metrics(outcome),
        page_groups.groups(outcome, breakdown(outcome.study, outcome.runs)),
        _curves(outcome),
        page_samples.samples(outcome),
        page_facts.failures(outcome),
        page_facts.run_facts(outcome),
    ]
    footer = tag("footer", tag("p", "Written by panollava from the files of this study. The page needs no network."))
    title = f"{outcome.study.name}: panollava study"
    return document(title, _header(outcome), tag("main", *sections), footer, style=STYLE)


def _header(outcome: Outcome) -> Html:
    done = sum(len(seeds) for seeds in outcome.runs.values())
    missing = sum(len(runs) for runs in outcome.failed.values())
    facts = [counted(len(outcome.study.arms), "arm"), counted(done, "finished run")]
    facts += [f"{missing} without a score"] if missing else []
    facts.append(f"baseline {outcome.study.baseline}")
    links = [tag("li", tag("a", name, attrs={"href": f"#{part}"})) for part, name in _PARTS.items()]
    return tag(
        "header",
        tag("p", "panollava study", attrs={"class": "kicker"}),
        tag("h1", outcome.study.name),
        tag("p", join(facts, between=" \u00b7 "), attrs={"class": "facts-line"}),
        tag("nav", tag("ul", *links), attrs={"aria-label": "Sections"}),
    )


def _tokens(outcome: Outcome) -> Html:
    title, metric = "Score and tokens", outcome.decisive
    points = []
    for arm in outcome.study.arms:
        score = metric.arms[arm.name] if metric else None
        tokens = outcome.costs[arm.name].tokens
        if score is not None and score.mean is not None and tokens:
            points.append(Point(arm.name, tokens, score.mean, score.seeds, arm.name == outcome.study.baseline))
    if metric is None or not points:
        return section("tokens", title, absent("No arm has both a score and a number of tokens."))
    as_text = partial(score_text, metric)
    words = ", ".join(f"{p.name}: {as_text(p.score)} at {p.tokens:,.0f} tokens" for p in points)
    chart = picture(
        lambda palette: tokens_figure(points, label=metric.label, as_text=as_text, palette=palette),
        f"{metric.label} over vision tokens. {words}",
        narrow=lambda palette: tokens_figure(points, label=metric.label, as_text=as_text, palette=palette, narrow=True),
    )
    note = (
        "Lines are 95 % intervals over seeds. Arms with equal tokens stand side by side. The diamond is the baseline. "
        "Upper left is better: more for less." if metric.higher_is_better else
        "Lines are 95 % intervals over seeds. The diamond is the baseline. Lower left is better."
    )  # fmt: skip
    return section("tokens", title, chart, tag("p", note, attrs={"class": "note"}))


def _curves(outcome: Outcome) -> Html:
    """Return the curves of the last stage that every finished run logged."""
    title = "Training"
    stages = [[stage.name for stage in run.run.curves] for seeds in outcome.runs.values() for run in seeds.values()]
    common = [name for name in (stages[0] if stages else []) if all(name in held for held in stages)]
    if not common:
        return section("curves", title, absent("The finished runs have no training log in common."))
    arms = [_arm_curves(outcome, arm.name, common[-1]) for arm in outcome.study.arms if outcome.runs[arm.name]]
    baseline = next((arm for arm in arms if arm.name == outcome.study.baseline), None)
    chart = picture(
        lambda palette: curves_figure(arms, baseline=baseline, palette=palette),
        f"Loss over steps in stage {common[-1]}, a panel per arm",
        narrow=lambda palette: curves_figure(arms, baseline=baseline, palette=palette, narrow=True),
    )
    note = (
        f"Stage {common[-1]}: the mean over seeds, and the band from the lowest to the highest seed. Losses compare "
        "only between arms whose targets are the same."
    )
    return section("curves", title, chart, tag("p", note, attrs={"class": "note"}))


def _arm_curves(outcome: Outcome, arm: str, stage: str) -> ArmCurves:
    held = [one for run in outcome.runs[arm].values() for one in run.run.curves if one.name == stage]
    return ArmCurves(arm, tuple(one.train for one in held), tuple(one.val for one in held if one.val.values))
