"""The ordered views of a panorama: their ring, their overlaps, how much of the sphere they see."""

import functools
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from panollava.errors import GeometryError
from panollava.geometry.angles import wrap_deg
from panollava.geometry.overlap import share_rays
from panollava.geometry.regions import spherical_iou
from panollava.geometry.sphere import erp_rays, pixel_solid_angle
from panollava.geometry.view import ViewSpec, check_keys


@dataclass(frozen=True, slots=True)
class ViewGroup:
    """The views of a layout that have one pixel size, so that they fit one tensor."""

    height_px: int
    width_px: int
    indices: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ViewLayout:
    """The ordered views of a panorama; hashable, so that it can key a cache.

    Attributes:
        views: the views in order.
        name: the kind that built it.
        ring_indices: the views that form the closed ring of equal yaw steps, in order of growing yaw; empty
            when there is none. The global view is never among them.

    Raises:
        GeometryError: no view, two views of one name, or indices that form no ring.
    """

    views: tuple[ViewSpec, ...]
    name: str
    ring_indices: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "views", tuple(self.views))
        object.__setattr__(self, "ring_indices", tuple(self.ring_indices))
        if not self.views:
            raise GeometryError(f"layout '{self.name}' has no views; give at least one.")
        names = [view.name for view in self.views]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise GeometryError(f"layout '{self.name}' has several views named {', '.join(twice)}; rename them.")
        self._check_ring()

    def _check_ring(self) -> None:
        ring = self.ring_indices
        if not ring:
            return
        if len(set(ring)) < len(ring) or not all(0 <= i < len(self.views) for i in ring):
            raise GeometryError(
                f"layout '{self.name}': ring_indices {ring} must be different numbers below {len(self.views)}."
            )
        members = [self.views[i] for i in ring]
        steps = [wrap_deg(b.yaw_deg - a.yaw_deg) % 360.0 for a, b in itertools.pairwise(members)]
        even = all(abs(step - 360.0 / len(ring)) < 1e-6 for step in steps)
        level = len({view.pitch_deg for view in members}) == 1
        if not even or not level or any(view.is_global for view in members):
            raise GeometryError(
                f"layout '{self.name}': views {ring} do not form a ring; it needs one pitch, yaw steps of "
                f"{360.0 / len(ring):g} degrees to the right, and no global view."
            )

    def groups(self) -> tuple[ViewGroup, ...]:
        """Return the views grouped by pixel size, in the order in which the sizes first appear."""
        found: dict[tuple[int, int], list[int]] = {}
        for index, view in enumerate(self.views):
            found.setdefault((view.height_px, view.width_px), []).append(index)
        return tuple(ViewGroup(height, width, tuple(ids)) for (height, width), ids in found.items())

    def overlap_pairs(self) -> tuple[tuple[int, int], ...]:
        """Return (i, j), i < j, for every two views that share an area of the sphere, closed over the seam.

        Views are paired within one kind; the global view, which shares everything, is left out.

        Example:
            >>> from panollava.geometry import e2p_ring
            >>> e2p_ring(hfov_deg=90, overlap=0.25).overlap_pairs()
            ((0, 1), (0, 5), (1, 2), (2, 3), (3, 4), (4, 5))
        """
        return _overlap_pairs(self)

    def coverage(self) -> float:
        """Return the fraction of the sphere that the views see, to about 0.001.

        The global view counts only when it is alone, because it always sees everything.
        """
        return _coverage(self)

    def report(self, *, tokens: Sequence[int] | None = None) -> dict[str, Any]:
        """Return what a person wants to know of the layout, as plain values for JSON.

        Args:
            tokens: vision tokens of each view, where they are known.

        Returns:
            num_views; coverage, the fraction of the sphere; overlap_pairs, and the share of their common area
            (overlap_iou) in the same order; views with pixels_per_degree at their centre; tokens_per_panorama or None.

        Raises:
            GeometryError: another number of tokens than of views.
        """
        if tokens is not None and len(tokens) != len(self.views):
            raise GeometryError(f"{len(tokens)} numbers of tokens for {len(self.views)} views; give one per view.")
        pairs = self.overlap_pairs()
        views = [view.to_dict() | {"pixels_per_degree": view.pixels_per_degree} for view in self.views]
        return {
            "name": self.name,
            "num_views": len(self.views),
            "coverage": self.coverage(),
            "ring_indices": list(self.ring_indices),
            "overlap_pairs": [list(pair) for pair in pairs],
            "overlap_iou": [_pair_iou(self.views[i], self.views[j]) for i, j in pairs],
            "views": views if tokens is None else [v | {"tokens": n} for v, n in zip(views, tokens, strict=True)],
            "tokens_per_panorama": None if tokens is None else sum(tokens),
        }

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON; `from_dict` restores an equal layout."""
        return {
            "name": self.name,
            "ring_indices": list(self.ring_indices),
            "views": [view.to_dict() for view in self.views],
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "ViewLayout":
        """Return the layout that `to_dict` described.

        Raises:
            GeometryError: a key is missing or unknown, or a value is impossible.
        """
        check_keys("layout", values, ["name", "ring_indices", "views"])
        views = tuple(ViewSpec.from_dict(view) for view in values["views"])
        return cls(views, values["name"], tuple(values["ring_indices"]))


@functools.lru_cache(maxsize=64)
def _overlap_pairs(layout: ViewLayout) -> tuple[tuple[int, int], ...]:
    local = [i for i, view in enumerate(layout.views) if not view.is_global]
    return tuple(
        (i, j)
        for i in local
        for j in local
        if i < j and layout.views[i].kind == layout.views[j].kind and share_rays(layout.views[i], layout.views[j])
    )


@functools.lru_cache(maxsize=64)
def _coverage(layout: ViewLayout) -> float:
    height, width = 360, 720
    rays = erp_rays(height, width)
    seen = np.zeros((height, width), dtype=bool)
    for view in [view for view in layout.views if not view.is_global] or layout.views:
        seen |= view.project(rays)[2]
    share = pixel_solid_angle(height, width) @ seen.sum(axis=1) / (4.0 * np.pi)
    return min(1.0, float(share))


def _pair_iou(a: ViewSpec, b: ViewSpec) -> float:
    """Return the shared solid angle of two views of one kind over that of both together."""
    if a.kind == "perspective":
        return spherical_iou(a.field_of_view, b.field_of_view)
    # windows are rectangles in yaw and in the sine of the pitch, which is equal-area (Archimedes)
    apart = abs(wrap_deg(a.yaw_deg - b.yaw_deg))
    across = min((a.hfov_deg + b.hfov_deg) / 2.0 - apart, a.hfov_deg, b.hfov_deg)
    edges = [[np.sin(np.deg2rad(v.pitch_deg + sign * v.vfov_deg / 2.0)) for sign in (-1, 1)] for v in (a, b)]
    down = min(edges[0][1], edges[1][1]) - max(edges[0][0], edges[1][0])
    shared = max(0.0, across) * max(0.0, float(down))
    areas = [v.hfov_deg * (high - low) for v, (low, high) in zip((a, b), edges, strict=True)]
    return float(shared / (sum(areas) - shared))
