"""Run a study: every arm is a whole experiment; one table compares them."""

import csv
import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from panollava.config.schema import PanollavaConfig
from panollava.config.study import StudyConfig, load_study
from panollava.errors import PanollavaError, TrainingError

logger = logging.getLogger(__name__)

RunArm = Callable[[PanollavaConfig], Mapping[str, Any]]
"""Trains and evaluates one configuration and returns the content of its ``metrics.json``."""


def run_ablation(path: str | Path, *, run_arm: RunArm, dry_run: bool = False) -> list[dict[str, Any]]:
    """Run every arm of a study, or list the arms; return one row per arm.

    An arm whose ``metrics.json`` was written by the same configuration is not run again. A failed arm is reported and
    the others go on. Writes ``ablation.csv`` and ``ablation.json`` into the study's folder.

    Args:
        path: The study's YAML file.
        run_arm: Runs one configuration.
        dry_run: Only list the arms.

    Raises:
        ConfigError: If the study is not right.
        TrainingError: If every arm failed.
    """
    study, arms = load_study(path)
    console = Console()
    if dry_run:
        console.print(_listing(study, arms))
        return [{"arm": name} for name in arms]
    rows = []
    for number, (name, cfg) in enumerate(arms.items(), start=1):
        logger.info("arm %d of %d: %s", number, len(arms), name)
        rows.append(_row(name, cfg, run_arm))
    folder = Path(next(iter(arms.values())).paths.runs)
    _write(folder, rows)
    console.print(_table(study, rows))
    console.print(f"study  {folder / 'ablation.csv'}", highlight=False, soft_wrap=True)
    if all(row["error"] for row in rows):
        raise TrainingError(f"every arm of {study.experiment_name} failed; the first with: {rows[0]['error']}")
    return rows


def _row(name: str, cfg: PanollavaConfig, run_arm: RunArm) -> dict[str, Any]:
    row: dict[str, Any] = {
        "arm": name,
        "vision": cfg.vision.model,
        "language": cfg.language.model,
        "lora_r": cfg.lora.r,
        "lora_alpha": cfg.lora.alpha,
        "lora_dropout": cfg.lora.dropout,
    }
    try:
        metrics = _finished(cfg) or run_arm(cfg)
    except PanollavaError as error:
        logger.error("arm %s failed: %s", name, error)
        return {**row, "accuracy": None, "blind_accuracy": None, "error": str(error)}
    model, blind = metrics["model"], metrics["blind"]
    captions = {key: entry["value"] for key, entry in model["captions"].items()}
    return {
        **row,
        "accuracy": model["accuracy"],
        "blind_accuracy": blind["accuracy"] if blind else None,
        **captions,
        "tokens_per_panorama": metrics["tokens_per_panorama"],
        "minutes": round(sum(metrics["seconds"].values()) / 60, 2),
        "error": None,
    }


def _finished(cfg: PanollavaConfig) -> dict[str, Any] | None:
    """Return the metrics of an earlier run of exactly this configuration, or None."""
    from panollava.config import dump_config

    folder = Path(cfg.paths.runs) / cfg.experiment.name
    written, scores = folder / "config.yaml", folder / "metrics.json"
    if not (written.is_file() and scores.is_file()) or written.read_text(encoding="utf-8") != dump_config(cfg):
        return None
    held: dict[str, Any] = json.loads(scores.read_text(encoding="utf-8"))
    logger.info("  already done: %s", scores)
    return held


def _write(folder: Path, rows: list[dict[str, Any]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "ablation.json").write_text(json.dumps(rows, indent=1), encoding="utf-8")
    columns = list(dict.fromkeys(key for row in rows for key in row))
    with (folder / "ablation.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, fieldnames=columns)
        writer.writeheader()
        writer.writerows(rows)


def _listing(study: StudyConfig, arms: Mapping[str, PanollavaConfig]) -> Table:
    table = Table("arm", "encoder", "language model", "r", "alpha", "dropout", title=study.experiment_name, box=None)
    for name, cfg in arms.items():
        lora = cfg.lora
        table.add_row(name, cfg.vision.model, cfg.language.model, f"{lora.r}", f"{lora.alpha:g}", f"{lora.dropout:g}")
    return table


def _table(study: StudyConfig, rows: list[dict[str, Any]]) -> Table:
    table = Table("arm", "accuracy", "blind", "CIDEr", "minutes", title=study.experiment_name, box=None)
    for row in rows:
        if row["error"]:
            table.add_row(row["arm"], "failed", "", "", "")
            continue
        shown = [row["accuracy"], row["blind_accuracy"], row.get("cider"), row["minutes"]]
        table.add_row(row["arm"], *("-" if value is None else f"{value:.3f}" for value in shown))
    return table
