"""The outcome of a study on disk: ``ablation.csv``, ``ablation.json`` and ``ablation.html``, beside ``study.json``."""

import csv
import io
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from panollava import __version__
from panollava.ablation.folder import read_study_record
from panollava.ablation.outcome import ArmScore, MetricOutcome, Outcome, outcome_of
from panollava.ablation.page import page
from panollava.ablation.runs import read_runs
from panollava.ablation.statistics import LEVEL, Spread
from panollava.errors import DataError
from panollava.evaluation.report import write_whole

FORMAT = 1
TEST = (
    "seeds x images, both random (Dorfman, Berbaum and Metz 1992; Hillis 2007); seed variance pooled over arms, or the"
    " arm's own where larger; jackknife pseudo-values per image; two-sided t"
)
CORRECTION = "Holm over the arms of a metric"


def read_outcome(folder: str | Path) -> Outcome:
    """Read a study's folder, score its runs and compare its arms.

    Raises:
        DataError: study.json is absent or damaged. A damaged run is told in the outcome.
    """
    study = read_study_record(folder)
    return outcome_of(study, *read_runs(study))


def write_study(folder: Path) -> Path:
    """Write what a study found, from the files of its runs; return the path of the page.

    It may be called while runs are missing: they are told as such.

    Args:
        folder: The study's folder, with study.json.

    Raises:
        DataError: study.json is absent or damaged, or a file cannot be written.
    """
    folder = Path(folder)
    outcome = read_outcome(folder)
    files = {"ablation.csv": csv_text(outcome), "ablation.json": json_text(outcome), "ablation.html": page(outcome)}
    for name, text in files.items():
        try:
            write_whole(folder / name, text.encode("utf-8", errors="replace"))
        except OSError as error:
            raise DataError(
                f"{folder / name}: cannot be written ({error.strerror or error}). Check the folder and the disk."
            ) from error
    return folder / "ablation.html"


def csv_text(outcome: Outcome) -> str:
    """Return one row per arm: settings that differ, every score with its interval and difference, costs, failures."""
    rows = [_row(outcome, arm.name) for arm in outcome.study.arms]
    columns = list(dict.fromkeys(key for row in rows for key in row))
    stream = io.StringIO()
    writer = csv.DictWriter(stream, fieldnames=columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def _row(outcome: Outcome, name: str) -> dict[str, Any]:
    arm = outcome.arm(name)
    row: dict[str, Any] = {"arm": name}
    row |= {key: _cell(arm.settings.get(key)) for key in outcome.study.varied}
    row["baseline"] = name == outcome.study.baseline
    row |= {"seeds": len(outcome.runs[name]), "failed": len(outcome.failed[name])}
    for metric in outcome.metrics:
        row |= {f"{metric.name}{end}": value for end, value in _score_cells(metric.arms[name]).items()}
    row |= asdict(outcome.costs[name])
    row["error"] = "; ".join(f"seed {run.seed}: {reason}" for run, reason in outcome.failed[name])
    return row


def _score_cells(score: ArmScore) -> dict[str, Any]:
    contrast = score.contrast
    return {
        "": score.mean,
        **_ends("_seeds", score.seeds),
        **_ends("_images", score.images),
        "_blind": score.blind,
        "_shuffled": score.shuffled,
        "_difference": contrast.difference if contrast else None,
        **_ends("_difference", contrast.interval if contrast else None),
        "_p_holm": contrast.p_holm if contrast else None,
        "_verdict": contrast.verdict if contrast else "baseline",
    }


def _ends(name: str, spread: Spread | None) -> dict[str, float | None]:
    return {f"{name}_low": spread.low if spread else None, f"{name}_high": spread.high if spread else None}


def _cell(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, dict | list) else value


def json_text(outcome: Outcome) -> str:
    """Return everything as JSON: per metric its signature and every arm's score, with test and correction."""
    study = outcome.study
    content = {
        "format": FORMAT,
        "panollava": __version__,
        "study": study.name,
        "baseline": study.baseline,
        "test": TEST,
        "correction": CORRECTION,
        "level": LEVEL,
        "decisive": outcome.decisive.name if outcome.decisive else None,
        "arms": {arm.name: _arm(outcome, arm.name) for arm in study.arms},
        "metrics": {metric.name: _metric(metric) for metric in outcome.metrics},
    }
    return json.dumps(content, indent=1, ensure_ascii=False, default=str) + "\n"


def _arm(outcome: Outcome, name: str) -> dict[str, Any]:
    return {
        "settings": dict(outcome.arm(name).settings),
        "seeds": sorted(outcome.runs[name]),
        "failed": [{"seed": run.seed, "status": run.status, "reason": why} for run, why in outcome.failed[name]],
        "costs": asdict(outcome.costs[name]),
    }


def _metric(metric: MetricOutcome) -> dict[str, Any]:
    return {
        "label": metric.label,
        "higher_is_better": metric.higher_is_better,
        "signature": metric.signature,
        "arms": {name: asdict(score) for name, score in metric.arms.items()},
    }
