"""Tokens of the language model, counted before anything is loaded, and steps that follow from a number of them.

::

    tokens of a step = panoramas of a step x (vision tokens of a panorama + questions x tokens of a question)

Vision tokens follow from layout, patch size and resampler. Text is the same in every arm, so a stated number of tokens
for a question with its answer (``text_tokens``) is enough to compare arms.

``match: tokens`` is about the sum of both, which is what a step costs: an arm with fewer vision tokens gets more steps,
and sees each question more often. It holds over an arm's language stages together, so an arm that lacks one of the
baseline's trains longer in the others. Matched by vision tokens alone, an arm with a fifth of them would see every
answer five times as often.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from panollava.ablation.arms import Arm, refuse_twins
from panollava.config import build_config, to_dict
from panollava.config.schema import PanollavaConfig, StageConfig
from panollava.config.stages import EMBEDDED_SOURCE
from panollava.config.study import StudyConfig
from panollava.errors import ConfigError
from panollava.geometry import build_layout


@dataclass(frozen=True, slots=True)
class StageTokens:
    """What a stage of objective language reads.

    Attributes:
        stage: Its name.
        steps: Optimiser steps; None where the stage counts epochs.
        per_step: Tokens of a step; None where only a fetched encoder or the data's file would tell.
    """

    stage: str
    steps: int | None
    per_step: float | None

    @property
    def total(self) -> float | None:
        """Tokens of the whole stage."""
        return None if self.steps is None or self.per_step is None else self.steps * self.per_step


def vision_tokens(config: PanollavaConfig) -> tuple[int, ...] | None:
    """Return the vision tokens of every view; None where only a fetched encoder would tell.

    Example:
        >>> sum(vision_tokens(PanollavaConfig()))
        160
    """
    from panollava.models.sizes import encoder_sizes, tokens_per_view

    sizes = encoder_sizes(config.vision.model)
    if sizes is None:
        return None
    layout = build_layout(config.views.kind, **config.views.layout_options(encoder_size_px=sizes.image_px))
    return tokens_per_view(config, layout, patch_px=sizes.patch_px)


def questions(config: PanollavaConfig, row: StageConfig) -> int | None:
    """Return the questions asked of a panorama in an epoch of a stage; None where only the data's file tells."""
    entries = row.data or config.data.train
    generated = all(entry.source == EMBEDDED_SOURCE and entry.kinds is None for entry in entries)
    made = config.data.synthetic.questions_per_panorama if generated else None
    if row.questions_per_panorama is None:
        return made
    return row.questions_per_panorama if made is None else min(made, row.questions_per_panorama)


def stage_tokens(config: PanollavaConfig, *, text_tokens: int) -> list[StageTokens]:
    """Return what the stages of objective language read.

    A batch with a budget of tokens holds whole panoramas, so as many as fit, and one where none does. That is what to
    expect: real texts differ in length, and the last batch of an epoch may be smaller.

    Args:
        config: The configuration.
        text_tokens: Tokens of a question with its answer.
    """
    views = vision_tokens(config)
    found = []
    for row in config.stages:
        if row.objective != "language":
            continue
        asked = questions(config, row)
        per_step: float | None = None
        if views is not None and asked is not None:
            panorama = sum(views) + asked * text_tokens
            budget = row.tokens_per_batch
            packed = row.batch_size if budget is None else max(1, budget // panorama)
            per_step = float(packed * row.accumulation * panorama)
        found.append(StageTokens(row.name, row.max_steps, per_step))
    return found


def with_budget(arms: Sequence[Arm], study: StudyConfig, *, origin: str) -> list[Arm]:
    """Return the arms with the steps that the study's budget and match give them.

    Raises:
        ConfigError: If the tokens of an arm are needed and cannot be counted, its stages count epochs, or two arms
            differed in nothing but the steps that are set here.
    """
    budget = study.budget
    if budget.max_steps is None and budget.tokens is None and study.match is None:
        return list(arms)
    counted = {arm.name: stage_tokens(arm.config, text_tokens=study.text_tokens) for arm in arms}
    for name, stages in counted.items():
        _check(stages, name=name, tokens_needed=budget.tokens is not None or study.match is not None, origin=origin)
    first = counted[study.baseline or arms[0].name]
    found = [_changed(arm, _steps(counted[arm.name], first, study), origin=origin) for arm in arms]
    refuse_twins(found, origin=origin, once=" once budget and match have set their steps")
    return found


def _check(stages: Sequence[StageTokens], *, name: str, tokens_needed: bool, origin: str) -> None:
    if not stages:
        raise ConfigError(f"{origin}: arm '{name}' has no stage of objective language to give a budget to.")
    for stage in stages:
        if stage.steps is None:
            raise ConfigError(
                f"{origin}: arm '{name}': stages.{stage.stage} counts epochs, and a budget or match sets steps; "
                "write max_steps, and epochs: null, in the base"
            )
        if tokens_needed and stage.per_step is None:
            raise ConfigError(
                f"{origin}: arm '{name}': the tokens of stages.{stage.stage} cannot be counted beforehand; write "
                "questions_per_panorama for the stage, and a preset or a folder for vision.model"
            )


def _steps(stages: Sequence[StageTokens], first: Sequence[StageTokens], study: StudyConfig) -> dict[str, int]:
    """Return the steps of each language stage of an arm, ``first`` being the baseline's stages.

    Matched, a stage has the share of the tokens that its steps would read at the baseline's rate.
    """
    budget, steps = study.budget, _within(stages, study.budget.max_steps)
    rates = {stage.stage: stage.per_step or 1.0 for stage in stages}
    wanted: float | None = budget.tokens
    if wanted is None and study.match is not None:
        theirs = {stage.stage: stage.per_step or 1.0 for stage in first}
        wanted = sum(count * theirs[name] for name, count in _within(first, budget.max_steps).items())
        steps = {name: count * theirs.get(name, rates[name]) / rates[name] for name, count in steps.items()}
    if wanted is not None:
        whole = sum(count * rates[name] for name, count in steps.items())
        steps = {name: count * wanted / whole for name, count in steps.items()}
    return {name: max(1, round(count)) for name, count in steps.items()}


def _within(stages: Sequence[StageTokens], max_steps: int | None) -> dict[str, float]:
    """Return the steps of each stage, scaled where all of them together have a budget."""
    whole = sum(stage.steps or 0 for stage in stages)
    return {s.stage: (s.steps or 0) * (1.0 if max_steps is None else max_steps / whole) for s in stages}


def _changed(arm: Arm, steps: Mapping[str, int], *, origin: str) -> Arm:
    tree, derived = to_dict(arm.config), dict[str, Any]()
    for row in tree["stages"]:
        if row["name"] in steps and row["max_steps"] != steps[row["name"]]:
            row["max_steps"] = derived[f"stages.{row['name']}.max_steps"] = steps[row["name"]]
    return replace(arm, config=build_config(tree, origin=origin), derived=derived)
