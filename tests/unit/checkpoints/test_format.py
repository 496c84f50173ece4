"""Checkpoints: what is read back is, bit for bit, what was written; and what is not whole is not read."""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from panollava.checkpoints.format import (
    MANIFEST,
    META,
    component_state,
    load_checkpoint,
    read_meta,
    read_weights,
    save_checkpoint,
)
from panollava.checkpoints.manifest import write_manifest
from panollava.checkpoints.state import TrainingState, load_training
from panollava.config import to_dict
from panollava.errors import CheckpointError
from panollava.models.build import build_model
from panollava.models.vlm import PanoramaBatch

PARTS = ("adapter", "position", "projector", "resampler", "vision")

IN_A_NEW_PROCESS = """
import sys
import numpy as np, torch
torch.set_num_threads(1)
from pathlib import Path
from panollava.checkpoints.format import load_checkpoint
from panollava.data.views import load_views
from panollava.models.vlm import PanoramaBatch
model, _ = load_checkpoint(Path(sys.argv[1]))
with torch.no_grad():
    features = model.encode(tuple(group[None] for group in load_views(Path(sys.argv[2]), model.layout)))
    logits, _ = model.supervised_logits(PanoramaBatch(features, model.pack([[("what is behind?", "the red ball")]])))
np.save(sys.argv[3], logits.numpy())
"""


@pytest.fixture
def copy(three_stages, tmp_path):
    """Return a checkpoint that a test may damage."""
    return Path(shutil.copytree(three_stages.checkpoint, tmp_path / "copy"))


def resign(folder, **changes):
    """Change meta.json and list it again, as another writer would have written it."""
    meta = {**json.loads((folder / META).read_text()), **changes}
    (folder / META).write_text(json.dumps(meta))
    write_manifest(folder)


def save(model, folder, cfg, **changes):
    facts = {"stage": "finetune", "epoch": 1, "step": 2, "trained": set(), **changes}
    return save_checkpoint(model, folder, config=to_dict(cfg), **facts)


