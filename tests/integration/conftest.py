"""One finished experiment, made as the README says."""

import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).parents[2]

SNIPPET = """
from pathlib import Path
from workflow import WorkflowConfig, ThreeStageTrainer, EvaluationRunner

cfg = WorkflowConfig.load("configs/default.yaml")
trainer = ThreeStageTrainer(cfg)
final_ckpt = trainer.run()

checkpoint_dir = Path(final_ckpt).parent if final_ckpt else None
evaluator = EvaluationRunner(cfg)
metrics = evaluator.run(checkpoint_dir=checkpoint_dir)
"""


class Experiment(NamedTuple):
    """Where the snippet ran, and the names that it left."""

    folder: Path
    names: dict[str, Any]


@pytest.fixture(scope="session")
def readme_run(tiny_tree, tmp_path_factory) -> Experiment:
    """Run the README's snippet in an empty folder whose configs/default.yaml is a tiny experiment."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "configs").mkdir()
    (folder / "configs" / "default.yaml").write_text(json.dumps(tiny_tree()))
    names: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "path", [str(ROOT), *sys.path])
        exec(compile(SNIPPET, "README", "exec"), names)
    return Experiment(folder, names)


@pytest.fixture(scope="session")
def assert_same_weights():
    """Return a comparison of trained tensors, by the norm of the difference, for runs in other numbers of processes."""

    def check(one, two):
        assert one.keys() == two.keys() and one
        # Attention does not depend on the keys' bias: its gradient is rounding, which AdamW scales to a whole step. It
        # does that to any single element whose gradient comes close to zero, so one in a hundred may be off by more.
        for name in (name for name in one if not name.endswith("k_proj.bias")):
            norm = float(one[name].norm().clamp(min=1e-6))
            apart = (one[name] - two[name]).abs().flatten().sort().values
            most = apart[: len(apart) - -(-len(apart) // 100)]
            assert float(most.norm()) < 1e-3 * norm and float(apart.norm()) < 2e-2 * norm, (name, apart[-3:], norm)

    return check
