"""VICReg against the formulas of the paper, written out in NumPy."""

import numpy as np
import pytest
import torch

from panollava.losses.vicreg import vicreg, vicreg_pairwise

GAMMA, EPSILON = 1.0, 1e-4


def paper(a: np.ndarray, b: np.ndarray) -> tuple[float, float, float]:
    """Bardes, Ponce, LeCun 2022, equations 1, 2, 3 and 5, term by term.

    Ours are means: invariance over the width too (as the authors' code has it), the other two over both branches.
    """
    n, d = a.shape

    def v(z):
        return sum(max(0.0, GAMMA - np.sqrt(np.var(z[:, j], ddof=1) + EPSILON)) for j in range(d)) / d

    def c(z):
        mean = z.mean(axis=0)
        cov = sum(np.outer(row - mean, row - mean) for row in z) / (n - 1)
        return sum(cov[i, j] ** 2 for i in range(d) for j in range(d) if i != j) / d

    s = sum(float(np.sum((x - y) ** 2)) for x, y in zip(a, b, strict=True)) / n
    return s / d, (v(a) + v(b)) / 2, (c(a) + c(b)) / 2


@pytest.mark.parametrize(("n", "d"), [(2, 3), (7, 4), (40, 12)])
def test_the_terms_are_the_papers(n, d):
    rng = np.random.default_rng(n)
    a, b = 0.5 * rng.normal(size=(n, d)), rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) * 0.3
    terms = vicreg(torch.from_numpy(a), torch.from_numpy(b))
    got = [float(x) for x in (terms.invariance, terms.variance, terms.covariance)]
    np.testing.assert_allclose(got, paper(a, b), rtol=1e-9)
    assert min(got) > 0


def test_equal_branches_have_no_invariance_term():
    a = torch.randn(9, 4)
    assert vicreg(a, a).invariance == 0


def test_a_collapse_is_seen_by_the_variance_term_alone():
    spread = torch.linspace(-3, 3, 20)[:, None] * torch.tensor([[1.0]])
    collapsed = torch.ones(20, 1)
    low, high = vicreg(spread, spread), vicreg(collapsed, collapsed)
    assert low.variance == 0
    assert float(high.variance) == pytest.approx(GAMMA - EPSILON**0.5)
    assert high.invariance == high.covariance == 0


def test_a_collapse_has_a_gradient_out_of_it():
    a = (1e-3 * torch.randn(30, 4)).requires_grad_()
    before = vicreg(a, a).variance
    (grad,) = torch.autograd.grad(before, a)
    assert torch.isfinite(grad).all()
    assert vicreg(a - 10 * grad, a - 10 * grad).variance < before


def test_two_names_for_one_feature_are_seen_by_the_covariance_term():
    x = torch.randn(200, 1)
    independent = torch.randn(200, 2)
    double = torch.cat([x, x], dim=1)
    assert vicreg(double, double).covariance > 10 * vicreg(independent, independent).covariance


def test_the_terms_do_not_grow_with_the_number_of_pairs():
    a, b = 0.3 * torch.randn(50, 6).double(), 0.3 * torch.randn(50, 6).double()
    once, often = vicreg(a, b), vicreg(a.repeat(40, 1), b.repeat(40, 1))
    assert float(often.invariance) == pytest.approx(float(once.invariance))
    assert float(often.variance) == pytest.approx(float(once.variance), rel=0.05)


def test_the_target_deviation_may_be_chosen():
    a = torch.zeros(5, 2)
    assert float(vicreg(a, a, target_std=3.0).variance) == pytest.approx(3.0 - EPSILON**0.5)


@pytest.mark.parametrize(("a", "b"), [((1, 4), (1, 4)), ((3, 4), (2, 4)), ((0, 4), (0, 4))])
def test_too_few_or_unequal_pairs_are_refused(a, b):
    with pytest.raises(ValueError, match="two equal batches of at least 2"):
        vicreg(torch.zeros(a), torch.zeros(b))


def test_pairwise_is_the_mean_of_the_terms_of_each_two_views_and_panorama():
    rng = np.random.default_rng(1)
    groups = [
        tuple(torch.from_numpy(0.4 * rng.normal(size=(2, n, 5))) for _ in range(2)) for n in (6, 6)
    ]  # two pairs of views, two panoramas
    found = vicreg_pairwise(groups)
    each = [paper(a[i].numpy(), b[i].numpy()) for a, b in groups for i in range(2)]
    got = [float(x) for x in (found.invariance, found.variance, found.covariance)]
    np.testing.assert_allclose(got, np.mean(each, axis=0), rtol=1e-9)


def test_pairwise_sees_what_is_constant_within_each_overlap_and_batchwise_does_not():
    """Every overlap has a feature of its own, the same at all its tokens: spread over the batch, collapsed within."""
    features = torch.randn(1, 40, 1, 6)
    groups = [(features[:, i].expand(1, 5, 6), features[:, i].expand(1, 5, 6)) for i in range(40)]
    rows = torch.cat([a[0] for a, _ in groups])
    assert vicreg_pairwise(groups).variance > 0.9
    assert vicreg(rows, rows).variance < 0.2


def test_two_views_with_one_common_token_count_in_the_invariance_alone():
    pair, alone = (torch.randn(1, 4, 3), torch.randn(1, 4, 3)), (torch.zeros(1, 1, 3), torch.ones(1, 1, 3))
    one, both = vicreg_pairwise([pair]), vicreg_pairwise([pair, alone])
    assert (both.variance, both.covariance) == (one.variance, one.covariance)
    assert float(both.invariance) == pytest.approx((float(one.invariance) * 12 + 3) / 15)
    with pytest.raises(ValueError, match="at least 2 tokens; of 1 none does"):
        vicreg_pairwise([alone])


@pytest.mark.parametrize("kind", ["batchwise", "pairwise"])
def test_the_gradient_is_that_of_finite_differences(kind):
    random = torch.Generator().manual_seed(2)
    a, b = (0.3 * torch.randn(2, 4, 3, generator=random, dtype=torch.float64) for _ in range(2))

    def total(x, y):
        terms = vicreg_pairwise([(x, y)]) if kind == "pairwise" else vicreg(x.flatten(0, 1), y.flatten(0, 1))
        return 25 * terms.invariance + 25 * terms.variance + terms.covariance

    assert torch.autograd.gradcheck(total, (a.requires_grad_(), b.requires_grad_()))


def test_invariance_alone_collapses_a_network_and_the_other_terms_keep_it_apart():
    def spread_after(variance, covariance):
        torch.manual_seed(0)
        net = torch.nn.Linear(8, 4)
        x = torch.randn(64, 8)
        y = x + 0.3 * torch.randn(64, 8)  # the other view: the same with noise
        optimizer = torch.optim.Adam(net.parameters(), lr=0.05)
        for _ in range(150):
            terms = vicreg(net(x), net(y))
            loss = 25 * terms.invariance + variance * terms.variance + covariance * terms.covariance
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return float(net(x).detach().std(dim=0).min())

    assert spread_after(0.0, 0.0) < 0.02
    assert spread_after(25.0, 1.0) > 0.5
