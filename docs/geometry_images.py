"""The pictures of docs/geometry.md: what layouts see, what antialiasing does, the seam and the poles, stitching."""

from dataclasses import replace

import cv2
import numpy as np
from jaxtyping import UInt8

from panollava.data.synthetic.raycast import render_erp
from panollava.data.synthetic.scene import sample_scene
from panollava.geometry import (
    ViewLayout,
    ViewSpec,
    anyres,
    cubemap,
    e2p_bands,
    e2p_ring,
    erp_from_views,
    erp_pixel_from_ray,
    render_views,
    rotate_erp,
    rotation,
    sliding_window,
    tangent,
)

Picture = UInt8[np.ndarray, "h w 3"]

SEED, INDEX = 7, 39
GAP = 10
PAPER, INK = (255, 255, 255), (40, 44, 52)
COLOURS = ((230, 57, 70), (29, 120, 200), (42, 157, 83), (244, 140, 6), (131, 56, 236), (0, 150, 160), (200, 60, 150))


def scene_erp(height: int) -> Picture:
    """Return the README's scene as a panorama."""
    return render_erp(sample_scene(SEED, INDEX), height=height, supersample=2).image


def layouts_picture() -> Picture:
    """Return the outlines of the views of six layouts on the panorama."""
    erp = scene_erp(256)
    kinds = {
        "e2p: hfov 90, overlap 0.5": e2p_ring(global_size_px=None),
        "bands: hfov 60, pitches -50 0 50, poles": e2p_bands(
            pitches_deg=(-50, 0, 50), hfov_deg=60, overlap=0.1, poles=True, global_size_px=None
        ),
        "cubemap": cubemap(),
        "tangent: icosahedron, 20": tangent(count=20),
        "sliding: hfov 90, overlap 0.5": sliding_window(),
        "anyres: 2 x 4": anyres(global_size_px=None),
    }
    cells = [
        _titled(_outlined(erp, layout), f"{name}   {layout.coverage():.0%} seen") for name, layout in kinds.items()
    ]
    return _grid(cells, columns=2)


def antialias_picture() -> Picture:
    """Return one detail of a fine pattern, eight panorama pixels to one of the view, under each mode and true."""
    erp = _tiled_floor(2048)
    view = ViewSpec.perspective("floor", yaw_deg=0, pitch_deg=-35, hfov_deg=90, height_px=168, width_px=168)
    layout = ViewLayout((view,), "floor")
    fine = ViewLayout((replace(view, height_px=16 * 168, width_px=16 * 168),), "fine")
    truth = cv2.resize(render_views(erp, fine, antialias="none")[0], (168, 168), interpolation=cv2.INTER_AREA)
    shown = {
        "none: what every peer does": render_views(erp, layout, antialias="none")[0],
        "fast (the default)": render_views(erp, layout, antialias="fast")[0],
        "quality": render_views(erp, layout, antialias="quality")[0],
        "256 rays a pixel": truth,
    }
    cells = []
    for name, picture in shown.items():
        error = float(np.mean((picture.astype(float) - truth) ** 2))
        psnr = "" if picture is truth else f"   {10 * np.log10(255**2 / error):.1f} dB"
        cells.append(_titled(cv2.resize(picture, (336, 336), interpolation=cv2.INTER_NEAREST), name + psnr))
    return _grid(cells, columns=4)


def seam_and_pole_picture() -> Picture:
    """Return views across the seam and at the poles, where a flat reading of the panorama breaks."""
    erp = scene_erp(768)
    views = {
        "yaw 180: the seam is in the middle": {"yaw_deg": 180, "pitch_deg": -5, "hfov_deg": 70},
        "the zenith": {"yaw_deg": 0, "pitch_deg": 90, "hfov_deg": 100},
        "the nadir": {"yaw_deg": 0, "pitch_deg": -90, "hfov_deg": 100},
    }
    cells = [_titled(cv2.resize(erp, (640, 320), interpolation=cv2.INTER_AREA), "the panorama")]
    for name, look in views.items():
        spec = ViewSpec.perspective("v", height_px=320, width_px=320, **look)
        cells.append(_titled(render_views(erp, ViewLayout((spec,), "one"))[0], name))
    return _row(cells)


