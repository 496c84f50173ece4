"""Feed a stage: batches of panoramas as pixels (overlap) or as features and packed conversations (language)."""

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from torch.utils.data import DataLoader, Dataset, get_worker_info

from panollava.data.augment import Augment, augmented, carry, draw
from panollava.data.dataset import choose_questions, conversations, step_plan
from panollava.data.features import FeatureStore, Request
from panollava.data.images import DEFAULT_OPTIONS, ImageOptions
from panollava.data.manifest import PanoramaSamples
from panollava.data.prefetch import prefetched
from panollava.data.views import Tensors, stacked, stacked_views
from panollava.errors import DataError
from panollava.models.vlm import PanoramaBatch, PanoramaVLM
from panollava.text.directions import conversation_freedom


def _error_as_item(read: Callable[[Any, int], Any]) -> Callable[[Any, int], Any]:
    """Let another process send an error as an item: torch would put that process's traceback into the message."""

    @functools.wraps(read)
    def told(self: Any, number: int) -> Any:
        try:
            return read(self, number)
        except DataError as error:
            if get_worker_info() is None:
                raise
            return DataError(str(error))  # without its cause, which need not be picklable

    return told


@dataclass(frozen=True, slots=True)
class StagePlan:
    """The batches of a stage, in order: (epoch, panoramas). A pure function of seed and data size.

    Attributes:
        batches: The batches.
        idle: Numbers of batches whose panorama only stands in, so that this process takes the step with the others.
    """

    batches: tuple[tuple[int, tuple[int, ...]], ...]
    idle: frozenset[int] = frozenset()

    @classmethod
    def make(
        cls,
        count: int,
        *,
        batch_size: int,
        seed: int,
        steps: int | None,
        epochs: int | None,
        accumulation: int,
        budget: int | None = None,
        lengths: Callable[[int, int], int] | None = None,
    ) -> "StagePlan":
        """Plan ``steps`` optimiser steps (each of ``accumulation`` batches) or ``epochs`` epochs; see ``step_plan``."""
        batches = step_plan(
            count,
            batch_size=batch_size,
            seed=seed,
            steps=None if steps is None else steps * accumulation,
            epochs=epochs,
            budget=budget,
            lengths=lengths,
        )
        return cls(tuple((epoch, tuple(batch)) for epoch, batch in batches))

    def part(self, *, rank: int, world: int) -> "StagePlan":
        """Return what one of several processes reads: every ``world``-th panorama of each batch.

        Where a batch has fewer panoramas than there are processes, one that has none reads the first, for nothing.

        Example:
            >>> plan = StagePlan(((0, (4, 7, 5)), (0, (6,))))
            >>> plan.part(rank=1, world=2)
            StagePlan(batches=((0, (7,)), (0, (6,))), idle=frozenset({1}))
        """
        if world == 1:
            return self
        mine = [(epoch, batch[rank::world]) for epoch, batch in self.batches]
        idle = frozenset(number for number, (_, batch) in enumerate(mine) if not batch)
        filled = tuple((epoch, batch or self.batches[number][1][:1]) for number, (epoch, batch) in enumerate(mine))
        return StagePlan(filled, idle)


def packed_lengths(
    panoramas: Sequence[PanoramaSamples], model: PanoramaVLM, *, limit: int | None, seed: int
) -> Callable[[int, int], int]:
    """Return the tokens of a panorama with the questions of an epoch, as a function of (epoch, panorama)."""
    prefix = len(model.chat.prefix_ids(model.token_count))
    branch: dict[tuple[str, str], int] = {}

    def length(epoch: int, index: int) -> int:
        chosen = choose_questions(panoramas[index], limit=limit, seed=seed, epoch=epoch, index=index)
        [pairs] = conversations([chosen])
        for query, answer in pairs:
            if (query, answer) not in branch:
                question = model.chat.question_ids(query, after_vision=model.token_count > 0)
                branch[query, answer] = len(question) + len(model.chat.answer_ids(answer))
        return prefix + sum(branch[pair] for pair in pairs)

    return length


