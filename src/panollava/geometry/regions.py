r"""Regions of the sphere: fields of view, the smallest one around some rays, their solid angle and overlap.

A field of view is what a pinhole camera sees: the cone whose four sides are planes through its centre, that is a
convex spherical polygon with great-circle edges::

            top edge                    inside: n . d >= 0 for the inward normals n
          .-----------.                 of all four sides
         /  (yaw,      \
        |    pitch)     |   vfov        solid angle 4 asin(sin(hfov/2) sin(vfov/2))
         \             /                (the rectangular pyramid, Mathar 2015, eq. 2;
          '-----------'                  Dai et al. 2022, "Unbiased IoU for Spherical Image Object Detection")
              hfov

The overlap of two is again such a polygon, found by clipping (Sutherland and Hodgman) with planes instead of lines,
and its area is its angle excess: exact at the seam and at the poles, where boxes in yaw and pitch are not.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from panollava.errors import GeometryError
from panollava.geometry.angles import angles_from_ray, ray_from_angles, rotation, wrap_deg

_TOUCH = 1e-12
_CENTRING_STEPS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldOfView:
    """What a pinhole camera sees: centre, width and height as angles; a BFOV when it bounds an object.

    Attributes:
        yaw_deg: centre, right positive; stored in [-180, 180).
        pitch_deg: centre, up positive, in [-90, 90].
        hfov_deg: width, in (0, 180).
        vfov_deg: height, in (0, 180).
        roll_deg: clockwise turn about the centre.

    Raises:
        GeometryError: a value that has no meaning on the sphere.
    """

    yaw_deg: float
    pitch_deg: float
    hfov_deg: float
    vfov_deg: float
    roll_deg: float = 0.0

    def __post_init__(self) -> None:
        values = (self.yaw_deg, self.pitch_deg, self.hfov_deg, self.vfov_deg, self.roll_deg)
        if not all(math.isfinite(value) for value in values):
            raise GeometryError(f"a field of view of {values} degrees; give finite numbers.")
        if not -90.0 <= self.pitch_deg <= 90.0:
            raise GeometryError(f"the field of view has pitch_deg {self.pitch_deg:g}; it must be within [-90, 90].")
        if not (0.0 < self.hfov_deg < 180.0 and 0.0 < self.vfov_deg < 180.0):
            raise GeometryError(
                f"the field of view spans {self.hfov_deg:g} x {self.vfov_deg:g} degrees; both must be above 0 and "
                "below 180, as what one camera sees."
            )
        object.__setattr__(self, "yaw_deg", wrap_deg(self.yaw_deg))

    def corners(self) -> Float[np.ndarray, "4 3"]:
        """Return the unit rays of the corners: top left, top right, bottom right, bottom left."""
        x, y = math.tan(math.radians(self.hfov_deg) / 2.0), math.tan(math.radians(self.vfov_deg) / 2.0)
        camera = np.array([[-x, -y, 1.0], [x, -y, 1.0], [x, y, 1.0], [-x, y, 1.0]])
        camera /= np.linalg.norm(camera, axis=1, keepdims=True)
        return camera @ rotation(self.yaw_deg, self.pitch_deg, self.roll_deg).T

    def contains(self, rays: Float[np.ndarray, "*shape 3"]) -> Bool[np.ndarray, "*shape"]:
        """Return which rays (of any length) lie inside, edges included.

        Example:
            >>> FieldOfView(yaw_deg=170, pitch_deg=0, hfov_deg=60, vfov_deg=40).contains(
            ...     ray_from_angles(np.deg2rad([180, -165, 130, 0]), 0.0)).tolist()
            [True, True, False, False]
        """
        return np.asarray((np.asarray(rays, np.float64) @ _sides(self.corners()).T >= -_TOUCH).all(axis=-1))

    def solid_angle_sr(self) -> float:
        """Return the solid angle in steradians, 4 asin(sin(hfov/2) sin(vfov/2)).

        Example:
            >>> face = FieldOfView(yaw_deg=0, pitch_deg=0, hfov_deg=90, vfov_deg=90)
            >>> round(face.solid_angle_sr() * 6 / math.pi, 9)
            4.0
        """
        half_h, half_v = math.radians(self.hfov_deg) / 2.0, math.radians(self.vfov_deg) / 2.0
        return 4.0 * math.asin(math.sin(half_h) * math.sin(half_v))


def spherical_iou(a: FieldOfView, b: FieldOfView) -> float:
    """Return the solid angle that two fields of view share over the one they cover together, in [0, 1].

    Example:
        >>> face = FieldOfView(yaw_deg=0, pitch_deg=0, hfov_deg=90, vfov_deg=90)
        >>> beside = FieldOfView(yaw_deg=90, pitch_deg=0, hfov_deg=90, vfov_deg=90)
        >>> spherical_iou(face, face), spherical_iou(face, beside)
        (1.0, 0.0)
    """
    shared = shared_solid_angle_sr(a, b)
    return min(1.0, shared / (a.solid_angle_sr() + b.solid_angle_sr() - shared))


def shared_solid_angle_sr(a: FieldOfView, b: FieldOfView) -> float:
    """Return the solid angle in steradians that two fields of view share.

    Example:
        >>> wide = FieldOfView(yaw_deg=180, pitch_deg=0, hfov_deg=90, vfov_deg=90)
        >>> small = FieldOfView(yaw_deg=-179, pitch_deg=5, hfov_deg=20, vfov_deg=10)
        >>> abs(shared_solid_angle_sr(wide, small) - small.solid_angle_sr()) < 1e-12
        True
    """
    if a == b:
        return a.solid_angle_sr()
    polygon = list(a.corners())
    for side in _sides(b.corners()):
        polygon = _clip(polygon, side)
        if len(polygon) < 3:
            return 0.0
    return polygon_solid_angle_sr(np.stack(polygon))


def polygon_solid_angle_sr(corners: Float[np.ndarray, "n 3"]) -> float:
    """Return the solid angle of a convex spherical polygon, from its unit corners in order.

    A fan of triangles, each by Van Oosterom and Strackee (1983), eq. 8, which keeps its precision for slivers.

    Raises:
        GeometryError: fewer than three corners.

    Example:
        >>> round(polygon_solid_angle_sr(np.eye(3)) / math.pi, 9)
        0.5
    """
    if corners.ndim != 2 or corners.shape[1] != 3 or len(corners) < 3:
        raise GeometryError(f"a polygon of shape {corners.shape}; give three or more corners (n, 3).")
    first, second, third = corners[:1], corners[1:-1], corners[2:]
    volume = np.abs(np.sum(first * np.cross(second, third), axis=1))
    sums = 1.0 + np.sum(first * second, axis=1) + np.sum(second * third, axis=1) + np.sum(third * first, axis=1)
    return float(2.0 * np.arctan2(volume, sums).sum())


def bounding_field_of_view(rays: Float[np.ndarray, "n 3"]) -> FieldOfView:
    """Return an upright field of view that holds all rays, centred so that it is as tight on both sides.

    The centre starts at the mean ray and moves until the rays reach equally far left and right, up and down. An
    object's BFOV is the one around the rays of its pixels; it may lie across the seam or a pole.

    Raises:
        GeometryError: no rays, or rays that no camera sees at once (they reach 90 degrees from their middle).

    Example:
        >>> found = bounding_field_of_view(ray_from_angles(np.deg2rad([170.0, -170.0]), np.deg2rad([0.0, 0.0])))
        >>> round(found.yaw_deg, 6), round(found.hfov_deg, 6)
        (-180.0, 20.0)
    """
    rays = np.asarray(rays, np.float64).reshape(-1, 3)
    if len(rays) == 0:
        raise GeometryError("there are no rays to bound; give at least one.")
    rays = rays / np.linalg.norm(rays, axis=1, keepdims=True)
    centre = rays.mean(axis=0)
    for _ in range(_CENTRING_STEPS):
        yaw_rad, pitch_rad = angles_from_ray(centre)
        turn = rotation(math.degrees(float(yaw_rad)), math.degrees(float(pitch_rad)))
        x, y, z = (rays @ turn).T
        if not (np.linalg.norm(centre) > 0.0 and (z > 1e-6).all()):
            raise GeometryError("the rays reach 90 degrees or more from their middle; no single camera sees them all.")
        left, right, top, bottom = (math.atan(v) for v in ((x / z).min(), (x / z).max(), (y / z).min(), (y / z).max()))
        centre = turn @ np.array([math.tan((left + right) / 2.0), math.tan((top + bottom) / 2.0), 1.0])
    tiny = 1e-9
    return FieldOfView(
        yaw_deg=math.degrees(float(yaw_rad)),
        pitch_deg=math.degrees(float(pitch_rad)),
        hfov_deg=max(2.0 * math.degrees(max(-left, right)), tiny),
        vfov_deg=max(2.0 * math.degrees(max(-top, bottom)), tiny),
    )


def fibonacci_rays(count: int) -> Float[np.ndarray, "{count} 3"]:
    """Return unit rays spread evenly over the sphere: the Fibonacci lattice, from the nadir up.

    Each ray stands for 4 pi / count steradians to about 1 / count (Gonzalez 2010, "Measurement of areas on a sphere
    using Fibonacci and latitude-longitude lattices", eq. 1).

    Example:
        >>> fibonacci_rays(100).mean(axis=0).round(2).tolist()
        [-0.0, 0.0, 0.0]
    """
    if count < 1:
        raise GeometryError(f"{count} rays; give a whole number >= 1.")
    height = (2.0 * np.arange(count) + 1.0) / count - 1.0
    turn_rad = np.arange(count) * math.pi * (3.0 - math.sqrt(5.0))
    return ray_from_angles(turn_rad, np.arcsin(height))


def _sides(corners: Float[np.ndarray, "4 3"]) -> Float[np.ndarray, "4 3"]:
    """Return the unit inward normals of the four sides."""
    normals = np.cross(corners, np.roll(corners, -1, axis=0))
    normals *= np.sign(normals @ corners.mean(axis=0))[:, None]
    return normals / np.linalg.norm(normals, axis=1, keepdims=True)


def _clip(polygon: Sequence[Float[np.ndarray, "3"]], normal: Float[np.ndarray, "3"]) -> list[Float[np.ndarray, "3"]]:
    """Return the part of a convex polygon on the inner side of a plane through the origin."""
    kept: list[np.ndarray] = []
    for i, corner in enumerate(polygon):
        before = polygon[i - 1]
        here, there = float(corner @ normal), float(before @ normal)
        if (here > 0.0) != (there > 0.0):
            crossing = before * here - corner * there if here > 0.0 else corner * there - before * here
            kept.append(crossing / np.linalg.norm(crossing))
        if here > 0.0:
            kept.append(corner)
    return kept
