import numpy as np
import pytest
import torch

from panollava.errors import GeometryError
from panollava.geometry import ViewLayout, build_layout, render_views
from panollava.geometry.pyramid_torch import pad_sphere
from panollava.geometry.render_torch import render_views_torch

from .test_render import VIEWS, exact_bilinear, look, window


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
