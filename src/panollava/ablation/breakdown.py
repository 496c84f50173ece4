"""Accuracy by kind of question, direction, height and seam: where an arm gains, and where it loses."""

from collections.abc import Mapping
from dataclasses import dataclass

from panollava.ablation.figures import accuracy_of
from panollava.ablation.folder import StudyRecord
from panollava.ablation.places import Places
from panollava.ablation.runs import StudyRun
from panollava.ablation.statistics import Contrast, compare_arms, image_figures
from panollava.data.manifest import Sample
from panollava.evaluation.score import is_question
from panollava.geometry.sphere import SECTORS8

_HEIGHTS = ("above", "at eye level", "below", "at a pole")
_SEAM = {True: "across the seam", False: "clear of the seam"}


@dataclass(frozen=True, slots=True)
class Cell:
    """The questions of one group.

    Attributes:
        theme: what they are grouped by, such as "direction".
        group: the group, such as "front left".
        questions: how many a run was asked.
        baseline: accuracy of the baseline, over seeds; None where it has none.
        contrasts: the other arms against it.
    """

    theme: str
    group: str
    questions: int
    baseline: float | None
    contrasts: Mapping[str, Contrast]


def breakdown(study: StudyRecord, runs: Mapping[str, Mapping[int, StudyRun]]) -> list[Cell]:
    """Return the groups of questions with a short answer, theme by theme; none where a test has no such questions.

    Args:
        study: the study.
        runs: its finished runs, as ``runs.read_runs`` gives them.
    """
    sorted_runs = {
        arm: {seed: _grouped(run.run.predictions or ()) for seed, run in seeds.items()} for arm, seeds in runs.items()
    }
    found = {key for seeds in sorted_runs.values() for groups in seeds.values() for key in groups}
    return [_cell(key, study, sorted_runs) for key in sorted(found, key=_order)]


Key = tuple[str, str]


def _grouped(samples: tuple[Sample, ...]) -> dict[Key, list[Sample]]:
    places = Places()
    groups: dict[Key, list[Sample]] = {}
    for sample in samples:
        if not is_question(sample):
            continue
        place = places.of(sample)
        keys = [("kind of question", sample.kind)]
        keys += [("direction", place.direction)] if place.direction else []
        keys += [("height", place.height)] if place.height else []
        keys += [("seam", _SEAM[place.seam])] if place.seam is not None else []
        for key in keys:
            groups.setdefault(key, []).append(sample)
    return groups


def _order(key: Key) -> tuple[int, int, str]:
    theme, group = key
    ranks = {"direction": SECTORS8, "height": _HEIGHTS, "seam": tuple(_SEAM.values())}
    themes = ("kind of question", *ranks)
    return themes.index(theme), ranks[theme].index(group) if theme in ranks else 0, group


def _cell(key: Key, study: StudyRecord, runs: Mapping[str, Mapping[int, Mapping[Key, list[Sample]]]]) -> Cell:
    scored = {
        arm: {seed: accuracy_of(groups[key]) for seed, groups in seeds.items() if key in groups}
        for arm, seeds in runs.items()
    }
    base = list(scored[study.baseline].values())
    asked = base[0].questions if base else ""
    figures = {
        arm: {seed: image_figures(s.totals) for seed, s in seeds.items() if s.totals and s.questions == asked}
        for arm, seeds in scored.items()
    }
    values = [score.value for score in base if score.value is not None]
    questions = max(
        (len(groups[key]) for seeds in runs.values() for groups in seeds.values() if key in groups), default=0
    )
    return Cell(
        *key,
        questions=questions,
        baseline=sum(values) / len(values) if values else None,
        contrasts=compare_arms(figures, baseline=study.baseline),
    )
