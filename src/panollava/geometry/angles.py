"""Angles, unit rays and rotations, in the one convention of panollava.

::

    the ray frame (OpenCV)          seen from above             seen from the side

          y: down                        z: yaw 0                   up: pitch +90
          |                              ^                              ^
          |   z: forward                 |  / yaw +45                   |  / pitch +45
          |  /                           | /                            | /
          | /                            |/                             |/
          o------ x: right     yaw -90 --o--> x: yaw +90                o--> z: pitch 0

Yaw is positive to the right, pitch is positive upwards, roll turns the camera clockwise.
Public names carry ``_deg``; radians stay inside, in names with ``_rad``.
"""

from typing import overload

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from panollava.errors import GeometryError


@overload
def wrap_deg(angle_deg: float) -> float: ...
@overload
def wrap_deg(angle_deg: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]: ...
def wrap_deg(angle_deg: float | np.ndarray) -> float | np.ndarray:
    """Return the same angle in [-180, 180) degrees.

    Example:
        >>> wrap_deg(270.0), wrap_deg(180.0), wrap_deg(-180.0)
        (-90.0, -180.0, -180.0)
    """
    wrapped = np.mod(np.asarray(angle_deg, dtype=np.float64) + 180.0, 360.0) - 180.0
    wrapped = np.where(wrapped >= 180.0, -180.0, wrapped)  # the modulus of -1e-17 rounds to 360
    return float(wrapped) if np.ndim(angle_deg) == 0 else wrapped


def ray_from_angles(yaw_rad: ArrayLike, pitch_rad: ArrayLike) -> Float[np.ndarray, "*shape 3"]:
    """Return the unit ray of a yaw and a pitch in radians; the two broadcast.

    d = (cos p sin y, -sin p, cos p cos y), x right, y down, z forward.

    Example:
        >>> ray_from_angles(0.0, 0.0).tolist()
        [0.0, -0.0, 1.0]
    """
    yaw, pitch = np.broadcast_arrays(np.asarray(yaw_rad, np.float64), np.asarray(pitch_rad, np.float64))
    cos_pitch = np.cos(pitch)
    return np.stack([cos_pitch * np.sin(yaw), -np.sin(pitch), cos_pitch * np.cos(yaw)], axis=-1)


def angles_from_ray(
    ray: Float[np.ndarray, "*shape 3"],
) -> tuple[Float[np.ndarray, "*shape"], Float[np.ndarray, "*shape"]]:
    """Return (yaw, pitch) in radians of rays of any length: yaw in [-pi, pi], pitch in [-pi/2, pi/2].

    At a pole every yaw is true and the value returned has no meaning.

    Example:
        >>> yaw, pitch = angles_from_ray(np.array([1.0, 0.0, 0.0]))
        >>> float(np.rad2deg(yaw)), float(pitch) + 0.0
        (90.0, 0.0)
    """
    x, y, z = np.moveaxis(_as_rays(ray), -1, 0)
    return np.asarray(np.arctan2(x, z)), np.asarray(np.arctan2(-y, np.hypot(x, z)))


def great_circle_deg(a: Float[np.ndarray, "*#shape 3"], b: Float[np.ndarray, "*#shape 3"]) -> Float[np.ndarray, "..."]:
    """Return the angle between rays in degrees, in [0, 180]; exact for tiny angles too.

    Example:
        >>> float(great_circle_deg(np.array([0.0, 0.0, 1.0]), np.array([0.0, -2.0, 0.0])))
        90.0
    """
    a, b = _as_rays(a), _as_rays(b)
    # atan2 keeps its precision near 0 and 180 degrees, where arccos loses half of the digits
    sine = np.linalg.norm(np.cross(a, b), axis=-1)
    return np.asarray(np.rad2deg(np.arctan2(sine, np.sum(a * b, axis=-1))))


def rotation(yaw_deg: float, pitch_deg: float = 0.0, roll_deg: float = 0.0) -> Float[np.ndarray, "3 3"]:
    """Return R = Ry(yaw) Rx(pitch) Rz(roll), which takes camera rays to world rays: ``d = R @ c``.

    For rays in rows, ``world = camera @ R.T`` and ``camera = world @ R``.

    Example:
        >>> (rotation(90.0) @ [0.0, 0.0, 1.0]).round(6).tolist()
        [1.0, 0.0, 0.0]
    """
    yaw, pitch, roll = np.deg2rad([yaw_deg, pitch_deg, roll_deg])
    cy, sy, cp, sp, cr, sr = (f(a) for a in (yaw, pitch, roll) for f in (np.cos, np.sin))
    about_y = np.array([[cy, 0.0, sy], [0.0, 1.0, 0.0], [-sy, 0.0, cy]])
    about_x = np.array([[1.0, 0.0, 0.0], [0.0, cp, -sp], [0.0, sp, cp]])
    about_z = np.array([[cr, -sr, 0.0], [sr, cr, 0.0], [0.0, 0.0, 1.0]])
    return about_y @ about_x @ about_z


def _as_rays(ray: ArrayLike) -> Float[np.ndarray, "*shape 3"]:
    rays = np.asarray(ray, dtype=np.float64)
    if rays.ndim == 0 or rays.shape[-1] != 3:
        raise GeometryError(f"rays have shape {rays.shape}; the last axis must be 3 (x right, y down, z forward).")
    return rays
