"""How long a study will take, and what says so: runs of this study that are done, or operations over a given rate."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from panollava.ablation.cost import checkpoint_bytes, feature_bytes, stage_flops
from panollava.ablation.standing import result, status
from panollava.ablation.study import Run, Study
from panollava.config.schema import StageConfig


@dataclass(frozen=True, slots=True)
class Unit:
    """Stages that are trained once: those of a run that it shares with none, or a shared stage with what leads to it.

    Attributes:
        run: The run, or one of those that need the stage.
        rows: The stages.
        blind: Of the text-only baseline.
        key: Name of the shared stage; None for those of a run.
    """

    run: Run
    rows: tuple[StageConfig, ...]
    blind: bool
    key: str | None


def units(study: Study) -> list[Unit]:
    """Return everything that a study trains."""
    found: dict[str, Unit] = {}
    for run in study.runs:
        for blind, links in ((False, run.shared), (True, run.shared_blind)):
            if blind and not run.config.experiment.blind_baseline:
                continue
            before: tuple[str, ...] = ()
            for link in links:
                rows = _rows(run, link.upto[len(before) :])
                found.setdefault(link.key, Unit(run, rows, blind, link.key))
                before = link.upto
            names = [row.name for row in run.config.stages if not blind or "adapter" in row.trains]
            found[f"{run.name}{' blind' if blind else ''}"] = Unit(run, _rows(run, names[len(before) :]), blind, None)
    return list(found.values())


class Speeds:
    """Seconds of stages: as measured in runs of the study that are done, or from operations.

    Args:
        study: The study.
        rate: Floating point operations a second that the machine does; None: not known.
    """

    def __init__(self, study: Study, *, rate: float | None = None) -> None:
        self.study, self.rate = study, rate
        self.per_flop: dict[str, list[float]] = defaultdict(list)
        self.per_step: dict[tuple[str, str], list[float]] = defaultdict(list)
        self.rest: list[float] = []
        self.measured = 0
        for run in study.runs:
            if status(run) == "done":
                self._learn(run)

    @property
    def basis(self) -> str:
        """What the estimates rest on, for people."""
        if self.measured:
            return f"measured in {self.measured} runs of this study that are done"
        if self.rate is not None:
            return f"training alone: operations at {self.rate:.3g} a second (--flops)"
        return "unknown: no run of this study is done; give --flops, the operations a second that the machine does"

    def seconds(self, unit: Unit) -> float | None:
        """Return how long a unit trains; None where nothing says so."""
        parts = [self._stage(unit, row) for row in unit.rows]
        known = [part for part in parts if part is not None]
        return sum(known) if len(known) == len(parts) else None

    def beside(self) -> float:
        """Return the seconds that a run spends on anything but training, where that was measured."""
        return sum(self.rest) / len(self.rest) if self.rest else 0.0

    def _stage(self, unit: Unit, row: StageConfig) -> float | None:
        name = _stage_name(row.name, unit.blind)
        flops = stage_flops(unit.run.config, row, text_tokens=self.study.settings.text_tokens, blind=unit.blind)
        own = self.per_step.get((unit.run.arm, name))
        if own and row.max_steps is not None:
            return row.max_steps * sum(own) / len(own)
        if self.per_flop.get(name) and flops is not None:
            return flops * sum(self.per_flop[name]) / len(self.per_flop[name])
        return flops / self.rate if flops is not None and self.rate is not None else None

    def _learn(self, run: Run) -> None:
        """Take note of a run that is done."""
        self.measured += 1
        text_tokens = self.study.settings.text_tokens
        for blind, folder in ((False, run.folder), (True, run.folder / "blind")):
            file = folder / "stages.json"
            for told in json.loads(file.read_text(encoding="utf-8")) if file.is_file() else ():
                row, name = run.config.stage(told["name"]), _stage_name(told["name"], blind)
                self.per_step[run.arm, name].append(told["seconds"] / max(1, told["steps"]))
                flops = stage_flops(run.config, row, text_tokens=text_tokens, blind=blind)
                if flops is not None and row.max_steps is not None:
                    self.per_flop[name].append(told["seconds"] / (flops * told["steps"] / row.max_steps))
        spent: Mapping[str, float] = json.loads((run.folder / "metrics.json").read_text(encoding="utf-8"))["seconds"]
        self.rest.append(sum(value for key, value in spent.items() if not key.startswith(("stage ", "blind"))))


def total_seconds(study: Study, speeds: Speeds) -> float | None:
    """Return how long the runs that are left will take, one after the other; None where nothing says so."""
    left = [run for run in study.runs if result(run).get("status") != "done"]
    names = {run.name for run in left}
    todo = [unit for unit in units(study) if unit.run.name in names]
    parts = [speeds.seconds(unit) for unit in todo]
    known = [part for part in parts if part is not None]
    return sum(known) + len(left) * speeds.beside() if len(known) == len(parts) else None


def disk_bytes(study: Study) -> dict[str, float | None]:
    """Return the bytes of all checkpoints, and of the features of all encoders of a study."""
    parts = [checkpoint_bytes(unit.run.config, unit.rows) for unit in units(study)]
    encoders: dict[str, float | None] = {}
    for run in study.runs:
        config = run.config
        trained = any("vision" in row.trains for row in config.stages)
        key: list[Any] = [config.vision.model_dump(), config.views.model_dump(), trained and (run.arm, run.seed)]
        shared = next((link.key for link in run.shared if _trains_last(run, link.stage)), None)
        encoders[json.dumps(key if shared is None else [key[:2], shared])] = feature_bytes(config)
    return {"checkpoints": _sum(parts), "features": _sum(list(encoders.values()))}


def _trains_last(run: Run, stage: str) -> bool:
    """Whether a stage, or one before it, is the last to train the encoder."""
    rows = [row.name for row in run.config.stages]
    last = max((i for i, row in enumerate(run.config.stages) if "vision" in row.trains), default=-1)
    return rows.index(stage) >= last >= 0


def _rows(run: Run, names: Sequence[str]) -> tuple[StageConfig, ...]:
    return tuple(run.config.stage(name) for name in names)


def _stage_name(name: str, blind: bool) -> str:
    return f"blind {name}" if blind else name


def _sum(parts: Sequence[float | None]) -> float | None:
    known = [part for part in parts if part is not None]
    return sum(known) if len(known) == len(parts) else None
