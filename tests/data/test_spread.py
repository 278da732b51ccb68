"""Columns that outweigh all others are found, and the default network warns of them."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.preprocessing import StandardScaler
from torch import nn

from sktransfer import (
    KLIEP,
    KMM,
    ULSIF,
    AutoencoderPretrainer,
    CrossDomainLabelPropagation,
    DANNRegressor,
    DeepCORALClassifier,
    LogisticRatio,
    MultiTaskRegressor,
)
from sktransfer.data._spread import (
    offset_and_spread,
    outweighing_columns,
    warn_where_columns_outweigh,
    warn_where_numbers_are_unscaled,
)


@given(st.integers(2, 30), st.integers(0, 2**31 - 1), st.floats(0, 4))
def test_outweighing_columns_are_those_of_a_plain_loop(n_columns, seed, spread):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(40, n_columns)) * 10 ** rng.uniform(0, spread, n_columns)
    variances = [np.mean((X[:, k] - X[:, k].mean()) ** 2) for k in range(n_columns)]
    chosen = []
    for column in sorted(range(n_columns), key=lambda k: -variances[k]):
        if sum(variances[k] for k in chosen) < 0.99 * sum(variances):
            chosen.append(column)
    few = len(chosen) <= max(1, n_columns // 10) and len(chosen) < n_columns
    assert outweighing_columns(X).tolist() == (chosen if few else [])


@given(st.floats(1e-3, 1e3), st.floats(-100, 100))
def test_one_scale_and_one_offset_for_all_make_no_difference(scale, offset):
    X = load_wine().data
    np.testing.assert_array_equal(outweighing_columns(X * scale + offset), [12])


def test_tables_of_one_unit_have_none():
    for load in (load_iris, load_digits):
        assert outweighing_columns(load().data).size == 0
    assert outweighing_columns(StandardScaler().fit_transform(load_wine().data)).size == 0
    assert outweighing_columns(np.arange(10.0)[:, None]).size == 0  # nothing beside it
    assert outweighing_columns(np.c_[np.arange(10.0), np.ones(10)]).size == 0  # nor here
    assert outweighing_columns(np.ones((10, 3))).size == 0
    assert outweighing_columns(load_breast_cancer().data).tolist() == [23, 3]


def test_the_default_network_names_the_columns():
    X, y = load_wine(return_X_y=True)
    fast = {"max_epochs": 1, "random_state": 0}
    with pytest.warns(UserWarning, match=r"The columns \[12\] hold 99% of the variance of the 13"):
        DeepCORALClassifier(**fast).fit(X[::2], y[::2], X_target=X[1::2])
    frame = load_wine(as_frame=True).data
    with pytest.warns(UserWarning, match=r"\['proline'\] hold .*make_transfer_pipeline\(Standard"):
        DANNRegressor(**fast).fit(frame, frame["alcohol"], X_target=frame)
    with pytest.warns(UserWarning, match="the default network hardly sees the others"):
        AutoencoderPretrainer(**fast).fit(X)


@given(st.integers(1, 6), st.integers(0, 2**31 - 1), st.floats(-50, 50))
def test_offset_and_spread_are_those_of_plain_loops(n_columns, seed, offset):
    X = offset + np.random.default_rng(seed).normal(size=(30, n_columns))
    means = [sum(X[:, k]) / 30 for k in range(n_columns)]
    variances = [sum((x - means[k]) ** 2 for x in X[:, k]) / 30 for k in range(n_columns)]
    expected = sum(mean**2 for mean in means) ** 0.5, sum(variances) ** 0.5
    np.testing.assert_allclose(offset_and_spread(X), expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X: X + 20, r"far from zero .* by 20 standard deviations"),
        (lambda X: X * 0.01, r"vary by 0\.01 in .* learn nothing"),
        (lambda X: X * 1000, r"vary by 1e\+03 in .* far too large"),
    ],
)
def test_the_default_network_wants_rows_of_about_one(change, message):
    X, y = load_wine(return_X_y=True)
    scaled = StandardScaler().fit_transform(X)
    fast = {"max_epochs": 1, "random_state": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        MultiTaskRegressor(**fast).fit(scaled, y[:, np.newaxis])
        wide = np.tile(scaled, 1000)
        for rows in (sparse.csr_matrix(change(scaled)), np.ones((5, 2)), change(scaled)[:1], wide):
            warn_where_numbers_are_unscaled(rows)
    with pytest.warns(UserWarning, match=f"{message}.*StandardScaler"):
        MultiTaskRegressor(**fast).fit(change(scaled), y[:, np.newaxis])
    body = nn.Sequential(nn.BatchNorm1d(13), nn.Linear(13, 8)).double()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        MultiTaskRegressor(body, **fast).fit(change(scaled), y[:, np.newaxis])


def test_other_rows_and_modules_of_the_users_are_left_alone():
    X, y = load_wine(return_X_y=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        body = nn.Sequential(nn.BatchNorm1d(13), nn.Linear(13, 8)).double()
        AutoencoderPretrainer(body, max_epochs=1, random_state=0).fit(X)
        for rows in (sparse.csr_matrix(X), X[:1], X.reshape(-1, 13, 1)):
            warn_where_columns_outweigh(ULSIF(), rows, "distances hardly show")
        LogisticRatio().fit(X, X_target=X[::2])
        CrossDomainLabelPropagation(standardize=True).fit(X, y, X_target=X[::2])


def test_what_measures_distances_names_the_columns_and_its_way_out():
    X, y = load_wine(return_X_y=True)
    for ratio in (ULSIF(), KLIEP(), KMM()):
        with pytest.warns(UserWarning, match=r"\[12\].*: distances hardly show the others. Bring"):
            ratio.fit(X[::2], X_target=X[1::2])
    with pytest.warns(UserWarning, match=r"\[12\].*: nearness hardly .* Set standardize=True"):
        CrossDomainLabelPropagation().fit(X[::2], y[::2], X_target=X[1::2])
