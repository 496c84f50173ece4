"""The chunked scan is the recurrence: same states, same gradients, for any length, without overflow."""

import pytest
import torch
from torch.nn import functional as F

from panollava.models.resamplers.selective_scan import call_kernel, fused_kernel, linear_scan, selective_scan


def naive(a, b):
    state, states = torch.zeros_like(b[:, 0]), []
    for step in range(a.shape[1]):
        state = a[:, step] * state + b[:, step]
        states.append(state)
    return torch.stack(states, dim=1)


def case(length, *, n=2, d=3, s=4, seed=0):
    torch.manual_seed(seed)
    a = torch.rand(n, length, d, s, dtype=torch.double, requires_grad=True)
    b = torch.randn(n, length, d, s, dtype=torch.double, requires_grad=True)
    return a, b


@pytest.mark.parametrize("length", [1, 2, 15, 16, 17, 50])
@pytest.mark.parametrize("chunk", [1, 3, 16, 64])
def test_the_scan_is_the_recurrence(length, chunk):
    a, b = case(length)
    wanted, got = naive(a, b), linear_scan(a, b, chunk=chunk)
    torch.testing.assert_close(got, wanted, rtol=0, atol=1e-12)
    weight = torch.randn_like(wanted)
    for one, two in zip(
        torch.autograd.grad(wanted, (a, b), weight), torch.autograd.grad(got, (a, b), weight), strict=True
    ):
        torch.testing.assert_close(two, one, rtol=0, atol=1e-12)


def test_its_gradient_is_that_of_finite_differences():
    assert torch.autograd.gradcheck(lambda a, b: linear_scan(a, b, chunk=4), case(7, n=1, d=2, s=2))


def test_what_is_forgotten_at_once_does_not_overflow():
    """A running product would be 0 here, and a state divided by it infinite."""
    a = torch.full((1, 200, 1, 1), 1e-30, requires_grad=True)
    b = torch.ones(1, 200, 1, 1)
    states = linear_scan(a, b)
    states.sum().backward()
    assert torch.equal(states, torch.ones_like(states)) and torch.isfinite(a.grad).all()


def selective_case(seed=0):
    torch.manual_seed(seed)
    n, t, d, s = 2, 21, 5, 3
    x, delta = torch.randn(n, t, d).double(), F.softplus(torch.randn(n, t, d).double())
    parts = {
        "A": -torch.rand(d, s).double() * 3,
        "B": torch.randn(n, t, s).double(),
        "C": torch.randn(n, t, s).double(),
    }
    return x, delta, {**parts, "D": torch.randn(d).double()}


def equations(x, delta, *, A, B, C, D):
    """The equations of the paper, one number at a time."""
    y = torch.zeros_like(x)
    for i in range(x.shape[0]):
        for c in range(x.shape[2]):
            h = torch.zeros(A.shape[1]).double()
            for t in range(x.shape[1]):
                h = torch.exp(delta[i, t, c] * A[c]) * h + delta[i, t, c] * B[i, t] * x[i, t, c]
                y[i, t, c] = C[i, t] @ h + D[c] * x[i, t, c]
    return y


def test_the_selective_scan_is_that_of_the_paper():
    x, delta, parts = selective_case()
    torch.testing.assert_close(selective_scan(x, delta, **parts), equations(x, delta, **parts), rtol=0, atol=1e-12)


def test_states_of_halves_are_kept_in_full():
    x, delta, parts = selective_case()
    half = [v.bfloat16() for v in (x, delta)], {k: v.bfloat16() for k, v in parts.items()}
    got = selective_scan(*half[0], **half[1])
    wanted = equations(*(v.double() for v in half[0]), **{k: v.double() for k, v in half[1].items()})
    assert got.dtype == torch.bfloat16
    torch.testing.assert_close(got.double(), wanted, rtol=2**-8, atol=1e-6)  # one rounding, at the end


def test_a_step_depends_on_what_came_before_and_on_nothing_after():
    x, delta, parts = selective_case()
    later = x.clone()
    later[:, 10] += 1.0
    moved = (selective_scan(later, delta, **parts) - selective_scan(x, delta, **parts)).abs().amax(dim=(0, 2)) > 0
    assert moved.tolist() == [t >= 10 for t in range(21)]


def test_the_fused_kernel_is_given_what_it_takes():
    """Its layout: u and delta (n, d, t); A (d, s); B and C (n, s, t); D (d)."""
    x, delta, parts = selective_case()

    def kernel(u, step, A, B, C, *, D):
        assert all(v.is_contiguous() for v in (u, step, B, C))
        y = equations(u.transpose(1, 2), step.transpose(1, 2), A=A, B=B.transpose(1, 2), C=C.transpose(1, 2), D=D)
        return y.transpose(1, 2)

    torch.testing.assert_close(call_kernel(kernel, x, delta, **parts), selective_scan(x, delta, **parts))


@pytest.mark.gpu
def test_the_fused_kernel_agrees():
    kernel = fused_kernel()
    if kernel is None:
        pytest.skip("needs the package mamba_ssm")
    x, delta, parts = selective_case()
    here = [v.float().cuda() for v in (x, delta)]
    there = {k: v.float().cuda() for k, v in parts.items()}
    wanted = selective_scan(x, delta, **parts).float()
    torch.testing.assert_close(selective_scan(*here, **there).cpu(), wanted, rtol=1e-3, atol=1e-3)
