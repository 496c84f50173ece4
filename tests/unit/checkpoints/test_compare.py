"""What differs between two checkpoints, and that nothing else does."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from panollava.checkpoints.compare import compare_checkpoints
from panollava.checkpoints.manifest import META, write_manifest
from panollava.errors import CheckpointError


def verdicts(found):
    return {part.component: part.verdict for part in found.weights}


@pytest.fixture
def twin(three_stages, tmp_path):
    """Return a copy of the last checkpoint."""
    return Path(shutil.copytree(three_stages.checkpoint, tmp_path / "twin"))


def change(folder, component, **tensors):
    state = load_file(folder / f"{component}.safetensors")
    for name, value in tensors.items():
        key = next(k for k in state if k.endswith(name.replace("_", ".")))
        state[key] = value(state[key])
    save_file(state, folder / f"{component}.safetensors")
    write_manifest(folder)


def test_a_checkpoint_does_not_differ_from_its_copy(three_stages, twin):
    found = compare_checkpoints(three_stages.checkpoint, twin)
    assert (found.meta, found.config) == ([], [])
    assert set(verdicts(found).values()) == {"equal"} and set(verdicts(found)) >= {"language", "adapter", "projector"}


def test_two_stages_differ_in_what_the_second_trained(three_stages):
    first, second = (Path(outcome.checkpoint) for outcome in three_stages.outcomes[1:])
    found = compare_checkpoints(first, second)
    assert verdicts(found) == {
        "adapter": "only in the second", "language": "equal", "position": "differs", "projector": "differs",
        "resampler": "differs", "vision": "equal",
    }  # fmt: skip
    assert "stage" in {d.path for d in found.meta} and found.config == []


def test_the_largest_difference_is_that_of_the_weights(three_stages, twin):
    change(twin, "projector", mlp_0_weight=lambda w: w.index_put((torch.tensor([0]), torch.tensor([1])), w[0, 1] + 0.5))
    (part,) = [p for p in compare_checkpoints(three_stages.checkpoint, twin).weights if p.component == "projector"]
    assert (part.verdict, part.tensors) == ("differs", 1) and part.largest == pytest.approx(0.5, abs=1e-6)


def test_other_types_and_shapes_differ(three_stages, twin):
    change(twin, "projector", mlp_0_weight=lambda w: w.double())
    (part,) = [p for p in compare_checkpoints(three_stages.checkpoint, twin).weights if p.component == "projector"]
    assert (part.verdict, part.tensors, part.largest) == ("differs", 1, 0.0)
    change(twin, "projector", mlp_0_weight=lambda w: w[:3].clone())
    (part,) = [p for p in compare_checkpoints(three_stages.checkpoint, twin).weights if p.component == "projector"]
    assert (part.verdict, part.tensors) == ("other weights", 1)


def test_settings_are_told_by_their_path(three_stages, twin):
    meta = json.loads((twin / META).read_text())
    meta["config"]["lora"]["r"] = 99
    (twin / META).write_text(json.dumps({**meta, "step": 7, "base": {"language": "0" * 64}}))
    write_manifest(twin)
    found = compare_checkpoints(three_stages.checkpoint, twin)
    assert found.config == [("lora.r", 4, 99)] and found.meta == [("step", 2, 7)]
    assert verdicts(found)["language"] == "differs"
    assert json.loads(json.dumps(found.as_dict()))["config"] == [{"path": "lora.r", "old": 4, "new": 99}]


def test_a_base_that_one_of_them_trained_is_said_to_be_held(three_stages, twin):
    meta = json.loads((twin / META).read_text())
    meta["components"].remove("vision")
    (twin / META).write_text(json.dumps({**meta, "base": {**meta["base"], "vision": "0" * 64}}))
    write_manifest(twin)
    assert verdicts(compare_checkpoints(three_stages.checkpoint, twin))["vision"] == "held by the first"


def test_a_damaged_one_is_an_error(three_stages, twin, flip):
    flip(twin / "adapter.safetensors")
    with pytest.raises(CheckpointError, match=r"twin is damaged: adapter.safetensors"):
        compare_checkpoints(three_stages.checkpoint, twin)
