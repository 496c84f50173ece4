"""One run of a study, in its own process: shared stages, then the experiment, then the shuffled-image baseline."""

import json
import logging
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from panollava.ablation.chain import files_hash
from panollava.ablation.locks import held
from panollava.ablation.shuffled import restored, shuffled_samples
from panollava.ablation.standing import LOG, SHUFFLED, lock_file, note_done, result
from panollava.ablation.study import Run
from panollava.ablation.task import Task
from panollava.checkpoints.durable import write_aside
from panollava.config import dump_config
from panollava.config.schema import PanollavaConfig
from panollava.data.sources import ensure_synthetic, evaluation_samples
from panollava.data.writers import write_predictions_csv
from panollava.evaluation.predict import answer
from panollava.evaluation.score import score
from panollava.inference.session import Session
from panollava.training.feeds import feature_store
from panollava.training.spread import devices_of
from panollava.workflow.devices import Devices
from panollava.workflow.evaluation import peak_memory_mb, prepared_metrics
from panollava.workflow.quiet import quiet_libraries
from panollava.workflow.runner import run_experiment, trains_blind
from panollava.workflow.shared_stage import provide, take_over

logger = logging.getLogger(__name__)


def run_task(task: Task) -> None:
    """Run one arm with one seed, from where it stopped, and note that it is complete.

    Raises:
        PanollavaError: If any part fails.
        Interrupted: If a signal stopped it; run again, it goes on.
    """
    run = task.run
    quiet_libraries()
    with held(lock_file(run), what=run.name):
        if result(run).get("status") == "done":  # by a process that outlived its launcher, or without shuffled images
            if task.shuffled and not (run.folder / SHUFFLED).is_file():
                last = json.loads((run.folder / "metrics.json").read_text(encoding="utf-8"))["checkpoint"]
                score_shuffled(run.config, Path(last), out=run.folder)
            return
        _clear_other(run)
        with held(Path(run.config.paths.data) / ".generate.lock", what="generated panoramas"):
            ensure_synthetic(run.config)
        if task.shuffled:
            shuffled_samples(evaluation_samples(run.config))  # what makes it impossible is told before training
        devices = Devices(order=run.folder.with_name(f".{run.folder.name}.train.json"), log=run.folder / LOG)
        for blind, links in ((False, run.shared), (True, run.shared_blind)):
            source = provide(run.config, links, stages=task.stages, devices=devices, blind=blind)
            if source is not None:
                own = run.folder / "blind" if blind else run.folder
                take_over(source, run.config, own, upto=links[-1].upto, blind=blind)
        _train(run.config, devices)
        metrics = run_experiment(run.config, resume="auto")
        seconds = sum(metrics["seconds"].values())
        if task.shuffled:
            score_shuffled(run.config, Path(metrics["checkpoint"]), out=run.folder)
        note_done(run, seconds=seconds, peak_memory_mb=peak_memory_mb())


def score_shuffled(config: PanollavaConfig, checkpoint: Path, *, out: Path) -> dict[str, Any]:
    """Score a checkpoint with another panorama's image for every question; return the scores.

    Writes ``shuffled_predictions.csv``, whose rows name the images that the questions were written for, and
    ``shuffled.json``.

    Args:
        config: What to test on and how to generate.
        checkpoint: The checkpoint.
        out: Folder to write to.

    Raises:
        DataError: If the test set has a single panorama.
    """
    if config.trainer.threads is not None:
        torch.set_num_threads(config.trainer.threads)
    samples, model = evaluation_samples(config), Session.load(checkpoint).model
    said = answer(model, shuffled_samples(samples), config, store=feature_store(model, config))
    answers = replace(said, samples=restored(said.samples, samples))
    rows = [replace(s, image=s.image.resolve()) for s in answers.samples]
    write_predictions_csv(out / "shuffled_predictions.csv", rows)
    scores = score(
        answers,
        metrics=config.evaluation.metrics,
        tokenizer=config.evaluation.tokenizer,
        prepared=prepared_metrics(config.evaluation),
    )
    write_aside(out / SHUFFLED, json.dumps(scores, indent=1))
    return scores


def _train(config: PanollavaConfig, devices: Devices) -> None:
    """Train what ``run_experiment`` would, where that takes several processes; it then finds all of it complete."""
    if devices_of(config.trainer) == 1:
        return
    devices.train(config)
    if trains_blind(config):
        devices.train(config, blind=True)


def _clear_other(run: Run) -> None:
    """Empty the run's folder if it was begun with another configuration or other files; its log stays."""
    begun, files = run.folder / "config.yaml", run.folder / "files.txt"
    same = not begun.is_file() or begun.read_text(encoding="utf-8") == dump_config(run.config)
    if not files.is_file():
        write_aside(files, files_hash(run.config))
    if same and files.read_text(encoding="utf-8") == files_hash(run.config):
        return
    logger.info("the settings or data of %s have changed; starting it over", run.name)
    for path in run.folder.iterdir():
        if path.name == LOG:
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    write_aside(files, files_hash(run.config))
