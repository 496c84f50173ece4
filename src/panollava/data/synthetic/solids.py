"""The five solids: where a ray meets each, in the frame of its bounding sphere (y down, centre at 0).

Every solid fits a bounding sphere of radius r exactly::

    ball        cube            cylinder          cone              pyramid
    radius r    edge 2r/sqrt 3  height 1.6 r,     height 1.5 r,     height 1.5 r, base edge
                                diameter 1.2 r    diameter 1.73 r   1.22 r, corners on the sphere
"""

import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Float32

Rays = Float32[np.ndarray, "n 3"]
Origin = Float32[np.ndarray, " 3"]
Hit = tuple[Float32[np.ndarray, " n"], Rays]

EXTENTS: dict[str, tuple[float, float]] = {
    # name: (width, height) in bounding radii; the width is the diameter, or the edge of the square base
    "ball": (2.0, 2.0),
    "cube": (2.0 / math.sqrt(3.0), 2.0 / math.sqrt(3.0)),
    "cylinder": (1.2, 1.6),
    "cone": (math.sqrt(3.0), 1.5),
    "pyramid": (2.0 * math.sqrt(0.375), 1.5),
}


def intersect(shape: str, origin: Origin, directions: Rays, *, radius: float) -> Hit:
    """Return where rays from ``origin`` first meet a solid that does not contain it.

    Args:
        shape: A key of ``EXTENTS``.
        origin: Start of the rays in the solid's frame, metres.
        directions: Unit rays in the solid's frame.
        radius: Radius of the bounding sphere, metres.

    Returns:
        Distance along each ray (infinite where it misses) and the outward unit normal there.

    Example:
        >>> ahead = np.array([[0.0, 0.0, 1.0]], np.float32)
        >>> t, normal = intersect("ball", np.array([0.0, 0.0, -3.0], np.float32), ahead, radius=1.0)
        >>> t.tolist(), normal.tolist()
        ([2.0], [[0.0, 0.0, -1.0]])
    """
    return _INTERSECT[shape](origin, directions, radius)


def _ball(origin: Origin, d: Rays, radius: float) -> Hit:
    b = d @ origin
    disc = b * b - (origin @ origin - radius * radius)
    t = np.where((disc >= 0) & (b < 0), -b - np.sqrt(np.maximum(disc, 0.0)), np.inf)
    normal = (origin + np.where(np.isfinite(t), t, 0.0)[:, None] * d) / radius
    return t.astype(np.float32), normal.astype(np.float32)


def _convex(origin: Origin, d: Rays, normals: Rays, offsets: Float32[np.ndarray, " k"]) -> Hit:
    """Intersect a convex polyhedron ``{x: normals @ x <= offsets}`` (slabs, Kay and Kajiya 1986)."""
    speed = d @ normals.T
    gap = offsets - origin @ normals.T
    with np.errstate(divide="ignore", invalid="ignore"):
        t = gap / speed
    enter = np.where(speed < 0, t, -np.inf)
    leave = np.where(speed > 0, t, np.inf)
    first, last = enter.max(axis=1), leave.min(axis=1)
    hit = (first <= last) & (first > 0)
    return np.where(hit, first, np.inf).astype(np.float32), normals[enter.argmax(axis=1)]


def _cube(origin: Origin, d: Rays, radius: float) -> Hit:
    axes = np.concatenate([np.eye(3), -np.eye(3)]).astype(np.float32)
    return _convex(origin, d, axes, np.full(6, radius / math.sqrt(3.0), np.float32))


def _pyramid(origin: Origin, d: Rays, radius: float) -> Hit:
    """Square base down, apex up; the five corners lie on the bounding sphere."""
    base_y, half = 0.5 * radius, radius * math.sqrt(0.375)
    rise, n = 1.5 * radius, math.hypot(1.5 * radius, half)
    across, up = rise / n, -half / n
    sides = [(across, up, 0), (-across, up, 0), (0, up, across), (0, up, -across)]
    normals = np.asarray([(0, 1, 0), *sides], np.float32)
    apex = np.array([0, -radius, 0], np.float32)
    offsets = np.concatenate([[base_y], (normals[1:] @ apex)]).astype(np.float32)
    return _convex(origin, d, normals, offsets)


def _round_solid(
    origin: Origin, d: Rays, *, top_y: float, base_y: float, apex_y: float, slope: float, radius: float
) -> Hit:
    """Intersect a surface of revolution about y with end caps.

    Side: ``x^2 + z^2 = (radius + slope (y - apex_y))^2``; a cylinder has slope 0, a cone radius 0 on top.
    """
    w0, w1 = radius + slope * (origin[1] - apex_y), slope * d[:, 1]
    a = d[:, 0] ** 2 + d[:, 2] ** 2 - w1**2
    b = origin[0] * d[:, 0] + origin[2] * d[:, 2] - w0 * w1
    c = origin[0] ** 2 + origin[2] ** 2 - w0**2
    root = np.sqrt(np.maximum(b * b - a * c, 0.0))
    best = np.full(len(d), np.inf, np.float32)
    normal = np.zeros_like(d)
    with np.errstate(divide="ignore", invalid="ignore"):
        for t in ((-b - root) / a, (-b + root) / a):
            y = origin[1] + t * d[:, 1]
            wall = radius + slope * (y - apex_y)
            ok = (b * b >= a * c) & (t > 0) & (t < best) & (y >= top_y) & (y <= base_y) & (wall >= 0)
            best[ok] = t[ok]
            p = origin + t[ok, None] * d[ok]
            n = np.stack([p[:, 0], -slope * wall[ok], p[:, 2]], axis=1)
            normal[ok] = n / np.maximum(np.linalg.norm(n, axis=1, keepdims=True), 1e-9)
        for y_cap, sign in ((top_y, -1.0), (base_y, 1.0)):
            t = (y_cap - origin[1]) / d[:, 1]
            r2 = (origin[0] + t * d[:, 0]) ** 2 + (origin[2] + t * d[:, 2]) ** 2
            ok = (t > 0) & (t < best) & (r2 <= (radius + slope * (y_cap - apex_y)) ** 2)
            best[ok] = t[ok]
            normal[ok] = (0.0, sign, 0.0)
    return best, normal.astype(np.float32)


def _cylinder(origin: Origin, d: Rays, radius: float) -> Hit:
    half = 0.80 * radius
    return _round_solid(origin, d, top_y=-half, base_y=half, apex_y=0.0, slope=0.0, radius=0.60 * radius)


def _cone(origin: Origin, d: Rays, radius: float) -> Hit:
    base_y, width = 0.5 * radius, radius * math.sqrt(0.75)
    slope = width / (1.5 * radius)
    return _round_solid(origin, d, top_y=-radius, base_y=base_y, apex_y=-radius, slope=slope, radius=0.0)


_INTERSECT: dict[str, Callable[[Origin, Rays, float], Hit]] = {
    "ball": _ball,
    "cube": _cube,
    "cylinder": _cylinder,
    "cone": _cone,
    "pyramid": _pyramid,
}
