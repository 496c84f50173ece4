"""How each run of a study ended, as its folder tells, and ``study.json``, which gathers it.

::

    arms/<arm>/seed-<n>/arm.json     {"status": "done", "config": <hash>, "files": <hash>, "seconds": ..., ...}
                                     {"status": "failed", "config": <hash>, "error": <last line of arm.log>, ...}

A run whose configuration, manifests or model folders have changed since has not been run. Nothing is read from names.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from panollava.ablation.chain import files_hash
from panollava.ablation.locks import is_held
from panollava.ablation.study import Run, Study
from panollava.checkpoints.durable import write_aside
from panollava.config import config_hash

Status = Literal["done", "failed", "running", "pending"]
RESULT, STUDY, LOG, SHUFFLED = "arm.json", "study.json", "arm.log", "shuffled.json"
_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def result(run: Run) -> dict[str, Any]:
    """Return how a run ended: its ``arm.json``, or an empty mapping where it has not ended with this configuration."""
    try:
        tree = json.loads((run.folder / RESULT).read_text(encoding="utf-8"))
        same = tree["config"] == config_hash(run.config) and tree.get("files") in (None, files_hash(run.config))
        found = dict(tree) if same else {}
        if found.get("status") == "done":
            json.loads((run.folder / "metrics.json").read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError):
        return {}
    return found


def status(run: Run) -> Status:
    """Return how a run stands."""
    ended: Status | None = result(run).get("status")
    if ended is not None:
        return ended
    return "running" if is_held(lock_file(run)) else "pending"


def lock_file(run: Run) -> Path:
    """Return the file that is locked while a run is at work."""
    return run.folder.with_name(f".{run.folder.name}.lock")


def note_done(run: Run, *, seconds: float, peak_memory_mb: float | None) -> None:
    """Write that a run is complete."""
    _note(run, {"status": "done", "error": None, "seconds": seconds, "peak_memory_mb": peak_memory_mb})


def note_failed(run: Run, *, error: str, seconds: float) -> None:
    """Write that a run failed."""
    _note(run, {"status": "failed", "error": error, "seconds": seconds, "peak_memory_mb": None})


def last_words(log: Path, *, since: int = 0, most: int = 400) -> str:
    """Return the last line of a log that says something: the error that a run ended with, without colours.

    Args:
        log: The log, to which every attempt adds.
        since: Bytes that were there before this attempt.
        most: Characters to return.
    """
    text = log.read_bytes()[since:].decode("utf-8", errors="replace") if log.is_file() else ""
    lines = [_ESCAPE.sub("", line).strip() for line in text.replace("\r", "\n").splitlines()]
    said = [line for line in lines if line]
    named = [line for line in said if line.startswith("error: ") or re.match(r"[\w.]*Error\b", line)]
    return (named or said or [""])[-1].removeprefix("error: ")[:most]


def write_study_file(study: Study) -> dict[str, Any]:
    """Write ``study.json`` and return its content."""
    tree = {
        "format": 1,
        "name": study.settings.experiment_name,
        "baseline": study.baseline,
        "arms": [
            {
                "name": arm.name,
                "overrides": dict(arm.overrides),
                "derived": dict(arm.derived),
                "runs": [_entry(run, study) for run in study.runs if run.arm == arm.name],
            }
            for arm in study.arms.values()
        ],
    }
    write_aside(study.folder / STUDY, json.dumps(tree, indent=1))
    return tree


def _entry(run: Run, study: Study) -> dict[str, Any]:
    ended = result(run)
    return {
        "seed": run.seed,
        "dir": run.folder.relative_to(study.folder).as_posix(),
        "status": status(run),
        "error": ended.get("error"),
        "seconds": ended.get("seconds"),
        "peak_memory_mb": ended.get("peak_memory_mb"),
    }


def _note(run: Run, facts: Mapping[str, Any]) -> None:
    ran = {"format": 1, "config": config_hash(run.config), "files": files_hash(run.config)}
    write_aside(run.folder / RESULT, json.dumps({**ran, **facts}, indent=1))
