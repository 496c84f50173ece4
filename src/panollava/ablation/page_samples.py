"""The page's samples: one panorama, the same questions, the answers of every arm below each other."""

from collections.abc import Mapping, Sequence

from panollava.ablation.outcome import Outcome
from panollava.ablation.page_table import breakable
from panollava.ablation.runs import StudyRun
from panollava.data.manifest import PanoramaSamples, Sample, group_by_image
from panollava.evaluation.report_html import Html, absent, join, section, table, tag
from panollava.evaluation.report_samples import panorama_picture, spoken_text, verdict
from panollava.evaluation.score import is_question
from panollava.metrics.accuracy import exact_match

SHOWN_PANORAMAS = 4
SHOWN_QUESTIONS = 4

Key = tuple[str, str]
Answers = Mapping[Key, list[Sample]]


def samples(outcome: Outcome) -> Html:
    """Return panoramas with answers of every arm, those on which arms disagree most."""
    title = "Samples side by side"
    seed = _common_seed(outcome)
    runs = {name: seeds[seed] for name, seeds in outcome.runs.items() if seed is not None and seed in seeds}
    if not runs:
        return section("samples", title, absent("No run has answers to show."))
    answers = {name: _by_question(run.run.predictions or ()) for name, run in runs.items()}
    first = next(iter(runs.values()))
    ranked = sorted(group_by_image(first.run.predictions or ()), key=lambda p: -_disagreement(p, answers))
    cards = [_card(panorama, answers, first) for panorama in ranked[:SHOWN_PANORAMAS]]
    text = (
        f"The panoramas and questions on which the arms disagree most, answered by the runs of seed {seed}. They are "
        "chosen to show differences, so they say nothing about how often arms differ."
    )
    left = [name for name in outcome.runs if name not in runs]
    without = absent(f"Without a run of seed {seed}: {', '.join(left)}.") if left else Html("")
    return section("samples", title, tag("p", text), without, *cards)


def _common_seed(outcome: Outcome) -> int | None:
    """Return the seed that most arms finished, the smallest of them."""
    seeds = [seed for runs in outcome.runs.values() for seed in runs]
    return min(seeds, key=lambda seed: (-seeds.count(seed), seed), default=None)


def _by_question(predictions: Sequence[Sample]) -> Answers:
    """Return a run's rows by image and query; several rows of one are its references."""
    found: dict[Key, list[Sample]] = {}
    for sample in predictions:
        found.setdefault((sample.image_id, sample.query), []).append(sample)
    return found


def _right(rows: Sequence[Sample]) -> bool | None:
    """Return whether an answer equals one of its references; None where that is not scored."""
    if not is_question(rows[0]):
        return None
    return bool(exact_match([rows[0].prediction or ""], [[row.answer or "" for row in rows]])[0])


def _disagreement(panorama: PanoramaSamples, answers: Mapping[str, Answers]) -> float:
    """Return how much arms disagree about a panorama: the sum over its questions of the least common outcome."""
    return sum(_split(key, answers) for key in _keys(panorama))


def _split(key: Key, answers: Mapping[str, Answers]) -> float:
    """Return how evenly arms are split between right and wrong; below 1 where only the words differ."""
    rows = [held[key] for held in answers.values() if key in held]
    right = [_right(row) for row in rows]
    marks = [mark for mark in right if mark is not None]
    said = len({row[0].prediction or "" for row in rows})
    return min(sum(marks), len(marks) - sum(marks)) + (0.5 * (said - 1) / len(rows) if marks else 0.0)


def _keys(panorama: PanoramaSamples) -> list[Key]:
    return list(dict.fromkeys((sample.image_id, sample.query) for sample in panorama.samples))


def _card(panorama: PanoramaSamples, answers: Mapping[str, Answers], run: StudyRun) -> Html:
    keys = sorted(_keys(panorama), key=lambda key: -_split(key, answers))[:SHOWN_QUESTIONS]
    rows_of = {key: next(held[key] for held in answers.values() if key in held) for key in keys}
    name = panorama.samples[0].image.name
    heads = ["Arm", *(_question(rows_of[key]) for key in keys)]
    body = [[breakable(arm), *(_answer(held.get(key)) for key in keys)] for arm, held in answers.items()]
    numbers = table(heads, body, caption=f"Answers about {name}")
    return tag(
        "article", tag("h3", name), panorama_picture(panorama, run.run.images), numbers, attrs={"class": "panorama"}
    )


def _question(rows: Sequence[Sample]) -> Html:
    references = join([spoken_text(row.answer or "") for row in rows], between=" / ")
    return join([spoken_text(rows[0].query), tag("span", "reference: ", references, attrs={"class": "note"})])


def _answer(rows: Sequence[Sample] | None) -> Html:
    if rows is None:
        return tag("em", "not asked", attrs={"class": "note"})
    said = spoken_text(rows[0].prediction or "")
    right = _right(rows)
    return said if right is None else join([said, Html("<br>"), verdict(right)])
