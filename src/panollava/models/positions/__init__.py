"""Positions: how a vision token learns where it looks; one file each idea, one table of names (docs/positions.md)."""

from panollava.errors import ModelError, unknown_name
from panollava.geometry import ViewLayout
from panollava.models.positions.base import Position
from panollava.models.positions.panorope import PanoRopePosition
from panollava.models.positions.places import TokenPlaces, token_places
from panollava.models.positions.ray import RayPosition, ray_features
from panollava.models.positions.rotary import RotaryPosition
from panollava.models.positions.sinusoid import SeedPosition, SinusoidPosition
from panollava.models.positions.spherical import SphericalPosition, spherical_harmonics

POSITIONS = ("ray", "spherical", "rotary", "sinusoid", "seed", "panorope", "none")

__all__ = [
    "POSITIONS",
    "PanoRopePosition",
    "Position",
    "RayPosition",
    "RotaryPosition",
    "SeedPosition",
    "SinusoidPosition",
    "SphericalPosition",
    "TokenPlaces",
    "build_position",
    "ray_features",
    "spherical_harmonics",
    "token_places",
]


def build_position(
    kind: str,
    *,
    layout: ViewLayout,
    places: TokenPlaces,
    token_width: int,
    width: int,
    scale: float,
    harmonics: int = 8,
    degree: int = 6,
    hidden: int | None = None,
    release: str = "cora360",
) -> Position | None:
    """Build a position by name; a kind takes the settings that it has. None for ``none``.

    Args:
        kind: One of ``POSITIONS``.
        layout: The views.
        places: The places of the vision tokens.
        token_width: Width of the resampler's tokens.
        width: Width of the language model.
        scale: Root mean square of a word embedding.
        harmonics: Highest circular harmonic (ray, rotary).
        degree: Highest degree (spherical).
        hidden: Width inside (ray, spherical); None for ``width``.
        release: Whose formula (panorope).

    Raises:
        ModelError: If the name is unknown or a kind does not suit the layout or the widths.
    """
    match kind:
        case "none":
            return None
        case "ray":
            return RayPosition(width=width, harmonics=harmonics, hidden=hidden, scale=scale)
        case "spherical":
            return SphericalPosition(width=width, degree=degree, hidden=hidden, scale=scale)
        case "rotary":
            return RotaryPosition(width=width, harmonics=harmonics)
        case "sinusoid":
            return SinusoidPosition(width=token_width, places=places)
        case "seed":
            return SeedPosition(width=token_width, layout=layout, places=places)
        case "panorope":
            return PanoRopePosition(layout=layout, places=places, release=release)
    raise ModelError(unknown_name("position", kind, POSITIONS))
