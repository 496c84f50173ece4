"""Train on as many devices as a configuration names, from a process that is on none of them.

::

    ablate --task FILE --inside          holds the locks, waits for stages that others train, evaluates
      '-- ablate --train FILE  RANK 0    trains and nothing else, so that no process of a group waits for another run
      '-- ablate --train FILE  RANK 1
"""

import json
from collections.abc import Sequence
from pathlib import Path

from panollava.ablation.standing import last_words
from panollava.checkpoints.durable import write_aside
from panollava.config import build_config, to_dict
from panollava.config.schema import PanollavaConfig
from panollava.errors import ConfigError, Interrupted, TrainingError
from panollava.training.interrupt import STATUS
from panollava.training.spread import devices_of, spread
from panollava.workflow.training import ThreeStageTrainer


class Devices:
    """Trains runs of a study, here or in a process for each device.

    Args:
        order: File that tells the processes what to train.
        log: Where what they say goes, which is where this process speaks too.
    """

    def __init__(self, *, order: Path, log: Path) -> None:
        self.order, self.log = order, log

    def train(self, config: PanollavaConfig, *, blind: bool = False, stages: Sequence[str] | None = None) -> None:
        """Train, from where the run is.

        Args:
            config: The configuration.
            blind: Train the text-only baseline.
            stages: Names of the stages; None: all.

        Raises:
            Interrupted: If a signal stopped it; its checkpoint is written.
            TrainingError: If a process failed.
            PanollavaError: As of ``ThreeStageTrainer.run``, on one device.
        """
        devices = devices_of(config.trainer)
        if devices == 1:
            ThreeStageTrainer(config, blind=blind).run(stages=stages, resume="auto")
            return
        tree = {"config": to_dict(config), "blind": blind, "stages": None if stages is None else list(stages)}
        write_aside(self.order, json.dumps(tree, indent=1))
        status = spread(["ablate", "--train", str(self.order)], devices=devices, pass_on=True)
        if status in STATUS.values():
            raise Interrupted(f"the {devices} processes were stopped", status=status)
        if status:
            raise TrainingError(last_words(self.log) or f"one of {devices} processes ended with status {status}")


def train_ordered(order: Path) -> None:
    """Train what ``Devices`` ordered, as one of its processes.

    Raises:
        ConfigError: If the file is not an order.
        PanollavaError: As of ``ThreeStageTrainer.run``.
    """
    try:
        tree = json.loads(order.read_text(encoding="utf-8"))
        config, blind, stages = build_config(tree["config"], origin=str(order)), tree["blind"], tree["stages"]
    except (OSError, json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise ConfigError(f"{order} is no order of a study ({error}); 'panollava ablate' writes them") from error
    ThreeStageTrainer(config, blind=blind).run(stages=stages, resume="auto")
