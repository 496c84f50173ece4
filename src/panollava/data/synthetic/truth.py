"""Ground truth of a rendered scene: what is seen of each object, measured on its mask and depth.

Stated numbers (angles, distance, size) come from the scene and are exact. Measured ones (solid angle, field
of view, boxes, depth) come from a rendering, so they are exact to about one ray of its grid::

      left   top                     an object across the seam has two boxes,
        +-----+                      each tight on its own side:
        |  #  |     bfov: the field
        | ### |     of view centred  |##                       #|
        +-----+     on the object    |#                       ##|
         right bottom
"""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, Int16

from panollava.data.synthetic.raycast import Rendering
from panollava.data.synthetic.scene import Scene, SceneObject
from panollava.data.synthetic.solids import EXTENTS
from panollava.data.synthetic.vocabulary import CAMERA_HEIGHT_M
from panollava.errors import GeometryError
from panollava.geometry.angles import angles_from_ray, ray_from_angles, rotation
from panollava.geometry.sphere import pixel_solid_angle

_CENTRING_STEPS = 30
_CENTRED_RAD = 1e-6

Box = tuple[float, float, float, float]
FieldOfView = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Visible:
    """What a rendering shows of one object.

    Attributes:
        solid_angle_sr: Solid angle of its pixels; 4 pi would be the whole sphere.
        bfov_deg: Yaw, pitch, horizontal and vertical field of view of the upright perspective view that the
            object touches on all four sides. None if nothing of it is seen.
        boxes: Bounding boxes in the ERP as (left, top, right, bottom) in fractions of width and height; two
            where it crosses the seam, none if nothing of it is seen.
        depth_m: Nearest, median and farthest distance seen, in metres; None if nothing of it is seen.
        crosses_seam: Whether it has pixels on both sides of the +-180 degree edge.
        covers_pole: Whether it has pixels in every column, as an object straight above or below does.
    """

    solid_angle_sr: float
    bfov_deg: FieldOfView | None
    boxes: tuple[Box, ...]
    depth_m: tuple[float, float, float] | None
    crosses_seam: bool
    covers_pole: bool


def measure(rendering: Rendering, *, objects: int) -> list[Visible]:
    """Measure the first ``objects`` objects of a rendered ERP, in the order of the scene.

    Raises:
        GeometryError: If the rendering is not a whole ERP, twice as wide as high.
    """
    height, width = rendering.instance.shape
    if width != 2 * height:
        raise GeometryError(
            f"ground truth needs a whole ERP, twice as wide as high; this rendering is {width} x {height}. "
            "Use render_erp."
        )
    seen = np.flatnonzero(rendering.instance >= 0)
    owner = rendering.instance.reshape(-1)[seen]
    outline = _outline(rendering.instance).reshape(-1)
    return [_measure_one(rendering, outline, seen[owner == index]) for index in range(objects)]


def scene_record(scene: Scene, rendering: Rendering) -> dict[str, Any]:
    """Return everything known about a scene as plain JSON values; relations follow from it.

    Lengths are in metres, angles in degrees, positions in the ray frame (x right, y down, z forward).

    Args:
        scene: The scene.
        rendering: Its ERP at any resolution; the finer, the more exact the measured values.

    Raises:
        GeometryError: If the rendering is not a whole ERP.
    """
    measured = measure(rendering, objects=len(scene.objects))
    return {
        "scene_id": scene.scene_id,
        "split": scene.split,
        "seed": scene.seed,
        "index": scene.index,
        "camera_height_m": CAMERA_HEIGHT_M,
        "place": asdict(scene.place) | {"half_extent_m": list(scene.place.half_extent_m)},
        "objects": [
            {"id": number} | _stated(item) | _as_json(visible)
            for number, (item, visible) in enumerate(zip(scene.objects, measured, strict=True))
        ],
    }


