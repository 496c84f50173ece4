"""What a training step is fed: which panoramas, which of their questions, in which order.

Order and choice are pure functions of (seed, epoch, index): a run that stops and resumes sees what it would have seen.
"""

from collections.abc import Callable, Iterator, Sequence

from panollava.data.manifest import PanoramaSamples, Sample
from panollava.data.order import permutation
from panollava.data.pack import first_fit_decreasing

WINDOW = 64
"""Panoramas of an epoch that are packed into batches together."""


def epoch_batches(count: int, *, batch_size: int, seed: int, epoch: int) -> list[list[int]]:
    """Return the panoramas of every batch of an epoch: a permutation, cut; a short last batch is kept.

    Example:
        >>> [sorted(b) for b in epoch_batches(3, batch_size=3, seed=0, epoch=0)]
        [[0, 1, 2]]
    """
    order = permutation(count, seed=seed, epoch=epoch)
    return [[int(i) for i in order[start : start + batch_size]] for start in range(0, count, batch_size)]


def filled_batches(
    count: int, *, budget: int, lengths: Callable[[int, int], int], seed: int, epoch: int
) -> list[list[int]]:
    """Return the panoramas of every batch of an epoch, as many in each as fit a budget of tokens.

    The epoch's permutation is cut into windows, each of which is packed on its own, so that long and short panoramas
    stay mixed over the epoch.

    Args:
        count: Number of panoramas.
        budget: Tokens of a batch.
        lengths: Tokens of a panorama with the questions of an epoch: a function of (epoch, panorama).
        seed: Of the permutation.
        epoch: The epoch.

    Example:
        >>> filled_batches(4, budget=10, lengths=lambda epoch, index: 5, seed=0, epoch=0) == [
        ...     batch for batch in epoch_batches(4, batch_size=2, seed=0, epoch=0)
        ... ]
        True
    """
    batches = []
    for window in epoch_batches(count, batch_size=WINDOW, seed=seed, epoch=epoch):
        bins = first_fit_decreasing([lengths(epoch, index) for index in window], budget=budget)
        batches += [[window[place] for place in places] for places in bins]
    return batches


def choose_questions(
    panorama: PanoramaSamples, *, limit: int | None, seed: int, epoch: int, index: int
) -> list[Sample]:
    """Return the questions asked of one panorama in one epoch: all of them, or ``limit`` drawn anew every epoch."""
    samples = list(panorama.samples)
    if limit is None or len(samples) <= limit:
        return samples
    chosen = permutation(len(samples), seed=seed, epoch=epoch, stream=index + 1)[:limit]
    return [samples[int(i)] for i in sorted(chosen)]


def conversations(samples: Sequence[Sequence[Sample]]) -> list[list[tuple[str, str]]]:
    """Return the (query, answer) pairs of each panorama."""
    return [[(s.query, s.answer or "") for s in group] for group in samples]


def step_plan(
    count: int,
    *,
    batch_size: int,
    seed: int,
    steps: int | None,
    epochs: int | None,
    budget: int | None = None,
    lengths: Callable[[int, int], int] | None = None,
) -> Iterator[tuple[int, list[int]]]:
    """Yield (epoch, panoramas of a batch) until ``steps`` batches or ``epochs`` epochs have been given.

    Batches hold ``batch_size`` panoramas, or, with a ``budget`` of tokens and the ``lengths`` of the panoramas, as many
    as fit it.
    """
    epoch = given = 0
    while epochs is None or epoch < epochs:
        if budget is None or lengths is None:
            batches = epoch_batches(count, batch_size=batch_size, seed=seed, epoch=epoch)
        else:
            batches = filled_batches(count, budget=budget, lengths=lengths, seed=seed, epoch=epoch)
        for batch in batches:
            if steps is not None and given == steps:
                return
            yield epoch, batch
            given += 1
        epoch += 1
