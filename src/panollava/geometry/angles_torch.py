"""Rotations, rays and ERP places as tensors, with gradients; the torch twins of `angles` and `sphere`."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from panollava.errors import GeometryError
from panollava.geometry.view import ViewSpec


def rotation_torch(
    yaw_deg: Float[Tensor, "*batch"], pitch_deg: Float[Tensor, "*batch"], roll_deg: Float[Tensor, "*batch"]
) -> Float[Tensor, "*batch 3 3"]:
    """Return R = Ry(yaw) Rx(pitch) Rz(roll), camera to world, differentiable in the angles.

    Example:
        >>> zero = torch.zeros(())
        >>> (rotation_torch(torch.tensor(90.0), zero, zero) @ torch.tensor([0.0, 0.0, 1.0])).round(decimals=6).tolist()
        [1.0, 0.0, -0.0]
    """
    yaw, pitch, roll = (torch.deg2rad(a) for a in torch.broadcast_tensors(yaw_deg, pitch_deg, roll_deg))
    (sy, cy), (sp, cp), (sr, cr) = ((torch.sin(a), torch.cos(a)) for a in (yaw, pitch, roll))
    rows = (
        (cy * cr + sy * sp * sr, sy * sp * cr - cy * sr, sy * cp),
        (cp * sr, cp * cr, -sp),
        (cy * sp * sr - sy * cr, sy * sr + cy * sp * cr, cy * cp),
    )
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)


def erp_pixel_from_ray_torch(
    ray: Float[Tensor, "*shape 3"], *, height: int, width: int
) -> tuple[Float[Tensor, "*shape"], Float[Tensor, "*shape"]]:
    """Return (u, v), the fractional ERP column and row of rays of any length; differentiable off the poles."""
    x, y, z = ray.unbind(dim=-1)
    u = (torch.atan2(x, z) / (2.0 * math.pi) + 0.5) * width - 0.5
    # not hypot(x, z): its gradient at 0 is NaN; a ray to the very pole gets no gradient instead
    flat = torch.sqrt((x * x + z * z).clamp_min(torch.finfo(ray.dtype).tiny))
    v = (0.5 + torch.atan2(y, flat) / math.pi) * height - 0.5
    return u, v


def view_rays_torch(view: ViewSpec, *, like: Tensor) -> Float[Tensor, "h w 3"]:
    """Return the world ray of each pixel of a view, in the type and on the device of a tensor."""
    return torch.from_numpy(view.rays(view.height_px, view.width_px)).to(like.device, like.dtype)


def check_rotation_torch(rotation: Tensor, *, batch: int) -> Float[Tensor, "batch 3 3"]:
    """Return a rotation for every picture of a batch.

    Raises:
        GeometryError: not [3, 3], [1, 3, 3] or [batch, 3, 3], or not floating point.
    """
    matrix = rotation[None] if rotation.ndim == 2 else rotation
    if (
        matrix.ndim != 3
        or matrix.shape[1:] != (3, 3)
        or len(matrix) not in (1, batch)
        or not matrix.is_floating_point()
    ):
        raise GeometryError(
            f"the rotation is {rotation.dtype} of shape {tuple(rotation.shape)}; give floating point (3, 3), "
            f"or ({batch}, 3, 3) for {batch} pictures."
        )
    return matrix.expand(batch, 3, 3)