def stitching_picture() -> Picture:
    """Return a band stitched from views of two exposures, by owner and feathered, and a panorama that was levelled."""
    erp = scene_erp(256)
    ring = e2p_ring(size_px=224, global_size_px=None)
    views = [
        np.clip(view * (1.0 if i % 2 else 0.8), 0, 255).astype(np.uint8)
        for i, view in enumerate(render_views(erp, ring, antialias="none"))
    ]
    pose = rotation(0.0, 12.0, 20.0)
    tilted = rotate_erp(erp, pose)
    band = {
        blend: erp_from_views(views, ring, height=256, width=512, blend=blend, fill=255)
        for blend in ("owner", "feather")
    }
    cells = [
        _titled(band["owner"], "owner: each pixel from one view"),
        _titled(band["feather"], "feather: weighted by how deep inside"),
        _titled(tilted, "recorded by a camera of pitch 12, roll 20"),
        _titled(rotate_erp(tilted, pose.T), "levelled by the transposed pose"),
    ]
    return _grid(cells, columns=2)


def _tiled_floor(height: int) -> Picture:
    """Return a panorama of a floor of small tiles under a plain sky, itself antialiased."""
    from panollava.geometry import erp_rays

    rays = erp_rays(2 * height, 4 * height)
    down = np.maximum(rays[..., 1], 1e-3)
    x, z = rays[..., 0] / down, rays[..., 2] / down
    tiles = (np.floor(x * 12) + np.floor(z * 12)) % 2
    shade = np.where(rays[..., 1] > 0.05, 60 + 150 * tiles, 215).astype(np.uint8)
    grey = cv2.resize(shade, (2 * height, height), interpolation=cv2.INTER_AREA)
    return np.repeat(grey[..., None], 3, axis=2)


def _outlined(erp: Picture, layout: ViewLayout) -> Picture:
    drawn = cv2.addWeighted(erp, 0.55, np.full_like(erp, 255), 0.45, 0)
    height, width = erp.shape[:2]
    along, low, high = np.linspace(0, 1, 400), np.zeros(400), np.ones(400)
    for index, view in enumerate(layout.views):
        edge = [(along, low), (high, along), (along[::-1], high), (low, along[::-1])]
        rays = np.concatenate([view.rays_at(*side) for side in edge])
        u, v = erp_pixel_from_ray(rays, height=height, width=width)
        for start, stop in zip(range(len(u)), [*range(1, len(u)), 0], strict=True):
            if abs(u[start] - u[stop]) < width / 4:
                ends = [(round(float(u[i])), round(float(v[i]))) for i in (start, stop)]
                cv2.line(drawn, *ends, COLOURS[index % len(COLOURS)], 2, cv2.LINE_AA)
    return drawn


def _titled(picture: Picture, title: str) -> Picture:
    head = np.full((26, picture.shape[1], 3), PAPER, np.uint8)
    cv2.putText(head, title, (1, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.45, INK, 1, cv2.LINE_AA)
    return np.concatenate([head, picture])


def _row(cells: list[Picture]) -> Picture:
    height = max(cell.shape[0] for cell in cells)
    parts: list[Picture] = []
    for cell in cells:
        pad = np.full((height, cell.shape[1], 3), PAPER, np.uint8)
        pad[: cell.shape[0]] = cell
        parts += [pad, np.full((height, GAP, 3), PAPER, np.uint8)]
    return np.concatenate(parts[:-1], axis=1)


def _grid(cells: list[Picture], *, columns: int) -> Picture:
    rows = [_row(cells[start : start + columns]) for start in range(0, len(cells), columns)]
    parts: list[Picture] = []
    for row in rows:
        parts += [row, np.full((GAP, row.shape[1], 3), PAPER, np.uint8)]
    return np.concatenate(parts[:-1])


GEOMETRY_PICTURES = {
    "geometry_layouts.jpg": layouts_picture,
    "geometry_antialias.jpg": antialias_picture,
    "geometry_seam_and_pole.jpg": seam_and_pole_picture,
    "geometry_stitching.jpg": stitching_picture,
}
