from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from panollava.errors import GeometryError
from panollava.geometry import ViewLayout, build_layout, erp_rays, render_views, rotate_erp, rotation
from panollava.geometry.angles_torch import rotation_torch
from panollava.geometry.pyramid_torch import pad_sphere
from panollava.geometry.render_torch import render_views_torch, rotate_erp_torch

from .conftest import paint
from .test_render import VIEWS, exact_bilinear, look, window

PHOTO = Path(__file__).parents[4] / "shared" / "panos" / "forest_slope.jpg"


def as_batch(*erps, dtype=torch.float32):
    return torch.stack([torch.tensor(erp).permute(2, 0, 1) for erp in erps]).to(dtype)


def as_picture(tensor):
    return tensor[0].permute(1, 2, 0).double().numpy()


def render(erp, view, **options):
    return render_views_torch(erp, ViewLayout((view,), "test"), **options)[0]


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
@pytest.mark.parametrize("shape", [(64, 128), (64, 120), (50, 118)])
def test_noise_is_read_with_exact_bilinear_taps(view, shape, noise_erp):
    erp = noise_erp(*shape)
    image = as_picture(render(as_batch(erp, dtype=torch.float64), view, antialias="none"))
    np.testing.assert_allclose(image, exact_bilinear(erp, view), atol=1e-6)
    image = as_picture(render(as_batch(erp), view, antialias="none"))
    assert np.abs(image - exact_bilinear(erp, view)).max() < 0.05


@pytest.mark.parametrize("antialias", ["none", "fast", "quality"])
@pytest.mark.parametrize("kind", ["e2p", "cubemap", "sliding", "resize", "anyres"])
@pytest.mark.parametrize("shape", [(256, 512), (1024, 2048), (257, 511)])
def test_both_renderers_agree(kind, shape, antialias, painted_erp):
    """On waves, where 1/32 pixel is half a level; the bytes of a halved panorama are rounded on the way too."""
    erp, layout = painted_erp(*shape), build_layout(kind)
    images = render_views(erp, layout, antialias=antialias)
    tensors = render_views_torch(as_batch(erp), layout, antialias=antialias)
    for image, tensor in zip(images, tensors, strict=True):
        assert np.abs(image - as_picture(tensor).round()).max() <= (1 if antialias == "none" else 2)
        # halves are rounded up: an eighth of a level where four pixels are averaged, per halving
        assert abs((image - as_picture(tensor)).mean()) < (0.05 if antialias == "none" else 0.4)


@pytest.mark.parametrize("antialias", ["none", "fast", "quality"])
@pytest.mark.parametrize("kind", ["e2p", "cubemap", "sliding", "resize", "anyres"])
def test_both_renderers_agree_on_noise_where_bytes_are_read_exactly(kind, antialias, noise_erp):
    """Neighbours differ by a hundred levels: one tap wrong by 1/64 pixel would show."""
    erp, layout = noise_erp(256, 512), build_layout(kind, **({"size_px": 40} if kind != "anyres" else {"tile_px": 40}))
    images = render_views(erp, layout, antialias=antialias, exact=True)
    tensors = render_views_torch(as_batch(erp), layout, antialias=antialias)
    for image, tensor in zip(images, tensors, strict=True):
        assert np.abs(image - as_picture(tensor).round()).max() <= 1


def test_bytes_on_the_cpu_are_the_other_renderers(noise_erp):
    erp, layout = noise_erp(64, 128), build_layout("e2p", size_px=24)
    bytes_in = torch.stack([torch.from_numpy(erp).permute(2, 0, 1)] * 2)
    for image, tensor in zip(render_views(erp, layout), render_views_torch(bytes_in, layout), strict=True):
        assert tensor.dtype == torch.uint8 and tensor.shape[0] == 2
        np.testing.assert_array_equal(tensor[1].permute(1, 2, 0).numpy(), image)


def test_the_seam_is_like_any_other_column(noise_erp):
    erp = as_batch(noise_erp(128, 256))
    behind = render(erp, look(180, hfov_deg=20), antialias="none")
    rolled = render(erp.roll(128, dims=-1), look(0, hfov_deg=20), antialias="none")
    torch.testing.assert_close(behind, rolled, atol=0.05, rtol=0)


