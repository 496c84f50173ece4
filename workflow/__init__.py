"""The documented ``from workflow import ...``: re-exports of ``panollava.workflow`` and nothing else."""

from panollava.workflow import (
    CheckpointResolver,
    EvaluationRunner,
    ThreeStageTrainer,
    WorkflowConfig,
    compute_text_metrics,
)

__all__ = [
    "CheckpointResolver",
    "EvaluationRunner",
    "ThreeStageTrainer",
    "WorkflowConfig",
    "compute_text_metrics",
]
