"""Centres of tangent views spread evenly over the sphere, and how wide each must be so that nothing is missed.

icosahedron   the 12 vertices of the solid with two of them at the poles, its 20 faces, or the 80 faces after one
subdivision (Eder et al. 2020, "Tangent Images for Mitigating Spherical Distortion")
fibonacci     any number, along a spiral from the nadir to the zenith
"""

import itertools
import math

import numpy as np
from jaxtyping import Float

from panollava.errors import GeometryError, unknown_name
from panollava.geometry.angles import angles_from_ray, ray_from_angles
from panollava.geometry.layout_parts import Size, finish_layout
from panollava.geometry.regions import fibonacci_rays
from panollava.geometry.view import ViewSpec
from panollava.geometry.view_layout import ViewLayout

ARRANGEMENTS = ("icosahedron", "fibonacci")
ICOSAHEDRON_COUNTS = (12, 20, 80)
MAX_TANGENT_VIEWS = 1024


def tangent(
    *,
    arrangement: str = "icosahedron",
    count: int = 20,
    hfov_deg: float | None = None,
    size_px: int = 96,
    global_size_px: Size | None = None,
) -> ViewLayout:
    """Return square views spread evenly over the whole sphere, upright, from the zenith down.

    Args:
        arrangement: ``icosahedron`` (12, 20 or 80 views) or ``fibonacci`` (any number).
        count: number of views.
        hfov_deg: field of view of each; None: as wide as covers the sphere whatever way a view is turned.
        size_px: side of a view.
        global_size_px: (height, width) of the global view; None leaves it out.

    Raises:
        GeometryError: an unknown arrangement, a count that it does not have, or too few views to cover the sphere.

    Example:
        >>> layout = tangent(count=20)
        >>> len(layout.views), round(layout.views[0].hfov_deg), layout.coverage()
        (20, 75, 1.0)
    """
    centres = tangent_centres(arrangement, count)
    fov = 2.0 * covering_deg(centres) if hfov_deg is None else hfov_deg
    if fov >= 180.0:
        raise GeometryError(f"{count} tangent views would each need {fov:.0f} degrees to cover the sphere; take more.")
    yaws, pitches = (np.rad2deg(a).round(9) for a in angles_from_ray(centres))
    views = [
        ViewSpec.perspective(
            f"tangent {index}",
            yaw_deg=float(yaw),
            pitch_deg=float(pitch),
            hfov_deg=fov,
            height_px=size_px,
            width_px=size_px,
        )
        for index, (yaw, pitch) in enumerate(zip(yaws, pitches, strict=True))
    ]
    return finish_layout("tangent", views, ring=0, global_size_px=global_size_px)


def tangent_centres(arrangement: str, count: int) -> Float[np.ndarray, "count 3"]:
    """Return the unit rays of the centres, from the zenith down, each row from yaw -180 to the right.

    Raises:
        GeometryError: an unknown arrangement, or a count that it does not have.

    Example:
        >>> tangent_centres("icosahedron", 12)[0].round(6).tolist()
        [0.0, -1.0, 0.0]
    """
    if arrangement not in ARRANGEMENTS:
        raise GeometryError(unknown_name("arrangement of tangent views", arrangement, ARRANGEMENTS))
    if arrangement == "fibonacci":
        if not 1 <= count <= MAX_TANGENT_VIEWS:
            raise GeometryError(f"{count} tangent views; give 1 to {MAX_TANGENT_VIEWS}.")
        return fibonacci_rays(count)[::-1].copy()
    if count not in ICOSAHEDRON_COUNTS:
        allowed = ", ".join(map(str, ICOSAHEDRON_COUNTS))
        raise GeometryError(f"an icosahedron has no {count} even places; choose {allowed}, or arrangement fibonacci.")
    corners = _icosahedron_corners()
    if count == 12:
        return corners
    faces = _faces(corners)
    if count == 80:
        faces = np.concatenate([_subdivided(face) for face in faces])
    centres = faces.mean(axis=1)
    return _in_reading_order(centres / np.linalg.norm(centres, axis=1, keepdims=True))


def covering_deg(centres: Float[np.ndarray, "n 3"]) -> float:
    """Return the angle in degrees from the place of the sphere that is farthest from every centre to its nearest one.

    Square views of twice this field of view, turned in any way, leave nothing out. Found on 200,000 rays, with their
    spacing added.

    Example:
        >>> 90 < covering_deg(np.array([[0.0, 0.0, 1.0], [0.0, 0.0, -1.0]])) < 90.5
        True
    """
    samples = fibonacci_rays(200_000)
    nearest = np.full(len(samples), -1.0)
    for centre in centres:
        np.maximum(nearest, samples @ centre, out=nearest)
    spacing_rad = math.sqrt(4.0 * math.pi / len(samples))
    return math.degrees(math.acos(float(np.clip(nearest.min(), -1.0, 1.0))) + spacing_rad / 2.0)


def _icosahedron_corners() -> Float[np.ndarray, "12 3"]:
    pitch_rad = math.atan(0.5)
    upper = ray_from_angles(np.deg2rad(np.arange(-180.0, 180.0, 72.0)), pitch_rad)
    lower = ray_from_angles(np.deg2rad(np.arange(-144.0, 216.0, 72.0)), -pitch_rad)
    poles = ray_from_angles(0.0, np.array([np.pi / 2.0, -np.pi / 2.0]))
    return np.concatenate([poles[:1], upper, lower, poles[1:]])


def _faces(corners: Float[np.ndarray, "12 3"]) -> Float[np.ndarray, "20 3 3"]:
    """Return every three corners that are neighbours of each other."""
    near = corners @ corners.T > 0.4  # neighbours meet at 63.4 degrees, cosine 0.447
    triples = itertools.combinations(range(12), 3)
    return corners[[list(t) for t in triples if all(near[i, j] for i, j in itertools.combinations(t, 2))]]


def _subdivided(face: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, "4 3 3"]:
    middle = face + np.roll(face, -1, axis=0)
    ab, bc, ca = middle / np.linalg.norm(middle, axis=1, keepdims=True)
    a, b, c = face
    return np.array([[a, ab, ca], [ab, b, bc], [ca, bc, c], [ab, bc, ca]])


def _in_reading_order(centres: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
    yaw_rad = np.arctan2(centres[:, 0], centres[:, 2])
    return centres[np.lexsort([yaw_rad.round(9), centres[:, 1].round(9)])]
