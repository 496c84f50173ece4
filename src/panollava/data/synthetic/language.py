"""Words for objects and directions: referring expressions and captions."""

import numpy as np

from panollava.data.synthetic.scene import Scene, SceneObject
from panollava.data.synthetic.vocabulary import COLOURS, SHAPES, bearing, distance_word, elevation, plural
from panollava.errors import unknown_name
from panollava.geometry.sphere import SECTORS4, SECTORS8, sector

NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
QUERIES = (
    *("floor", "ground", "walls", "sky", "location", "above", "below"),
    *(plural(shape) for shape in SHAPES),
    *COLOURS,
)
_ATTRIBUTES = ("size", "material", "colour", "shape")
# Subsets of attributes that may name an object, shortest first; a name must fit one object of the scene only.
_NAMES = (
    ("shape",),
    ("colour",),
    ("colour", "shape"),
    ("size", "shape"),
    ("material", "shape"),
    ("size", "colour", "shape"),
    ("material", "colour", "shape"),
    ("size", "material", "colour", "shape"),
)


def phrase(item: SceneObject, attributes: tuple[str, ...] = ("colour", "shape")) -> str:
    """Return the attributes as a noun phrase without article: ``large shiny red cube``, ``red object``."""
    words = [str(getattr(item, name)) for name in _ATTRIBUTES if name in attributes]
    if "shape" not in attributes:
        words.append("object")
    return " ".join(words)


def with_article(noun_phrase: str) -> str:
    """Return the phrase with its indefinite article.

    Example:
        >>> with_article("orange cone")
        'an orange cone'
    """
    return f"{'an' if noun_phrase[0] in 'aeiou' else 'a'} {noun_phrase}"


def unique_names(scene: Scene, item: SceneObject, *, hide: str | None = None) -> list[str]:
    """Return the three shortest kinds of name that fit ``item`` and nothing else in the scene.

    Args:
        scene: The scene.
        item: One of its objects.
        hide: An attribute that the name must not reveal (the one that is asked for).
    """
    found: list[str] = []
    for attributes in _NAMES:
        if hide in attributes:
            continue
        name = phrase(item, attributes)
        fits = sum(all(getattr(o, a) == getattr(item, a) for a in attributes) for o in scene.objects)
        if fits == 1:
            found.append(name)
    return found[:3]


def listing(items: list[SceneObject]) -> str:
    """Return ``a red cube and a blue ball`` or ``nothing``."""
    parts = [with_article(phrase(item)) for item in items]
    if not parts:
        return "nothing"
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def in_sector(scene: Scene, name: str, *, count: int) -> list[SceneObject]:
    """Return the objects, left to right, with their centre in a horizontal sector; polar ones are in none."""
    held = [o for o in scene.objects if not o.is_polar and sector(o.yaw_deg, count=count) == name]
    centre = (SECTORS4 if count == 4 else SECTORS8).index(name) * 360.0 / count
    return sorted(held, key=lambda o: (o.yaw_deg - centre + 180.0) % 360.0)


def place_sentence(scene: Scene) -> str:
    """Return one sentence about the surroundings."""
    place = scene.place
    if place.kind == "room":
        return f"a room with {place.upper} walls and a {place.floor} floor."
    sky = with_article(f"{place.upper} sky")
    return f"an open place with {sky} over {place.floor}."


def caption_global(scene: Scene) -> str:
    """Return a short caption of the whole sphere: the place, the number of objects, what lies where."""
    sides = [(name, in_sector(scene, name, count=4)) for name in SECTORS4]
    told = " ".join(f"{_where(name)} {'is' if len(o) < 2 else 'are'} {listing(o)}." for name, o in sides)
    return f"{place_sentence(scene)} {told}"


def caption_sector(scene: Scene, name: str) -> str:
    """Return what lies in one of eight directions."""
    return f"{listing(in_sector(scene, name, count=8))}."


def caption_by_direction(scene: Scene) -> str:
    """Return a dense caption: every object in every one of eight directions, then above and below."""
    parts = [f"{name}: {listing(in_sector(scene, name, count=8))}." for name in SECTORS8]
    for name, sign in (("above", 1), ("below", -1)):
        polar = [o for o in scene.objects if o.is_polar and o.pitch_deg * sign > 0]
        parts.append(f"{name}: {listing(polar)}.")
    return " ".join(parts)


def caption_object(item: SceneObject) -> str:
    """Return everything about one object: attributes, bearing, height, distance and direction."""
    full = with_article(phrase(item, ("size", "material", "colour", "shape")))
    where = ("above" if item.pitch_deg > 0 else "below") if item.is_polar else sector(item.yaw_deg, count=8)
    ways = "" if item.is_polar else f" at bearing {bearing(item.yaw_deg)},"
    height, reach = elevation(item.pitch_deg), distance_word(item.distance_m)
    return f"{full},{ways} {where}, {height}, {reach}, {item.distance_m:.0f} metres away."


def caption_query(scene: Scene, query: str) -> str:
    """Return a caption for a one-word query, as in QuIC-360: a shape, a colour, or a part of the place.

    Raises:
        ValueError: If the query is none of these.
    """
    place = scene.place
    if query in ("floor", "ground"):
        return f"the floor is {place.floor}." if place.kind == "room" else f"the ground is {place.floor}."
    if query in ("walls", "sky"):
        return f"the walls are {place.upper}." if place.kind == "room" else f"the sky is {place.upper}."
    if query == "location":
        return place_sentence(scene)
    if query in ("above", "below"):
        sign = 1 if query == "above" else -1
        return f"{listing([o for o in scene.objects if o.is_polar and o.pitch_deg * sign > 0])}."
    if query not in QUERIES:
        raise ValueError(unknown_name("query", query, QUERIES))
    named = [o for o in scene.objects if query in (plural(o.shape), o.colour)]
    things = query if query.endswith("s") else f"{query} objects"
    head = f"{NUMBERS[len(named)]} {things if len(named) != 1 else things.removesuffix('s')}"
    if not named:
        return f"there are {head}."
    told = ", ".join(f"{with_article(phrase(o))} {direction_phrase(o)}" for o in named)
    return f"{head}: {told}."


def direction_phrase(item: SceneObject) -> str:
    """Return ``to the front right``, ``behind``, ``above`` and the like for one object."""
    if item.is_polar:
        return "above" if item.pitch_deg > 0 else "below"
    return _where(sector(item.yaw_deg, count=8))


def pick(rng: np.random.Generator, options: list[str]) -> str:
    """Return one of the options (plain ``str``, not a NumPy scalar)."""
    return options[int(rng.integers(len(options)))]


def _where(name: str) -> str:
    if name == "front":
        return "in front"
    return name if name == "behind" else f"to the {name}" if not name.startswith("behind") else f"{name}"
