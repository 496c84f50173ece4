"""Turn features by whole steps of the ring of views: shift them, and put in what is outside the ring.

::

    before             view 0  1  2  3   global        the panorama turns by one step to the right:
    after one step          3  0  1  2   global'       what view 0 saw is now seen by view 1
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import UInt8

from panollava.data.augment import Draw, apply_draw
from panollava.data.views import Tensors, views_of
from panollava.errors import DataError
from panollava.geometry import ViewLayout
from panollava.geometry.antialias import Antialias
from panollava.text.turn import Turn


class RingShift:
    """The ring of a layout, as places in groups of features.

    Attributes:
        rest: Indices of the views outside the ring.
    """

    def __init__(self, layout: ViewLayout) -> None:
        ring = layout.ring_indices
        self._layout, self._count = layout, len(ring)
        self.rest = tuple(i for i in range(len(layout.views)) if i not in ring)
        groups = layout.groups()
        self._places = [[group.indices.index(i) for i in ring if i in group.indices] for group in groups]
        self._outside = [[p for p, i in enumerate(group.indices) if i in self.rest] for group in groups]

    def steps(self, roll: int) -> int:
        """Return a number of steps as one between 0 and the ring's size.

        Raises:
            DataError: If the layout has no ring whose views are of one size.
        """
        if roll == 0:
            return 0
        if self._count not in [len(places) for places in self._places] or not self._count:
            raise DataError(
                f"layout '{self._layout.name}' has no ring of views of one size, so it cannot be turned by {roll} "
                "steps of it. Choose views.kind: e2p, or another data.augment.yaw"
            )
        return roll % self._count

    def turned(self, parts: Sequence[Tensors], *, steps: int) -> Tensors:
        """Return the features of a turned panorama, one tensor ``v rows cols d`` per group.

        Args:
            parts: The features of the panorama as it is; of its views outside the ring after the turn, if any.
            steps: Steps of the ring to the right.
        """
        steps = self.steps(steps)
        if steps == 0:
            return parts[0]
        outside = iter(parts[1]) if self.rest else iter(())
        groups = []
        for whole, places, others in zip(parts[0], self._places, self._outside, strict=True):
            turned = whole.clone()
            turned[places] = whole[np.roll(places, steps).tolist()]
            if others:
                turned[others] = next(outside)
            groups.append(turned)
        return tuple(groups)

    def rest_views(
        self, erp: UInt8[np.ndarray, "H W 3"], *, steps: int, antialias: Antialias
    ) -> tuple[UInt8[torch.Tensor, "v h w 3"], ...]:
        """Render the views outside the ring of a panorama after a turn, grouped by size as those of the layout are."""
        drawn = apply_draw(erp, Draw(Turn(360.0 * steps / self._count)))
        some = ViewLayout(tuple(self._layout.views[i] for i in self.rest), self._layout.name)
        drawn_sizes = [(group.height_px, group.width_px) for group in some.groups()]
        by_size = dict(zip(drawn_sizes, views_of(drawn, some, antialias=antialias), strict=True))
        sizes = [(group.height_px, group.width_px) for group in self._layout.groups()]
        return tuple(by_size[size] for size in sizes if size in by_size)

    def rest_bytes(self, entry: Tensors) -> int:
        """Return the size of the features of the views outside the ring, from those of all views."""
        return sum(
            group.numel() * group.element_size() * len(others) // len(group)
            for group, others in zip(entry, self._outside, strict=True)
        )
