"""Which rays two views share, and where a token of one view lies in the other.

A token of view A with ray d lies in view B at K_B R_B^T d when B is a pinhole view (for two pinhole
views this is the exact homography K_B R_B^T R_A K_A^-1), and at its yaw and pitch when B is an ERP window.
Columns of a pinhole view are not linear in yaw, so shifting whole columns does not pair the same rays.
"""

import itertools

import numpy as np
from jaxtyping import Bool, Float

from panollava.errors import GeometryError
from panollava.geometry.angles import wrap_deg
from panollava.geometry.view import ViewSpec

# views whose interiors are this close to disjoint share an edge, not rays
_TOUCH = 1e-9


def token_correspondences(
    view_a: ViewSpec, view_b: ViewSpec, *, rows: int, cols: int, grid_b: tuple[int, int] | None = None
) -> tuple[Float[np.ndarray, "n 2"], Bool[np.ndarray, " n"]]:
    """Return where each token of a rows x cols grid over view A lies in view B's grid.

    Args:
        view_a: the view whose token centres are followed; row-major order, n = rows * cols.
        view_b: the view they are looked up in; any kind.
        rows: rows of A's grid.
        cols: columns of A's grid.
        grid_b: (rows, cols) of B's grid; A's grid when absent.

    Returns:
        (xy, visible): fractional (column, row) in B's grid, where whole numbers are token centres, so a
        visible place is in [-1/2, cols - 1/2] x [-1/2, rows - 1/2]; NaN where B does not see the ray, so
        that a forgotten mask cannot pass as a match.

    Example:
        >>> front = ViewSpec.perspective("front", yaw_deg=0, hfov_deg=90, height_px=8, width_px=8)
        >>> right = ViewSpec.perspective("right", yaw_deg=45, hfov_deg=90, height_px=8, width_px=8)
        >>> xy, visible = token_correspondences(front, right, rows=1, cols=3)
        >>> visible.tolist(), xy[2].round(6).tolist()
        ([False, True, True], [0.7, 0.0])
    """
    rows_b, cols_b = grid_b or (rows, cols)
    col, row, visible = view_b.project(view_a.rays(rows, cols).reshape(-1, 3))
    xy = np.stack([col * cols_b - 0.5, row * rows_b - 0.5], axis=-1)
    return np.where(visible[:, None], xy, np.nan), visible


def share_rays(view_a: ViewSpec, view_b: ViewSpec) -> bool:
    """Return whether two views of one kind see a common area; a shared edge or corner is no area.

    Raises:
        GeometryError: views of different kinds.

    Example:
        >>> def face(yaw_deg):
        ...     return ViewSpec.perspective("face", yaw_deg=yaw_deg, hfov_deg=90, height_px=8, width_px=8)
        >>> share_rays(face(0), face(90)), share_rays(face(180), face(-135))
        (False, True)
    """
    if view_a.kind != view_b.kind:
        raise GeometryError(
            f"view '{view_a.name}' is {view_a.kind} and '{view_b.name}' is {view_b.kind}; "
            "only views of one kind can be paired."
        )
    if view_a.kind == "erp":
        yaw_apart = abs(wrap_deg(view_a.yaw_deg - view_b.yaw_deg))
        pitch_apart = abs(view_a.pitch_deg - view_b.pitch_deg)
        half_h = (view_a.hfov_deg + view_b.hfov_deg) / 2.0
        half_v = (view_a.vfov_deg + view_b.vfov_deg) / 2.0
        return yaw_apart < half_h - _TOUCH and pitch_apart < half_v - _TOUCH
    return not _separable(_corners(view_a), _corners(view_b))


def _corners(view: ViewSpec) -> Float[np.ndarray, "4 3"]:
    return view.rays_at(np.array([0.0, 1.0, 1.0, 0.0]), np.array([0.0, 0.0, 1.0, 1.0]))


def _separable(a: Float[np.ndarray, "4 3"], b: Float[np.ndarray, "4 3"]) -> bool:
    """Whether a plane through the origin has cone A on one side and cone B on the other.

    If any such plane exists, one exists that is spanned by two of the eight corner rays: it supports the
    cone of A and -B, whose faces are spanned by its extreme rays.
    """
    for first, second in itertools.combinations(np.concatenate([a, b]), 2):
        normal = np.cross(first, second)
        length = np.linalg.norm(normal)
        if length < _TOUCH:
            continue  # the same ray twice spans no plane
        side_a, side_b = a @ normal / length, b @ normal / length
        if (side_a >= -_TOUCH).all() and (side_b <= _TOUCH).all():
            return True
        if (side_a <= _TOUCH).all() and (side_b >= -_TOUCH).all():
            return True
    return False
