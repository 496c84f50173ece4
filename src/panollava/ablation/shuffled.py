"""The shuffled-image baseline: every question of the test set with another panorama's image.

A model that answers as well so as with the right image reads the question, not the panorama.
"""

from collections.abc import Sequence
from dataclasses import replace

from panollava.data.manifest import Sample
from panollava.data.order import permutation
from panollava.errors import DataError

SEED = 0
"""The same exchange in every study, so that arms and seeds are asked the same."""


def shuffled_samples(samples: Sequence[Sample]) -> list[Sample]:
    """Return the samples, each with the image of another panorama; all questions of one panorama get the same.

    The images are put into an order that depends on their number alone, and each gives way to the next in it: no
    panorama keeps its own.

    Raises:
        DataError: If there is only one panorama.
    """
    images = list(dict.fromkeys(sample.image for sample in samples))
    if len(images) < 2:
        raise DataError(
            f"images of {len(images)} panorama cannot be exchanged; data.test needs two, or write "
            "shuffled_images: false"
        )
    order = [images[int(i)] for i in permutation(len(images), seed=SEED)]
    instead = dict(zip(order, [*order[1:], order[0]], strict=True))
    return [replace(sample, image=instead[sample.image]) for sample in samples]


def restored(answered: Sequence[Sample], samples: Sequence[Sample]) -> list[Sample]:
    """Return answers with the images that their questions were written for, so that they can be set side by side.

    Args:
        answered: What was answered to ``shuffled_samples``; some may be missing.
        samples: What that was made of.
    """
    own = {sample.sample_id: sample.image for sample in samples}
    return [replace(sample, image=own[sample.sample_id]) for sample in answered]
