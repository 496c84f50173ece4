"""Sample scenes: what stands where around the viewer.

The camera is the origin of the OpenCV frame (x right, y down, z forward), 1.6 m above the floor::

            ceiling  y = -(height - 1.6)      hanging objects (pitch > 0) touch it or float below it
        ---------------------------------
              eye level  y = 0                 yaw 0 = +z, yaw 90 = +x
        ---------------------------------
            floor    y = +1.6                  standing objects (pitch < 0) rest on it

Because every object rests on the floor or hangs at a known height, its pitch and size fix its distance: depth
can be seen, not only guessed. Yaw is uniform on the circle, so the seam is a place like any other; scenes
with an object across the seam and scenes with an object near a pole are present by quota.
"""

import hashlib
import json
import math
from dataclasses import asdict, dataclass

import numpy as np

from panollava.data.synthetic.vocabulary import (
    CAMERA_HEIGHT_M,
    COLOURS,
    GROUNDS,
    MATERIALS,
    POLE_PITCH_DEG,
    ROOM_FLOORS,
    ROOM_WALLS,
    SHAPES,
    SIZES,
    SKIES,
)
from panollava.errors import DataError
from panollava.geometry.angles import great_circle_deg, ray_from_angles, wrap_deg

SEAM_QUOTA = 0.25
POLE_QUOTA = 0.35
MIN_OBJECTS, MAX_OBJECTS = 3, 9
_SEPARATION_DEG = 3.0
_PLACEMENT_TRIES = 60
_MAX_DISTANCE_M = 4.2
_MAX_ANGULAR_RADIUS_DEG = 25.0


@dataclass(frozen=True, slots=True)
class SceneObject:
    """One object. Angles in degrees, lengths in metres; yaw, pitch and distance are those of its centre.

    The heading turns it to the left about the vertical through its centre; at 0 its edges lie along the axes.
    """

    colour: str
    shape: str
    size: str
    material: str
    yaw_deg: float
    pitch_deg: float
    distance_m: float
    heading_deg: float

    @property
    def radius_m(self) -> float:
        """Radius of the bounding sphere."""
        return SIZES[self.size]

    @property
    def angular_radius_deg(self) -> float:
        """Half the angle under which the bounding sphere is seen."""
        return math.degrees(math.asin(min(0.999, self.radius_m / self.distance_m)))

    @property
    def is_polar(self) -> bool:
        """Whether the object is so high or low that it has no horizontal direction."""
        return abs(self.pitch_deg) >= POLE_PITCH_DEG

    @property
    def crosses_seam(self) -> bool:
        """Whether the object straddles the +-180 degree column edge."""
        if self.is_polar:
            return False
        half_width = self.angular_radius_deg / math.cos(math.radians(self.pitch_deg))
        return 180.0 - abs(self.yaw_deg) < 0.6 * half_width


@dataclass(frozen=True, slots=True)
class Place:
    """The surroundings: a room (walls, floor, ceiling) or the open air (ground, sky)."""

    kind: str  # "room" | "outdoor"
    floor: str
    upper: str  # wall colour of a room, sky of an outdoor place
    half_extent_m: tuple[float, float]
    height_m: float
    turn_deg: float
    light_yaw_deg: float
    texture_seed: int


