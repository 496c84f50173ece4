"""The geometry benchmark still runs: its truth agrees with the library, and one quick run measures every section."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from panollava.geometry import ViewSpec

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def modules(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    out = tmp_path_factory.mktemp("benchmark") / "figures.json"
    command = [sys.executable, str(BENCHMARKS / "geometry.py"), "--quick", "--json", str(out)]
    done = subprocess.run(
        [*command, "--libraries", "ours", "ours_torch"], capture_output=True, text=True, env=dict(os.environ)
    )
    assert done.returncode == 0, done.stderr
    return json.loads(out.read_text()), done.stdout


@pytest.mark.parametrize("pose", [(0, 0, 0), (180, 60, 0), (30, 20, 10), (-75, -90, 45)])
def test_the_truth_has_our_convention(modules, pose):
    from geometry_scenes import Shot, shot_rays

    yaw, pitch, roll = pose
    view = ViewSpec.perspective("v", yaw_deg=yaw, pitch_deg=pitch, roll_deg=roll, hfov_deg=70, height_px=9, width_px=9)
    np.testing.assert_allclose(shot_rays(Shot(*pose, 70, 9)), view.rays(9, 9), atol=1e-12)


def test_the_truth_interpolates_across_seam_and_poles(modules):
    from geometry_scenes import Shot, bilinear, erp_rays, shot_rays, supersampled

    erp = erp_rays(64)
    for shot in (Shot(180, 0, 0, 20, 16), Shot(0, 90, 0, 10, 16), Shot(50, -90, 30, 60, 16)):
        assert np.abs(bilinear(erp, shot_rays(shot)) - shot_rays(shot)).max() < 2e-3
        assert np.abs(supersampled(erp, shot, samples=2) - shot_rays(shot)).max() < 6e-3


def test_every_section_measures_ours(quick):
    found, _ = quick
    assert list(found["sections"]) == ["views", "cube", "jpeg", "accuracy", "antialias", "cache"]
    assert {name: section["failures"] for name, section in found["sections"].items() if section["failures"]} == {}
    timed = {name: set(found["sections"][name]["times_ms"]) for name in ("views", "cube", "jpeg", "cache")}
    assert timed == {
        "views": {"ours", "ours, cold", "ours, fast AA", "ours, quality AA"},
        "cube": {"ours", "ours, cold", "ours, feather"},
        "jpeg": {"ours, fast AA", "ours, quality AA"},
        "cache": {"ours"},
    }


def test_ours_is_the_exact_bilinear_picture(quick):
    six, checks = quick[0]["sections"]["accuracy"]["tables"]
    assert six["rows"]["ours, float32"] == six["rows"]["ours, torch float32"] == six["rows"]["exact bilinear, float64"]
    assert checks["rows"]["ours, float32"]["direction, max px"] < 0.005
    assert quick[0]["sections"]["cache"]["tables"][-1]["rows"]["ours"]["second time"] == 0


def test_what_is_printed(quick):
    found, printed = quick
    assert found["quick"] and found["rounds"] == 1 and found["absent"] == []
    assert "== antialias" in printed and "exact bilinear, float64" in printed


def test_a_library_that_is_not_installed_is_absent(modules, monkeypatch):
    import geometry_pool

    monkeypatch.setitem(geometry_pool.LIBRARIES, "nobody", geometry_pool.Library("nobody_has_this", "nobody"))
    assert geometry_pool.installed(["ours", "nobody"]) == ["ours"]


def test_a_method_that_fails_is_told_and_the_others_go_on(modules, tmp_path):
    from geometry_pool import Method, Pool, Settings
    from geometry_scenes import ring

    path = Settings(["ours"], tmp_path, 1, True).save(np.zeros((16, 32, 3), np.uint8))
    broken, sound = Method("broken", "ours", "no such operation"), Method("sound", "ours", "views")
    with Pool(["ours"]) as pool:
        for method in (broken, sound):
            pool.ask(method, "hold", "erp", path)
        times = pool.times_ms([broken, sound], slot="erp", task=ring(4, size_px=8), rounds=2)
        assert pool.failures == {"broken (no such operation)": "KeyError: 'no such operation'"}
        assert pool.present([broken, sound]) == [sound]
    assert list(times) == ["sound"] and len(times["sound"]) == 2 and min(times["sound"]) > 0


def test_cold_is_cold(modules):
    import cv2

    threads = cv2.getNumThreads()
    import geometry_ours  # runs OpenCV with one thread

    cv2.setNumThreads(threads)
    from geometry_scenes import StitchTask, ring

    from panollava.geometry import render, stitch

    shots = ring(4, size_px=8)
    views = geometry_ours.views(np.zeros((16, 32, 3), np.uint8), shots)
    geometry_ours.stitch(views, StitchTask(shots, 16))
    geometry_ours.forget()
    assert render._maps.bytes == 0 and stitch._patches.bytes == 0


def test_targets_and_ratios(modules):
    from geometry_report import Target, faster

    times = {"peer": {"2048": [30.0, 20.0]}, "other": {"2048": [50.0, 45.0]}, "ours": {"2048": [4.0, 5.0, 6.0]}}
    target = faster("peer / ours", times, "peer", "ours", "2048", at_least=5)
    assert (target.what, target.value, target.by_median, target.verdict) == ("peer / ours, 2048", 5.0, 5.0, "met")
    assert faster("best", times, ["other", "peer", "absent"], "ours", "2048", at_least=5).value == 5.0
    assert faster("none", times, "absent", "ours", "2048", at_least=5).verdict == "not measured"
    assert Target("x", 4.9, at_least=5).verdict == "MISSED"
    assert Target("x", 81.0, at_most=80).verdict == "MISSED"
    assert Target("x", 80.0, at_most=80).verdict == "met"
