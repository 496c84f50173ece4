"""How far a run is, from its checkpoints: what is complete, and where to go on.

::

    <run>/run.json       the run's identity, and whether it is complete
    <run>/<stage>/...    checkpoints; those of another run of the same name do not count
"""

import datetime
import json
import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from panollava.checkpoints.durable import write_aside
from panollava.checkpoints.format import CheckpointMeta
from panollava.checkpoints.resolve import newest_valid
from panollava.checkpoints.state import load_training
from panollava.config import build_config, to_dict
from panollava.config.difference import differences
from panollava.config.schema import PanollavaConfig, StageConfig
from panollava.errors import CheckpointError, ConfigError
from panollava.training.stages import StageOutcome

logger = logging.getLogger(__name__)

RUN_FILE = "run.json"
MAY_DIFFER = (
    "experiment.name", "experiment.blind_baseline", "experiment.untrained_baseline", "paths", "evaluation",
    "generation", "data.test", "data.workers", "trainer.accelerator", "trainer.devices", "trainer.num_nodes",
    "trainer.strategy", "trainer.log_every", "trainer.loggers", "trainer.threads", "trainer.save_every",
    "trainer.save_minutes", "trainer.keep_checkpoints", "trainer.max_skipped", "trainer.auto_batch",
    "trainer.memory_gb", "data.max_bad_fraction",
)  # fmt: skip
"""Settings that a run may be resumed with other values of: they do not change what is learned."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a run is.

    Attributes:
        done: Names of the complete stages.
        checkpoint: Where to go on: inside a stage, or at the end of the last complete one; None: at the beginning.
        inside: Name of the stage that ``checkpoint`` is inside of; None: between two stages.
    """

    done: tuple[str, ...] = ()
    checkpoint: Path | None = None
    inside: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return it as a plain tree."""
        return {"done": list(self.done), "checkpoint": self.checkpoint and str(self.checkpoint), "inside": self.inside}

    @classmethod
    def read(cls, tree: dict[str, Any]) -> "Standing":
        """Return what ``as_dict`` gave as a plain tree."""
        return cls(tuple(tree["done"]), tree["checkpoint"] and Path(tree["checkpoint"]), tree["inside"])


def begin(run_dir: Path) -> str:
    """Write a new identity for a run and return it."""
    run = secrets.token_hex(8)
    _write(run_dir, {"run": run, "started": _now(), "state": "running"})
    return run


def identity(run_dir: Path) -> tuple[str, bool] | None:
    """Return the identity of the run in a folder and whether it is complete; None if there is none.

    Raises:
        CheckpointError: If the file is not what ``begin`` writes.
    """
    file = run_dir / RUN_FILE
    if not file.is_file():
        return None
    try:
        tree = json.loads(file.read_text(encoding="utf-8"))
        return str(tree["run"]), tree["state"] == "done"
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise CheckpointError(f"{file} is damaged: {error}; start the run again with --resume never") from error


def complete(run_dir: Path, run: str) -> None:
    """Note that a run is complete."""
    _write(run_dir, {"run": run, "finished": _now(), "state": "done"})


def standing(run_dir: Path, rows: Sequence[StageConfig], cfg: PanollavaConfig, *, run: str) -> Standing:
    """Return how far a run is: the furthest checkpoint that is whole; damaged ones are named and passed over.

    Args:
        run_dir: Folder of the run.
        rows: The stages of the run, in order.
        cfg: The configuration it is to go on with.
        run: The run's identity.

    Raises:
        ConfigError: If the run was made with settings that would give another model.
    """
    for place in range(len(rows) - 1, -1, -1):
        folder, names = run_dir / rows[place].name, [row.name for row in rows]
        steps = sorted(folder.glob("step-*"), reverse=True)
        for candidates in ([folder / "last"], steps):
            found = newest_valid([path for path in candidates if path.is_dir()], run=run)
            if found is None:
                continue
            checkpoint, meta = found
            same_training(meta, cfg, upto=names[: place + 1], where=checkpoint)
            if meta.finished:
                return Standing(tuple(names[: place + 1]), checkpoint, None)
            return Standing(tuple(names[:place]), checkpoint, names[place])
    return Standing()


def reported(run_dir: Path, stage: str) -> StageOutcome:
    """Return what a complete stage reported: in ``stages.json``, or, if the run was killed before, in its checkpoint.

    Raises:
        CheckpointError: If neither has it.
    """
    file = run_dir / "stages.json"
    try:
        told = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else []
    except (json.JSONDecodeError, UnicodeDecodeError):
        logger.warning("%s cannot be read; what %s reported is in its checkpoint", file, stage)
        told = []
    for tree in told:
        if tree["name"] == stage:
            return StageOutcome.read(tree)
    outcome = load_training(run_dir / stage / "last").values["outcome"]
    return StageOutcome.read(outcome)


def same_training(meta: CheckpointMeta, cfg: PanollavaConfig, *, upto: Sequence[str], where: Path) -> None:
    """Check that a checkpoint was trained as the configuration says.

    Args:
        meta: What the checkpoint says.
        cfg: The configuration.
        upto: Names of the stages that led to it; later ones may have changed.
        where: The checkpoint, for the message.

    Raises:
        ConfigError: If not; the message lists the keys.
    """
    old = _training_part(to_dict(build_config(meta.config, origin=str(where))), upto)
    found = [d for d in differences(old, _training_part(to_dict(cfg), upto)) if not d.path.startswith(MAY_DIFFER)]
    if found:
        listed = "\n".join(f"  {d.path}: was {d.old}, is {d.new}" for d in found[:10])
        raise ConfigError(
            f"{where} was trained with other settings, so the run cannot go on from it:\n{listed}\n"
            "Write the old values, give the run another experiment.name, or start it again with --resume never"
        )


def _training_part(tree: dict[str, Any], upto: Sequence[str]) -> dict[str, Any]:
    return {**tree, "stages": [row for row in tree["stages"] if row["name"] in upto]}


def _write(run_dir: Path, tree: dict[str, Any]) -> None:
    write_aside(run_dir / RUN_FILE, json.dumps(tree, indent=1))


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
