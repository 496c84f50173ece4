"""From a panorama file to what an encoder takes: decode no finer than the views need, render, normalise.

file or bytes -> decode at 1/k (JPEG) -> ERP u8 -> views u8, grouped by size -> (value - mean) / std, f32
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch import Tensor

from panollava.data.images import DEFAULT_OPTIONS, ImageOptions, open_with_options
from panollava.errors import DataError, GeometryError
from panollava.geometry import ViewLayout
from panollava.geometry.antialias import Antialias, least_width
from panollava.geometry.render import render_groups

Tensors = tuple[Tensor, ...]


def load_erp(
    source: str | Path | bytes, layout: ViewLayout, *, images: ImageOptions = DEFAULT_OPTIONS
) -> UInt8[np.ndarray, "H W 3"]:
    """Decode one panorama, a JPEG no finer than the views of a layout need.

    Raises:
        DataError: If the file is not a usable panorama.
    """
    needed = least_width(layout.views, antialias=images.antialias)
    return open_with_options(source, min_width=needed, options=images)


def load_views(
    source: str | Path | bytes, layout: ViewLayout, *, images: ImageOptions = DEFAULT_OPTIONS
) -> tuple[UInt8[Tensor, "v h w 3"], ...]:
    """Decode one panorama and render its views, grouped by size.

    Raises:
        DataError: If the file is not a usable panorama.
    """
    erp = load_erp(source, layout, images=images)
    with drawn_from(source):
        return views_of(erp, layout, antialias=images.antialias)


@contextmanager
def drawn_from(source: str | Path | bytes) -> Iterator[None]:
    """Name the file of a panorama from which views cannot be drawn.

    Raises:
        DataError: If the rendering inside fails, for example because the panorama is too wide.
    """
    try:
        yield
    except GeometryError as error:
        raise DataError(f"{'<bytes>' if isinstance(source, bytes) else source}: {error}") from error


def views_of(
    erp: UInt8[np.ndarray, "H W 3"], layout: ViewLayout, *, antialias: Antialias = "fast"
) -> tuple[UInt8[Tensor, "v h w 3"], ...]:
    """Render the views of one panorama, grouped by size."""
    return tuple(torch.from_numpy(group) for group in render_groups(erp, layout, antialias=antialias))


def stacked_views(paths: Sequence[Path], layout: ViewLayout, *, images: ImageOptions = DEFAULT_OPTIONS) -> Tensors:
    """Return the views of several panoramas, one tensor ``b v h w 3`` per size."""
    return stacked([load_views(path, layout, images=images) for path in paths])


def stacked(views: Sequence[Tensors]) -> Tensors:
    """Return the views (or features) of several panoramas as one batch, group by group."""
    return tuple(torch.stack(group) for group in zip(*views, strict=True))


def normalised_views(
    source: str | Path | bytes,
    layout: ViewLayout,
    *,
    mean: Sequence[float],
    std: Sequence[float],
    images: ImageOptions = DEFAULT_OPTIONS,
) -> list[Float32[np.ndarray, "v 3 h w"]]:
    """Return the views of a panorama as an encoder's image processor would give them, one array per group of sizes.

    Args:
        source: the panorama file, or its bytes.
        layout: the views.
        mean: of each channel, in units of the full range: 0 to 1.
        std: deviation of each channel, likewise; above 0.
        images: how the file is read and the views are rendered.

    Returns:
        ``(value / 255 - mean) / std``, channels first.

    Raises:
        DataError: If the file is not a usable panorama, or mean and std are not three numbers each.

    Example:
        >>> import io
        >>> from PIL import Image
        >>> from panollava.geometry import cubemap
        >>> file = io.BytesIO()
        >>> Image.new("RGB", (64, 32), (255, 0, 0)).save(file, "PNG")
        >>> (views,) = normalised_views(file.getvalue(), cubemap(size_px=8), mean=[0.5] * 3, std=[0.5] * 3)
        >>> views.shape, views[0, :, 0, 0].tolist()
        ((6, 3, 8, 8), [1.0, -1.0, -1.0])
    """
    if len(mean) != 3 or len(std) != 3 or min(std) <= 0.0:
        raise DataError(f"mean is {tuple(mean)} and std {tuple(std)}; give three numbers each, std above 0.")
    # a byte has 256 values: a table is exact, and four times as quick as the arithmetic
    levels = np.arange(256, dtype=np.float32)[:, None] / np.float32(255.0)
    table = (levels - np.asarray(mean, np.float32)) / np.asarray(std, np.float32)
    erp = load_erp(source, layout, images=images)
    groups = []
    with drawn_from(source):
        drawn = render_groups(erp, layout, antialias=images.antialias)
    for views in drawn:
        out = np.empty((len(views), 3, *views.shape[1:3]), np.float32)
        for picture, planes in zip(views, out, strict=True):
            for channel, plane in enumerate(cv2.split(picture)):
                cv2.LUT(plane, table[:, channel], dst=planes[channel])
        groups.append(out)
    return groups
