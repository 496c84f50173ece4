"""What is looked at, and the truth about it, in float64 and without any of the measured libraries.

Shots are pinhole views in panollava's convention (yaw to the right, pitch up, roll clockwise, degrees; the field of
view runs from edge to edge); every library's module turns them into its own.
"""

import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

Array = np.ndarray

PHOTO = Path(__file__).parents[2] / "shared" / "panos" / "fishermans_bastion_2k.jpg"
# three waves at nearly full contrast give the peers the errors that reference measurements give them
WAVES, AMPLITUDE = 3, 127.0


class Shot(NamedTuple):
    """A square perspective view."""

    yaw_deg: float
    pitch_deg: float
    roll_deg: float
    fov_deg: float
    size_px: int


class StitchTask(NamedTuple):
    """Views to be laid back onto an ERP of height x 2 height pixels."""

    shots: tuple[Shot, ...]
    height: int


class JpegTask(NamedTuple):
    """Views and a square global view of size_px, normalised with the mean and std 0.5 of SigLIP."""

    shots: tuple[Shot, ...]
    size_px: int


def ring(count: int, *, size_px: int, fov_deg: float = 90.0) -> tuple[Shot, ...]:
    """Return views in equal yaw steps, the first to the front."""
    yaws = [(i * 360.0 / count + 180.0) % 360.0 - 180.0 for i in range(count)]
    return tuple(Shot(yaw, 0.0, 0.0, fov_deg, size_px) for yaw in yaws)


def fibonacci(count: int, *, size_px: int) -> tuple[Shot, ...]:
    """Return views spread evenly over the sphere, no two at one pitch."""
    turn = 180.0 * (3.0 - 5.0**0.5)
    pitches = np.rad2deg(np.arcsin(1.0 - 2.0 * (np.arange(count) + 0.5) / count))
    return tuple(
        Shot((i * turn + 180.0) % 360.0 - 180.0, float(pitch), 0.0, 90.0, size_px) for i, pitch in enumerate(pitches)
    )


def erp_rays(height: int) -> Array:
    """Return the ray of every ERP pixel: x right, y down, z forward."""
    width = 2 * height
    yaw = ((np.arange(width) + 0.5) / width - 0.5) * 2.0 * np.pi
    pitch = ((0.5 - (np.arange(height) + 0.5) / height) * np.pi)[:, None]
    down = np.broadcast_to(-np.sin(pitch), (height, width))
    return np.stack([np.cos(pitch) * np.sin(yaw), down, np.cos(pitch) * np.cos(yaw)], axis=-1)


def rotation(shot: Shot) -> Array:
    """Return camera to world, Ry(yaw) Rx(pitch) Rz(roll)."""
    a, b, c = np.deg2rad([shot.yaw_deg, shot.pitch_deg, shot.roll_deg])
    turn = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    tilt = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    roll = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return turn @ tilt @ roll


def shot_rays(shot: Shot, *, samples: int = 1, rows: slice = slice(None)) -> Array:
    """Return the unit rays of a view, or of samples x samples points in each of its pixels."""
    count = shot.size_px * samples
    at = np.tan(np.deg2rad(shot.fov_deg) / 2.0) * (2.0 * (np.arange(count) + 0.5) / count - 1.0)
    x, y = np.meshgrid(at, at[rows])
    rays = np.stack([x, y, np.ones_like(x)], axis=-1)
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    return rays @ rotation(shot).T


def waves(rays: Array, *, wavelength_deg: float, seed: int = 7) -> Array:
    """Return three channels of plane waves in ray space, around 127.5: smooth on the sphere, no seam, no poles."""
    rng = np.random.default_rng(seed)
    directions = rng.normal(size=(3, WAVES, 3))
    directions *= 2.0 * np.pi / np.deg2rad(wavelength_deg) / np.linalg.norm(directions, axis=-1, keepdims=True)
    phases = rng.uniform(0.0, 2.0 * np.pi, (3, WAVES))
    channels = [np.sin(rays @ directions[c].T + phases[c]).sum(axis=-1) for c in range(3)]
    return 127.5 + AMPLITUDE / WAVES * np.stack(channels, axis=-1)


