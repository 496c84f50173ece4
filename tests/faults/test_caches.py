"""Generated data and kept features: a process that is killed at any call of the system leaves nothing half-used.

The child kills itself right before its n-th call that opens, renames, removes or makes a file, for every n.
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from panollava.data import features
from panollava.data.bad_images import ImageChecks
from panollava.data.feature_key import FeatureKey
from panollava.data.features import FeatureStore
from panollava.data.images import ImageOptions
from panollava.data.synthetic.recipe import load_recipe
from panollava.data.synthetic.write import synthesize
from panollava.geometry import e2p_ring

ALL = os.environ.get("PANOLLAVA_FAULTS") == "all"
CALLS = {"open", "os.rename", "os.remove", "os.mkdir"}
SIZE = {"count": 3, "seed": 5, "width": 64, "questions_per_panorama": 4}
LAYOUT = e2p_ring(hfov_deg=90.0, overlap=0.5, size_px=16)


def killed(work: Callable[[], object], *, at: int) -> bool:
    """Do work in a process of its own, killed before its call number ``at``; return whether it was killed."""
    child = os.fork()
    if child == 0:
        left = [at]

        def hook(event: str, _: object) -> None:
            if event in CALLS:
                left[0] -= 1
                if left[0] < 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        status = 1
        try:
            sys.addaudithook(hook)
            work()
            status = 0
        finally:
            os._exit(status)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def every_place(work: Callable[[Path], object], folder: Path, check: Callable[[Path], None]) -> int:
    """Kill work at each of its calls (without PANOLLAVA_FAULTS=all: some of them), each time in a new folder."""
    step, count, at = 1 if ALL else 5, 0, 0
    while True:
        place = folder / str(at)
        place.mkdir(parents=True)
        if not killed(lambda place=place: work(place), at=at):  # type: ignore[misc]
            return count
        check(place)
        count, at = count + 1, at + step


def test_generated_data_is_made_again(tmp_path, record_property):
    synthesize(tmp_path / "whole", **SIZE)
    whole = content(tmp_path / "whole")

    def check(place: Path) -> None:
        found = load_recipe(place / "a")
        if found is not None:  # killed after the recipe was there: everything else must be
            assert {k: v for k, v in content(place / "a").items() if k in whole} == whole
        synthesize(place / "a", **SIZE)
        assert content(place / "a") == whole

    count = every_place(lambda place: synthesize(place / "a", **SIZE), tmp_path / "cut", check)
    assert count > 5
    record_property("SIGKILL while data is generated", count)


def encode(views):
    return tuple(torch.stack([group.float().mean((2, 3)), 2.0**-20 * len(views[0]) + group.float()[:, :, 0, 0]], 2)
                 for group in views)  # fmt: skip


@pytest.fixture
def images(tmp_path):
    paths = [tmp_path / f"{number}.png" for number in range(4)]
    for path in paths:
        Image.effect_noise((128, 64), 80).convert("RGB").save(path)
    return paths


def store(folder):
    key = FeatureKey("w", LAYOUT, layer=-1)
    return FeatureStore(encode=encode, layout=LAYOUT, folder=folder, key=key, images=key.images)


def test_kept_features_have_the_bits_of_an_undisturbed_filling(images, tmp_path, monkeypatch, record_property):
    torch.set_num_threads(1)
    monkeypatch.setattr(features, "SHARD_BYTES", 1)
    rolls = [(images[0], 1)]
    whole = store(tmp_path / "whole")
    whole.fill(images, rolls=rolls)
    wanted = whole.get(images)

    def check(place: Path) -> None:
        again = store(place)
        again.fill(images, rolls=rolls)
        assert all(torch.equal(a, b) for a, b in zip(again.get(images), wanted, strict=True))

    count = every_place(lambda place: store(place).fill(images, rolls=rolls), tmp_path / "cut", check)
    assert count > 5
    record_property("SIGKILL while features are kept", count)


def test_verdicts_on_images_are_those_of_an_undisturbed_look(images, tmp_path, record_property):
    images[1].write_bytes(images[1].read_bytes()[:99])
    wanted = ImageChecks(tmp_path / "whole", options=ImageOptions()).reasons(images)
    assert [reason is None for reason in wanted] == [True, False, True, True]

    def check(place: Path) -> None:
        for _ in range(2):
            assert ImageChecks(place, options=ImageOptions()).reasons(images) == wanted

    def look(place: Path) -> None:
        ImageChecks(place, options=ImageOptions()).reasons(images)

    count = every_place(look, tmp_path / "cut", check)
    assert count > 1
    record_property("SIGKILL while images are looked at", count)