@torch.no_grad()
def test_a_new_process_computes_the_trained_models_logits_bit_for_bit(three_stages, panoramas, tmp_path):
    from panollava.data.views import load_views

    image = panoramas("test")[0].image if panoramas("test") else panoramas("train")[0].image
    model = three_stages.model.eval()
    features = model.encode(tuple(group[None] for group in load_views(image, model.layout)))
    text = model.pack([[("what is behind?", "the red ball")]])
    wanted = model.supervised_logits(PanoramaBatch(features, text))[0].numpy()
    out = tmp_path / "logits.npy"
    words = [sys.executable, "-c", IN_A_NEW_PROCESS, str(three_stages.checkpoint), str(image), str(out)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    got = np.load(out)
    assert got.shape == wanted.shape and got.std() > 0.1
    assert np.array_equal(got, wanted)


def test_a_checkpoint_holds_what_was_trained_or_built_and_names_the_rest(three_stages):
    meta = read_meta(three_stages.checkpoint)
    assert meta.components == PARTS
    assert set(meta.base) == {"language"}
    assert (meta.stage, meta.epoch, meta.step, meta.blind) == ("finetune", 1, 2, False)
    assert meta.val_loss == three_stages.outcomes[-1].val_loss
    assert meta.config == to_dict(three_stages.cfg)
    first = read_meta(Path(three_stages.outcomes[0].checkpoint))
    assert "adapter" not in first.components


def test_every_weight_comes_back(three_stages, snapshot):
    model, _ = load_checkpoint(three_stages.checkpoint)
    got, wanted = snapshot(model), three_stages.snapshots[-1]
    assert {c: set(v) for c, v in got.items()} == {c: set(v) for c, v in wanted.items()}
    assert all(torch.equal(got[c][n], wanted[c][n]) for c in wanted for n in wanted[c])
    assert not model.training


def test_a_blind_checkpoint_comes_back_blind(tiny_config, tmp_path):
    cfg = tiny_config()
    folder = save(build_model(cfg, blind=True, adapter=True), tmp_path / "last", cfg, trained={"adapter"})
    model, meta = load_checkpoint(folder)
    assert model.blind and meta.blind and meta.components == ("adapter",)


@pytest.mark.parametrize("name", ["projector.safetensors", META])
def test_a_changed_file_is_named(copy, name):
    raw = bytearray((copy / name).read_bytes())
    raw[len(raw) // 2] ^= 1
    (copy / name).write_bytes(raw)
    with pytest.raises(CheckpointError, match=f"copy is damaged: {name} has changed since it was written"):
        load_checkpoint(copy)


@pytest.mark.parametrize("name", ["adapter.safetensors", META])
def test_a_missing_file_is_named(copy, name):
    (copy / name).unlink()
    with pytest.raises(CheckpointError, match=f"copy is damaged: {name} is missing"):
        load_checkpoint(copy)


@pytest.mark.parametrize("text", ["", "{", "[]", "\x00"])
def test_an_unreadable_manifest_is_damage(copy, text):
    (copy / MANIFEST).write_text(text)
    with pytest.raises(CheckpointError, match="copy is damaged"):
        load_checkpoint(copy)


def test_a_manifest_that_lists_nothing_vouches_for_nothing(copy):
    (copy / MANIFEST).write_text("{}")
    with pytest.raises(CheckpointError, match="copy is damaged"):
        load_checkpoint(copy)


def test_a_component_that_the_manifest_does_not_list_is_damage(copy):
    (copy / "adapter.safetensors").unlink()
    write_manifest(copy)
    with pytest.raises(CheckpointError, match=r"copy is damaged: meta.json names adapter.safetensors, which the man"):
        load_checkpoint(copy)


def test_a_folder_without_manifest_is_no_checkpoint(tmp_path):
    with pytest.raises(CheckpointError, match=r"is no checkpoint: it has no manifest.json"):
        load_checkpoint(tmp_path)


def test_another_format_is_named(copy):
    resign(copy, format=99)
    with pytest.raises(CheckpointError, match=r"copy has format 99 \(meta.json\); this version reads formats 1 and 2"):
        load_checkpoint(copy)


def test_another_format_is_named_even_if_its_meta_has_other_keys(copy):
    resign(copy, format=3, shards=3)
    with pytest.raises(CheckpointError, match=r"copy has format 3 \(meta.json\); this version reads formats 1 and 2"):
        load_checkpoint(copy)


def test_format_1_is_read_with_what_it_did_not_say(copy):
    """As it was written before: a plain table of hashes, and nothing about views, time or state."""
    new = ("finished", "data", "run", "views", "created", "versions", "revisions")
    meta = {key: value for key, value in json.loads((copy / META).read_text()).items() if key not in new}
    (copy / META).write_text(json.dumps({**meta, "format": 1}, indent=1))
    for name in ("training.json", "training.safetensors", MANIFEST):
        (copy / name).unlink()
    sums = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(copy.iterdir())}
    (copy / MANIFEST).write_text(json.dumps(sums, indent=1))
    read = load_checkpoint(copy)[1]
    assert (read.format, read.finished, read.data, read.run, read.created, read.versions) == (
        1,
        True,
        None,
        None,
        "",
        {},
    )
    assert read.views == "e2p hfov_deg=90 overlap=0.5 global" and read.components == PARTS
    with pytest.raises(CheckpointError, match="copy holds no state of training"):
        load_training(copy)
    (copy / "adapter.safetensors").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"copy is damaged: adapter.safetensors has changed"):
        load_checkpoint(copy)


def test_the_formats_of_manifest_and_meta_must_agree(copy):
    resign(copy, format=1)
    with pytest.raises(CheckpointError, match=r"copy has format 1 \(meta.json\)"):
        read_meta(copy)


@pytest.mark.parametrize(
    "changes",
    [{"step": "2"}, {"step": True}, {"components": "adapter"}, {"components": [1]}, {"base": {"language": 3}},
     {"shards": 3}, {"blind": None}, {"config": []}],
)  # fmt: skip
def test_what_is_not_of_the_format_is_damage(copy, changes):
    resign(copy, **changes)
    with pytest.raises(CheckpointError, match=f"copy is damaged: meta.json .*{next(iter(changes))}"):
        read_meta(copy)


def test_a_checkpoint_tells_when_and_by_what_it_was_written(three_stages):
    import datetime

    meta = read_meta(three_stages.checkpoint)
    assert meta.versions["torch"] == torch.__version__.split("+")[0] or meta.versions["torch"] == torch.__version__
    age = datetime.datetime.now(datetime.UTC) - datetime.datetime.fromisoformat(meta.created)
    assert datetime.timedelta(0) <= age < datetime.timedelta(hours=1)
    assert meta.finished and meta.data and meta.name == "tiny"
    assert meta.revisions == {
        "vision": three_stages.cfg.vision.model, "language": three_stages.cfg.language.model,
    }  # fmt: skip