class LanguageBatches(Dataset[PanoramaBatch]):
    """Item i is the i-th batch of the plan, packed, with features or views (neither for a blind model).

    Features come from a store that was filled before, so that no loader process ever runs the encoder; without a
    store the item carries views, and the training step encodes them. With an augmentation the views are drawn anew in
    every epoch, so there is nothing to store, unless it only turns by steps of the ring of views: those are shifts.
    """

    def __init__(
        self,
        panoramas: Sequence[PanoramaSamples],
        plan: StagePlan,
        model: PanoramaVLM,
        store: FeatureStore | None,
        *,
        limit: int | None,
        seed: int,
        images: ImageOptions = DEFAULT_OPTIONS,
        augment: Augment | None = None,
    ) -> None:
        self.panoramas, self.plan, self.model, self.store = panoramas, plan, model, store
        self.limit, self.seed, self.images, self.augment = limit, seed, images, augment

    def __len__(self) -> int:
        return len(self.plan.batches)

    @_error_as_item
    def __getitem__(self, number: int) -> PanoramaBatch:
        epoch, indices = self.plan.batches[number]
        pairs = self._asked(epoch, indices)
        if self.augment is not None:
            return self._augmented(self.augment, pairs, epoch=epoch, indices=indices)
        text, images = self.model.pack(pairs), [self.panoramas[i].image for i in indices]
        if self.store is not None:
            return PanoramaBatch(self.store.get(images), text)
        if self.model.blind:
            return PanoramaBatch(None, text)
        return PanoramaBatch(None, text, stacked_views(images, self.model.layout, images=self.images))

    def requests(self, plan: StagePlan) -> list[Request]:
        """Return every panorama with every turn by steps of the ring that a plan asks features for."""
        assert self.augment is not None
        wanted: dict[Request, None] = {}
        for epoch, indices in plan.batches:
            for i, pairs in zip(indices, self._asked(epoch, indices), strict=True):
                turn = draw(self.augment, epoch=epoch, index=i, freedom=conversation_freedom(pairs)).turn
                wanted[self.panoramas[i].image, self.augment.steps(turn)] = None
        return list(wanted)

    def _asked(self, epoch: int, indices: Sequence[int]) -> list[list[tuple[str, str]]]:
        limit, seed = self.limit, self.seed
        return conversations(
            [choose_questions(self.panoramas[i], limit=limit, seed=seed, epoch=epoch, index=i) for i in indices]
        )

    def _shifted(
        self,
        store: FeatureStore,
        augment: Augment,
        pairs: list[list[tuple[str, str]]],
        *,
        epoch: int,
        indices: Sequence[int],
    ) -> PanoramaBatch:
        turns = [
            draw(augment, epoch=epoch, index=i, freedom=conversation_freedom(asked)).turn
            for i, asked in zip(indices, pairs, strict=True)
        ]
        features = store.get([self.panoramas[i].image for i in indices], rolls=[augment.steps(turn) for turn in turns])
        told = [carry(asked, turn) for asked, turn in zip(pairs, turns, strict=True)]
        return PanoramaBatch(features, self.model.pack(told))

    def _augmented(
        self, augment: Augment, pairs: list[list[tuple[str, str]]], *, epoch: int, indices: tuple[int, ...]
    ) -> PanoramaBatch:
        if self.store is not None:
            return self._shifted(self.store, augment, pairs, epoch=epoch, indices=indices)
        layout = None if self.model.blind else self.model.layout
        turned = [
            augmented(self.panoramas[i].image, asked, augment, layout=layout, epoch=epoch, index=i, images=self.images)
            for i, asked in zip(indices, pairs, strict=True)
        ]
        views = None if layout is None else stacked([seen for seen, _ in turned])
        return PanoramaBatch(None, self.model.pack([told for _, told in turned]), views)


class PixelBatches(Dataset[Tensors]):
    """Item i is the rendered views of the i-th batch of the plan."""

    def __init__(
        self,
        panoramas: Sequence[PanoramaSamples],
        plan: StagePlan,
        model: PanoramaVLM,
        *,
        images: ImageOptions = DEFAULT_OPTIONS,
        augment: Augment | None = None,
    ) -> None:
        self.panoramas, self.plan, self.layout, self.images = panoramas, plan, model.layout, images
        self.augment = augment

    def __len__(self) -> int:
        return len(self.plan.batches)

    @_error_as_item
    def __getitem__(self, number: int) -> Tensors:
        epoch, indices = self.plan.batches[number]
        if self.augment is None:
            return stacked_views([self.panoramas[i].image for i in indices], self.layout, images=self.images)
        turned = [
            augmented(
                self.panoramas[i].image, (), self.augment, layout=self.layout, epoch=epoch, index=i, images=self.images
            )[0]
            for i in indices
        ]
        return stacked(turned)


class _InOrder:
    """Sampler that gives the plan's order and no other, from a place in it; its length is that of the whole plan."""

    def __init__(self, count: int, *, start: int) -> None:
        self.count, self.start = count, start

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.start, self.count))

    def __len__(self) -> int:
        return self.count


def _raised(items: Iterator[Any]) -> Iterator[Any]:
    """Yield items; raise one that is an error."""
    for item in items:
        if isinstance(item, DataError):
            raise item
        yield item


class _Prefetching(DataLoader):
    """A loader whose next batches are read by a thread where no other process reads them."""

    def __iter__(self) -> Iterator[Any]:
        items = iter(super().__iter__())
        return _raised(items) if self.num_workers else prefetched(items)


def loader(batches: LanguageBatches | PixelBatches, *, workers: int, start: int = 0) -> DataLoader:
    """Return a loader over whole batches, read ahead of time: batching is the plan's, not the loader's.

    Args:
        batches: What to read.
        workers: Processes that read; 0: a thread of this one.
        start: First batch to read; those before it were read by a run that this one goes on with.
    """
    order = _InOrder(len(batches), start=start)
    return _Prefetching(batches, batch_size=None, sampler=order, num_workers=workers)
