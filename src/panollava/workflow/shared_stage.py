"""A stage that several runs of a study need: trained once, and taken over by each as if it had trained it itself.

::

    stages/vision-5f0c.../          a run that ends with this stage
      vision/last/                    what the stage trained
    arms/wide/seed-0/               another run, whose new parts may be of other kinds or sizes
      vision/last/                    the same trained parts among its own new ones: the run goes on from here

What was trained is copied; every other part is built from the run's own configuration. A run's weights are drawn from
its seed, and numbers of a step from the step, so that the run ends as if it had trained the stage itself.
"""

import json
import logging
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from panollava.ablation.chain import Link
from panollava.ablation.locks import held
from panollava.checkpoints.durable import write_aside
from panollava.checkpoints.format import component_state, read_meta, read_weights, save_checkpoint
from panollava.checkpoints.state import TrainingState, load_training
from panollava.config import dump_config, load_config, to_dict
from panollava.config.schema import PanollavaConfig
from panollava.errors import CheckpointError, ConfigError
from panollava.models.build import build_model
from panollava.models.vlm import PanoramaVLM
from panollava.training.stages import StageOutcome
from panollava.workflow.devices import Devices
from panollava.workflow.standing import begin, identity, reported

logger = logging.getLogger(__name__)


def provide(
    config: PanollavaConfig, links: Sequence[Link], *, stages: Path, devices: Devices, blind: bool = False
) -> Path | None:
    """Train the shared stages that are not there yet; return the folder of the last one, None without any.

    Whoever comes first trains a stage; others wait. A stage whose process died is taken up by the next.

    Args:
        config: The configuration of a run that needs them.
        links: The shared stages, in order.
        stages: Folder of all shared stages.
        devices: Trains.
        blind: Of the text-only baseline.
    """
    before: Path | None = None
    for link in links:
        folder = stages / link.key
        run_dir = folder / "blind" if blind else folder
        with held(stages / f".{link.key}.lock", what=f"shared stage {link.key}"):
            if not _is_complete(run_dir):
                logger.info("shared stage %s", link.key)
                own = _begun_with(run_dir, _named(config, stages, link.key))
                if before is not None:
                    take_over(before, own, run_dir, upto=_names(links, before), blind=blind)
                devices.train(own, blind=blind, stages=link.upto)
        before = run_dir
    return before


def take_over(source: Path, config: PanollavaConfig, run_dir: Path, *, upto: Sequence[str], blind: bool) -> None:
    """Begin a run with stages that another has trained; does nothing where the run has begun.

    Args:
        source: Folder of the run that trained them.
        config: The configuration of the run to begin.
        run_dir: Its folder.
        upto: Names of the stages, in order.
        blind: Of the text-only baseline.

    Raises:
        CheckpointError: If the checkpoint is damaged, or its trained parts do not fit the run's model.
    """
    last = upto[-1]
    if identity(run_dir) is not None and (run_dir / last / "last").is_dir():
        return
    run_dir.mkdir(parents=True, exist_ok=True)
    meta = read_meta(source / last / "last")
    outcomes = [reported(source, name) for name in upto]
    trained = {name for outcome in outcomes for name in outcome.trainable}
    model = build_model(config, blind=blind, adapter="adapter" in trained)
    _load(model, source / last / "last", components=trained)
    state = load_training(source / last / "last")
    for name in upto:
        if (source / "logs" / name).is_dir():
            shutil.copytree(source / "logs" / name, run_dir / "logs" / name, dirs_exist_ok=True)
    told = [_retold(outcome, model).as_dict() for outcome in outcomes]
    write_aside(run_dir / "stages.json", json.dumps(told, indent=1))
    run = begin(run_dir)
    save_checkpoint(  # last, because it is what says that the run has begun
        model,
        run_dir / last / "last",
        config=to_dict(config),
        stage=last,
        epoch=meta.epoch,
        step=meta.step,
        trained=trained,
        val_loss=meta.val_loss,
        training=TrainingState({}, {**state.values, "run": run}),
        finished=True,
        data=meta.data,
        run=run,
    )
    logger.info("taken over from %s: %s", source, ", ".join(upto))


def _retold(outcome: StageOutcome, model: PanoramaVLM) -> StageOutcome:
    """Return what a stage did, with the frozen parts of this model: kinds that the stage does not read may differ."""
    sizes: dict[str, int] = {}
    for component, _, parameter in model.component_parameters():
        sizes[component] = sizes.get(component, 0) + parameter.numel()
    left = {name: size - outcome.trainable.get(name, 0) for name, size in sizes.items()}
    there = {name: size for name, size in left.items() if size and (name != "adapter" or name in outcome.frozen)}
    return replace(outcome, frozen=there)


def _load(model: torch.nn.Module, checkpoint: Path, *, components: set[str]) -> None:
    """Copy trained components into a model, strictly."""
    parts = component_state(model)
    for name in sorted(components):
        state, own = read_weights(checkpoint, name), parts.get(name, {})
        odd = sorted(
            key for key in {*state, *own} if key not in state or key not in own or state[key].shape != own[key].shape
        )
        if odd:
            raise CheckpointError(f"{checkpoint}: {name} does not fit the run's model; differing: {', '.join(odd[:5])}")
        with torch.no_grad():
            for key, value in state.items():
                own[key].copy_(value)


def _begun_with(run_dir: Path, config: PanollavaConfig) -> PanollavaConfig:
    """Return the configuration that a shared stage goes on with: that of the run that began it.

    Runs that share a stage differ in what it does not read, and a run that goes on is held to all it began with.
    """
    file = run_dir / "config.yaml"
    if file.is_file():
        try:
            begun = load_config(file)
            return begun.model_copy(update={"paths": config.paths, "experiment": config.experiment})
        except ConfigError as error:
            logger.warning("%s cannot be gone on with and starts over: %s", run_dir, error)
    shutil.rmtree(run_dir, ignore_errors=True)
    write_aside(file, dump_config(config))
    return config


def _is_complete(run_dir: Path) -> bool:
    known = identity(run_dir)
    return known is not None and known[1]


def _named(config: PanollavaConfig, stages: Path, name: str) -> PanollavaConfig:
    """Return the configuration with the folder and the name of a shared stage."""
    paths = config.paths.model_copy(update={"runs": str(stages)})
    experiment = config.experiment.model_copy(update={"name": name})
    return config.model_copy(update={"paths": paths, "experiment": experiment})


def _names(links: Sequence[Link], folder: Path) -> tuple[str, ...]:
    return next(link.upto for link in links if link.key in (folder.name, folder.parent.name))