def test_the_state_of_training_comes_back_bit_for_bit(tiny_config, tmp_path):
    cfg = tiny_config()
    state = TrainingState({"optimizer/a/exp_avg": torch.randn(3, 5), "step": torch.tensor(7)}, {"steps": 7, "x": [0.1]})
    folder = save(build_model(cfg), tmp_path / "step-000007", cfg, training=state, finished=False, data="d" * 64)
    again = load_training(folder)
    assert again.values == state.values and again.tensors.keys() == state.tensors.keys()
    assert all(torch.equal(again.tensors[k], state.tensors[k]) for k in state.tensors)
    meta = read_meta(folder)
    assert (meta.finished, meta.data) == (False, "d" * 64)
    raw = bytearray((folder / "training.json").read_bytes())
    raw[5] ^= 1
    (folder / "training.json").write_bytes(raw)
    with pytest.raises(CheckpointError, match=r"training.json has changed"):
        load_training(folder)


def test_weights_of_one_component_are_read_from_verified_bytes(copy):
    assert read_weights(copy, "projector").keys() == load_file(copy / "projector.safetensors").keys()
    with pytest.raises(CheckpointError, match=r"holds no weights of language; it has adapter"):
        read_weights(copy, "language")
    raw = bytearray((copy / "projector.safetensors").read_bytes())
    raw[-1] ^= 1
    (copy / "projector.safetensors").write_bytes(raw)
    with pytest.raises(CheckpointError, match=r"projector.safetensors has changed"):
        read_weights(copy, "projector")


def test_a_file_that_changes_after_it_was_verified_is_not_loaded(copy, monkeypatch):
    """The bytes that are parsed are those that were hashed, not those of an earlier look at the file."""
    from panollava.checkpoints import format as module

    build = module.build_model

    def changed(*args, **kwargs):
        raw = bytearray((copy / "projector.safetensors").read_bytes())
        raw[-1] ^= 1
        (copy / "projector.safetensors").write_bytes(raw)
        return build(*args, **kwargs)

    monkeypatch.setattr(module, "build_model", changed)
    with pytest.raises(CheckpointError, match=r"copy is damaged: projector.safetensors has changed"):
        load_checkpoint(copy)


@pytest.mark.parametrize("content", [b"", b"\x80\x04K\x01.", b"\xff" * 16, (2**40).to_bytes(8, "little") + b"{}"])
def test_what_is_no_safetensors_file_is_damage_even_if_it_is_listed(copy, content):
    (copy / "adapter.safetensors").write_bytes(content)
    write_manifest(copy)
    with pytest.raises(CheckpointError, match=r"copy is damaged: adapter.safetensors is no safetensors file"):
        load_checkpoint(copy)


def test_another_base_model_is_refused(copy, three_stages, zoo, tmp_path):
    """The same folder name, other weights: an adapter on them would say anything."""
    from transformers import Qwen2ForCausalLM

    other = tmp_path / "other"
    shutil.copytree(zoo.language("qwen2"), other)
    model = Qwen2ForCausalLM.from_pretrained(other)
    with torch.no_grad():
        model.model.norm.weight[0] += 1e-3
    model.save_pretrained(other)
    config = to_dict(three_stages.cfg)
    resign(copy, config={**config, "language": {**config["language"], "model": str(other)}})
    with pytest.raises(CheckpointError, match="copy: the language weights at hand are not those the checkpoint was"):
        load_checkpoint(copy)


def test_weights_for_another_architecture_are_refused(copy, three_stages):
    config = to_dict(three_stages.cfg)
    resign(copy, config={**config, "resampler": {**config["resampler"], "hidden": 16}})
    with pytest.raises(CheckpointError, match=r"copy: projector.mlp.0.weight is \(64, 32\), not \(64, 16\)"):
        load_checkpoint(copy)
    resign(copy, config={**config, "resampler": {**config["resampler"], "kind": "bimamba"}})
    with pytest.raises(CheckpointError, match="copy: resampler does not fit the model; differing weights"):
        load_checkpoint(copy)


def test_a_checkpoint_of_the_same_name_is_replaced(tiny_config, tmp_path):
    cfg = tiny_config()
    model = build_model(cfg)
    for step in (1, 2):
        save(model, tmp_path / "last", cfg, step=step)
    assert read_meta(tmp_path / "last").step == 2
    assert [p.name for p in tmp_path.iterdir()] == ["last"]


def test_state_is_shared_with_the_model_not_copied(tiny_model):
    model = tiny_model()
    state = component_state(model)["projector"]["projector.gain"]
    assert state.data_ptr() == model.projector.gain.data_ptr() and not state.requires_grad
