"""200 damaged checkpoints: none is loaded silently, each error names the file, and the one before is used."""

import logging
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from panollava.checkpoints.format import load_checkpoint, read_weights
from panollava.checkpoints.listing import look
from panollava.checkpoints.manifest import MANIFEST
from panollava.checkpoints.resolve import newest_valid
from panollava.checkpoints.state import TENSORS, VALUES, load_training
from panollava.errors import CheckpointError

COUNT = 200


def flipped(file: Path, draw: random.Random) -> None:
    raw = bytearray(file.read_bytes())
    raw[draw.randrange(len(raw))] ^= 1 << draw.randrange(8)
    file.write_bytes(raw)


def truncated(file: Path, draw: random.Random) -> None:
    raw = file.read_bytes()
    file.write_bytes(raw[: draw.randrange(len(raw))])


def longer(file: Path, draw: random.Random) -> None:
    with file.open("ab") as stream:
        stream.write(draw.randbytes(draw.randrange(1, 100)))


def emptied(file: Path, draw: random.Random) -> None:
    file.write_bytes(b"")


def deleted(file: Path, draw: random.Random) -> None:
    file.unlink()


def lost_block(file: Path, draw: random.Random) -> None:
    """Zeros where a block never reached the disk."""
    raw = bytearray(file.read_bytes())
    start = draw.randrange(0, len(raw), 512)
    raw[start : start + 512] = bytes(len(raw[start : start + 512]))
    file.write_bytes(raw)


def swapped(file: Path, draw: random.Random) -> None:
    """Two files of one checkpoint under each other's names."""
    other = draw.choice([f for f in sorted(file.parent.iterdir()) if f != file])
    one, two = file.read_bytes(), other.read_bytes()
    file.write_bytes(two)
    other.write_bytes(one)


def of_another(file: Path, draw: random.Random) -> None:
    """The file of the same name of the checkpoint before."""
    shutil.copyfile(file.parent.with_name("step-000001") / file.name, file)


WAYS: tuple[Callable[[Path, random.Random], None], ...] = (
    flipped, truncated, flipped, deleted, flipped, swapped, flipped, lost_block, longer, emptied, flipped, of_another,
)  # fmt: skip


@pytest.fixture(scope="module")
def stage(three_stages, tmp_path_factory):
    """Return the folder of a stage with two checkpoints inside it, each with weights of its own."""
    import torch

    from panollava.checkpoints.format import save_checkpoint
    from panollava.checkpoints.state import TrainingState
    from panollava.config import to_dict

    model, meta = load_checkpoint(three_stages.checkpoint)
    folder = tmp_path_factory.mktemp("damaged") / "finetune"
    for step in (1, 2):
        with torch.no_grad():
            for component, _, parameter in model.component_parameters():
                if component in meta.components:
                    parameter.add_(1e-3)
        tensors = {f"optimizer/{n}/exp_avg": torch.full((n, 7), float(step)) for n in (3, 5)}
        save_checkpoint(
            model, folder / f"step-{step:06d}", config=to_dict(three_stages.cfg), stage="finetune", epoch=1, step=step,
            trained=set(meta.components), training=TrainingState(tensors, {"steps": step}), finished=False,
        )  # fmt: skip
    return folder


def test_undamaged_both_load(stage):
    for step in (1, 2):
        folder = stage / f"step-{step:06d}"
        assert load_checkpoint(folder)[1].step == load_training(folder).values["steps"] == step
    assert newest_valid(sorted(stage.iterdir()))[1].step == 2


@pytest.mark.parametrize("number", range(COUNT))
def test_a_damaged_checkpoint(stage, tmp_path, number, caplog, record_property):
    """Every kind of damage to every file; the place is random."""
    draw = random.Random(number)
    copies = Path(shutil.copytree(stage, tmp_path / "finetune"))
    old, new = sorted(copies.iterdir())
    files = sorted(new.iterdir())
    file, way = files[number % len(files)], WAYS[number // len(files) % len(WAYS)]
    before = {f.name: f.read_bytes() for f in files}
    way(file, draw)
    changed = {name for name, raw in before.items() if not (new / name).is_file() or (new / name).read_bytes() != raw}
    if not changed:  # zeros that were zeros before
        flipped(file, draw)
        changed = {file.name}
    if way is of_another and file.name == MANIFEST:  # whole in itself: it is the files that do not fit it
        changed |= before.keys()
    record_property(f"damaged checkpoint ({way.__name__})", 1)

    with pytest.raises(CheckpointError) as error:
        load_checkpoint(new)
    assert str(new) in str(error.value) and any(name in str(error.value) for name in changed)
    assert "\n" not in str(error.value)
    assert look(new, verify=True).state == "damaged" and look(old, verify=True).state == "unfinished"

    with caplog.at_level(logging.WARNING):
        found = newest_valid([new, old])
    assert found is not None and found[0] == old
    assert any(str(new) in line and any(name in line for name in changed) for line in caplog.messages)

    if changed & {MANIFEST, TENSORS, VALUES}:
        with pytest.raises(CheckpointError):
            load_training(new)
    for component in ("adapter", "projector"):
        if changed & {MANIFEST, f"{component}.safetensors"}:
            with pytest.raises(CheckpointError):
                read_weights(new, component)
