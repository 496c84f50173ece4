"""A configuration that came inside a checkpoint: settings of a model, and no leave to run programs.

Two settings of an evaluation name code: ``evaluation.custom_metrics`` a Python file, and ``evaluation.spice.corenlp``
Java programs. Who gives a configuration on the command line means them; who evaluates a checkpoint, which may be
somebody else's, has not read them.
"""

import logging
from pathlib import Path

from panollava.config.schema import EvaluationConfig, PanollavaConfig

logger = logging.getLogger(__name__)


def without_code(cfg: PanollavaConfig, *, origin: Path) -> PanollavaConfig:
    """Return the configuration without what would be run, and warn of what is left out.

    Args:
        cfg: The configuration that a checkpoint holds.
        origin: The checkpoint, for the warning.

    Example:
        >>> from panollava.config import build_config
        >>> cfg = build_config({"evaluation": {"custom_metrics": {"mine": "mine.py:score"}}})
        >>> without_code(cfg, origin=Path("runs/a")).evaluation.custom_metrics
        {}
    """
    evaluation = cfg.evaluation
    named = {f"custom_metrics.{name}": place for name, place in evaluation.custom_metrics.items()}
    if evaluation.spice.corenlp is not None:
        named["spice.corenlp"] = evaluation.spice.corenlp
    if not named:
        return cfg
    logger.warning(
        "%s names code (%s), which is not run: a checkpoint cannot ask for that. If you trust it, give --config with "
        "a configuration of your own, such as the config.yaml of the run.",
        origin,
        ", ".join(f"evaluation.{key}: {value}" for key, value in named.items()),
    )
    spice = evaluation.spice.model_copy(update={"corenlp": None})
    kept = [name for name in evaluation.metrics if name not in evaluation.custom_metrics]
    update = {"custom_metrics": {}, "metrics": tuple(kept) or EvaluationConfig().metrics, "spice": spice}
    return cfg.model_copy(update={"evaluation": evaluation.model_copy(update=update)})
