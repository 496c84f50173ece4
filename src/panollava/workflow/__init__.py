"""The documented interface: configuration, three-stage training, evaluation, checkpoints and metrics in one import.

Example:
    >>> from panollava.workflow import EvaluationRunner, ThreeStageTrainer, WorkflowConfig
    >>> cfg = WorkflowConfig.load("configs/default.yaml")               # doctest: +SKIP
    >>> final = ThreeStageTrainer(cfg).run()                            # doctest: +SKIP
    >>> EvaluationRunner(cfg).run(checkpoint_dir=final)                 # doctest: +SKIP
"""

from panollava.checkpoints.resolve import CheckpointResolver
from panollava.workflow.configuration import WorkflowConfig
from panollava.workflow.evaluation import EvaluationRunner
from panollava.workflow.metrics import compute_text_metrics
from panollava.workflow.training import ThreeStageTrainer

__all__ = [
    "CheckpointResolver",
    "EvaluationRunner",
    "ThreeStageTrainer",
    "WorkflowConfig",
    "compute_text_metrics",
]
