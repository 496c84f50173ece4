"""A run's folder as the report needs it: read whole, once, before anything is drawn.

    metrics.json            scores                       required
    predictions.csv         answers, one per row         optional, as are all below
    blind_predictions.csv   answers without images
    config.yaml             the resolved configuration
    stages.json             what trained, what was frozen
    logs/<stage>/metrics.csv
    skipped.json            images that were left out; absent where none were

A file that is absent is None here, and the report says so; a file that is damaged is an error.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from panollava.config import build_config
from panollava.config.schema import EvaluationConfig
from panollava.config.yaml_text import parse_yaml
from panollava.data.images import ImageOptions
from panollava.data.manifest import Sample, read_manifest
from panollava.data.skipped import Skipped, read_skipped
from panollava.errors import ConfigError, DataError
from panollava.evaluation.report_curves import StageCurves, read_curves
from panollava.evaluation.report_scores import RunScores, read_json, read_scores


@dataclass(frozen=True, slots=True)
class StageRecord:
    """One stage as it ran; parameters are counts by component."""

    name: str
    objective: str
    trainable: Mapping[str, int]
    frozen: Mapping[str, int]
    steps: int
    seconds: float
    final_loss: float | None


@dataclass(frozen=True, slots=True)
class Run:
    """Everything the report shows.

    ``blind_answers`` are by sample id, ``config`` is the file's text, ``skipped`` what was left out, with its split.
    """

    folder: Path
    scores: RunScores
    predictions: tuple[Sample, ...] | None
    blind_answers: Mapping[str, str] | None
    config: str | None
    sample_panoramas: int
    images: ImageOptions
    stages: tuple[StageRecord, ...] | None
    curves: tuple[StageCurves, ...]
    skipped: tuple[tuple[str, Skipped], ...] = ()


def read_run(folder: Path) -> Run:
    """Read a run's folder.

    Raises:
        DataError: metrics.json is absent, or any file is damaged; the message names the file.
    """
    config = _text(folder / "config.yaml")
    settings = _settings(folder / "config.yaml", config)
    stages = _stages(folder / "stages.json")
    predictions = _predictions(folder / "predictions.csv")
    blind = _predictions(folder / "blind_predictions.csv")
    order = [stage.name for stage in stages or ()]
    return Run(
        folder=folder,
        scores=read_scores(folder / "metrics.json"),
        predictions=predictions,
        blind_answers=None if blind is None else {s.sample_id: s.prediction or "" for s in blind},
        config=config,
        sample_panoramas=_sample_panoramas(folder / "config.yaml", settings),
        images=_image_options(folder / "config.yaml", settings),
        stages=stages,
        curves=tuple(read_curves(folder / "logs", order=order)),
        skipped=tuple(read_skipped(folder)),
    )


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read ({error}). Write it again, or remove it.") from error


def _predictions(path: Path) -> tuple[Sample, ...] | None:
    if not path.exists():
        return None
    samples = read_manifest(path, image_root=path.parent, check_images=False, require_answer=False)
    for sample in samples:
        if sample.prediction is None:
            raise DataError(f"{path}, row {sample.row}: no prediction. Predict again, which writes the file.")
    return tuple(samples)


def _settings(path: Path, text: str | None) -> Any:
    try:
        return parse_yaml(text, origin=str(path)) if text else None
    except ConfigError as error:
        raise DataError(f"{error} It is not YAML that a run writes; write it again, or remove it.") from error


def _sample_panoramas(path: Path, config: Any) -> int:
    """Return evaluation.sample_panoramas of the resolved configuration, or the default without one."""
    evaluation = config.get("evaluation") if isinstance(config, dict) else None
    count = evaluation.get("sample_panoramas") if isinstance(evaluation, dict) else None
    if count is None:
        return EvaluationConfig().sample_panoramas
    if not isinstance(count, int) or count < 0:
        raise DataError(
            f"{path}: evaluation.sample_panoramas is {count!r}; the number of panoramas shown is 0 or more."
        )
    return count


def _image_options(path: Path, config: Any) -> ImageOptions:
    """Return how the run read its pictures: data.images of the resolved configuration, or the defaults without one."""
    data = config.get("data") if isinstance(config, dict) else None
    section = data.get("images") if isinstance(data, dict) else None
    return ImageOptions.from_settings(build_config({"data": {"images": section or {}}}, origin=str(path)).data.images)


def _stages(path: Path) -> tuple[StageRecord, ...] | None:
    if not path.exists():
        return None
    try:
        return tuple(_stage(row) for row in read_json(path))
    except KeyError as error:
        raise DataError(f"{path}: a stage has no key {error}. Train again, which writes the file.") from error
    except (TypeError, ValueError, AttributeError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path}: not a list of stages ({error}). Train again, which writes it.") from error


def _stage(row: Any) -> StageRecord:
    loss = row.get("final_loss")
    return StageRecord(
        name=str(row["name"]),
        objective=str(row["objective"]),
        trainable={str(name): int(count) for name, count in row["trainable"].items()},
        frozen={str(name): int(count) for name, count in row["frozen"].items()},
        steps=int(row["steps"]),
        seconds=float(row["seconds"]),
        final_loss=None if loss is None else float(loss),
    )
