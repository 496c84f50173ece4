"""One view of a panorama: where it looks, how wide, how many pixels, and which ray each cell sees.

::

    kind "perspective": a pinhole picture            kind "erp": a window of the ERP itself

        columns  0   1   2   3                           columns  0   1   2   3
               +---+---+---+---+                               +---+---+---+---+
        row 0  | . | . | . | . |   x = tan(hfov/2)      row 0  | . | . | . | . |   yaw and pitch grow
               +---+---+---+---+       (2 col - 1)             +---+---+---+---+   evenly, hfov x vfov
        row 1  | . | . | . | . |                        row 1  | . | . | . | . |   edge to edge; it may
               +---+---+---+---+                               +---+---+---+---+   cross the seam
               |<---- hfov --->|

A place in a view is a pair of fractions (column, row): (0, 0) is the top left corner of the top left
cell, (1, 1) the bottom right corner. So one place fits pixels, patches and tokens alike.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from panollava.errors import GeometryError, unknown_name
from panollava.geometry.angles import angles_from_ray, ray_from_angles, rotation, wrap_deg
from panollava.geometry.regions import FieldOfView

KINDS = ("perspective", "erp")
# a ray this far (as a fraction of the view) beyond an edge still lies on the edge: float rounding only
_EDGE = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewSpec:
    """One view: a pinhole picture (``perspective``) or a longitude-latitude window (``erp``).

    Attributes:
        name: what the view is called, unique in its layout.
        kind: ``perspective`` or ``erp``.
        yaw_deg: centre, right positive; stored in [-180, 180).
        pitch_deg: centre, up positive, in [-90, 90].
        roll_deg: clockwise turn of the camera; 0 for ``erp``.
        hfov_deg: horizontal field of view, edge to edge; below 180 for ``perspective``.
        vfov_deg: vertical field of view, edge to edge.
        height_px: rows of the rendered picture.
        width_px: columns of the rendered picture.

    Raises:
        GeometryError: a value that has no meaning on the sphere.
    """

    name: str
    kind: str
    yaw_deg: float
    pitch_deg: float
    roll_deg: float
    hfov_deg: float
    vfov_deg: float
    height_px: int
    width_px: int

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise GeometryError(unknown_name("view kind", self.kind, KINDS))
        for key in ("yaw_deg", "pitch_deg", "roll_deg", "hfov_deg", "vfov_deg"):
            value = float(getattr(self, key))
            if not math.isfinite(value):
                raise GeometryError(f"view '{self.name}': {key} is {value}; give a finite number of degrees.")
            object.__setattr__(self, key, value)  # 90 and 90.0 are one view
        for key in ("height_px", "width_px"):
            check_pixels(f"view '{self.name}': {key}", getattr(self, key))
        object.__setattr__(self, "yaw_deg", wrap_deg(self.yaw_deg))
        if not -90.0 <= self.pitch_deg <= 90.0:
            raise GeometryError(f"view '{self.name}': pitch_deg is {self.pitch_deg:g}; it must be within [-90, 90].")
        if self.kind == "perspective":
            self._check_perspective()
        else:
            self._check_window()

    def _check_perspective(self) -> None:
        for key, value in (("hfov_deg", self.hfov_deg), ("vfov_deg", self.vfov_deg)):
            if not 0.0 < value < 180.0:
                raise GeometryError(
                    f"view '{self.name}': {key} is {value:g}; a perspective view sees more than 0 "
                    "and less than 180 degrees. Use kind 'erp' for a wider window."
                )

    def _check_window(self) -> None:
        if not 0.0 < self.hfov_deg <= 360.0 or not 0.0 < self.vfov_deg <= 180.0:
            raise GeometryError(
                f"view '{self.name}': an ERP window of {self.hfov_deg:g} x {self.vfov_deg:g} degrees is "
                "impossible; hfov_deg must be in (0, 360] and vfov_deg in (0, 180]."
            )
        if abs(self.pitch_deg) + self.vfov_deg / 2.0 > 90.0 + _EDGE:
            raise GeometryError(
                f"view '{self.name}': an ERP window at pitch_deg {self.pitch_deg:g} with vfov_deg "
                f"{self.vfov_deg:g} reaches past a pole; |pitch_deg| + vfov_deg / 2 must be <= 90."
            )
        if self.roll_deg != 0.0:
            raise GeometryError(f"view '{self.name}': roll_deg is {self.roll_deg:g}; an ERP window cannot roll, use 0.")

    @classmethod
    def perspective(
        cls,
        name: str,
        *,
        yaw_deg: float,
        pitch_deg: float = 0.0,
        roll_deg: float = 0.0,
        hfov_deg: float,
        vfov_deg: float | None = None,
        height_px: int,
        width_px: int,
    ) -> "ViewSpec":
        """Return a pinhole view; without ``vfov_deg`` its pixels are square, and the height follows from the size.

        Example:
            >>> view = ViewSpec.perspective("front", yaw_deg=0, hfov_deg=90, height_px=48, width_px=96)
            >>> round(view.vfov_deg, 3)
            53.13
        """
        for key, value in (("height_px", height_px), ("width_px", width_px)):
            check_pixels(f"view '{name}': {key}", value)
        # clipped only so that the tangent exists: the constructor refuses the value itself
        half_x = math.tan(math.radians(min(max(hfov_deg, 0.0), 180.0)) / 2.0)
        return cls(
            name=name,
            kind="perspective",
            yaw_deg=yaw_deg,
            pitch_deg=pitch_deg,
            roll_deg=roll_deg,
            hfov_deg=hfov_deg,
            vfov_deg=math.degrees(2.0 * math.atan(half_x * height_px / width_px)) if vfov_deg is None else vfov_deg,
            height_px=height_px,
            width_px=width_px,
        )

    @classmethod
    def window(
        cls,
        name: str,
        *,
        yaw_deg: float = 0.0,
        pitch_deg: float = 0.0,
        hfov_deg: float = 360.0,
        vfov_deg: float = 180.0,
        height_px: int,
        width_px: int,
    ) -> "ViewSpec":
        """Return a longitude-latitude window; the defaults are the whole ERP, the global view.

        Example:
            >>> ViewSpec.window("global", height_px=96, width_px=192).is_global
            True
        """
        return cls(
            name=name,
            kind="erp",
            yaw_deg=yaw_deg,
            pitch_deg=pitch_deg,
            roll_deg=0.0,
            hfov_deg=hfov_deg,
            vfov_deg=vfov_deg,
            height_px=height_px,
            width_px=width_px,
        )

    @property
    def field_of_view(self) -> FieldOfView:
        """The region of the sphere that a perspective view sees.

        Raises:
            GeometryError: an ERP window, which is no cone.
        """
        if self.kind != "perspective":
            raise GeometryError(f"view '{self.name}' is a window of the ERP; only a perspective view is a cone.")
        return FieldOfView(
            yaw_deg=self.yaw_deg,
            pitch_deg=self.pitch_deg,
            roll_deg=self.roll_deg,
            hfov_deg=self.hfov_deg,
            vfov_deg=self.vfov_deg,
        )

    @property
    def is_global(self) -> bool:
        """Whether this view is the whole ERP."""
        return self.kind == "erp" and self.hfov_deg == 360.0 and self.vfov_deg == 180.0

    @property
    def pixels_per_degree(self) -> float:
        """Columns per degree of yaw at the centre of the view."""
        if self.kind == "erp":
            return self.width_px / self.hfov_deg
        return math.radians(self.width_px / (2.0 * math.tan(math.radians(self.hfov_deg) / 2.0)))

    def rays(self, rows: int, cols: int) -> Float[np.ndarray, "{rows} {cols} 3"]:
        """Return the unit world ray at the centre of each cell of a rows x cols grid laid over the view.

        With (height_px, width_px) the cells are pixels; with a token grid they are tokens. float64.

        Raises:
            GeometryError: a grid without cells.

        Example:
            >>> view = ViewSpec.perspective("right", yaw_deg=90, hfov_deg=90, height_px=8, width_px=8)
            >>> view.rays(1, 1).round(6).tolist()
            [[[1.0, 0.0, 0.0]]]
        """
        check_pixels("rows", rows)
        check_pixels("cols", cols)
        across = (np.arange(cols) + 0.5) / cols
        down = (np.arange(rows) + 0.5) / rows
        return self.rays_at(*np.meshgrid(across, down))

    def rays_at(
        self, col_frac: Float[np.ndarray, "*shape"], row_frac: Float[np.ndarray, "*shape"]
    ) -> Float[np.ndarray, "*shape 3"]:
        """Return the unit world rays at places of the view, given as fractions; the inverse of `project`."""
        if self.kind == "erp":
            yaw_deg = self.yaw_deg + self.hfov_deg * (np.asarray(col_frac) - 0.5)
            pitch_deg = self.pitch_deg + self.vfov_deg * (0.5 - np.asarray(row_frac))
            return ray_from_angles(np.deg2rad(yaw_deg), np.deg2rad(pitch_deg))
        half_x, half_y = self._half_extent()
        x = half_x * (2.0 * np.asarray(col_frac, np.float64) - 1.0)
        y = half_y * (2.0 * np.asarray(row_frac, np.float64) - 1.0)
        camera = np.stack([x, y, np.ones_like(x)], axis=-1)
        camera /= np.linalg.norm(camera, axis=-1, keepdims=True)
        return camera @ rotation(self.yaw_deg, self.pitch_deg, self.roll_deg).T

    def project(
        self, rays: Float[np.ndarray, "*shape 3"]
    ) -> tuple[Float[np.ndarray, "*shape"], Float[np.ndarray, "*shape"], Bool[np.ndarray, "*shape"]]:
        """Return where world rays (of any length) land in this view.

        Returns:
            (col_frac, row_frac, visible): the place in [0, 1] across the view, and whether it lies in the
            frame (edges included). In front of the camera but outside the frame the place is still exact;
            behind the camera it is NaN.

        Example:
            >>> view = ViewSpec.perspective("front", yaw_deg=0, hfov_deg=90, height_px=8, width_px=8)
            >>> [float(x.round(6)) for x in view.project(np.array([1.0, 0.0, 2.0]))[:2]]
            [0.75, 0.5]
        """
        rays = np.asarray(rays, np.float64)
        if self.kind == "erp":
            yaw_rad, pitch_rad = angles_from_ray(rays)
            # taken about the centre of the window, so that the seam is never inside it
            col = wrap_deg(np.atleast_1d(np.rad2deg(yaw_rad) - self.yaw_deg)) / self.hfov_deg + 0.5
            col = col.reshape(yaw_rad.shape)
            row = 0.5 - (np.rad2deg(pitch_rad) - self.pitch_deg) / self.vfov_deg
        else:
            x, y, z = np.moveaxis(rays @ rotation(self.yaw_deg, self.pitch_deg, self.roll_deg), -1, 0)
            half_x, half_y = self._half_extent()
            depth = np.where(z > 0.0, z, np.nan)
            col = (x / depth / half_x + 1.0) / 2.0
            row = (y / depth / half_y + 1.0) / 2.0
        visible = (np.abs(col - 0.5) <= 0.5 + _EDGE) & (np.abs(row - 0.5) <= 0.5 + _EDGE)
        return np.asarray(col), np.asarray(row), np.asarray(visible)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON; `from_dict` restores an equal view."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "ViewSpec":
        """Return the view that `to_dict` described.

        Raises:
            GeometryError: a key is missing or unknown.
        """
        check_keys("view", values, [field.name for field in fields(cls)])
        return cls(**values)

    def _half_extent(self) -> tuple[float, float]:
        return math.tan(math.radians(self.hfov_deg) / 2.0), math.tan(math.radians(self.vfov_deg) / 2.0)


def check_pixels(what: str, value: object) -> None:
    """Raise GeometryError unless the value is a whole number >= 1."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise GeometryError(f"{what} is {value!r}; it must be a whole number >= 1.")


def check_keys(what: str, values: Mapping[str, Any], expected: list[str]) -> None:
    """Raise GeometryError unless the mapping has exactly the expected keys."""
    for key in values:
        if key not in expected:
            raise GeometryError(unknown_name(f"{what} key", key, expected))
    missing = [key for key in expected if key not in values]
    if missing:
        raise GeometryError(f"{what} lacks {', '.join(missing)}; expected {', '.join(expected)}.")
