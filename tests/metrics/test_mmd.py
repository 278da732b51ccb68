"""The maximum mean discrepancy: by plain loops, by closed forms and by its properties."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import config_context

from sktransfer.metrics import mmd
from sktransfer.metrics._mmd import KERNELS, MEDIAN_ROWS, median_distance

RNG = np.random.default_rng(0)
SOURCE, TARGET = RNG.normal(size=(7, 3)), 2 * RNG.normal(size=(5, 3)) + 1
samples = arrays(np.float64, (6, 2), elements=st.integers(-40, 40).map(lambda i: i / 8))
each_kernel = pytest.mark.parametrize("kernel", KERNELS)


def gaussian_by_loops(a, b, squared_bandwidth):
    return math.exp(-sum((x - y) ** 2 for x, y in zip(a, b, strict=True)) / 2 / squared_bandwidth)


def kernel_by_loops(kernel, a, b, s):
    product = sum(x * y for x, y in zip(a, b, strict=True))
    return {
        "gaussian": lambda: gaussian_by_loops(a, b, s**2),
        "gaussian_mixture": lambda: (
            sum(gaussian_by_loops(a, b, s**2 * factor) for factor in (0.25, 0.5, 1, 2, 4)) / 5
        ),
        "laplacian": lambda: math.exp(-sum(abs(x - y) for x, y in zip(a, b, strict=True)) / s),
        "linear": lambda: product,
        "polynomial": lambda: (product / len(a) + 1) ** 3,
    }[kernel]()


def mmd_by_loops(source, target, kernel, unbiased):
    def mean(A, B, own):
        total, n_pairs = 0.0, 0
        for i, a in enumerate(A):
            for j, b in enumerate(B):
                if not (own and unbiased and i == j):
                    total, n_pairs = total + kernel(a, b), n_pairs + 1
        return total / n_pairs

    return mean(source, source, True) + mean(target, target, True) - 2 * mean(source, target, False)


@each_kernel
@pytest.mark.parametrize("unbiased", [True, False])
def test_mmd_equals_the_formula_by_plain_loops(kernel, unbiased):
    expected = mmd_by_loops(
        SOURCE, TARGET, lambda a, b: kernel_by_loops(kernel, a, b, 1.3), unbiased
    )
    value = mmd(SOURCE, TARGET, kernel=kernel, bandwidth=1.3, unbiased=unbiased)
    assert value == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("unbiased", [True, False])
def test_a_callable_is_used_as_it_is(unbiased):
    value = mmd(SOURCE, TARGET, kernel=lambda A, B: np.tanh(A @ B.T), unbiased=unbiased)
    expected = mmd_by_loops(SOURCE, TARGET, lambda a, b: math.tanh(a @ b), unbiased)
    assert value == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("kernel", "norm"), [("gaussian", 2), ("gaussian_mixture", 2), ("laplacian", 1)]
)
def test_the_default_bandwidth_is_the_median_distance_in_the_kernels_norm(kernel, norm):
    pooled = np.concatenate([SOURCE, SOURCE[:2], TARGET])
    distances = [
        np.linalg.norm(pooled[i] - pooled[j], ord=norm)
        for i in range(len(pooled))
        for j in range(i)
    ]
    median = np.median([distance for distance in distances if distance > 0])
    samples = pooled[:9], TARGET
    expected = mmd(*samples, kernel=kernel, bandwidth=median)
    assert mmd(*samples, kernel=kernel) == pytest.approx(expected, rel=1e-12)


def test_the_median_distance_of_many_rows_is_that_of_a_draw():
    rng = np.random.default_rng(0)
    many = rng.normal(size=(2 * MEDIAN_ROWS, 3)), rng.normal(size=(MEDIAN_ROWS, 3))
    drawn = [median_distance(*many, "euclidean", seed) for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]
    # The median of the chi distribution of 3 degrees of freedom is 1.5382.
    assert drawn == pytest.approx([math.sqrt(2) * 1.5382] * 3, rel=0.05)


def test_equal_rows_have_no_discrepancy_whatever_their_bandwidth():
    assert mmd(np.ones((3, 2)), np.ones((4, 2))) == pytest.approx(0, abs=1e-15)


@each_kernel
@given(X=samples, order=st.permutations(range(6)))
def test_biased_mmd_of_shuffled_rows_is_zero(kernel, X, order):
    scale = 1 + (X**2).sum() ** 3
    value = mmd(X, X[order], kernel=kernel, unbiased=False)
    assert value == pytest.approx(0, abs=1e-14 * scale)


@each_kernel
@given(X=samples, Z=samples)
def test_mmd_is_symmetric_and_biased_not_negative(kernel, X, Z):
    for unbiased in (True, False):
        there, back = (mmd(*pair, kernel=kernel, unbiased=unbiased) for pair in ((X, Z), (Z, X)))
        assert there == pytest.approx(back, rel=1e-9, abs=1e-9)
        assert unbiased or there >= 0


@each_kernel
def test_mmd_does_not_depend_on_the_order_of_rows(kernel):
    expected = mmd(SOURCE, TARGET, kernel=kernel)
    assert mmd(SOURCE[::-1], TARGET[::-1], kernel=kernel) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("kernel", ["gaussian", "gaussian_mixture", "laplacian"])
@pytest.mark.parametrize("shift", [-3.0, 1e6])
def test_the_median_makes_mmd_invariant_to_scale_and_shift(kernel, shift):
    expected = mmd(SOURCE, TARGET, kernel=kernel)
    value = mmd(7 * SOURCE + shift, 7 * TARGET + shift, kernel=kernel)
    assert value == pytest.approx(expected, rel=1e-7)


def test_linear_mmd_is_the_squared_gap_of_means_and_survives_a_far_origin():
    gap = SOURCE.mean(axis=0) - TARGET.mean(axis=0)
    for shift in (0, 1e6):
        value = mmd(SOURCE + shift, TARGET + shift, kernel="linear", unbiased=False)
        assert value == pytest.approx(gap @ gap, rel=1e-7)


def test_unbiased_mmd_of_two_gaussians_is_its_closed_form_on_average():
    # E k over N(0, I) and N(c, I) in d dimensions: (s^2/(s^2+2))^(d/2) exp(-|c|^2/(2(s^2+2))).
    rng, s, shift = np.random.default_rng(0), 1.5, np.array([1.0, 0.0])
    height = s**2 / (s**2 + 2)
    expected = 2 * height * (1 - math.exp(-(shift @ shift) / 2 / (s**2 + 2)))
    pairs = [(rng.normal(size=(40, 2)), rng.normal(shift, size=(30, 2))) for _ in range(400)]
    values = np.array([mmd(*pair, bandwidth=s) for pair in pairs])
    error = values.std() / math.sqrt(len(values))
    assert error < expected / 20
    assert abs(values.mean() - expected) < 3 * error


@each_kernel
def test_unbiased_mmd_of_equal_distributions_is_zero_on_average(kernel):
    rng = np.random.default_rng(0)
    pairs = [(rng.normal(size=(12, 2)), rng.normal(size=(8, 2))) for _ in range(300)]
    values = np.array([mmd(*pair, kernel=kernel, bandwidth=1.0) for pair in pairs])
    error = values.std() / math.sqrt(len(values))
    assert abs(values.mean()) < 4 * error
    biased = [mmd(*pair, kernel=kernel, bandwidth=1.0, unbiased=False) for pair in pairs]
    assert np.mean(biased) > 10 * error


def test_kernel_blocks_stay_within_the_working_memory_and_cover_each_pair_once():
    n_numbers, sizes = 0.01 * 2**20 / 8, []

    def counting_kernel(A, B):
        assert A.dtype == B.dtype == np.float64
        sizes.append(len(A) * len(B))
        assert 3 * sizes[-1] + A.size + B.size <= n_numbers
        return np.exp(-np.abs(A.sum(axis=1)[:, None] - B.sum(axis=1)))

    rng = np.random.default_rng(0)
    X, Z = rng.normal(size=(100, 4)).astype("f"), rng.normal(size=(70, 4)).astype("f")
    with config_context(working_memory=0.01):
        in_blocks = mmd(X, Z, kernel=counting_kernel)
    n_blocks, n_pairs = len(sizes), sum(sizes)
    assert n_blocks > 30
    # Own pairs above the blocks on the diagonal are counted twice, not computed twice.
    assert 100 * 70 + (100**2 + 70**2) / 2 <= n_pairs < (100 * 70 + 100**2 + 70**2) * 0.75
    whole = mmd(X, Z, kernel=lambda A, B: np.exp(-np.abs(A.sum(axis=1)[:, None] - B.sum(axis=1))))
    assert in_blocks == pytest.approx(whole, rel=1e-12)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"kernel": "rbf"}, "kernel='rbf' is unknown; give one of .'gaussian'"),
        ({"kernel": None}, "kernel=None is unknown"),
        ({"bandwidth": 0}, "bandwidth=0 must be a number above 0"),
        ({"bandwidth": "scott"}, "bandwidth='scott' must be"),
        ({"bandwidth": math.inf}, "bandwidth=inf must be"),
        ({"kernel": lambda A, B: A @ A.T}, r"returned shape \(7, 7\) for 7 and 5 rows"),
        ({"kernel": lambda A, B: np.log(0 * A @ B.T - 1)}, "not finite"),
    ],
)
def test_mmd_refuses_kernels_it_cannot_use(params, message):
    with pytest.raises(ValueError, match=message), np.errstate(invalid="ignore"):
        mmd(SOURCE, TARGET, **params)


def test_the_biased_estimate_takes_a_single_row():
    value = mmd([[0.0]], [[1.0]], bandwidth=1.0, unbiased=False)
    assert value == pytest.approx(2 - 2 * math.exp(-0.5), rel=1e-12)
