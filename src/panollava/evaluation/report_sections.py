"""The report's sections on scores: headline, kinds of question, directions, captions."""

from collections.abc import Mapping

from panollava.evaluation.plots import kinds_by_accuracy
from panollava.evaluation.report_html import Html, absent, escape, join, section, table, tag
from panollava.evaluation.report_scores import CaptionScore, DirectionScore, KindScore, ModelScores, RunScores
from panollava.evaluation.report_text import (
    NOT_MEASURED,
    count,
    counted,
    difference,
    duration,
    interval,
    margin,
    percent,
    points,
    six_decimals,
)
from panollava.metrics.suite import METRICS

DIRECTION_KIND = "direction8"
KINDS_TITLE, KIND_COLUMN = "Accuracy by kind of question", "Kind of question"
_NO_BLIND = "No blind baseline ran (experiment.blind_baseline), so nothing here shows what the images add."
_NO_QUESTIONS = "No question of this test has a short answer that is right or wrong; see the captions."


def headline(scores: RunScores) -> Html:
    """Return the first screen: what was found, in one sentence and a row of figures."""
    model, blind = scores.model, scores.blind
    before, gain = scores.untrained, difference(model.accuracy, blind.accuracy if blind else None)
    figures = [
        _figure("Accuracy, model", percent(model.accuracy), _of_questions(model), "model"),
        *([_figure("Before training", percent(before.accuracy), "the same questions", "plain")] if before else []),
        _figure("Blind baseline", percent(blind.accuracy if blind else None), "the same without images", "blind"),
        _figure("Chance", percent(model.chance), _chance_note(model), "chance"),
        _figure("Model over blind", points(gain), "percentage points", "plain"),
        _directions_figure(model),
        _figure(
            "Time",
            duration(sum(scores.seconds.values())) if scores.seconds else NOT_MEASURED,
            _minutes_note(scores),
            "plain",
        ),
    ]
    content = [
        tag("p", *_sentence(scores), attrs={"class": "lead"}),
        tag("dl", *figures, attrs={"class": "figures"}),
    ]
    if blind is None:
        content.append(absent(_NO_BLIND))
    return section("result", "Result", *content)


def _sentence(scores: RunScores) -> list[str]:
    """Say what was found; a difference that the number of questions does not bear out is called unclear."""
    model, blind = scores.model, scores.blind
    if model.accuracy is None:
        return [_NO_QUESTIONS]
    scored = "questions" if model.answered == scores.questions else "questions with a short answer"
    start = (
        f"The model answers {percent(model.accuracy)} of {count(model.answered)} {scored} about "
        f"{counted(scores.panoramas, 'held-out panorama')} correctly."
    )
    if blind is None or blind.accuracy is None:
        return [start]
    gain = model.accuracy - blind.accuracy
    against = f" Trained the same way without images, it answers {percent(blind.accuracy)}: "
    if abs(gain) <= margin(model.accuracy, blind.accuracy, model.answered):
        return [start, against, tag("strong", "no clear difference"), " at this number of questions."]
    if gain > 0:
        return [start, against, tag("strong", f"seeing is worth {100 * gain:.1f} points"), "."]
    return [start, against, tag("strong", f"seeing costs {-100 * gain:.1f} points"), "."]


def _figure(name: str, value: str, note: str, colour: str) -> Html:
    return tag(
        "div",
        tag("dt", name),
        tag("dd", value, attrs={"class": "value"}),
        tag("dd", note, attrs={"class": "note"}),
        attrs={"class": f"figure {colour}"},
    )


def _of_questions(model: ModelScores) -> str:
    if model.accuracy is None:
        return "not asked for in this test"
    low, high = model.accuracy_interval or interval(model.accuracy, model.answered)
    return f"95 % interval {100 * low:.1f} to {100 * high:.1f}"


def _chance_note(model: ModelScores) -> str:
    if model.chance is not None:
        return "a guess among the possible answers"
    without = sorted(kind for kind, score in model.by_kind.items() if score.chance is None)
    return f"no level for {', '.join(without) or 'any kind'}"


def _directions_figure(model: ModelScores) -> Html:
    score = model.by_kind.get(DIRECTION_KIND)
    if score is None:
        return _figure("8 directions", NOT_MEASURED, "not asked for in this test", "plain")
    if not score.chance:
        return _figure("8 directions", percent(score.accuracy), f"of {count(score.count)} questions", "plain")
    note = f"{score.accuracy / score.chance:.1f} times chance ({percent(score.chance)})"
    return _figure("8 directions", percent(score.accuracy), note, "plain")


def _minutes_note(scores: RunScores) -> str:
    return f"in {len(scores.seconds)} phases, listed under Run" if scores.seconds else "not logged"