def bilinear(erp: Array, rays: Array) -> Array:
    """Return the exact bilinear samples of an ERP: columns wrap, past a pole the rows go on half a turn away."""
    height, width = erp.shape[:2]
    padded = np.concatenate([np.roll(erp[:1], width // 2, axis=1), erp, np.roll(erp[-1:], width // 2, axis=1)])
    u = (np.arctan2(rays[..., 0], rays[..., 2]) / (2.0 * np.pi) + 0.5) * width - 0.5
    v = (0.5 + np.arctan2(rays[..., 1], np.hypot(rays[..., 0], rays[..., 2])) / np.pi) * height + 0.5
    col, row = np.floor(u).astype(np.int64), np.minimum(np.floor(v).astype(np.int64), height)
    du, dv = (u - col)[..., None], (v - row)[..., None]
    left, right = col % width, (col + 1) % width
    above = padded[row, left] * (1.0 - du) + padded[row, right] * du
    below = padded[row + 1, left] * (1.0 - du) + padded[row + 1, right] * du
    return above * (1.0 - dv) + below * dv


def supersampled(erp: Array, shot: Shot, *, samples: int = 16) -> Array:
    """Return a view whose every pixel is the mean of samples x samples bilinear samples over its area."""
    lines = []
    for row in range(shot.size_px):
        rays = shot_rays(shot, samples=samples, rows=slice(row * samples, (row + 1) * samples))
        lines.append(bilinear(erp, rays).reshape(samples, shot.size_px, samples, 3).mean(axis=(0, 2)))
    return np.stack(lines)


def psnr(seen: Array, truth: Array) -> float:
    """Return the peak signal to noise ratio in dB, peak 255."""
    error = np.mean((np.asarray(seen, np.float64) - truth) ** 2)
    return float("inf") if error == 0 else float(10.0 * np.log10(255.0**2 / error))


def worst(seen: Array, truth: Array) -> float:
    """Return the largest difference in levels."""
    return float(np.abs(np.asarray(seen, np.float64) - truth).max())


def noise(height: int, *, seed: int = 0) -> Array:
    """Return white noise, the hardest picture to interpolate, uint8."""
    return np.random.default_rng(seed).integers(0, 256, (height, 2 * height, 3), dtype=np.uint8)


def texture(height: int) -> Array:
    """Return a generated panorama with structure of all sizes, uint8: what stands in where the photo is absent."""
    picture = np.zeros((height, 2 * height, 3))
    for octave in range(2, height.bit_length()):
        coarse = noise(2**octave, seed=octave)
        picture += np.asarray(Image.fromarray(coarse).resize((2 * height, height), Image.Resampling.BICUBIC), float)
    picture -= picture.mean()
    return np.clip(127.5 + 45.0 * picture / picture.std(), 0, 255).astype(np.uint8)


def photo() -> Array | None:
    """Return the real panorama, uint8 1024 x 2048 x 3, or None where it is absent."""
    if not PHOTO.is_file():
        return None
    with Image.open(PHOTO) as image:
        return np.asarray(image.convert("RGB"))


def jpeg(width: int) -> bytes:
    """Return a JPEG of about the bytes of a real panorama, 0.3 per pixel: the photo enlarged, with fine noise."""
    found = photo()
    base = Image.fromarray(texture(512) if found is None else found)
    large = np.asarray(base.resize((width, width // 2), Image.Resampling.BICUBIC))
    levels = max(1, round(np.log2(width)) - 3)  # of noise: 0.6, 2.3, 9 MB at 2048, 4096, 8192
    grain = np.random.default_rng(width).integers(-levels, levels + 1, large.shape[:2], dtype=np.int16)
    grainy = np.clip(large + grain[..., None], 0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(grainy).save(file, "JPEG", quality=90)
    return file.getvalue()
