"""Where the curves of a stage go."""

import csv
import importlib
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger

from panollava.errors import TrainingError, unknown_name
from panollava.training.ranks import is_lead

OPTIONAL = {"wandb": "wandb", "trackio": "trackio"}
"""Loggers that need a package of their own, and the extra that brings it."""


def build_loggers(names: tuple[str, ...], *, folder: Path, run: str, stage: str, first: int = 0) -> list[Logger]:
    """Return the loggers of a stage.

    Args:
        names: ``csv``, ``tensorboard``, ``wandb``, ``trackio``.
        folder: Folder of the run's logs; each stage has its own below it.
        run: Name of the run: the project of the services.
        stage: Name of the stage.
        first: Optimiser steps taken before: what was logged of later ones is dropped, and comes again.

    Raises:
        TrainingError: If a name is unknown, or its package is not installed.
    """
    return [_build(name, folder=folder, run=run, stage=stage, first=first) for name in names]


def _build(name: str, *, folder: Path, run: str, stage: str, first: int) -> Logger:
    if name == "csv":
        return _csv(folder, stage=stage, first=first)
    if name == "tensorboard":
        return TensorBoardLogger(folder, name=stage, version="", purge_step=first or None)
    if name not in OPTIONAL:
        raise TrainingError(unknown_name("logger", name, ("csv", "tensorboard", *OPTIONAL)))
    module = _require(name)
    if name == "trackio":
        return TrackioLogger(module, project=run, name=stage)
    from lightning.pytorch.loggers import WandbLogger

    return WandbLogger(project=run, name=stage, save_dir=folder)


def _csv(folder: Path, *, stage: str, first: int) -> CSVLogger:
    """Return a logger that goes on after the rows of the steps before ``first``; its writer removes the file."""
    file = folder / stage / "metrics.csv"
    rows: list[dict[str, Any]] = []
    if first and is_lead() and file.is_file():
        with file.open(newline="", encoding="utf-8") as stream:
            rows = [row for row in csv.DictReader(stream) if (row.get("step") or "").isdigit()]
    logger = CSVLogger(folder, name=stage, version="")
    if rows:
        logger.experiment.metrics.extend(row for row in rows if int(row["step"]) < first)
        logger.save()
    return logger


def _require(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise TrainingError(
            f"trainer.loggers names {name}, and its package cannot be imported ({error}); "
            f"pip install 'panollava[{OPTIONAL[name]}]', or leave it out of trainer.loggers"
        ) from error


class TrackioLogger(Logger):
    """Sends curves to trackio, a local dashboard.

    Args:
        module: The package ``trackio``.
        project: Name of the project.
        name: Name of the run in it.
    """

    def __init__(self, module: Any, *, project: str, name: str) -> None:
        super().__init__()
        self._module, self._project, self._name = module, project, name
        self._started = False

    @property
    def name(self) -> str:
        """The project."""
        return self._project

    @property
    def version(self) -> str:
        """The run in it."""
        return self._name

    def log_hyperparams(self, params: Any) -> None:
        """Begin the run."""
        self._start()

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Send the values of a step."""
        self._start()
        if self._started:
            self._module.log(dict(metrics), step=step)

    def finalize(self, status: str) -> None:
        """End the run."""
        if self._started:
            self._module.finish()
            self._started = False

    def _start(self) -> None:
        if not self._started and is_lead():
            self._module.init(project=self._project, name=self._name)
            self._started = True
