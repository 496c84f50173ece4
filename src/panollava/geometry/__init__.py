"""Geometry of panoramas: one convention, no learning. Importing this room does not import torch."""

from panollava.geometry.angles import angles_from_ray, great_circle_deg, ray_from_angles, rotation, wrap_deg
from panollava.geometry.sphere import (
    SECTORS4,
    SECTORS8,
    erp_pixel_from_ray,
    erp_rays,
    pixel_solid_angle,
    sector,
)

__all__ = [
    "SECTORS4",
    "SECTORS8",
    "angles_from_ray",
    "erp_pixel_from_ray",
    "erp_rays",
    "great_circle_deg",
    "pixel_solid_angle",
    "ray_from_angles",
    "rotation",
    "sector",
    "wrap_deg",
]
