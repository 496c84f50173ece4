"""The closed world of SurroundQA: what objects and places can be, and the words for it."""

COLOURS: dict[str, tuple[float, float, float]] = {
    "red": (0.86, 0.10, 0.10),
    "green": (0.10, 0.62, 0.16),
    "blue": (0.12, 0.22, 0.88),
    "yellow": (0.95, 0.85, 0.10),
    "purple": (0.55, 0.12, 0.70),
    "cyan": (0.10, 0.80, 0.85),
    "orange": (0.96, 0.50, 0.06),
    "black": (0.09, 0.09, 0.10),
}
SHAPES: dict[str, float] = {
    # name: height of the centre of the bounding sphere above the base, in bounding radii
    "ball": 1.0,
    "cube": 3.0**-0.5,
    "cylinder": 0.8,
    "cone": 0.5,
    "pyramid": 0.5,
}
SIZES: dict[str, float] = {"small": 0.50, "large": 0.85}  # bounding radius in metres
MATERIALS: tuple[str, ...] = ("matte", "shiny", "striped")

ROOM_WALLS: dict[str, tuple[float, float, float]] = {
    "white": (0.90, 0.89, 0.87),
    "grey": (0.62, 0.63, 0.65),
    "beige": (0.82, 0.76, 0.64),
    "pale blue": (0.68, 0.76, 0.85),
    "pale green": (0.71, 0.81, 0.70),
}
ROOM_FLOORS: dict[str, tuple[float, float, float]] = {
    "wooden": (0.56, 0.41, 0.27),
    "tiled": (0.70, 0.70, 0.70),
    "carpeted": (0.45, 0.42, 0.47),
}
GROUNDS: dict[str, tuple[float, float, float]] = {
    "grass": (0.36, 0.50, 0.24),
    "sand": (0.80, 0.71, 0.52),
    "asphalt": (0.36, 0.36, 0.38),
}
SKIES: dict[str, tuple[tuple[float, float, float], tuple[float, float, float]]] = {
    # name: (colour at the zenith, colour at the horizon)
    "clear blue": ((0.25, 0.47, 0.85), (0.75, 0.85, 0.95)),
    "overcast": ((0.62, 0.65, 0.69), (0.80, 0.81, 0.82)),
    "sunset": ((0.30, 0.28, 0.48), (0.95, 0.68, 0.47)),
}

CAMERA_HEIGHT_M = 1.6
BEARING_STEP_DEG = 15
POLE_PITCH_DEG = 60.0
SPLITS: tuple[str, ...] = ("train", "val", "test")


def plural(shape: str) -> str:
    """Return the plural of a shape word (all of them are regular)."""
    return f"{shape}s"


def bearing(yaw_deg: float) -> str:
    """Return a three-digit nautical bearing, rounded to 15 degrees: 000 is front, 090 right, 180 behind.

    Example:
        >>> bearing(-44.0), bearing(359.0)
        ('315', '000')
    """
    step = round(yaw_deg / BEARING_STEP_DEG) * BEARING_STEP_DEG
    return f"{step % 360:03d}"


def elevation(pitch_deg: float) -> str:
    """Return the word for a height above or below eye level, in five bands.

    Example:
        >>> elevation(75.0), elevation(-3.0)
        ('overhead', 'level')
    """
    if abs(pitch_deg) >= POLE_PITCH_DEG:
        return "overhead" if pitch_deg > 0 else "underfoot"
    if abs(pitch_deg) < 15.0:
        return "level"
    return "high" if pitch_deg > 0 else "low"


def distance_word(distance_m: float) -> str:
    """Return ``near`` or ``far``; objects stand between about one and four metres away."""
    return "near" if distance_m < 2.4 else "far"
