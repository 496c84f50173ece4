"""The sections that compare with the truth: accuracy (an analytic sphere), antialias (a supersampled photo)."""

from typing import Any, NamedTuple

import numpy as np
from geometry_pool import Method, Pool, Settings
from geometry_report import Section, Table, Target
from geometry_scenes import (
    Array,
    Shot,
    bilinear,
    erp_rays,
    noise,
    photo,
    psnr,
    ring,
    shot_rays,
    supersampled,
    texture,
    waves,
    worst,
)

WAVELENGTH_PX, CUBE_WAVELENGTH_PX = 24.0, 32.0
EXACT = "exact bilinear, float64"


class Candidate(NamedTuple):
    """A library, and the type of the pixels it is given."""

    label: str
    library: str
    dtype: str


CANDIDATES = (
    Candidate("ours, uint8", "ours", "uint8"),
    Candidate("ours, float32", "ours", "float32"),
    Candidate("ours, torch float32", "ours_torch", "float32"),
    Candidate("py360convert, uint8", "py360convert", "uint8"),
    Candidate("py360convert, float32", "py360convert", "float32"),
    Candidate("equilib, uint8", "equilib", "uint8"),
    Candidate("equilib, float32", "equilib", "float32"),
    Candidate("pytorch360convert, float32", "pytorch360convert", "float32"),
)

ANTIALIAS = (
    Method("ours, none", "ours", "views"),
    Method("ours, fast", "ours", "views fast"),
    Method("ours, quality", "ours", "views quality"),
    Method("py360convert", "py360convert", "views"),
    Method("equilib", "equilib", "views"),
    Method("pytorch360convert", "pytorch360convert", "views"),
)


class Bench:
    """Asks candidates for views of panoramas; a candidate that fails answers None from then on."""

    def __init__(self, settings: Settings, pool: Pool) -> None:
        self.settings, self.pool = settings, pool
        self.candidates = [c for c in CANDIDATES if c.library in settings.libraries]

    def ask(self, candidate: Candidate, operation: str, erp: Array, task: Any) -> Any:
        """Return the result of an operation on a panorama in the candidate's type."""
        method = Method(candidate.label, candidate.library, operation)
        path = self.settings.save(as_type(erp, candidate.dtype))
        self.pool.ask(method, "hold", "erp", path)
        return self.pool.ask(method, "run", operation, "erp", task)

    def cube_round_trip(self, candidate: Candidate, erp: Array, size_px: int) -> Array | None:
        """Return the ERP of the cube of an ERP."""
        method = Method(candidate.label, candidate.library, "uncube")
        self.pool.ask(method, "hold", "erp", self.settings.save(as_type(erp, candidate.dtype)))
        self.pool.ask(method, "derive", "faces", "cube", "erp", size_px)
        return self.pool.ask(method, "run", "uncube", "faces", len(erp))


def as_type(erp: Array, dtype: str) -> Array:
    """Return a float64 panorama as uint8, rounded, or as float32."""
    return np.rint(erp).astype(np.uint8) if dtype == "uint8" else erp.astype(np.float32)


def accuracy(settings: Settings) -> Section:
    """Compare every candidate with plane waves on the sphere, known everywhere in float64."""
    height = 128 if settings.quick else 1024
    section = Section(
        "accuracy", f"plane waves of {WAVELENGTH_PX:g} ERP pixels, ERP {2 * height}, {settings.size_px} px"
    )
    with Pool(settings.libraries) as pool:
        bench = Bench(settings, pool)
        section.tables = [_six_views(bench, height), _checks(bench, height)]
        section.failures = pool.failures
    section.targets = _accuracy_targets(*(table.rows for table in section.tables))
    return section


def _six_views(bench: Bench, height: int) -> Table:
    """Return dB and the largest error of six views."""
    size = bench.settings.size_px
    shots = {
        "front": Shot(0, 0, 0, 90, size),
        "seam 180": Shot(180, 0, 0, 90, size),
        "rolled": Shot(180, 0, 30, 90, size),
        "zenith": Shot(0, 90, 0, 90, size),
        "nadir": Shot(0, -90, 0, 90, size),
        "180, up 60": Shot(180, 60, 0, 90, size),
    }
    wavelength_deg = WAVELENGTH_PX * 180.0 / height
    erp = waves(erp_rays(height), wavelength_deg=wavelength_deg)
    rays = [shot_rays(shot) for shot in shots.values()]
    truths = [waves(r, wavelength_deg=wavelength_deg) for r in rays]
    seen = {c.label: bench.ask(c, "views", erp, tuple(shots.values())) for c in bench.candidates}
    seen[EXACT] = [bilinear(erp, r) for r in rays]
    rows = {
        label: {
            name: f"{psnr(view, truth):.1f} ({worst(view, truth):.1f})"
            for name, view, truth in zip(shots, views, truths, strict=True)
        }
        for label, views in seen.items()
        if views is not None
    }
    return Table("dB (largest error in levels)", list(shots), rows)


