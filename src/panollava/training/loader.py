"""Feed a stage: batches of panoramas as pixels (overlap) or as features and packed conversations (language)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch.utils.data import DataLoader, Dataset

from panollava.data.dataset import choose_questions, conversations, step_plan
from panollava.data.features import FeatureStore, Tensors, stacked_views
from panollava.data.images import DEFAULT_OPTIONS, ImageOptions
from panollava.data.manifest import PanoramaSamples
from panollava.models.vlm import PanoramaBatch, PanoramaVLM


@dataclass(frozen=True, slots=True)
class StagePlan:
    """The batches of a stage, in order: (epoch, panoramas). A pure function of seed and data size."""

    batches: tuple[tuple[int, tuple[int, ...]], ...]

    @classmethod
    def make(
        cls, count: int, *, batch_size: int, seed: int, steps: int | None, epochs: int | None, accumulation: int
    ) -> "StagePlan":
        """Plan ``steps`` optimiser steps (each of ``accumulation`` batches) or ``epochs`` epochs."""
        batches = step_plan(
            count,
            batch_size=batch_size,
            seed=seed,
            steps=None if steps is None else steps * accumulation,
            epochs=epochs,
        )
        return cls(tuple((epoch, tuple(batch)) for epoch, batch in batches))


class LanguageBatches(Dataset[PanoramaBatch]):
    """Item i is the i-th batch of the plan, packed, with features or views (neither for a blind model).

    Features come from a store that was filled before, so that no loader process ever runs the encoder; without a
    store the item carries views, and the training step encodes them.
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
    ) -> None:
        self.panoramas, self.plan, self.model, self.store = panoramas, plan, model, store
        self.limit, self.seed, self.images = limit, seed, images

    def __len__(self) -> int:
        return len(self.plan.batches)

    def __getitem__(self, number: int) -> PanoramaBatch:
        epoch, indices = self.plan.batches[number]
        chosen = [
            choose_questions(self.panoramas[i], limit=self.limit, seed=self.seed, epoch=epoch, index=i) for i in indices
        ]
        text, images = self.model.pack(conversations(chosen)), [self.panoramas[i].image for i in indices]
        if self.store is not None:
            return PanoramaBatch(self.store.get(images), text)
        if self.model.blind:
            return PanoramaBatch(None, text)
        return PanoramaBatch(None, text, stacked_views(images, self.model.layout, images=self.images))


class PixelBatches(Dataset[Tensors]):
    """Item i is the rendered views of the i-th batch of the plan."""

    def __init__(
        self,
        panoramas: Sequence[PanoramaSamples],
        plan: StagePlan,
        model: PanoramaVLM,
        *,
        images: ImageOptions = DEFAULT_OPTIONS,
    ) -> None:
        self.panoramas, self.plan, self.layout, self.images = panoramas, plan, model.layout, images

    def __len__(self) -> int:
        return len(self.plan.batches)

    def __getitem__(self, number: int) -> Tensors:
        paths = [self.panoramas[i].image for i in self.plan.batches[number][1]]
        return stacked_views(paths, self.layout, images=self.images)


class _InOrder:
    """Sampler that gives the plan's order and no other."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.count))

    def __len__(self) -> int:
        return self.count


def loader(batches: LanguageBatches | PixelBatches, *, workers: int) -> DataLoader:
    """Return a loader over whole batches: batching is the plan's, not the loader's."""
    return DataLoader(batches, batch_size=None, sampler=_InOrder(len(batches)), num_workers=workers)
