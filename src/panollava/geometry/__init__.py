"""Geometry of panoramas: one convention, no learning. Importing this room does not import torch.

The torch twins live in `render_torch` (views, turned panoramas), `stitch_torch` and `angles_torch`.
"""

from panollava.geometry.angles import angles_from_ray, great_circle_deg, ray_from_angles, rotation, wrap_deg
from panollava.geometry.contact_sheet import contact_sheet
from panollava.geometry.erp_pixels import roll_erp
from panollava.geometry.layouts import (
    ViewGroup,
    ViewLayout,
    anyres,
    build_layout,
    cubemap,
    e2p_bands,
    e2p_ring,
    resize,
    sliding_window,
    tangent,
)
from panollava.geometry.overlap import share_rays, token_correspondences
from panollava.geometry.regions import FieldOfView, bounding_field_of_view, shared_solid_angle_sr, spherical_iou
from panollava.geometry.render import render_views
from panollava.geometry.rotate import rotate_erp
from panollava.geometry.sphere import (
    SECTORS4,
    SECTORS8,
    erp_pixel_from_ray,
    erp_rays,
    pixel_solid_angle,
    sector,
)
from panollava.geometry.stitch import erp_coverage, erp_from_views
from panollava.geometry.view import ViewSpec

__all__ = [
    "SECTORS4",
    "SECTORS8",
    "FieldOfView",
    "ViewGroup",
    "ViewLayout",
    "ViewSpec",
    "angles_from_ray",
    "anyres",
    "bounding_field_of_view",
    "build_layout",
    "contact_sheet",
    "cubemap",
    "e2p_bands",
    "e2p_ring",
    "erp_coverage",
    "erp_from_views",
    "erp_pixel_from_ray",
    "erp_rays",
    "great_circle_deg",
    "pixel_solid_angle",
    "ray_from_angles",
    "render_views",
    "resize",
    "roll_erp",
    "rotate_erp",
    "rotation",
    "sector",
    "share_rays",
    "shared_solid_angle_sr",
    "sliding_window",
    "spherical_iou",
    "tangent",
    "token_correspondences",
    "wrap_deg",
]
