"""The shuffled-image baseline: no panorama keeps its own image."""

from pathlib import Path

import pytest

from panollava.ablation.shuffled import restored, shuffled_samples
from panollava.data.manifest import Sample
from panollava.errors import DataError


def samples(count):
    return [
        Sample(Path(f"{i}.jpg"), f"q{q}", "a", "open", f"{i}-{q}", f"{i}.jpg", "m.csv", 1)
        for i in range(count)
        for q in range(3)
    ]


@pytest.mark.parametrize("count", [2, 3, 17])
def test_every_panorama_gets_one_other(count):
    own = samples(count)
    other = shuffled_samples(own)
    pairs = {(a.image, b.image) for a, b in zip(own, other, strict=True)}
    assert len(pairs) == count
    assert {b for _, b in pairs} == {a for a, _ in pairs}
    assert all(a != b for a, b in pairs)
    assert [s.sample_id for s in other] == [s.sample_id for s in own]
    assert shuffled_samples(own) == other
    assert restored(other[::-1], own) == own[::-1]


def test_one_panorama_cannot_be_exchanged():
    with pytest.raises(DataError, match="images of 1 panorama cannot be exchanged"):
        shuffled_samples(samples(1))
