"""A small checkpoint to copy, and ways to change it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def saved(three_stages: Any, tmp_path: Path) -> Callable[..., Path]:
    """Return a maker of checkpoints below ``tmp_path / "runs"``: ``saved("a/vision/step-000002", step=2)``."""
    from panollava.checkpoints.manifest import META, write_manifest

    def make(place: str, *, run: str = "tiny", views: str | None = None, **changes: Any) -> Path:
        folder = tmp_path / "runs" / place
        shutil.copytree(three_stages.checkpoint, folder)
        meta = json.loads((folder / META).read_text())
        meta["config"]["experiment"]["name"] = run
        meta["views"] = views or meta["views"]
        (folder / META).write_text(json.dumps({**meta, **changes}))
        write_manifest(folder)
        return folder

    return make


@pytest.fixture
def flip() -> Callable[..., None]:
    """Return a function that flips one bit of a file."""

    def change(file: Path, *, at: int | None = None, bit: int = 0) -> None:
        raw = bytearray(file.read_bytes())
        raw[len(raw) // 2 if at is None else at] ^= 1 << bit
        file.write_bytes(raw)

    return change
