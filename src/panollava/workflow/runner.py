"""The whole experiment: data, three stages, the blind baseline, evaluation, report."""

import logging
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from panollava.config.schema import PanollavaConfig
from panollava.data.sources import ensure_synthetic
from panollava.training import ranks
from panollava.training.progress import progress_bar
from panollava.workflow.configuration import WorkflowConfig, plain
from panollava.workflow.evaluation import EvaluationRunner
from panollava.workflow.quiet import quiet_libraries
from panollava.workflow.training import ThreeStageTrainer

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Clock:
    """Seconds per phase of a run."""

    started: float = field(default_factory=time.monotonic)
    seconds: dict[str, float] = field(default_factory=dict)

    def lap(self, phase: str) -> None:
        """Credit the time since the last lap to a phase."""
        now = time.monotonic()
        self.seconds[phase] = now - self.started
        self.started = now


def run_experiment(config: WorkflowConfig | PanollavaConfig, *, resume: str | None = None) -> dict[str, Any]:
    """Build the data, train, evaluate and report; return the content of ``metrics.json`` (in the first process).

    Everything is written below ``<paths.runs>/<experiment.name>/``; the table of scores goes to standard output.

    Args:
        config: The experiment.
        resume: ``auto``: go on where the run of this name stopped; see ``ThreeStageTrainer.run``.

    Raises:
        PanollavaError: If any part fails; the message says which and why.
    """
    cfg = plain(config)
    quiet_libraries()
    clock = Clock()
    ranks.join(accelerator=cfg.trainer.accelerator)
    with ranks.lead_first(), progress_bar() as bar:
        task = bar.add_task("panoramas", total=None, note="")
        ensure_synthetic(cfg, progress=lambda done, total: bar.update(task, completed=done, total=total))
    clock.lap("data")
    trainer = ThreeStageTrainer(cfg)
    checkpoint = trainer.run(resume=resume)
    for outcome in trainer.outcomes:
        clock.seconds[f"stage {outcome.name}"] = outcome.seconds
    clock.started = time.monotonic()
    blind = None
    if trains_blind(cfg):
        logger.info("text-only baseline: the same language model and adapter, the same questions, no panorama")
        blind = ThreeStageTrainer(cfg, blind=True).run(resume=resume)
        clock.lap("blind baseline")
    if not ranks.is_lead():
        return {}  # of several processes one evaluates
    facts = {"seconds": clock.seconds}
    evaluator = EvaluationRunner(cfg)
    metrics = evaluator.run(
        checkpoint_dir=checkpoint,
        blind_dir=blind,
        untrained=cfg.experiment.untrained_baseline,
        out_dir=trainer.run_dir,
        facts=facts,
    )
    finish(trainer.run_dir, metrics, cfg)
    return metrics


def trains_blind(cfg: PanollavaConfig) -> bool:
    """Whether the experiment trains a text-only baseline."""
    return cfg.experiment.blind_baseline and any("adapter" in stage.trains for stage in cfg.stages)


def finish(run_dir: Path, metrics: dict[str, Any], cfg: PanollavaConfig) -> None:
    """Print the scores and write the report."""
    print_scores(metrics)
    if cfg.evaluation.report:
        from panollava.evaluation.report import write_report

        Console().print(f"report  {write_report(run_dir)}", highlight=False, soft_wrap=True)


def print_scores(metrics: dict[str, Any]) -> None:
    """Print accuracy by kind of question, and the caption metrics, to standard output."""
    from panollava.evaluation.summary import caption_table, score_table

    console = Console()
    console.print(score_table(metrics))
    console.print(caption_table(metrics))
