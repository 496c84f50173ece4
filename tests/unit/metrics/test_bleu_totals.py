import numpy as np
import pytest

from panollava.metrics.bleu import BleuCounts, coco_bleu, sacrebleu_of
from panollava.metrics.bleu_totals import coco_totals, sacrebleu_totals
from panollava.metrics.ngrams import NgramTable

from .official import random_captions

PREDICTIONS, REFERENCES = random_captions(11, 60)
SAID, TRUE = [p.split() for p in PREDICTIONS], [[r.split() for r in group] for group in REFERENCES]
COUNTS = BleuCounts.of(NgramTable.of(SAID, TRUE))


def part(places):
    return BleuCounts(*(getattr(COUNTS, name)[places] for name in ("correct", "total", "length", "reference_length")))


@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize("seed", range(8))
def test_a_resample_scores_as_if_its_items_were_written_down(seed, order):
    size = 60 if seed < 4 else 2  # few items: orders without a match, and short predictions
    places = np.random.default_rng(seed).integers(60, size=size)
    drawn = np.bincount(places, minlength=60).astype(float)[None]
    ours = sacrebleu_totals(COUNTS, order=order)
    assert ours.value(drawn @ ours.rows)[0] == pytest.approx(sacrebleu_of(part(places), order=order).value, abs=1e-12)
    coco = coco_totals(COUNTS, order=order)
    values, _ = coco_bleu([SAID[i] for i in places], [TRUE[i] for i in places])
    assert coco.value(drawn @ coco.rows)[0] == pytest.approx(values[order - 1], abs=1e-12)


def test_nothing_said_scores_zero():
    totals = sacrebleu_totals(BleuCounts.of(NgramTable.of([[]], [[["a"]]])))
    assert totals.value(totals.rows).tolist() == [0.0]
