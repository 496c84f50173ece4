"""panollava's NumPy path: `geometry.render_views`, `geometry.erp_from_views`, `data.views.normalised_views`."""

import functools
from typing import Any, Literal

import cv2
from geometry_scenes import Array, JpegTask, Shot, StitchTask

from panollava import geometry
from panollava.geometry import ViewLayout, ViewSpec, cubemap, render, render_views
from panollava.geometry import stitch as stitching

cv2.setNumThreads(1)


@functools.lru_cache(maxsize=64)
def layout_of(shots: tuple[Shot, ...], global_px: int | None = None) -> ViewLayout:
    """Return the layout of shots, planned once as in a run."""
    found = [
        ViewSpec.perspective(
            f"view {index}",
            yaw_deg=s.yaw_deg,
            pitch_deg=s.pitch_deg,
            roll_deg=s.roll_deg,
            hfov_deg=s.fov_deg,
            height_px=s.size_px,
            width_px=s.size_px,
        )
        for index, s in enumerate(shots)
    ]
    if global_px is not None:
        found.append(ViewSpec.window("global", height_px=global_px, width_px=global_px))
    return ViewLayout(tuple(found), "benchmark")


def load(erp: Array) -> Array:
    """Return the picture as it is."""
    return erp


def export(out: Any) -> Any:
    """Return the result as it is."""
    return out


def forget() -> None:
    """Forget every map."""
    render.clear_maps()
    stitching.clear_plans()


def views(erp: Array, shots: tuple[Shot, ...]) -> list[Array]:
    """Return the views, one bilinear tap per pixel."""
    return render_views(erp, layout_of(shots), antialias="none")


def views_fast(erp: Array, shots: tuple[Shot, ...]) -> list[Array]:
    """Return the views with fast antialiasing."""
    return render_views(erp, layout_of(shots), antialias="fast")


def views_quality(erp: Array, shots: tuple[Shot, ...]) -> list[Array]:
    """Return the views with antialiasing of the best quality."""
    return render_views(erp, layout_of(shots), antialias="quality")


def cube(erp: Array, size_px: int) -> list[Array]:
    """Return the six faces."""
    return render_views(erp, cubemap(size_px=size_px), antialias="none")


def uncube(faces: list[Array], height: int) -> Array:
    """Return the ERP of six faces."""
    layout = cubemap(size_px=faces[0].shape[0])
    return geometry.erp_from_views(faces, layout, height=height, width=2 * height, blend="owner")


def stitch(pictures: list[Array], task: StitchTask) -> Array:
    """Return the ERP of views, every pixel from the view that sees it best."""
    return geometry.erp_from_views(
        pictures, layout_of(task.shots), height=task.height, width=2 * task.height, blend="owner"
    )


def stitch_feather(pictures: list[Array], task: StitchTask) -> Array:
    """Return the ERP of views, blended."""
    return geometry.erp_from_views(
        pictures, layout_of(task.shots), height=task.height, width=2 * task.height, blend="feather"
    )


def _jpeg(data: bytes, task: JpegTask, antialias: Literal["fast", "quality"]) -> Array:
    from panollava.data.images import ImageOptions  # only here: a renderer need not import the decoders
    from panollava.data.views import normalised_views

    layout, images = layout_of(task.shots, task.size_px), ImageOptions(antialias=antialias)
    (views,) = normalised_views(data, layout, mean=[0.5] * 3, std=[0.5] * 3, images=images)
    return views


def jpeg_fast(data: bytes, task: JpegTask) -> Array:
    """Return normalised views with fast antialiasing."""
    return _jpeg(data, task, "fast")


def jpeg_quality(data: bytes, task: JpegTask) -> Array:
    """Return normalised views with antialiasing of the best quality."""
    return _jpeg(data, task, "quality")


def map_builds(_erp: Array, _task: None) -> int:
    """Return how many maps have been built."""
    return render.map_builds()


OPERATIONS = {
    "views": views,
    "views fast": views_fast,
    "views quality": views_quality,
    "cube": cube,
    "uncube": uncube,
    "stitch": stitch,
    "stitch feather": stitch_feather,
    "jpeg fast": jpeg_fast,
    "jpeg quality": jpeg_quality,
    "map builds": map_builds,
}
