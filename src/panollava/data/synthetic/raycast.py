"""Render a scene: one ray per ERP pixel, analytic intersections, exact instance mask and depth.

The same tracer takes any grid of rays, so a perspective view can be rendered directly and serve as the ground
truth of a projection. Every object is traced only through the pixels that its bounding cone can touch.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Bool, Float32, Int, Int16, UInt8

from panollava.data.synthetic.scene import Place, Scene, SceneObject
from panollava.data.synthetic.solids import Rays, intersect
from panollava.data.synthetic.vocabulary import (
    CAMERA_HEIGHT_M,
    COLOURS,
    GROUNDS,
    ROOM_FLOORS,
    ROOM_WALLS,
    SKIES,
)
from panollava.geometry.angles import ray_from_angles
from panollava.geometry.sphere import erp_rays

_AMBIENT = 0.50
_CEILING = (0.93, 0.93, 0.91)
_FAR_M = 1.0e6


@dataclass(frozen=True, slots=True)
class Rendering:
    """A rendered grid of rays.

    Attributes:
        image: ``u8 h w 3``, sRGB.
        instance: ``i16 h w``, index of the object seen in the pixel, or -1 for the surroundings.
        depth_m: ``f32 h w``, distance along the ray; infinite for the sky.
    """

    image: UInt8[np.ndarray, "h w 3"]
    instance: Int16[np.ndarray, "h w"]
    depth_m: Float32[np.ndarray, "h w"]


def render_erp(scene: Scene, *, height: int = 256, supersample: int = 1) -> Rendering:
    """Render the whole sphere as an equirectangular image of ``height`` x ``2 * height`` pixels.

    Args:
        scene: What to render.
        height: Rows of the image.
        supersample: Rays per pixel along each axis. Colours are averaged; mask and depth are those of one
            ray, through the centre of the pixel if the number is odd.
    """
    return trace(scene, _grid(height * supersample), supersample=supersample)


def render_twice(
    scene: Scene, *, height: int = 256, supersample: int = 2
) -> tuple[UInt8[np.ndarray, "h w 3"], Rendering]:
    """Render the picture of ``render_erp`` together with all the rays that it averages, traced once.

    Returns:
        The antialiased picture, and the rendering of ``height * supersample`` rows for measurements.
    """
    colour, instance, depth = _samples(scene, _grid(height * supersample))
    return _quantised(_averaged(colour, supersample)), Rendering(_quantised(colour), instance, depth)


def trace(scene: Scene, rays: Float32[np.ndarray, "h w 3"], *, supersample: int = 1) -> Rendering:
    """Trace a grid of unit rays from the camera.

    Raises:
        ValueError: If the grid is not a multiple of ``supersample``.
    """
    rows, cols = rays.shape[:2]
    if rows % supersample or cols % supersample:
        by = f"{supersample} x {supersample}"
        raise ValueError(f"a {rows} x {cols} grid of rays cannot be averaged by {by}; choose a multiple.")
    colour, instance, depth = _samples(scene, rays)
    step = (slice(supersample // 2, None, supersample),) * 2
    return Rendering(_quantised(_averaged(colour, supersample)), instance[step], depth[step])


@lru_cache(maxsize=2)
def _grid(height: int) -> Float32[np.ndarray, "h w 3"]:
    rays = erp_rays(height, 2 * height).astype(np.float32)
    rays.flags.writeable = False
    return rays


def _samples(
    scene: Scene, rays: Float32[np.ndarray, "h w 3"]
) -> tuple[Float32[np.ndarray, "h w 3"], Int16[np.ndarray, "h w"], Float32[np.ndarray, "h w"]]:
    """Return colour in [0, 1], instance and depth of every single ray."""
    rows, cols = rays.shape[:2]
    flat = np.ascontiguousarray(rays.reshape(-1, 3))
    colour, depth = _surroundings(scene, flat)
    instance = np.full(len(flat), -1, dtype=np.int16)
    for index, item in enumerate(scene.objects):
        _draw_object(item, index, flat, colour, depth, instance, light=_light(scene.place))
    np.clip(colour, 0.0, 1.0, out=colour)
    return colour.reshape(rows, cols, 3), instance.reshape(rows, cols), depth.reshape(rows, cols)


def _averaged(colour: Float32[np.ndarray, "h w 3"], s: int) -> Float32[np.ndarray, "h2 w2 3"]:
    """Return the mean of every s x s cell: each sample once, in reading order."""
    if s == 1:
        return colour
    cells = [colour[row::s, column::s] for row in range(s) for column in range(s)]
    return sum(cells[1:], start=cells[0]) / np.float32(s * s)


def _quantised(colour: Float32[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
    return (colour * 255.0 + 0.5).astype(np.uint8)


def _light(place: Place) -> Float32[np.ndarray, " 3"]:
    return ray_from_angles(math.radians(place.light_yaw_deg), math.radians(50.0)).astype(np.float32)


def _surroundings(scene: Scene, rays: Rays) -> tuple[Rays, Float32[np.ndarray, " n"]]:
    """Return the colour and distance of floor, walls and ceiling, or of ground and sky."""
    place = scene.place
    colour = np.empty_like(rays)
    down = rays[:, 1]
    with np.errstate(divide="ignore"):
        to_floor = np.where(down > 1e-4, CAMERA_HEIGHT_M / np.maximum(down, 1e-4), _FAR_M).astype(np.float32)
    if place.kind == "room":
        depth, wall_axis = _room_depth(place, rays, to_floor)
        floor, wall = _places(depth >= to_floor), _places((depth < to_floor) & (wall_axis >= 0))
        colour[:] = _CEILING
        shade = np.where(wall_axis[wall] == 0, 0.92, 1.0)[:, None] * (0.95 + 0.08 * down[wall, None])
        colour[wall] = np.asarray(ROOM_WALLS[place.upper], np.float32) * shade
    else:
        depth, floor, sky = to_floor.copy(), _places(down > 1e-4), _places(down <= 1e-4)
        depth[sky] = np.inf
        zenith, horizon = (np.asarray(c, np.float32) for c in SKIES[place.upper])
        height = np.clip(-down[sky], 0.0, 1.0)[:, None] ** 0.6
        colour[sky] = zenith * height + horizon * (1.0 - height)
    points = rays[floor] * depth[floor, None]
    ground = _floor_colour(place, points) * _contact_shadows(scene, points)[:, None]
    if place.kind == "outdoor":  # haze toward the horizon
        haze = np.clip(depth[floor] / 60.0, 0.0, 0.85)[:, None]
        ground = ground * (1.0 - haze) + horizon * haze
    colour[floor] = ground
    return colour, depth


def _places(mask: Bool[np.ndarray, " n"]) -> slice | Int[np.ndarray, " m"]:
    """Return where a mask is true, as a slice if that is one run: rays in rows cost no copy then."""
    where = np.flatnonzero(mask)
    if len(where) and where[-1] - where[0] + 1 == len(where):
        return slice(int(where[0]), int(where[-1]) + 1)
    return where


def _room_depth(
    place: Place, rays: Rays, to_floor: Float32[np.ndarray, " n"]
) -> tuple[Float32[np.ndarray, " n"], Int16[np.ndarray, " n"]]:
    """Distance to the nearest face of the room, and which pair of walls it is (-1: floor or ceiling)."""
    c, s = math.cos(math.radians(place.turn_deg)), math.sin(math.radians(place.turn_deg))
    x, z = rays[:, 0], rays[:, 2]
    up = -rays[:, 1]
    ceiling = np.where(up > 1e-4, (place.height_m - CAMERA_HEIGHT_M) / np.maximum(up, 1e-4), _FAR_M)
    first, second = (
        np.float32(half) / np.maximum(np.abs(along), 1e-6)
        for half, along in zip(place.half_extent_m, (c * x - s * z, s * x + c * z), strict=True)
    )
    nearest = np.minimum(first, second)
    depth = np.minimum(np.minimum(to_floor, ceiling), nearest).astype(np.float32)
    axis = np.where(nearest <= depth, second < first, -1).astype(np.int16)
    return depth, axis


def _floor_colour(place: Place, points: Rays) -> Rays:
    """Texture by position on the floor, so that it is seam-free and in perspective."""
    base = np.asarray((ROOM_FLOORS if place.kind == "room" else GROUNDS)[place.floor], np.float32)
    x, z = points[:, 0], points[:, 2]
    if place.floor == "wooden":
        gain = 0.90 + 0.10 * (np.floor(x * 2.5) % 2)
    elif place.floor == "tiled":
        gain = 0.86 + 0.14 * ((np.floor(x) + np.floor(z)) % 2)
    else:
        phase = place.texture_seed % 97
        gain = 0.95 + 0.05 * np.sin(3.1 * x + phase) * np.sin(2.7 * z + 2 * phase)
    near = np.exp(-np.hypot(x, z) / 12.0)  # fine texture fades with distance instead of aliasing
    return base * (1.0 + (gain - 1.0) * near)[:, None].astype(np.float32)


def _contact_shadows(scene: Scene, points: Rays) -> Float32[np.ndarray, " n"]:
    """Soft dark patch under every standing object: what ties it to the floor."""
    shade = np.ones(len(points), np.float32)
    for item in scene.objects:
        if item.pitch_deg > 0:
            continue
        centre = ray_from_angles(math.radians(item.yaw_deg), math.radians(item.pitch_deg)) * item.distance_m
        d2 = (points[:, 0] - centre[0]) ** 2 + (points[:, 2] - centre[2]) ** 2
        close = d2 < (2.2 * item.radius_m) ** 2
        shade[close] *= 1.0 - 0.5 * np.exp(-d2[close] / (0.9 * item.radius_m) ** 2)
    return shade


def _draw_object(
    item: SceneObject,
    index: int,
    rays: Rays,
    colour: Rays,
    depth: Float32[np.ndarray, " n"],
    instance: Int16[np.ndarray, " n"],
    *,
    light: Float32[np.ndarray, " 3"],
) -> None:
    """Trace one object through its bounding cone and write what it hides, in place."""
    axis = ray_from_angles(math.radians(item.yaw_deg), math.radians(item.pitch_deg)).astype(np.float32)
    cone = math.cos(math.radians(item.angular_radius_deg + 0.01))
    chord = 2.0 * math.sin(math.radians(item.angular_radius_deg + 0.01) / 2.0)
    slab = _places(np.abs(rays[:, 1] - axis[1]) <= chord)  # of an ERP: a few rows
    near = rays[slab] @ axis >= cone
    inside = np.flatnonzero(near) + slab.start if isinstance(slab, slice) else slab[near]
    turn = _turn_y(item.heading_deg)
    origin = (-axis * item.distance_m) @ turn
    directions = rays[inside] @ turn
    t, normal = intersect(item.shape, origin, directions, radius=item.radius_m)
    hit = t < depth[inside]
    target, t, normal = inside[hit], t[hit], normal[hit]
    local = origin + t[:, None] * directions[hit]
    colour[target] = _shade(item, local, normal, directions[hit], light @ turn)
    depth[target], instance[target] = t, index


def _turn_y(angle_deg: float) -> Float32[np.ndarray, "3 3"]:
    c, s = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    return np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]], np.float32)


def _shade(item: SceneObject, local: Rays, normal: Rays, directions: Rays, light: Float32[np.ndarray, " 3"]) -> Rays:
    """Lambert shading plus, by material, a highlight (shiny) or pale bands (striped)."""
    base = np.broadcast_to(np.asarray(COLOURS[item.colour], np.float32), local.shape)
    if item.material == "striped":
        band = np.floor(local[:, 1] / item.radius_m * 2.6 + 0.25) % 2 > 0
        base = np.where(band[:, None], 0.25 * base + 0.75 * np.float32(0.95), base)
    lambert = np.maximum(normal @ light, 0.0)
    colour = base * (_AMBIENT + 0.55 * lambert)[:, None]
    if item.material == "shiny":
        half = light - directions
        half /= np.linalg.norm(half, axis=1, keepdims=True)
        colour += 0.9 * (np.maximum((normal * half).sum(axis=1), 0.0) ** 24)[:, None]
        rim = (1.0 - np.abs((normal * directions).sum(axis=1))) ** 3
        colour += 0.35 * rim[:, None]
    return colour.astype(np.float32)