@pytest.mark.parametrize("width", [8, 7])
def test_padding_wraps_columns_and_turns_rows(width):
    erp = torch.arange(3.0 * width).reshape(1, 1, 3, width)
    padded = pad_sphere(erp)[0, 0]
    assert padded.shape == (5, width + 2)
    torch.testing.assert_close(padded[1:-1, 1:-1], erp[0, 0])
    torch.testing.assert_close(padded[1:-1, 0], erp[0, 0, :, -1])
    torch.testing.assert_close(padded[1:-1, -1], erp[0, 0, :, 0])
    turned = [
        (erp[0, 0, 0, (c + width // 2) % width] + erp[0, 0, 0, (c + (width + 1) // 2) % width]) / 2
        for c in range(width)
    ]
    torch.testing.assert_close(padded[0, 1:-1], torch.stack(turned))


@pytest.mark.parametrize(
    "view",
    [
        look(180, 80, 10, height_px=3, width_px=4),
        window(yaw_deg=170, hfov_deg=100, vfov_deg=90, height_px=2, width_px=3),
        look(height_px=1, width_px=1),
    ],
    ids=["pole and seam", "box", "halved"],
)
def test_gradients_are_those_of_the_picture(view):
    erp = torch.rand(1, 1, 6, 12, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: render(x, view), (erp,))


def test_a_constant_sphere_is_constant_and_gradients_sum_to_the_pixels():
    erp = torch.full((1, 1, 32, 64), 3.0, requires_grad=True)
    for view in (look(180, 90), look(0, 0), window()):
        image = render(erp, view)
        torch.testing.assert_close(image, torch.full_like(image, 3.0))
        (gradient,) = torch.autograd.grad(image.sum(), erp)
        assert float(gradient.sum()) == pytest.approx(image.numel(), rel=1e-4)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_read_in_float32(dtype, painted_erp):
    erp = as_batch(painted_erp(200, 400)).div(255).to(dtype)  # wide enough to break a half grid
    for view in (look(180), look(0, 90)):
        image = render(erp, view)
        assert image.dtype == dtype
        torch.testing.assert_close(image, render(erp.float(), view).to(dtype))


def test_pictures_of_a_batch_do_not_mix(noise_erp):
    first, second = noise_erp(32, 64), noise_erp(32, 64)[::-1].copy()
    both = render(as_batch(first, second), look(100, 20))
    torch.testing.assert_close(both[0:1], render(as_batch(first), look(100, 20)))
    torch.testing.assert_close(both[1:2], render(as_batch(second), look(100, 20)))


def test_other_tensors_are_refused():
    with pytest.raises(GeometryError, match=r"the ERP is torch.int16 of shape \(1, 3, 4, 8\)"):
        render(torch.zeros(1, 3, 4, 8, dtype=torch.int16), look())
    with pytest.raises(GeometryError, match=r"of shape \(3, 4, 8\)"):
        render(torch.zeros(3, 4, 8), look())


# -- turned cameras ------------------------------------------------------------------------------------------------


@given(
    st.tuples(st.floats(-180, 180), st.floats(-80, 80), st.floats(-180, 180)),
    st.tuples(st.floats(-180, 180), st.floats(-80, 80), st.floats(-180, 180)),
)
@settings(max_examples=25)
def test_a_turned_rig_sees_what_a_turned_panorama_shows(rig, pose):
    """Looking along R d in a picture is looking along d in the picture turned by R: one resampling against two."""
    erp = torch.from_numpy(paint(erp_rays(128, 256))).permute(2, 0, 1)[None]
    turn = torch.from_numpy(rotation(*rig))
    view = look(*pose, height_px=12, width_px=16)
    once = render_views_torch(erp, ViewLayout((view,), "one"), antialias="none", rotation=turn)[0]
    twice = render(rotate_erp_torch(erp, turn), view, antialias="none")
    truth = paint(view.rays(12, 16) @ rotation(*rig).T)
    assert np.sqrt(np.mean((as_picture(once) - truth) ** 2)) < 1.0
    assert np.sqrt(np.mean((as_picture(twice) - truth) ** 2)) < 2.0


@given(st.floats(-180, 180), st.floats(-90, 90), st.floats(-180, 180))
def test_the_tensor_rotation_is_the_arrays(yaw, pitch, roll):
    made = rotation_torch(*(torch.tensor(a, dtype=torch.float64) for a in (yaw, pitch, roll)))
    np.testing.assert_allclose(made.numpy(), rotation(yaw, pitch, roll), atol=1e-12)


def test_turned_panoramas_agree_with_the_other_renderer(painted_erp):
    erp = painted_erp(200, 400).astype(np.float32)
    turns = [rotation(30, 40, 50), rotation(-100, -80, 170)]
    turned = rotate_erp_torch(as_batch(erp, erp), torch.from_numpy(np.stack(turns)))
    for one, turn in zip(turned, turns, strict=True):
        np.testing.assert_allclose(as_picture(one[None]), rotate_erp(erp, turn), atol=0.02)


@pytest.mark.parametrize("antialias", ["none", "fast", "quality"])
def test_gradients_reach_the_angles(antialias):
    """Bilinear pictures have kinks at pixel borders; a coarse view of smooth waves stays clear of them."""
    erp = torch.from_numpy(paint(erp_rays(24, 48)) / 255).permute(2, 0, 1)[None]
    layout = ViewLayout((look(20, 30, 10, height_px=3, width_px=2),), "one")

    def mean_colour(*angles):
        return render_views_torch(erp, layout, antialias=antialias, rotation=rotation_torch(*angles))[0]

    angles = tuple(torch.tensor(a, dtype=torch.float64, requires_grad=True) for a in (3.0, -7.0, 11.0))
    assert torch.autograd.gradcheck(mean_colour, angles, eps=1e-5, atol=1e-4)


def test_gradients_reach_picture_and_rotation_of_a_turned_panorama():
    erp = torch.rand(1, 1, 4, 8, dtype=torch.float64, requires_grad=True)
    angles = [torch.tensor(a, dtype=torch.float64, requires_grad=True) for a in (13.0, 21.0, -8.0)]
    assert torch.autograd.gradcheck(lambda e, *a: rotate_erp_torch(e, rotation_torch(*a)), (erp, *angles), atol=1e-4)


def test_a_pose_can_be_found_by_gradient_descent():
    """What the gradient is for: turn a rig until its view shows the target."""
    erp = torch.from_numpy(paint(erp_rays(128, 256)) / 255).permute(2, 0, 1)[None]
    layout = ViewLayout((look(height_px=16, width_px=16),), "one")
    wanted = torch.tensor([6.0, -4.0, 5.0], dtype=torch.float64)
    target = render_views_torch(erp, layout, rotation=rotation_torch(*wanted))[0]
    angles = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.Adam([angles], lr=0.4)
    for _ in range(80):
        optimiser.zero_grad()
        seen = render_views_torch(erp, layout, rotation=rotation_torch(*angles))[0]
        (seen - target).square().mean().backward()
        optimiser.step()
    torch.testing.assert_close(angles.detach(), wanted, atol=0.2, rtol=0.0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("turned", [False, True])
def test_half_precision_is_finite_and_close_to_single(dtype, turned, painted_erp):
    """Wider than 256 pixels, where torch's own half grid_sample on the CPU reads memory that is not its own."""
    erp = as_batch(painted_erp(512, 1024)) / 255
    turn = torch.from_numpy(rotation(40, 50, 60)) if turned else None
    layout = build_layout("cubemap", size_px=64)
    exact = render_views_torch(erp, layout, rotation=turn)
    for half, single in zip(render_views_torch(erp.to(dtype), layout, rotation=turn), exact, strict=True):
        assert half.dtype == dtype and half.isfinite().all()
        psnr_db = -10 * torch.log10((half.float() - single).square().mean())
        assert psnr_db > (70 if dtype == torch.float16 else 50)


@pytest.mark.parametrize(
    ("turn", "message"),
    [
        (torch.eye(3)[None].expand(2, 3, 3), r"shape \(2, 3, 3\); give floating point \(3, 3\), or \(1, 3, 3\)"),
        (torch.eye(2), r"shape \(2, 2\)"),
        (torch.eye(3, dtype=torch.long), "the rotation is torch.int64"),
    ],
)
def test_other_rotations_are_refused(turn, message):
    with pytest.raises(GeometryError, match=message):
        render_views_torch(torch.zeros(1, 3, 4, 8), build_layout("cubemap", size_px=4), rotation=turn)


def test_windows_of_the_erp_cannot_be_turned():
    with pytest.raises(GeometryError, match="view 'global' is a window of the ERP"):
        render_views_torch(torch.zeros(1, 3, 8, 16), build_layout("resize", size_px=4), rotation=torch.eye(3))
    with pytest.raises(GeometryError, match="rotate_erp_torch takes floating point"):
        rotate_erp_torch(torch.zeros(1, 3, 8, 16, dtype=torch.uint8), torch.eye(3))


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_a_gpu_renders_what_the_cpu_does(dtype, painted_erp):
    erp, layout = as_batch(painted_erp(512, 1024)) / 255, build_layout("cubemap", size_px=64)
    on_gpu = render_views_torch(erp.to("cuda", dtype), layout, antialias="quality")
    for gpu, cpu in zip(on_gpu, render_views_torch(erp, layout, antialias="quality"), strict=True):
        tolerance = {torch.float32: 1e-4, torch.float16: 2e-3, torch.bfloat16: 1e-2}[dtype]
        torch.testing.assert_close(gpu.cpu().float(), cpu, atol=tolerance, rtol=0.0)


@pytest.mark.skipif(not PHOTO.is_file(), reason=f"no photograph at {PHOTO}")
@pytest.mark.parametrize("antialias", ["none", "fast", "quality"])
def test_renderers_agree_on_a_photograph(antialias):
    """Exact bytes within one level everywhere; in 1/32 pixels within four, and beyond one in under 1 %."""
    with Image.open(PHOTO) as file:
        erp = np.asarray(file.convert("RGB"))
    for layout in (build_layout("e2p", size_px=224), build_layout("cubemap", size_px=96)):
        tensors = [as_picture(t).round() for t in render_views_torch(as_batch(erp), layout, antialias=antialias)]
        for exact, most in ((True, 1), (False, 4)):
            images = render_views(erp, layout, antialias=antialias, exact=exact)
            errors = [np.abs(image - tensor) for image, tensor in zip(images, tensors, strict=True)]
            assert max(error.max() for error in errors) <= most
            assert np.mean([(error > 1).mean() for error in errors]) < 0.01
