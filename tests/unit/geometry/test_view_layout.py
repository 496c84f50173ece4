import json

import numpy as np
import pytest

from panollava.errors import GeometryError
from panollava.geometry import (
    ViewGroup,
    ViewLayout,
    ViewSpec,
    anyres,
    cubemap,
    e2p_ring,
    resize,
    sliding_window,
)

EVERY = {
    "e2p": e2p_ring(),
    "cubemap": cubemap(),
    "sliding": sliding_window(),
    "resize": resize(),
    "anyres": anyres(),
}


def view(name, yaw_deg, pitch_deg=0.0):
    return ViewSpec.perspective(name, yaw_deg=yaw_deg, pitch_deg=pitch_deg, hfov_deg=90, height_px=8, width_px=8)


def test_groups_keep_the_order_in_which_sizes_appear():
    wide = ViewSpec.window("wide", height_px=4, width_px=8)
    layout = ViewLayout((view("a", 0), wide, view("b", 90)), "mixed")
    assert layout.groups() == (ViewGroup(8, 8, (0, 2)), ViewGroup(4, 8, (1,)))


# the ring: 8 / (2 pi) times the integral over one view's share of sin(atan(cos a))
@pytest.mark.parametrize(("kind", "expected"), [("e2p", 0.698), ("cubemap", 1.0), ("resize", 1.0), ("anyres", 1.0)])
def test_coverage(kind, expected):
    assert EVERY[kind].coverage() == pytest.approx(expected, abs=1.5e-3)


def test_coverage_of_a_ring_matches_its_integral():
    a = np.deg2rad((np.arange(1000) + 0.5) / 1000 * 22.5)
    exact = np.mean(np.sin(np.arctan(np.cos(a))))
    assert EVERY["e2p"].coverage() == pytest.approx(exact, abs=1e-3)
    assert cubemap(poles=False).coverage() == pytest.approx(2 / 3, abs=1e-3)
    assert EVERY["sliding"].coverage() == pytest.approx(np.sin(np.pi / 4), abs=1e-3)


def test_ring_pairs_close_over_the_seam():
    assert EVERY["e2p"].overlap_pairs() == ((0, 1), (0, 7), *((i, i + 1) for i in range(1, 7)))


def test_faces_and_tiles_share_edges_but_no_rays():
    assert EVERY["cubemap"].overlap_pairs() == ()
    assert EVERY["anyres"].overlap_pairs() == ()
    assert e2p_ring(hfov_deg=90, overlap=0.0).overlap_pairs() == ()


def test_wide_views_also_pair_past_their_neighbours():
    pairs = e2p_ring(hfov_deg=120, overlap=0.75).overlap_pairs()  # 12 views, 30 degrees apart
    apart = {min(j - i, 12 - (j - i)) for i, j in pairs}
    assert apart == {1, 2, 3}  # 120 degrees apart only the edges meet


@pytest.mark.parametrize("layout", EVERY.values(), ids=EVERY)
def test_a_layout_survives_json_and_keys_a_cache(layout):
    back = ViewLayout.from_dict(json.loads(json.dumps(layout.to_dict())))
    assert back == layout and hash(back) == hash(layout)
    assert {layout: 1}[back] == 1


@pytest.mark.parametrize("layout", EVERY.values(), ids=EVERY)
def test_the_report_is_plain_and_complete(layout):
    report = json.loads(json.dumps(layout.report()))
    assert report["num_views"] == len(layout.views) == len(report["views"])
    assert report["coverage"] == layout.coverage()
    assert report["views"][0]["pixels_per_degree"] == layout.views[0].pixels_per_degree


def test_from_dict_names_a_wrong_key():
    values = EVERY["e2p"].to_dict()
    with pytest.raises(GeometryError, match=r"unknown layout key 'ring'. Did you mean 'ring_indices'"):
        ViewLayout.from_dict(values | {"ring": []})


@pytest.mark.parametrize(
    ("views", "ring", "message"),
    [
        ((), (), "layout 'bad' has no views"),
        ((view("a", 0), view("a", 90)), (), "several views named a"),
        ((view("a", 0), view("b", 180)), (0, 2), "must be different numbers below 2"),
        ((view("a", 0), view("b", 180)), (0, 0), "must be different numbers below 2"),
        ((view("a", 0), view("b", 90)), (0, 1), "do not form a ring; .* steps of 180 degrees"),
        ((view("a", 0), view("b", 180, 10)), (0, 1), "do not form a ring"),
        ((ViewSpec.window("g", height_px=4, width_px=8),), (0,), "do not form a ring; .* no global view"),
    ],
)
def test_impossible_layouts_are_refused(views, ring, message):
    with pytest.raises(GeometryError, match=message):
        ViewLayout(views, "bad", ring)