def kinds(scores: RunScores, picture: Html) -> Html:
    """Return accuracy by kind of question: the chart and the numbers behind it."""
    model, blind = scores.model, scores.blind
    if model.accuracy is None:
        return section("kinds", KINDS_TITLE, absent(_NO_QUESTIONS))
    headers = [KIND_COLUMN, "Model", "Blind", "Gain (points)", "Chance", "Questions", "95 % interval"]
    whole = KindScore(model.accuracy, model.answered, model.chance, model.accuracy_interval)
    total = _kind_row("all questions", whole, blind.accuracy if blind else None)
    rows = [total]
    for kind in kinds_by_accuracy(model):
        score = model.by_kind[kind]
        other = blind.by_kind.get(kind) if blind else None
        rows.append(_kind_row(kind, score, other.accuracy if other else None))
    if not blind:
        headers, *rows = [row[:2] + row[4:] for row in [headers, *rows]]
    numbers = table(headers, rows, caption=KINDS_TITLE, numeric=range(1, len(headers)))
    rule = (
        "An answer is right when it equals its reference after case, punctuation, articles and number words "
        "are made alike. Intervals are BCa bootstraps over whole panoramas, whose questions are not independent; "
        "for a kind asked about fewer than ten panoramas they are Wilson's, which takes questions as independent."
    )
    return section("kinds", KINDS_TITLE, picture, numbers, tag("p", rule, attrs={"class": "note"}))


def _kind_row(name: str, score: KindScore, blind: float | None) -> list[str]:
    low, high = score.interval or interval(score.accuracy, score.count)
    between = f"{100 * low:.1f} \u2013 {100 * high:.1f}"
    gain = points(difference(score.accuracy, blind))
    return [name, percent(score.accuracy), percent(blind), gain, percent(score.chance), count(score.count), between]


def directions(score: DirectionScore | None, pictures: Html) -> Html:
    """Return the confusion of the eight directions: the charts and the same counts as a table."""
    title = "Which way: the eight directions"
    if score is None:
        return section("directions", title, absent("No question of this test asks for one of eight directions."))
    text = "Rows are the truth, columns the answer, both in the order in which one turns to the right."
    if score.soft is not None:
        text += (
            f" With part of a point for a near miss (1 \u2212 error / 45\u00b0, not below 0) the score is "
            f"{six_decimals(score.soft)}."
        )
    rows = [[label, *map(str, counts)] for label, counts in zip(score.labels, score.confusion, strict=True)]
    headers = ["Truth \\ answer", *score.labels, "other"]
    numbers = table(headers, rows, caption="Answers by true direction", numeric=range(1, len(headers)))
    details = tag("details", tag("summary", "The same counts as a table"), numbers)
    return section("directions", title, tag("p", text), pictures, details)


def captions(scores: RunScores) -> Html:
    """Return the text metrics with their signatures; one that could not run with its reason."""
    model, blind = scores.model, scores.blind
    title = "Captions"
    if not model.captions:
        return section("captions", title, absent("No caption metric was asked for, or the test has no captions."))
    others: Mapping[str, CaptionScore] = {score.name: score for score in blind.captions} if blind else {}
    headers = ["Metric", "Value", *(["Blind"] if blind else []), "Computed by"]
    rows = [_caption_row(score, others.get(score.name), with_blind=blind is not None) for score in model.captions]
    numbers = table(headers, rows, caption="Text metrics", numeric=(1, 2) if blind else (1,), stacks=True)
    notes = [f"Empty answers: {count(model.empty_predictions)}; each is scored, as wrong."]
    if model.caption_items is not None:
        notes.insert(0, f"Over {counted(model.caption_items, 'text')}.")
    if model.perplexity is not None:
        per_text = six_decimals(model.perplexity_per_text)
        notes.append(f"Perplexity of the references: {six_decimals(model.perplexity)} (mean of texts {per_text}).")
    legend = "\u2191 higher is better, \u2193 lower is better. Only values with equal signatures compare."
    return section(
        "captions",
        title,
        numbers,
        tag("p", legend, attrs={"class": "note"}),
        tag("p", " ".join(notes)),
    )


def _caption_row(score: CaptionScore, other: CaptionScore | None, *, with_blind: bool) -> list[str]:
    metric = METRICS.get(score.name)
    arrow = tag("span", "\u2191" if score.higher_is_better else "\u2193", attrs={"class": "arrow"})
    better = "higher is better" if score.higher_is_better else "lower is better"
    spoken = tag("span", f" ({better})", attrs={"class": "spoken"})
    name = join([metric.label if metric else score.name, " ", arrow, spoken])
    blind = [six_decimals(other.value if other else None)] if with_blind else []
    return [name, _value(score), *blind, _origin(score)]


def _value(score: CaptionScore) -> str:
    if score.value is None:
        return tag("span", "missing", attrs={"class": "missing"})
    if score.interval is None:
        return six_decimals(score.value)
    low, high = map(six_decimals, score.interval)
    return tag("span", six_decimals(score.value), tag("span", f" [{low}, {high}]", attrs={"class": "note"}))


def _origin(score: CaptionScore) -> Html:
    if score.value is None:
        return tag("span", score.reason or "no reason was recorded", attrs={"class": "reason"})
    parts = [escape(score.implementation), tag("code", score.signature)]
    if score.note:
        parts.append(tag("span", score.note, attrs={"class": "note"}))
    return tag("div", join(parts, between=Html("<br>")))