@dataclass(frozen=True, slots=True)
class Scene:
    """A place and its objects; everything that is seen, said or asked derives from it."""

    seed: int
    index: int
    place: Place
    objects: tuple[SceneObject, ...]

    @property
    def scene_id(self) -> str:
        """Sixteen hexadecimal digits of a hash over everything that is seen."""
        seen = {"place": asdict(self.place), "objects": [asdict(o) for o in self.objects]}
        return hashlib.sha256(json.dumps(seen, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def split(self) -> str:
        """Split by the hash of the scene: 80 % train, 8 % val, 12 % test, whatever the seed that made it."""
        bucket = int(self.scene_id[:8], 16) % 100
        return "train" if bucket < 80 else "val" if bucket < 88 else "test"


def sample_scene(seed: int, index: int) -> Scene:
    """Return scene ``index`` of the endless sequence named by ``seed``: a pure function of both.

    Raises:
        DataError: If ``seed`` or ``index`` is negative.
    """
    if seed < 0 or index < 0:
        raise DataError(f"scene {index} of seed {seed} does not exist; both numbers start at 0.")
    rng = np.random.Generator(np.random.Philox(key=[seed, index]))
    place = _sample_place(rng)
    count = int(rng.integers(MIN_OBJECTS, MAX_OBJECTS + 1))
    wants_seam, wants_pole = rng.random() < SEAM_QUOTA, rng.random() < POLE_QUOTA
    objects: list[SceneObject] = []
    for position in range(count):
        for _ in range(_PLACEMENT_TRIES):
            candidate = _sample_object(rng, place, seam=wants_seam and position == 0, pole=wants_pole and position == 1)
            if all(_apart(candidate, other) for other in objects):
                objects.append(candidate)
                break
    return Scene(seed=seed, index=index, place=place, objects=tuple(objects))


def _sample_place(rng: np.random.Generator) -> Place:
    kind = "room" if rng.random() < 0.5 else "outdoor"
    floors, uppers = (ROOM_FLOORS, ROOM_WALLS) if kind == "room" else (GROUNDS, SKIES)
    return Place(
        kind=kind,
        floor=str(rng.choice(list(floors))),
        upper=str(rng.choice(list(uppers))),
        half_extent_m=(float(rng.uniform(5.5, 8.0)), float(rng.uniform(5.5, 8.0))),
        height_m=float(rng.uniform(4.2, 5.2)),
        turn_deg=float(rng.uniform(0.0, 90.0)),
        light_yaw_deg=float(rng.uniform(-180.0, 180.0)),
        texture_seed=int(rng.integers(2**31)),
    )


def _sample_object(rng: np.random.Generator, place: Place, *, seam: bool, pole: bool) -> SceneObject:
    colour, shape = str(rng.choice(list(COLOURS))), str(rng.choice(list(SHAPES)))
    pitch = _sample_pitch(rng, pole=pole)
    size = "small" if pitch <= -POLE_PITCH_DEG else str(rng.choice(list(SIZES)))
    radius = SIZES[size]
    standing, hanging = CAMERA_HEIGHT_M - radius * SHAPES[shape], place.height_m - CAMERA_HEIGHT_M - radius
    drop = standing if pitch < 0 else hanging
    distance = drop / math.sin(math.radians(abs(pitch)))
    nearest = radius / math.sin(math.radians(_MAX_ANGULAR_RADIUS_DEG))
    if not nearest <= distance <= _MAX_DISTANCE_M:  # slide it along the floor or ceiling: its pitch follows
        farthest = float(rng.uniform(max(0.6 * _MAX_DISTANCE_M, 1.05 * drop), _MAX_DISTANCE_M))
        distance = min(max(distance, nearest), farthest)
        pitch = math.copysign(math.degrees(math.asin(drop / distance)), pitch)
    yaw = float(rng.uniform(-180.0, 180.0))
    if seam:
        half = math.degrees(math.asin(radius / distance))
        yaw = float(wrap_deg(180.0 + rng.uniform(-0.5, 0.5) * half))
    material = str(rng.choice(MATERIALS))
    return SceneObject(colour, shape, size, material, yaw, pitch, distance, float(rng.uniform(0.0, 90.0)))


def _sample_pitch(rng: np.random.Generator, *, pole: bool) -> float:
    """Strata: 60 % within 30 degrees of the horizon, 30 % up to 60, 10 % (and the quota) near a pole."""
    stratum = 1.0 if pole else rng.random()
    low, high = (12.0, 30.0) if stratum < 0.6 else (30.0, 56.0) if stratum < 0.9 else (63.0, 88.0)
    upward = rng.random() < (0.25 if high <= 30.0 else 0.5)
    return float(rng.uniform(low, high)) * (1.0 if upward else -1.0)


def _apart(a: SceneObject, b: SceneObject) -> bool:
    """Whether two objects do not touch in the picture and can be told apart in words."""
    if (a.colour, a.shape, a.size, a.material) == (b.colour, b.shape, b.size, b.material):
        return False
    rays = [ray_from_angles(math.radians(o.yaw_deg), math.radians(o.pitch_deg)) for o in (a, b)]
    gap = float(great_circle_deg(rays[0], rays[1]))
    return gap > a.angular_radius_deg + b.angular_radius_deg + _SEPARATION_DEG
