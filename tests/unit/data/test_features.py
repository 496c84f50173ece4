"""Kept features: every part of the key matters, nothing is encoded twice, a turn of the ring is a shift."""

import dataclasses
import json
import logging
import multiprocessing
import os
import pickle
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from panollava.data import feature_key, feature_shards, features
from panollava.data.augment import Augment, Draw, apply_draw
from panollava.data.feature_key import FeatureKey
from panollava.data.feature_shards import FeatureShards
from panollava.data.features import FeatureStore
from panollava.data.images import ImageOptions
from panollava.data.views import load_erp, stacked, views_of
from panollava.errors import DataError
from panollava.geometry import build_layout, cubemap, e2p_ring
from panollava.text.turn import Turn

LAYOUT = e2p_ring(hfov_deg=90.0, overlap=0.5, size_px=16, global_size_px=(16, 32))
KEY = FeatureKey("weights", LAYOUT, layer=-1)


def picture(path, *, seed=0, width=256):
    random = np.random.default_rng(seed)
    coarse = Image.fromarray(random.integers(0, 256, (8, 16, 3), dtype=np.uint8))
    coarse.resize((width, width // 2), Image.Resampling.BICUBIC).save(path)
    return path


@pytest.fixture
def images(tmp_path):
    return [picture(tmp_path / f"{k}.png", seed=k) for k in range(5)]


class Counting:
    """An encoder that means pixels over blocks of 8, and counts the views that it saw."""

    def __init__(self, scale=1.0):
        self.views, self.scale = 0, scale

    def __call__(self, views):
        self.views += sum(group.shape[0] * group.shape[1] for group in views)
        return tuple(self.scale * g.float().unflatten(2, (-1, 8)).unflatten(4, (-1, 8)).mean(dim=(3, 5)) for g in views)


def store(folder, *, key=KEY, encode=None, layout=LAYOUT):
    return FeatureStore(encode=encode or Counting(), layout=layout, folder=folder, key=key, images=key.images)


def equal(a, b):
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def test_kept_features_are_the_computed_ones_and_are_not_encoded_again(images, tmp_path):
    wanted = FeatureStore(encode=Counting(), layout=LAYOUT, folder=None).get(images)
    assert [tuple(g.shape) for g in wanted] == [(5, 8, 2, 2, 3), (5, 1, 2, 4, 3)]
    first, second = Counting(), Counting()
    store(tmp_path / "kept", encode=first).fill(images)
    assert first.views == 5 * 9
    got = store(tmp_path / "kept", encode=second).get(images[::-1])
    assert second.views == 0
    assert equal(got, tuple(g.flip(0) for g in wanted))


def test_kept_features_may_take_part_in_training(images, tmp_path):
    for folder in (None, tmp_path / "kept"):
        key = None if folder is None else KEY
        kept = FeatureStore(encode=Counting(), layout=LAYOUT, folder=folder, key=key)
        weight = torch.ones(3, requires_grad=True)
        (kept.get(images[:1])[0] * weight).sum().backward()
        assert weight.grad is not None


@pytest.mark.parametrize(
    "change",
    [
        {"weights": "other weights"},
        {"layout": e2p_ring(hfov_deg=80.0, overlap=0.5, size_px=16, global_size_px=(16, 32))},
        {"layer": -2},
        {"dtype": "bfloat16"},
        {"images": ImageOptions(pose="ignore")},
        {"images": ImageOptions(antialias="quality")},
    ],
    ids=["weights", "layout", "layer", "dtype", "pose", "antialias"],
)
def test_another_part_of_the_key_is_another_folder(images, tmp_path, change):
    store(tmp_path).fill(images[:1])
    other = dataclasses.replace(KEY, **change)
    again = Counting()
    store(tmp_path, key=other, encode=again, layout=other.layout).get(images[:1])
    assert again.views > 0
    assert len([path for path in tmp_path.iterdir() if path.is_dir()]) == 2
    assert KEY.name() == dataclasses.replace(KEY).name()


def test_another_renderer_is_another_folder(monkeypatch):
    before = KEY.name()
    draw = feature_key.views_of
    monkeypatch.setattr(feature_key, "views_of", lambda *a, **k: tuple(g + 1 for g in draw(*a, **k)))
    assert KEY.name() != before


def test_another_picture_of_the_same_name_is_encoded_anew(images, tmp_path):
    encode = Counting()
    kept = store(tmp_path / "kept", encode=encode)
    before = kept.get(images[:1])
    picture(images[0], seed=9)
    after = kept.get(images[:1])
    assert encode.views == 18 and not equal(before, after)
    shutil.copy(images[1], images[0])  # the bytes of a picture that is kept under another name
    kept.get(images[1:2])
    assert equal(kept.get(images[:1]), kept.get(images[1:2])) and encode.views == 27


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_features_are_kept_in_the_type_of_the_key(images, tmp_path, dtype):
    exact = store(tmp_path / "a").get(images[:2])
    key = dataclasses.replace(KEY, dtype=dtype)
    half = store(tmp_path / "b", key=key).get(images[:2])
    assert half[0].dtype == getattr(torch, dtype)
    torch.testing.assert_close(half[0].float(), exact[0], rtol=2**-8, atol=0)
    sizes = [sum(f.stat().st_size for f in (tmp_path / n).rglob("*.safetensors")) for n in "ab"]
    assert sizes[1] < 0.7 * sizes[0]


def test_a_feature_too_large_for_its_type_is_refused(images, tmp_path):
    key = dataclasses.replace(KEY, dtype="float16")
    with pytest.raises(DataError, match=r"does not fit torch\.float16.*data\.cache_dtype: bfloat16"):
        store(tmp_path / "kept", key=key, encode=Counting(scale=1e4)).get(images[:1])


@pytest.mark.parametrize("steps", [1, 3, 7, 8, -2])
def test_a_turn_of_the_ring_is_a_shift(images, tmp_path, steps):
    """The turned panorama encoded anew gives the shifted features, but for rounding of single pixels."""
    encode = Counting()
    kept = store(tmp_path / "kept", encode=encode)
    kept.fill(images[:2])
    assert encode.views == 18
    got = kept.get(images[:2], rolls=[steps, 0])
    assert encode.views == 18 + (1 if steps % 8 else 0)  # of a turned panorama only the global view
    kept.get(images[:2], rolls=[steps, 0])
    assert encode.views == 18 + (1 if steps % 8 else 0)
    turned = apply_draw(load_erp(images[0], LAYOUT), Draw(Turn(steps * 45.0)))
    wanted = Counting()(stacked([views_of(turned, LAYOUT)]))
    for a, b in zip(got, wanted, strict=True):
        torch.testing.assert_close(a[:1], b, atol=0.5, rtol=0)
    plain = kept.get(images[:1])
    assert (steps % 8 == 0) == equal(plain, tuple(g[:1] for g in got))


def test_views_up_and_down_are_encoded_for_each_turn(images, tmp_path):
    layout = cubemap(size_px=16)
    encode = Counting()
    kept = store(tmp_path / "kept", key=FeatureKey("w", layout, layer=-1), encode=encode, layout=layout)
    kept.fill(images[:1], rolls=[(images[0], 1), (images[0], 2)])
    count = len(layout.views)
    outside = count - len(layout.ring_indices)
    assert outside >= 2 and encode.views == count + 2 * outside
    got = kept.get(images[:1], rolls=[1])
    assert encode.views == count + 2 * outside
    turned = apply_draw(load_erp(images[0], layout), Draw(Turn(90.0)))
    wanted = Counting()(stacked([views_of(turned, layout)]))
    for a, b in zip(got, wanted, strict=True):
        torch.testing.assert_close(a, b, atol=0.5, rtol=0)


def test_a_layout_without_a_ring_does_not_turn(images, tmp_path):
    layout = build_layout("resize", size_px=(16, 32))
    kept = FeatureStore(encode=Counting(), layout=layout, folder=None)
    with pytest.raises(DataError, match=r"'resize' has no ring of views of one size, so it cannot be turned by 1"):
        kept.get(images[:1], rolls=[1])


def test_draws_by_steps_are_shifts_and_others_are_not():
    assert Augment(1, "stride", ring=8).shifts
    others = [Augment(1, "columns", ring=8), Augment(1, "stride", mirror=0.5, ring=8), Augment(1, "any")]
    assert not any(augment.shifts for augment in others)
    assert [Augment(1, "stride", ring=8).steps(Turn(yaw)) for yaw in (0.0, 45.0, -45.0, 360.0)] == [0, 1, 7, 0]


def test_the_size_is_told_before_anything_is_written(images, tmp_path, caplog, monkeypatch):
    written = []
    monkeypatch.setattr(FeatureShards, "write", lambda _self, entries: written.append((len(caplog.records), entries)))
    with caplog.at_level(logging.INFO, logger="panollava"):
        store(tmp_path / "kept").fill(images, rolls=[(images[0], 3)])
    [record] = caplog.records
    need = 5 * (8 * 4 + 8) * 3 * 4 + 8 * 3 * 4
    assert f"{need / 1e6:,.1f} MB of features (5 panoramas, 1 turns, float32)" in record.message
    assert [(told, len(entries)) for told, entries in written] == [(1, 6)]
    total = sum(t.numel() * t.element_size() for _, entries in written for e in entries.values() for t in e)
    assert total == need


def test_a_disk_that_is_too_small_is_refused_before_anything_is_written(images, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(features.shutil, "disk_usage", lambda _folder: usage._replace(free=10))
    with pytest.raises(DataError, match=r"do not fit .* where 0\.0 MB are free.*cache_dtype: bfloat16"):
        store(tmp_path / "kept").fill(images)
    assert not list((tmp_path / "kept").rglob("*.safetensors"))


def test_many_panoramas_share_a_file_up_to_a_size(images, tmp_path, monkeypatch):
    kept = tmp_path / "kept"
    store(kept).fill(images)
    assert len(list(kept.rglob("*.safetensors"))) == 1
    monkeypatch.setattr(features, "SHARD_BYTES", 1)
    store(tmp_path / "small").fill(images)
    assert len(list((tmp_path / "small").rglob("*.safetensors"))) == 5
    assert not list(tmp_path.rglob("*.part"))
    assert equal(store(kept).get(images), store(tmp_path / "small").get(images))


def test_a_filled_store_is_not_filled_again(images, tmp_path):
    store(tmp_path / "kept").fill(images[:3])
    encode, told = Counting(), []
    store(tmp_path / "kept", encode=encode).fill(images, progress=lambda done, every: told.append((done, every)))
    assert encode.views == 2 * 9 and told == [(5, 5)]


def _fill(folder, images, gate):
    gate.wait()
    store(folder).fill(images)


def test_two_processes_may_fill_one_store(images, tmp_path):
    context = multiprocessing.get_context("fork")
    gate = context.Barrier(2)
    orders = (images, images[::-1])
    workers = [context.Process(target=_fill, args=(tmp_path / "kept", order, gate)) for order in orders]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0]
    encode = Counting()
    got = store(tmp_path / "kept", encode=encode).get(images)
    assert encode.views == 0
    assert equal(got, FeatureStore(encode=Counting(), layout=LAYOUT, folder=None).get(images))


def test_a_store_sees_what_another_has_written_since(images, tmp_path):
    encode = Counting()
    early = store(tmp_path / "kept", encode=encode)
    store(tmp_path / "kept").fill(images)
    early.get(images)
    assert encode.views == 0


def test_a_store_travels_to_a_loader_process(images, tmp_path):
    kept = store(tmp_path / "kept")
    before = kept.get(images)
    assert equal(pickle.loads(pickle.dumps(kept)).get(images), before)


class Rounding(Counting):
    """An encoder whose answer for a panorama depends on what is beside it, as that of a matrix product may."""

    def __call__(self, views):
        return tuple(group + 2.0**-20 * len(group) for group in super().__call__(views))


class Dies(Rounding):
    """It is killed at one panorama."""

    def __init__(self, at):
        super().__init__()
        self.left = at

    def __call__(self, views):
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        return super().__call__(views)


@pytest.mark.parametrize("at", range(7))
def test_an_interrupted_filling_gives_the_bits_of_one_that_was_not(images, tmp_path, monkeypatch, at):
    rolls = [(images[1], 2), (images[3], 1)]
    monkeypatch.setattr(features, "SHARD_BYTES", 1 + at % 3 * 1200)
    whole = store(tmp_path / "whole", encode=Rounding())
    whole.fill(images, rolls=rolls)
    with pytest.raises(KeyboardInterrupt):
        store(tmp_path / "cut", encode=Dies(at)).fill(images, rolls=rolls)
    store(tmp_path / "cut", encode=Rounding()).fill(images[2:])  # and what another run has kept since
    again = store(tmp_path / "cut", encode=Rounding())
    again.fill(images, rolls=rolls)
    for turns in (None, [0, 2, 0, 1, 0]):
        assert equal(again.get(images, rolls=turns), whole.get(images, rolls=turns))
        nowhere = FeatureStore(encode=Rounding(), layout=LAYOUT, folder=None)
        assert equal(nowhere.get(images, rolls=turns), whole.get(images, rolls=turns))


def damaged(file, how):
    data = bytearray(file.read_bytes())
    if how == "gone":
        file.unlink()
        return
    if how in ("cut", "cut in the header"):
        del data[100 if how == "cut in the header" else -1 :]
    elif how == "empty":
        data.clear()
    else:
        data[int(how) % len(data)] ^= 1 << int(how) % 8
    file.write_bytes(data)


HOW = ["gone", "cut", "cut in the header", "empty", 0, 5, 8, 100, 301, -1, -200]


@pytest.mark.parametrize("how", HOW)
def test_a_damaged_shard_is_made_again_and_never_used(images, tmp_path, caplog, how):
    kept = store(tmp_path / "kept")
    kept.fill(images)
    wanted = kept.get(images)
    [file] = (tmp_path / "kept").rglob("*.safetensors")
    damaged(file, how)
    encode = Counting()
    again = store(tmp_path / "kept", encode=encode)
    again.fill(images)
    assert encode.views == 5 * 9
    assert (how == "gone") == (f"kept features are damaged, and are made again: {file}" not in caplog.text)
    assert equal(again.get(images), wanted) and encode.views == 5 * 9
    assert [path.name for path in (tmp_path / "kept").rglob("*.safetensors")] == [file.name]


@pytest.mark.parametrize("how", HOW)
def test_damage_between_filling_and_reading_is_found(images, tmp_path, how):
    wanted = store(tmp_path / "kept").get(images)
    encode = Counting()
    kept = store(tmp_path / "kept", encode=encode)
    [file] = (tmp_path / "kept").rglob("*.safetensors")
    damaged(file, how)
    assert equal(kept.get(images[:2]), tuple(group[:2] for group in wanted)) and encode.views == 2 * 9


def test_an_entry_of_a_damaged_shard_that_another_holds_is_not_lost(images, tmp_path):
    one, two = (FeatureShards(tmp_path, about={}) for _ in range(2))
    entry = {key: (torch.full((2,), float(number)),) for number, key in enumerate("abc")}
    one.write({"a": entry["a"], "b": entry["b"]})
    two.write({"b": entry["b"], "c": entry["c"]})
    first, second = (file for file in sorted(tmp_path.glob("*.safetensors")))
    for bad in (first, second):
        whole = bad.read_bytes()
        bad.write_bytes(whole[:-1])
        three = FeatureShards(tmp_path, about={})
        found = three.read("b")
        assert found is not None and equal(found, entry["b"])
        bad.write_bytes(whole)


def test_what_a_kill_has_left_half_written_is_not_read_and_goes(images, tmp_path):
    store(tmp_path / "kept").fill(images[:1])
    [folder] = (tmp_path / "kept").iterdir()
    [shard] = folder.glob("*.safetensors")
    old, new = folder / ".shard.safetensors.0123abcd.part", folder / ".shard.safetensors.4567abcd.part"
    for part in (old, new):
        part.write_bytes(shard.read_bytes()[:50])
    os.utime(old, (0, 0))
    encode = Counting()
    store(tmp_path / "kept", encode=encode).fill(images[:1])
    assert encode.views == 0 and not old.exists() and new.exists()  # the new one may be being written


def test_a_damaged_account_of_the_folder_is_written_again(images, tmp_path):
    store(tmp_path / "kept").fill(images)
    [about] = (tmp_path / "kept").rglob("about.json")
    whole = about.read_text()
    for text in ("", whole[:20]):
        about.write_text(text)
        encode = Counting()
        store(tmp_path / "kept", encode=encode).fill(images)
        assert about.read_text() == whole and encode.views == 0


def test_a_disk_that_does_not_take_a_shard_is_told(images, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(feature_shards, "take_name", full)
    with pytest.raises(DataError, match=r"cannot be kept in .*No space left on device.*paths\.data"):
        store(tmp_path / "kept").fill(images)
    assert not [path for path in (tmp_path / "kept").rglob("*") if path.suffix in (".part", ".safetensors")]


def test_a_folder_of_other_features_is_refused(tmp_path):
    FeatureShards(tmp_path / "a", about={"weights": "x", "layer": "-1"})
    with pytest.raises(DataError, match="holds features made with another weights"):
        FeatureShards(tmp_path / "a", about={"weights": "y", "layer": "-1"})
    assert json.loads((tmp_path / "a" / "about.json").read_text())["weights"] == "x"


def test_a_folder_without_a_key_is_refused(tmp_path):
    with pytest.raises(DataError, match="need a key that says what they depend on"):
        FeatureStore(encode=Counting(), layout=LAYOUT, folder=tmp_path)
