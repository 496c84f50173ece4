"""Studies in a temporary folder, and a stand-in for the process that trains."""

import json
from pathlib import Path

import pytest

from panollava.ablation.standing import note_done
from panollava.ablation.task import Task

GRID = """
experiment_name: grid
base: base.yaml
grid:
  lora.r: [4, 8]
  position.kind: [ray, none]
seeds: [0, 1]
"""


@pytest.fixture
def write(tmp_path):
    """Return a writer of studies beside a base whose runs go to the temporary folder."""
    (tmp_path / "base.yaml").write_text(f"paths: {{runs: {tmp_path / 'runs'}}}\n")

    def make(text: str = GRID, *, changes: tuple[tuple[str, str], ...] = ()) -> Path:
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "study.yaml"
        path.write_text(text)
        return path

    return make


@pytest.fixture
def finish():
    """Return what a run leaves when it is complete, for a task's file."""

    def make(file: Path) -> bool:
        run = Task.read(file).run
        run.folder.mkdir(parents=True, exist_ok=True)
        (run.folder / "metrics.json").write_text(json.dumps({"seconds": {"evaluation": 3.0, "stage finetune": 9.0}}))
        row = {"name": "finetune", "seconds": 9.0, "steps": 3}
        (run.folder / "stages.json").write_text(json.dumps([row]))
        note_done(run, seconds=12.0, peak_memory_mb=300.0)
        return True

    return make
