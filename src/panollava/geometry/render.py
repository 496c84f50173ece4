"""Render the views of a layout from an ERP with OpenCV: exact at the seam and the poles, without aliasing.

    ERP -> (halved, polar rows averaged) -> window of the view -> cv2.remap -> (2 x 2 averaged) -> view     perspective
    ERP -> (halved while exact)          -> window of the view -> box filter                    -> view     ERP window

The maps are kept between calls, up to 256 MB. `panollava.geometry.render_torch` renders the same views from tensors,
with gradients.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Shaped

from panollava.errors import GeometryError
from panollava.geometry.antialias import Antialias, check_antialias, halvings, polar_rows, supersampling
from panollava.geometry.boxes import render_box, uses_box
from panollava.geometry.cache import ByteCache
from panollava.geometry.erp_pixels import Window, check_erp, extract_window
from panollava.geometry.pyramid import ErpPyramid
from panollava.geometry.sampling import MAX_SOURCE_PX, enclosing_window, split_yaw, view_pixels
from panollava.geometry.view import ViewSpec
from panollava.geometry.view_layout import ViewLayout

CACHE_BYTES = 256 * 2**20

Picture = Shaped[np.ndarray, "_ _ channels"]


@dataclass(frozen=True, slots=True)
class _ViewMap:
    """Where each pixel of a view reads, in pixels of a window: cv2's maps.

    For speed in 1/32 pixels (i16 places and u16 fractions), for exactness f32 columns and rows.
    """

    first: np.ndarray
    second: np.ndarray
    window: Window

    @classmethod
    def build(cls, view: ViewSpec, height: int, width: int, *, exact: bool) -> "_ViewMap":
        u, v = view_pixels(view, height=height, width=width, dtype=np.float64 if exact else np.float32)
        window = enclosing_window(u, v)
        if max(window.rows, window.cols) > MAX_SOURCE_PX:
            raise GeometryError(
                f"a view needs {window.rows} x {window.cols} pixels of the {height} x {width} ERP at once, above "
                f"{MAX_SOURCE_PX}. Resize the panorama, or render it with antialias='fast'."
            )
        size = (view.height_px, view.width_px)
        across = np.ascontiguousarray(np.broadcast_to((u - window.col0).astype(np.float32), size))
        down = np.ascontiguousarray(np.broadcast_to((v - window.row0).astype(np.float32), size))
        if exact:
            return cls(across, down, window)
        whole, fraction = cv2.convertMaps(across, down, cv2.CV_16SC2)
        return cls(whole, fraction, window)

    @property
    def nbytes(self) -> int:
        """Bytes of the two maps."""
        return self.first.nbytes + self.second.nbytes


_maps: ByteCache[_ViewMap] = ByteCache(limit_bytes=CACHE_BYTES)


def render_views(
    erp: Shaped[np.ndarray, "height width *channels"],
    layout: ViewLayout,
    *,
    antialias: Antialias = "fast",
    exact: bool = False,
) -> list[np.ndarray]:
    """Return the picture of every view of a layout, in its order.

    Args:
        erp: u8 or f32 [H, W, C] with 1, 3 or 4 channels, or [H, W]; any size; it spans 360 x 180 degrees.
        layout: the views.
        antialias: ``fast``, ``quality`` or ``none``; `panollava.geometry.antialias` says what each does.
        exact: interpolate u8 at exact places instead of 1/32 pixels; slower. f32 always is exact.

    Returns:
        One [height_px, width_px, C] per view, of the ERP's type. Views of one size share one block of memory.

    Raises:
        GeometryError: an ERP of another type or shape, or too wide for a view that holds a pole.

    Example:
        >>> from panollava.geometry import cubemap
        >>> [view.shape for view in render_views(np.zeros((64, 128, 3), np.uint8), cubemap(size_px=16))][:2]
        [(16, 16, 3), (16, 16, 3)]
    """
    rendered = render_groups(erp, layout, antialias=antialias, exact=exact)
    views: list[np.ndarray] = [erp] * len(layout.views)
    for group, pictures in zip(layout.groups(), rendered, strict=True):
        for index, picture in zip(group.indices, pictures, strict=True):
            views[index] = picture
    return views


def render_groups(
    erp: Shaped[np.ndarray, "height width *channels"],
    layout: ViewLayout,
    *,
    antialias: Antialias = "fast",
    exact: bool = False,
) -> tuple[Shaped[np.ndarray, "v h w *channels"], ...]:
    """Return the views as one array per group of equal size, as `ViewLayout.groups` orders them.

    Arguments and errors as `render_views`.
    """
    check_erp(erp)
    check_antialias(antialias)
    channels = erp.shape[2:]
    pyramid = ErpPyramid(np.ascontiguousarray(erp.reshape(*erp.shape[:2], -1)))
    rendered = []
    for group in layout.groups():
        block = np.empty((len(group.indices), group.height_px, group.width_px, *(channels or (1,))), erp.dtype)
        for out, index in zip(block, group.indices, strict=True):
            _render(pyramid, layout.views[index], antialias=antialias, exact=exact or erp.dtype != np.uint8, out=out)
        rendered.append(block if channels else block[..., 0])
    return tuple(rendered)


def clear_maps() -> None:
    """Forget every map that is kept."""
    _maps.clear()


def map_builds() -> int:
    """Return how many maps have been built by this process."""
    return _maps.builds


def _render(pyramid: ErpPyramid, view: ViewSpec, *, antialias: Antialias, exact: bool, out: Picture) -> None:
    height, width = pyramid.size(0)
    if antialias != "none" and uses_box(view, height=height, width=width):
        render_box(pyramid.level, view, antialias=antialias, out=out)
        return
    count = halvings(view, height=height, width=width, antialias=antialias)
    times = supersampling(view, height=height, width=width, antialias=antialias)
    if times == 1:
        _remap(pyramid, view, count, polar=antialias != "none", exact=exact, out=out)
        return
    fine = np.empty((times * view.height_px, times * view.width_px, out.shape[2]), out.dtype)
    finer = replace(view, height_px=fine.shape[0], width_px=fine.shape[1])
    _remap(pyramid, finer, count, polar=True, exact=exact, out=fine)
    cv2.resize(fine, (view.width_px, view.height_px), dst=out, interpolation=cv2.INTER_AREA)


def _remap(pyramid: ErpPyramid, view: ViewSpec, count: int, *, polar: bool, exact: bool, out: Picture) -> None:
    height, width = pyramid.size(count)
    front, shift = split_yaw(view, width)

    def build() -> tuple[_ViewMap, int]:
        built = _ViewMap.build(front, height, width, exact=exact)
        return built, built.nbytes

    found = _maps.get((front, height, width, exact), build=build)
    window = found.window
    if polar and _sees_pole(window, height):
        erp = pyramid.polar(count)
    else:
        erp = pyramid.level(count, rows=(window.row0, window.row0 + window.rows))
    source = extract_window(erp, replace(window, col0=(window.col0 + shift) % width))
    # no place lies outside the window: the border mode only meets taps of weight zero
    cv2.remap(source, found.first, found.second, cv2.INTER_LINEAR, dst=out, borderMode=cv2.BORDER_REPLICATE)


def _sees_pole(window: Window, height: int) -> bool:
    rows = polar_rows(height)
    return window.row0 < rows or window.row0 + window.rows > height - rows
