"""The page's first sections: the verdict, one sentence per arm, and the table whose rows show only what differs."""

import re
from collections.abc import Sequence

from panollava.ablation.arms import short_key
from panollava.ablation.outcome import MetricOutcome, Outcome
from panollava.ablation.statistics import BETTER, SAME, WORSE
from panollava.ablation.words import (
    cost_texts,
    difference_text,
    legend,
    p_text,
    score_text,
    seeds_text,
    sentence,
    settings_text,
    spread_text,
    verdict_text,
)
from panollava.evaluation.report_html import Html, absent, escape, join, section, table, tag

NO_SCORES = "No run of this study has finished, so there is no verdict. The last section says why."
_CLASSES = {BETTER: "right", WORSE: "wrong", SAME: "none"}
_SIGNS = {BETTER: "\u25b2 ", WORSE: "\u25bc "}


def verdicts(outcome: Outcome) -> Html:
    """Return what was found: a sentence about every arm, the clear ones first."""
    metric = outcome.decisive
    if metric is None:
        return section("verdict", "Verdict", absent(NO_SCORES))
    order = {BETTER: 0, WORSE: 1, SAME: 2}
    names = sorted((a.name for a in outcome.study.arms), key=lambda n: order.get(verdict_text(metric.arms[n]), 3))
    rows = [tag("li", verdict_mark(metric, name), " ", sentence(outcome, metric, name)) for name in names]
    return section("verdict", "Verdict", tag("ul", *rows, attrs={"class": "verdicts"}))


def verdict_mark(metric: MetricOutcome, arm: str) -> Html:
    """Return an arm's verdict as a coloured word with a sign."""
    verdict = verdict_text(metric.arms[arm])
    sign = [tag("span", _SIGNS[verdict], attrs={"aria-hidden": "true"})] if verdict in _SIGNS else []
    return tag("span", *sign, verdict, attrs={"class": f"verdict {_CLASSES.get(verdict, 'none')}"})


def arms(outcome: Outcome) -> Html:
    """Return the table of the decisive metric, and one of the others."""
    metric = outcome.decisive
    if metric is None:
        return section("arms", "Arms", absent(NO_SCORES))
    varied = outcome.study.varied
    heads = ["Arm", *(_key_head(key, varied) for key in varied), metric.label, "Difference", "Verdict"]
    heads += [_two("Blind", "shuffled"), _two("Tokens", "s / panorama"), _two("Memory", "trained"), "Seeds"]
    rows = [_row(outcome, metric, arm.name) for arm in outcome.study.arms]
    numeric = [i for i, head in enumerate(heads) if i > len(varied) and head != "Verdict"]
    caption = f"{metric.label} of every arm, with what it costs"
    note = tag("p", legend(outcome), attrs={"class": "note"})
    return section("arms", "Arms", table(heads, rows, caption=caption, numeric=numeric), note)


def _key_head(key: str, keys: Sequence[str]) -> Html:
    """Return a setting's name short, with the whole one where the reader points at it; it may break at its dots."""
    return tag("span", breakable(short_key(key, dict.fromkeys(keys))), attrs={"title": key})


def breakable(name: str) -> Html:
    """Return a name that may break into lines behind its commas, dots, hyphens and equals signs.

    Example:
        >>> breakable("views.kind=e2p")
        'views.<wbr>kind=<wbr>e2p'
    """
    return join(re.findall(r"[^,.=_-]*[,.=_-]|[^,.=_-]+", name), between=Html("<wbr>"))


def _row(outcome: Outcome, metric: MetricOutcome, name: str) -> list[str]:
    arm, score = outcome.arm(name), metric.arms[name]
    contrast, costs = score.contrast, cost_texts(outcome.costs[name])
    settings = [settings_text(arm.settings[key]) if key in arm.settings else "" for key in outcome.study.varied]
    between = spread_text(metric, contrast.interval, signed=True) if contrast else ""
    p = f"p {p_text(contrast.p_holm)}" if contrast and contrast.p_holm is not None else ""
    return [
        breakable(name),
        *settings,
        _two(score_text(metric, score.mean), spread_text(metric, score.seeds)),
        _two(difference_text(metric, contrast.difference), between) if contrast else "",
        _two(verdict_mark(metric, name), p),
        _two(score_text(metric, score.blind), score_text(metric, score.shuffled)),
        _two(costs["tokens"], costs["s / panorama"]),
        _two(costs["memory"], costs["trained"]),
        seeds_text(outcome, name),
    ]


def _two(value: str, between: str) -> Html:
    """Return a value above what belongs to it."""
    return (
        join([value, tag("span", between, attrs={"class": "note"})], between=Html("<br>")) if between else escape(value)
    )
