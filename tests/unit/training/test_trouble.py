"""Memory that runs out stops a stage with advice, and leaves what was saved."""

import pytest
import torch

from panollava.errors import TrainingError
from panollava.training import module
from panollava.workflow import ThreeStageTrainer


def failing(monkeypatch, error, *, at):
    step, seen = module.StageModule.step, iter(range(99))

    def fail(self, batch, *, idle=False):
        if next(seen) == at:
            raise error
        return step(self, batch, idle=idle)

    monkeypatch.setattr(module.StageModule, "step", fail)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory: you tried 9 bytes"
        ),
        MemoryError(),
    ],
    ids=["cuda", "cpu", "python"],
)
def test_out_of_memory_stops_with_advice_and_can_go_on(tiny_config, tmp_path, monkeypatch, error):
    cfg = tiny_config("trainer.save_every=1", "stages.resampler.batch_size=4", runs=tmp_path)
    failing(monkeypatch, error, at=6)
    with pytest.raises(TrainingError) as stop:
        ThreeStageTrainer(cfg).run(stages=["vision", "resampler"])
    said = str(stop.value)
    assert said.startswith("out of memory (stage resampler, step 0)") or "stage resampler, step" in said
    first = said.index("stages.resampler.batch_size: 2 (now 4) with accumulation: 2 (now 1)")
    assert first < said.index("trainer.gradient_checkpointing: true") < said.index("trainer.precision: bf16-mixed")
    monkeypatch.undo()
    trainer = ThreeStageTrainer(cfg)
    trainer.run(stages=["vision", "resampler"], resume="auto")
    assert [o.steps for o in trainer.outcomes] == [2, 2]


def test_any_other_error_passes_through(tiny_config, tmp_path, monkeypatch):
    failing(monkeypatch, RuntimeError("mat1 and mat2 shapes cannot be multiplied"), at=0)
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        ThreeStageTrainer(tiny_config(runs=tmp_path)).run(stages=["vision"])
