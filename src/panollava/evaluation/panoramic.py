"""Does an answer turn with the panorama? Roll it, ask again with the transported question, compare.

Notation: sample i, roll k by 360 k / K degrees (whole columns, no resampling), T_k the transport of texts
(`text.directions`, the same as in training), f_ik the answer to T_k q_i about the rolled panorama::

    YRA      mean over i, k  of [f_ik = T_k a_i]               accuracy under rolls
    YRA-min  mean over i     of min over k of [f_ik = T_k a_i] right under every roll
    YR-gap   accuracy at k = 0 minus mean accuracy at k > 0    preference for the pose of the photograph
    YRC      mean over i, j != k of [T_-j f_ij = T_-k f_ik]    agreement with itself, right or wrong
    kappa    (YRC - c) / (1 - c), c = sum over a of p(a)^2     beyond chance; p: how often T_-k f_ik is a, by kind
    MIR      mean over i     of [f(mirrored i) = mirror f_i0]  agreement under a mirroring

A sample takes part in the rolls that its texts can follow (quarter turns where it tells four directions), and in none
where it has directions that the grammar does not understand; those are counted as skipped. A constant model has YRC 1
and kappa 0 where answers do not turn, and kappa below 0 where they should.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch

from panollava.config.schema import PanollavaConfig
from panollava.data.augment import Draw, apply_draw, carry
from panollava.data.images import ImageOptions
from panollava.data.manifest import Sample
from panollava.data.views import Tensors, load_erp, stacked, views_of
from panollava.evaluation.predict import predictions
from panollava.evaluation.score import is_question
from panollava.metrics.accuracy import exact_match, normalize_answer
from panollava.models.protocol import PanoramaModel
from panollava.text.directions import conversation_freedom, freedom, transport
from panollava.text.turn import Turn

MIRROR = Turn(mirror=True)


@dataclass(frozen=True, slots=True)
class Trial:
    """One sample under one turn: query, answer and prediction are those of the turned panorama."""

    turn: Turn
    sample: Sample

    @property
    def right(self) -> float:
        """1 where the prediction is the transported answer, else 0."""
        return float(exact_match([self.sample.prediction or ""], [[self.sample.answer or ""]])[0])

    def upright(self) -> str | None:
        """Return the prediction carried back to the panorama as it is in the file; None where it cannot be."""
        text, back = self.sample.prediction or "", self.turn.inverse()
        if not freedom(text, question=self.sample.query).allows(back):
            return None
        return normalize_answer(transport(text, back, question=self.sample.query))


@dataclass(frozen=True, slots=True)
class TurnedFeatures:
    """Features of turned panoramas, computed anew: the feature cache knows only panoramas as they are."""

    model: PanoramaModel
    turn: Turn
    images: ImageOptions

    def get(self, paths: Sequence[Path]) -> Tensors:
        """Return the features of a batch of panoramas."""
        layout, antialias = self.model.layout, self.images.antialias
        views = stacked([views_of(self._erp(path), layout, antialias=antialias) for path in paths])
        with torch.no_grad():
            return self.model.encode(tuple(group.to(self.model.device) for group in views))

    def _erp(self, path: Path) -> np.ndarray:
        """Return the panorama turned by whole columns: the nearest ones where its width is no multiple of K."""
        erp = load_erp(path, self.model.layout, images=self.images)
        columns = round(self.turn.yaw_deg * erp.shape[1] / 360.0)
        return apply_draw(erp, Draw(Turn(columns * 360.0 / erp.shape[1], self.turn.mirror)))


def roll_trials(
    model: PanoramaModel,
    answered: Sequence[Sample],
    cfg: PanollavaConfig,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> list[Trial]:
    """Ask every question again under every turn that its texts can follow.

    Args:
        model: The model, in evaluation mode; one that sees.
        answered: Samples with predictions, of the panoramas as they are.
        cfg: ``evaluation.rolls`` and how to generate.
        progress: Called with (questions done, questions in all).

    Returns:
        The trials, those of the identity first.
    """
    asked = [s for s in answered if is_question(s)]
    images = ImageOptions.from_settings(cfg.data.images, antialias=cfg.views.antialias)
    trials = [Trial(Turn(), s) for s in asked]
    plan = [(turn, turned_samples(asked, turn)) for turn in turns(cfg.evaluation.rolls)]
    total, done = sum(len(samples) for _, samples in plan), 0
    for turn, samples in plan:
        said = predictions(model, samples, cfg, store=TurnedFeatures(model, turn, images))
        trials += [Trial(turn, s) for s in said]
        done += len(samples)
        if progress is not None:
            progress(done, total)
    return trials


def turns(rolls: int) -> list[Turn]:
    """Return the turns of K rolls but the identity, and the mirroring.

    Example:
        >>> [turn.yaw_deg for turn in turns(4)]
        [90.0, -180.0, -90.0, 0.0]
    """
    return [*(Turn(360.0 * k / rolls) for k in range(1, rolls)), MIRROR]


def turned_samples(samples: Iterable[Sample], turn: Turn) -> list[Sample]:
    """Return the samples that can follow a turn, transported."""
    told = [s for s in samples if conversation_freedom([(s.query, s.answer or "")]).allows(turn)]
    pairs = [carry([(s.query, s.answer or "")], turn)[0] for s in told]
    return [replace(s, query=q, answer=a, prediction=None) for s, (q, a) in zip(told, pairs, strict=True)]


def roll_scores(trials: Sequence[Trial], *, rolls: int) -> dict[str, Any]:
    """Return the scores of the module's docstring, over all questions and by kind.

    Args:
        trials: Every sample under the identity and the turns that it could follow.
        rolls: K.
    """
    by_sample: dict[tuple[str, str], list[Trial]] = defaultdict(list)  # an id is unique within its source
    for trial in trials:
        by_sample[trial.sample.source, trial.sample.sample_id].append(trial)
    kinds: dict[str, list[list[Trial]]] = defaultdict(list)
    skipped = 0
    for rows in by_sample.values():
        if len(rows) > 1:
            kinds[rows[0].sample.kind].append(rows)
        else:
            skipped += 1
    by_kind = {kind: _kind_scores(kinds[kind]) for kind in sorted(kinds)}
    return {"rolls": rolls, "skipped": skipped, "all": _pooled(by_kind), "by_kind": by_kind}


def _kind_scores(samples: Sequence[Sequence[Trial]]) -> dict[str, Any]:
    rolled = [kept for rows in samples if len(kept := [t for t in rows if not t.turn.mirror]) > 1]
    hits = [[trial.right for trial in rows] for rows in rolled]
    said = [[trial.upright() for trial in rows] for rows in rolled]
    mirrored = [(rows[0].upright(), t.upright()) for rows in samples for t in rows if t.turn.mirror]
    return {
        "questions": len(rolled),
        "yra": _mean(fmean(row) for row in hits),
        "yra_min": _mean(min(row) for row in hits),
        "gap": _mean(row[0] - fmean(row[1:]) for row in hits),
        "yrc": _mean(fmean(_same(a, b) for a, b in permutations(row, 2)) for row in said),
        "chance": _chance(said),
        "mirrored": len(mirrored),
        "mir": _mean(_same(a, b) for a, b in mirrored),
    }


def _chance(said: Sequence[Sequence[str | None]]) -> float | None:
    """Return the agreement of two answers drawn by chance; an answer that cannot be carried back agrees with none."""
    share: dict[str, float] = defaultdict(float)
    for row in said:
        for answer in row:
            if answer is not None:
                share[answer] += 1.0 / (len(row) * len(said))
    return sum(p * p for p in share.values()) if said else None


def _pooled(by_kind: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the mean over all samples of every score, and fill in kappa everywhere."""
    pooled: dict[str, Any] = {}
    for name, weight in (*((n, "questions") for n in ("yra", "yra_min", "gap", "yrc", "chance")), ("mir", "mirrored")):
        total = sum(scores[weight] for scores in by_kind.values())
        values = [scores[name] * scores[weight] for scores in by_kind.values() if scores[weight]]
        pooled |= {weight: total, name: sum(values) / total if total else None}
    for scores in (pooled, *by_kind.values()):
        scores["kappa"] = _kappa(scores["yrc"], scores["chance"])
    return pooled


def _kappa(agreement: float | None, chance: float | None) -> float | None:
    """Return agreement beyond chance; 0 where there is only one answer, so that nothing is beyond it."""
    if agreement is None or chance is None:
        return None
    return (agreement - chance) / (1.0 - chance) if chance < 1.0 - 1e-12 else 0.0


def _same(a: str | None, b: str | None) -> float:
    return float(a is not None and a == b)


def _mean(values: Iterable[float]) -> float | None:
    held = list(values)
    return fmean(held) if held else None
