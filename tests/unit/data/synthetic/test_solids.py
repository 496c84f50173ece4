import numpy as np
import pytest

from panollava.data.synthetic.solids import EXTENTS, intersect
from panollava.data.synthetic.vocabulary import SHAPES

RADIUS = 0.7
EYES = np.array([[0.0, 0.0, -2.0], [1.5, -1.4, 0.6], [-1.2, 1.6, 1.1], [0.3, -2.5, 0.1]])


def inside(shape, points, *, grow=0.0):
    """Whether points lie in the solid: written from its description, not from the intersection code."""
    x, y, z = points.T / RADIUS
    ring, square = np.hypot(x, z), np.maximum(abs(x), abs(z))
    if shape == "ball":
        return np.sqrt(x * x + y * y + z * z) <= 1 + grow
    if shape == "cube":
        return np.maximum(square, abs(y)) <= 1 / np.sqrt(3) + grow
    if shape == "cylinder":
        return (ring <= 0.6 + grow) & (abs(y) <= 0.8 + grow)
    across, wide = (ring, np.sqrt(0.75)) if shape == "cone" else (square, np.sqrt(0.375))
    return (y <= 0.5 + grow) & (across <= wide * (y + 1) / 1.5 + grow)


def inner_points(shape, count, rng):
    points = rng.uniform(-RADIUS, RADIUS, (40 * count, 3))
    return points[inside(shape, points, grow=-0.02)][:count]


@pytest.fixture(params=list(SHAPES))
def hits(request):
    """Rays from several eyes through inner points of a solid: all of them must hit it."""
    shape, rng = request.param, np.random.default_rng(0)
    found = []
    for eye in EYES:
        target = inner_points(shape, 400, rng)
        way = target - eye
        length = np.linalg.norm(way, axis=1)
        d = (way / length[:, None]).astype(np.float32)
        t, normal = intersect(shape, eye.astype(np.float32), d, radius=RADIUS)
        found.append((eye, d, t, normal, length))
    return shape, found


def test_a_ray_through_an_inner_point_hits_before_it(hits):
    _, found = hits
    for _, _, t, _, length in found:
        assert np.isfinite(t).all()
        assert (t > 0).all()
        assert (t < length).all()


def test_hits_lie_on_the_surface_within_the_bounding_sphere(hits):
    shape, found = hits
    for eye, d, t, normal, _ in found:
        points = eye + t[:, None] * d
        assert np.linalg.norm(points, axis=1).max() <= RADIUS * (1 + 1e-5)
        assert inside(shape, points, grow=1e-4).all()
        assert not inside(shape, points, grow=-1e-4).any()
        assert not inside(shape, points + 1e-3 * normal).any()  # the normal leads out of it


def test_normals_are_unit_and_face_the_eye(hits):
    _, found = hits
    for _, d, _, normal, _ in found:
        assert np.linalg.norm(normal, axis=1) == pytest.approx(np.ones(len(d)), abs=1e-5)
        assert ((normal * d).sum(axis=1) < 0).all()


@pytest.mark.parametrize("shape", list(SHAPES))
def test_rays_that_pass_by_miss(shape):
    rng = np.random.default_rng(1)
    eye = EYES[0]
    d = rng.normal(size=(4000, 3))
    d /= np.linalg.norm(d, axis=1, keepdims=True)
    nearest = np.linalg.norm(np.cross(np.broadcast_to(-eye, d.shape), d), axis=1)
    passes = (nearest > RADIUS * 1.001) | (d @ -eye < 0)
    t, _ = intersect(shape, eye.astype(np.float32), d[passes].astype(np.float32), radius=RADIUS)
    assert np.isinf(t).all()


@pytest.mark.parametrize("shape", list(SHAPES))
def test_extents_are_the_size_of_the_solid(shape):
    points = np.random.default_rng(2).uniform(-RADIUS, RADIUS, (200_000, 3))
    span = np.ptp(points[inside(shape, points)], axis=0) / RADIUS
    assert EXTENTS[shape] == pytest.approx((span[0], span[1]), rel=0.06)
    assert span[0] == pytest.approx(span[2], rel=0.06)


def test_the_base_height_that_places_a_solid_is_its_lowest_point():
    for shape, height in SHAPES.items():
        points = np.random.default_rng(3).uniform(-RADIUS, RADIUS, (100_000, 3))
        assert points[inside(shape, points), 1].max() / RADIUS == pytest.approx(height, abs=0.03)
