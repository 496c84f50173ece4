"""``WorkflowConfig``: a configuration file as an object."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from panollava.config import build_config, load_config, to_dict
from panollava.config.schema import PanollavaConfig
from panollava.errors import ConfigError, unknown_name


@dataclass(frozen=True, slots=True)
class WorkflowConfig:
    """A checked configuration and what scripts like to do with it.

    Attributes:
        config: The whole configuration tree.
    """

    config: PanollavaConfig

    @classmethod
    def load(cls, path: str | Path, *, overrides: Sequence[str] = ()) -> "WorkflowConfig":
        """Read a YAML file, its bases and dotted overrides such as ``stages.finetune.epochs=2``.

        Raises:
            ConfigError: If the file, a key or a value is not right.
        """
        return cls(load_config(path, overrides=overrides))

    @property
    def run_dir(self) -> Path:
        """Folder of the run: ``<paths.runs>/<experiment.name>``."""
        return Path(self.config.paths.runs) / self.config.experiment.name

    def with_stages(self, names: Sequence[str]) -> "WorkflowConfig":
        """Return the configuration with exactly these stages, in this order.

        Raises:
            ConfigError: If the table has no stage of such a name.
        """
        table = {stage.name: stage for stage in self.config.stages}
        for name in names:
            if name not in table:
                raise ConfigError(unknown_name("stage", name, table))
        return self._changed(stages=[to_dict(self.config)["stages"][list(table).index(name)] for name in names])

    def with_training_files(self, paths: Sequence[str | Path]) -> "WorkflowConfig":
        """Return the configuration with these manifests as training data, in equal weight."""
        entries = [{"source": str(path)} for path in paths]
        return self._changed(data={**to_dict(self.config)["data"], "train": entries})

    def _changed(self, **sections: Any) -> "WorkflowConfig":
        return WorkflowConfig(build_config({**to_dict(self.config), **sections}, origin="workflow"))


def plain(config: "WorkflowConfig | PanollavaConfig") -> PanollavaConfig:
    """Return the tree inside, whichever of the two was given."""
    return config.config if isinstance(config, WorkflowConfig) else config
