"""The outcome of a study: every arm's scores, how far they can be trusted, and what they cost.

    study.json, runs -> read_outcome -> Outcome -> table, CSV, JSON, page

Nothing is filled in: an arm whose runs failed, a metric that is missing in some of them, and a difference that cannot
be tested carry their reason.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from statistics import fmean

import numpy as np

from panollava.ablation.figures import ACCURACY, Scored
from panollava.ablation.folder import ArmRecord, RunRecord, StudyRecord
from panollava.ablation.runs import Costs, StudyRun, costs_of, value_of
from panollava.ablation.statistics import Contrast, Spread, compare_arms, image_figures, over_seeds
from panollava.metrics.bootstrap import bca_intervals
from panollava.metrics.metric import Floats, Totals


@dataclass(frozen=True, slots=True)
class ArmScore:
    """One arm in one metric.

    Attributes:
        mean: over seeds; None where no run has the score.
        by_seed: the score of each run.
        seeds: interval of the mean over seeds, on these images; None with fewer than two.
        images: interval of the mean over images, for these runs (BCa bootstrap); None where it cannot be drawn.
        blind: mean of the models trained without images; None where none was.
        shuffled: mean of the same models asked with another panorama's image; likewise.
        contrast: against the baseline; None for the baseline itself.
        reason: why the mean is missing.
    """

    mean: float | None
    by_seed: Mapping[int, float]
    seeds: Spread | None
    images: Spread | None
    blind: float | None
    shuffled: float | None
    contrast: Contrast | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class MetricOutcome:
    """All arms in one metric."""

    name: str
    label: str
    higher_is_better: bool
    signature: str
    arms: Mapping[str, ArmScore]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Everything that tables and page show.

    Attributes:
        study: the study as it ran.
        runs: what its finished runs left behind, arm by arm, seed by seed.
        failed: runs that did not finish, or whose files cannot be read, with the reason.
        metrics: the first one decides.
        costs: tokens, time, memory and parameters by arm.
    """

    study: StudyRecord
    runs: Mapping[str, Mapping[int, StudyRun]]
    failed: Mapping[str, tuple[tuple[RunRecord, str], ...]]
    metrics: tuple[MetricOutcome, ...]
    costs: Mapping[str, Costs]

    @property
    def decisive(self) -> MetricOutcome | None:
        """The metric of the verdict: accuracy, or the first where no question has a short answer."""
        return self.metrics[0] if self.metrics else None

    def arm(self, name: str) -> ArmRecord:
        """Return the record of an arm; KeyError if there is none of that name."""
        return {arm.name: arm for arm in self.study.arms}[name]


def outcome_of(
    study: StudyRecord,
    runs: Mapping[str, Mapping[int, StudyRun]],
    failed: Mapping[str, tuple[tuple[RunRecord, str], ...]],
) -> Outcome:
    """Score and compare the arms of a study whose runs were read.

    Args:
        study: the study.
        runs: its finished runs by arm and seed.
        failed: the others, with reasons.
    """
    names = list(dict.fromkeys(name for seeds in runs.values() for run in seeds.values() for name in run.figures))
    names.sort(key=lambda name: name != ACCURACY)
    metrics = tuple(_metric(name, study, runs) for name in names)
    return Outcome(study, runs, failed, metrics, {name: costs_of(list(seeds.values())) for name, seeds in runs.items()})


def _metric(name: str, study: StudyRecord, runs: Mapping[str, Mapping[int, StudyRun]]) -> MetricOutcome:
    scored = {
        arm: {seed: run.figures[name] for seed, run in seeds.items() if name in run.figures}
        for arm, seeds in runs.items()
    }
    every = [score for seeds in scored.values() for score in seeds.values()]
    kept = _comparable(list(scored[study.baseline].values()) or every)
    usable = {
        arm: {seed: image_figures(s.totals) for seed, s in seeds.items() if s.totals and _identity(s) == kept}
        for arm, seeds in scored.items()
    }
    contrasts = compare_arms(usable, baseline=study.baseline, higher_is_better=every[0].higher_is_better)
    arms = {}
    for arm, seeds in scored.items():
        contrast = contrasts.get(arm)
        if contrast is not None and contrast.difference is None:
            contrast = Contrast(reason=_why_not(list(seeds.values()), kept) or contrast.reason)
        arms[arm] = _arm_score(name, runs[arm], seeds, contrast)
    signature = kept[0] if kept else every[0].signature
    return MetricOutcome(name, every[0].label, every[0].higher_is_better, signature, arms)


Identity = tuple[str, str, str]
"""What must be equal in two scores that are compared: how they were computed, what was asked, what has a figure."""


def _identity(score: Scored) -> Identity:
    return score.signature, score.questions, score.concerned


def _comparable(scores: Sequence[Scored]) -> Identity | None:
    """Return the identity that most of the scores share; None where none has figures of single images."""
    found = Counter(_identity(score) for score in scores if score.totals is not None)
    return found.most_common(1)[0][0] if found else None


def _why_not(scores: Sequence[Scored], kept: Identity | None) -> str:
    """Say why an arm with scores is not compared; empty where they are no reason, or absent."""
    present = [score for score in scores if score.value is not None]
    if not present:
        return ""
    without = next((score for score in present if score.totals is None), None)
    if kept is None or without is not None:
        return without.reason if without is not None else "the baseline has no figures of single images"
    if all(score.questions != kept[1] for score in present):
        return "it answered other questions than the baseline, or its words are cut into other tokens"
    if any(score.concerned != kept[2] for score in present):
        return "answers that cannot be read are left out, and they are not those of the baseline"
    other = next((score.signature for score in present if score.signature != kept[0]), None)
    return "" if other is None else f"it was scored otherwise: {other}, the baseline {kept[0]}"


def _arm_score(
    name: str, runs: Mapping[int, StudyRun], scored: Mapping[int, Scored], contrast: Contrast | None
) -> ArmScore:
    by_seed = {seed: s.value for seed, s in scored.items() if s.value is not None and isfinite(s.value)}
    reason = ""
    if not by_seed:
        reason = next((score.reason for score in scored.values() if score.reason), "no finished run has this score")
    return ArmScore(
        mean=fmean(by_seed.values()) if by_seed else None,
        by_seed=by_seed,
        seeds=over_seeds(list(by_seed.values())),
        images=_over_images(list(scored.values())),
        blind=_mean(value_of(run.run.scores.blind, name) for run in runs.values()),
        shuffled=_mean(value_of(run.shuffled, name) for run in runs.values()),
        contrast=contrast,
        reason=reason,
    )


def _over_images(scores: Sequence[Scored]) -> Spread | None:
    """Return the interval of the mean score of some runs when the same images are drawn for all of them."""
    totals = [score.totals for score in scores if score.totals is not None]
    if len({(score.questions, score.concerned) for score in scores if score.totals is not None}) != 1:
        return None
    ends = np.cumsum([each.rows.shape[1] for each in totals])[:-1]

    def value(sums: Floats) -> Floats:
        parts = zip(totals, np.split(sums, ends, axis=1), strict=True)
        return np.asarray(np.mean([each.value(part) for each, part in parts], axis=0))

    joined = Totals(np.hstack([each.rows for each in totals]), value)
    [interval] = bca_intervals([joined], clusters=np.arange(len(joined.rows)))
    return None if interval is None else Spread(interval.low, interval.high)


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None and isfinite(value)]
    return fmean(known) if known else None