def _checks(bench: Bench, height: int) -> Table:
    """Return what the six views do not show."""
    rows: dict[str, dict[str, Any]] = {}
    for check in (_seam_twin, _pole_zoom, _cube, _direction, _bias):
        for label, figures in check(bench, height).items():
            rows.setdefault(label, {}).update(figures)
    columns = [
        "seam twin, levels",
        "in pixels",
        "pole zoom, dB",
        "cube and back, dB",
        "cube, levels",
        "direction, mean px",
        "direction, max px",
        "uint8 bias",
    ]
    return Table(
        "seam at field of view 20; pole at 5; 1024 to 6 x 512 to 1024; directions in ERP pixels", columns, rows
    )


def _seam_twin(bench: Bench, height: int) -> dict[str, dict[str, Any]]:
    """Return how far a view across the seam is from the same view of the panorama turned by half."""
    erp = noise(height).astype(np.float64)
    found = {}
    for c in bench.candidates:
        seam = bench.ask(c, "views", erp, (Shot(180, 0, 0, 20, 256),))
        twin = bench.ask(c, "views", np.roll(erp, height, axis=1), (Shot(0, 0, 0, 20, 256),))
        if seam is not None and twin is not None:
            off = np.abs(np.asarray(seam[0], float) - twin[0]).max(axis=-1)
            # float32 coordinates of two columns round differently by some 1e-4 px; a level is what is seen
            found[c.label] = {"seam twin, levels": float(off.max()), "in pixels": int((off >= 0.5).sum())}
    return found


def _pole_zoom(bench: Bench, height: int) -> dict[str, dict[str, Any]]:
    """Return dB of a narrow view of the zenith."""
    wavelength_deg, shot = WAVELENGTH_PX * 180.0 / height, Shot(0, 90, 0, 5, bench.settings.size_px)
    erp, truth = waves(erp_rays(height), wavelength_deg=wavelength_deg), shot_rays(shot)
    seen = {c.label: bench.ask(c, "views", erp, (shot,)) for c in bench.candidates}
    seen[EXACT] = [bilinear(erp, truth)]
    truth = waves(truth, wavelength_deg=wavelength_deg)
    return {label: {"pole zoom, dB": psnr(views[0], truth)} for label, views in seen.items() if views is not None}


def _cube(bench: Bench, height: int) -> dict[str, dict[str, Any]]:
    """Return what a cube of half the ERP's width per face loses, there and back."""
    height //= 2
    erp = waves(erp_rays(height), wavelength_deg=CUBE_WAVELENGTH_PX * 180.0 / height)
    found = {}
    for c in [c for c in bench.candidates if c.dtype == "float32" and c.library != "ours_torch"]:
        back = bench.cube_round_trip(c, erp, height)
        if back is not None:
            found[c.label] = {"cube and back, dB": psnr(back, erp), "cube, levels": worst(back, erp)}
    return found


def _direction(bench: Bench, height: int) -> dict[str, dict[str, Any]]:
    """Return the angle, in ERP pixels, between where pixels look, read from an ERP of directions, and should."""
    shot = Shot(30, 20, 10, 90, bench.settings.size_px)
    truth, found = shot_rays(shot), {}
    for c in [c for c in bench.candidates if c.dtype == "float32"]:
        views = bench.ask(c, "views", erp_rays(height), (shot,))
        if views is not None:
            ray = np.asarray(views[0], np.float64)
            ray /= np.linalg.norm(ray, axis=-1, keepdims=True)
            chord = np.linalg.norm(ray - truth, axis=-1)
            pixels = 2.0 * np.arcsin(np.minimum(chord / 2.0, 1.0)) * height / np.pi
            found[c.label] = {"direction, mean px": float(pixels.mean()), "direction, max px": float(pixels.max())}
    return found


