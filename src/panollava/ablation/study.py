"""A study, checked whole: its arms, the runs of each arm, and which stages several runs share.

::

    <paths.runs>/<experiment_name>/
      study.json                     arms, runs, and how each run ended
      arms/<arm>/seed-<n>/           a run like any other, with its log (arm.log) and its end (arm.json)
      stages/<stage>-<hash>/         a stage that several runs need, trained once
      ablation.csv .json .html       the outcome
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from panollava.ablation.arms import Arm, expand
from panollava.ablation.chain import Link, chain, shared_links
from panollava.ablation.tokens import with_budget
from panollava.config.schema import PanollavaConfig
from panollava.config.study import StudyConfig, read_study
from panollava.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Run:
    """One arm with one seed.

    Attributes:
        arm: Name of the arm.
        seed: Value of ``experiment.seed``.
        folder: Where it runs.
        config: Its whole configuration.
        shared: Stages that it takes from the study's folder ``stages``.
        shared_blind: The same of its text-only baseline.
    """

    arm: str
    seed: int
    folder: Path
    config: PanollavaConfig
    shared: tuple[Link, ...] = ()
    shared_blind: tuple[Link, ...] = ()

    @property
    def name(self) -> str:
        """Arm and seed, for people."""
        return f"{self.arm} seed {self.seed}"


@dataclass(frozen=True, slots=True)
class Study:
    """A study.

    Attributes:
        path: Its file.
        settings: The file's content.
        folder: Where its runs and its outcome are.
        arms: Its arms by name.
        runs: Every arm with every seed, arm by arm.
    """

    path: Path
    settings: StudyConfig
    folder: Path
    arms: Mapping[str, Arm]
    runs: tuple[Run, ...]

    @property
    def baseline(self) -> str:
        """Name of the arm that the others are compared with."""
        return self.settings.baseline or next(iter(self.arms))


def load_study(path: str | Path) -> Study:
    """Read a study and check the configuration of every arm.

    Raises:
        ConfigError: If the file, a key or a value is not right, or two arms have one name.
    """
    path = Path(path)
    settings = read_study(path)
    arms = with_budget(expand(settings, path=path), settings, origin=str(path))
    for arm in arms:
        _check_one_machine(arm, origin=str(path))
    folder = Path(arms[0].config.paths.runs) / settings.experiment_name
    runs = [
        _run(arm, seed, folder, settings)
        for arm in arms
        for seed in settings.seeds or (arms[0].config.experiment.seed,)
    ]
    return Study(path, settings, folder, {arm.name: arm for arm in arms}, tuple(_with_shared(runs)))


def devices_named(config: PanollavaConfig) -> int:
    """Return how many devices a run names; 1 where it takes what is there."""
    devices = config.trainer.devices
    return devices if isinstance(devices, int) and devices > 0 else 1


def _check_one_machine(arm: Arm, *, origin: str) -> None:
    machines = arm.config.trainer.num_nodes
    if machines > 1:
        raise ConfigError(
            f"{origin}: arm '{arm.name}' asks for trainer.num_nodes {machines}, but a run of a study stays on one "
            "machine; write 1, with as many trainer.devices as it has, and several runs at a time (--executor)"
        )


def _run(arm: Arm, seed: int, folder: Path, settings: StudyConfig) -> Run:
    experiment = arm.config.experiment.model_copy(update={"name": f"seed-{seed}", "seed": seed})
    if settings.blind is not None:
        experiment = experiment.model_copy(update={"blind_baseline": settings.blind})
    home = folder / "arms" / arm.name
    paths = arm.config.paths.model_copy(update={"runs": str(home)})
    config = arm.config.model_copy(update={"experiment": experiment, "paths": paths})
    return Run(arm.name, seed, home / experiment.name, config)


def _with_shared(runs: list[Run]) -> list[Run]:
    """Say of each run which stages it shares with others."""
    plain = shared_links({run.name: chain(run.config) for run in runs})
    blind = shared_links(
        {run.name: chain(run.config, blind=True) if run.config.experiment.blind_baseline else () for run in runs}
    )
    return [Run(run.arm, run.seed, run.folder, run.config, plain[run.name], blind[run.name]) for run in runs]