def bounding_field_of_view(rays: Float[np.ndarray, "n 3"]) -> FieldOfView:
    """Return (yaw, pitch, hfov, vfov) in degrees of the upright view that the rays touch on all four sides.

    The view is a perspective one without roll, as of ``ViewSpec``: a ray is inside when, in the frame of the
    view, |x / z| <= tan(hfov / 2) and |y / z| <= tan(vfov / 2). (The BFoV of 360-Indoor, Chou et al. 2020.)

    Raises:
        GeometryError: If there is no ray, or they do not fit into half a sphere around their mean.

    Example:
        >>> corners = ray_from_angles(np.radians([-10.0, 30.0]), 0.0)
        >>> [round(value) + 0 for value in bounding_field_of_view(corners)]
        [10, 0, 40, 0]
    """
    if not len(rays):
        raise GeometryError("a field of view needs at least one ray, and there is none.")
    rays = np.asarray(rays, np.float64)
    yaw, pitch = (math.degrees(float(angle)) for angle in angles_from_ray(rays.mean(axis=0)))
    for _ in range(_CENTRING_STEPS):
        view = rotation(yaw, pitch)
        x, y, z = (rays @ view).T
        if z.min() <= 0.0:
            raise GeometryError("the rays do not fit into half a sphere, so no perspective view holds them.")
        (left, right), (top, bottom) = (
            (math.atan(float(slope.min())), math.atan(float(slope.max()))) for slope in (x / z, y / z)
        )
        aside, down = (left + right) / 2.0, (top + bottom) / 2.0
        if max(abs(aside), abs(down)) < _CENTRED_RAD:
            break
        centre = view @ np.array([math.tan(aside), math.tan(down), 1.0])
        yaw, pitch = (math.degrees(float(angle)) for angle in angles_from_ray(centre))
    return yaw, pitch, math.degrees(right - left), math.degrees(bottom - top)


def _outline(instance: Int16[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """Return the pixels with a different neighbour to the left, right (columns wrap), above or below."""
    changes = instance != np.roll(instance, 1, axis=1)
    outline = changes | np.roll(changes, -1, axis=1)
    changes = instance[1:] != instance[:-1]
    outline[1:] |= changes
    outline[:-1] |= changes
    return outline


def _measure_one(rendering: Rendering, outline: Bool[np.ndarray, " hw"], pixels: Int[np.ndarray, " n"]) -> Visible:
    if not len(pixels):
        return Visible(0.0, None, (), None, crosses_seam=False, covers_pole=False)
    height, width = rendering.instance.shape
    rows, columns = np.divmod(pixels, width)
    occupied = np.bincount(columns, minlength=width) > 0
    parts = _column_runs(occupied)
    boxes = []
    for first, last in parts:
        inside = (columns >= first) & (columns <= last)
        top, bottom = int(rows[inside].min()), int(rows[inside].max())
        boxes.append((first / width, top / height, (last + 1) / width, (bottom + 1) / height))
    depth = rendering.depth_m.reshape(-1)[pixels]
    edge = outline[pixels]
    return Visible(
        solid_angle_sr=float(pixel_solid_angle(height, width)[rows].sum()),
        bfov_deg=bounding_field_of_view(_rays_at(rows[edge], columns[edge], height=height, width=width)),
        boxes=tuple(boxes),
        depth_m=(float(depth.min()), float(np.median(depth)), float(depth.max())),
        crosses_seam=bool(occupied[0] and occupied[-1]),
        covers_pole=bool(occupied.all()),
    )


def _rays_at(
    rows: Int[np.ndarray, " n"], columns: Int[np.ndarray, " n"], *, height: int, width: int
) -> Float[np.ndarray, "n 3"]:
    yaw_rad = ((columns + 0.5) / width - 0.5) * (2.0 * np.pi)
    return ray_from_angles(yaw_rad, (0.5 - (rows + 0.5) / height) * np.pi)


def _column_runs(occupied: Bool[np.ndarray, " w"]) -> list[tuple[int, int]]:
    """Return one (first, last) column run, or two where the columns run across the seam."""
    columns = np.flatnonzero(occupied)
    first, last = int(columns[0]), int(columns[-1])
    if not (occupied[0] and occupied[-1]) or occupied.all():
        return [(first, last)]
    free = np.flatnonzero(~occupied)
    return [(0, int(free[0]) - 1), (int(free[-1]) + 1, len(occupied) - 1)]


def _stated(item: SceneObject) -> dict[str, Any]:
    centre = ray_from_angles(math.radians(item.yaw_deg), math.radians(item.pitch_deg)) * item.distance_m
    width, height = EXTENTS[item.shape]
    return asdict(item) | {
        "position_m": [round(float(value), 6) for value in centre],
        "radius_m": item.radius_m,
        "size_m": [round(width * item.radius_m, 6), round(height * item.radius_m, 6)],
        "angular_radius_deg": item.angular_radius_deg,
        "is_polar": item.is_polar,
    }


def _as_json(visible: Visible) -> dict[str, Any]:
    return {
        "solid_angle_sr": round(visible.solid_angle_sr, 6),
        "bfov_deg": None if visible.bfov_deg is None else [round(value, 3) for value in visible.bfov_deg],
        "boxes": [[round(edge, 6) for edge in box] for box in visible.boxes],
        "depth_m": None if visible.depth_m is None else [round(value, 4) for value in visible.depth_m],
        "crosses_seam": visible.crosses_seam,
        "covers_pole": visible.covers_pole,
    }