def _bias(bench: Bench, height: int) -> dict[str, dict[str, Any]]:
    """Return how far uint8 results lie, on average, from the float32 results of the same library."""
    erp, shot = noise(height).astype(np.float64), Shot(30, 20, 10, 90, bench.settings.size_px)
    found = {}
    for c in [c for c in bench.candidates if c.dtype == "uint8"]:
        views = bench.ask(c, "views", erp, (shot,))
        other = next(o for o in bench.candidates if o.library == c.library and o.dtype == "float32")
        exact = bench.ask(other, "views", erp, (shot,))
        if views is not None and exact is not None:
            found[c.label] = {"uint8 bias": float(np.mean(np.asarray(views[0], float) - exact[0]))}
    return found


def _accuracy_targets(six: dict[str, dict[str, Any]], checks: dict[str, dict[str, Any]]) -> list[Target]:
    def least(label: str) -> float | None:
        return min((_db(cell) for cell in six[label].values()), default=None) if label in six else None

    def lost(label: str) -> float | None:
        pairs = [(_db(six[EXACT][name]), _db(cell)) for name, cell in six.get(label, {}).items()]
        return max((exact - seen for exact, seen in pairs), default=None)

    def check(label: str, column: str) -> float | None:
        return checks.get(label, {}).get(column)

    targets = [Target("dB of the worst view, ours, uint8", least("ours, uint8"), at_least=55)]
    for label in ("ours, float32", "ours, torch float32"):
        targets += [
            Target(f"dB of the worst view, {label}", least(label), at_least=60),
            Target(f"dB lost on exact bilinear, {label}", lost(label), at_most=0.3),
            Target(f"seam twin, pixels off by half a level, {label}", check(label, "in pixels"), at_most=0),
            Target(f"pole zoom, dB, {label}", check(label, "pole zoom, dB"), at_least=64),
            Target(f"direction error, px, {label}", check(label, "direction, max px"), at_most=0.005),
        ]
    bias = check("ours, uint8", "uint8 bias")
    return [
        *targets,
        Target("seam twin, levels, ours, uint8", check("ours, uint8", "seam twin, levels"), at_most=1),
        Target("cube and back, dB, ours, float32", check("ours, float32", "cube and back, dB"), at_least=65),
        Target("cube and back, levels, ours, float32", check("ours, float32", "cube, levels"), at_most=4),
        Target("uint8 bias in levels, ours", None if bias is None else abs(bias), at_most=0.02),
    ]


def _db(cell: str) -> float:
    return float(cell.split()[0])


def antialias(settings: Settings) -> Section:
    """Compare views that are smaller than the panorama with the mean over the area of each of their pixels."""
    found = photo()
    erp = texture(128) if settings.quick else texture(1024) if found is None else found
    width, samples = erp.shape[1], 4 if settings.quick else 16
    sizes = [round(width * share) for share in (168 / 2048, 84 / 2048)]
    section = Section("antialias", f"dB against {samples} x {samples} samples per pixel of a panorama of {width}")
    columns = [f"{size} px, {what}" for size in sizes for what in ("level", "zenith, nadir")]
    section.tables = [Table("mean dB; field of view 90; level: yaw 0, 90, 180, 270", columns, {})]
    rows = section.tables[0].rows
    with Pool(settings.libraries) as pool:
        for size in sizes:
            shots = (*ring(4, size_px=size), Shot(0, 90, 0, 90, size), Shot(0, -90, 0, 90, size))
            truths = [supersampled(erp, shot, samples=samples) for shot in shots]
            for method in pool.present(ANTIALIAS):
                pool.ask(method, "hold", "erp", settings.save(erp))
                views = pool.ask(method, "run", method.operation, "erp", shots)
                if views is not None:
                    db = [psnr(view, truth) for view, truth in zip(views, truths, strict=True)]
                    cells = {f"{size} px, level": float(np.mean(db[:4])), f"{size} px, zenith, nadir": np.mean(db[4:])}
                    rows.setdefault(method.label, {}).update(cells)
        section.failures = pool.failures
    for label, goal in (("ours, fast", 39), ("ours, quality", 46)):
        for size in sizes:
            value = rows.get(label, {}).get(f"{size} px, level")
            section.targets.append(Target(f"mean dB at {size} px, {label}", value, at_least=goal))
    if found is None or settings.quick:
        section.notes.append("a generated texture stands in for the photo")
    return section
