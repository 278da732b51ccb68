"""Importance-weighted risks: plain loops, and the target's true risk where the ratio is known."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from sktransfer import DANNClassifier
from sktransfer.model_selection import DEVScorer, IWCVScorer
from sktransfer.model_selection._importance import (
    controlled_risk,
    density_ratio,
    importance_weighted_risk,
    make_domain_classifier,
    prediction_losses,
)

finite = st.floats(0, 10)
pairs = st.integers(2, 20).flatmap(
    lambda n: st.tuples(
        arrays(float, n, elements=st.floats(0, 10)), arrays(float, n, elements=st.floats(0, 5))
    )
)
SHIFT = 1.0
TRUE_RISK = norm.cdf(0.5 - SHIFT) * 0.2 + (1 - norm.cdf(0.5 - SHIFT)) * 0.6


def draw_domains(n_source, n_target, seed):
    """Return source and target, N(0, 1) and N(1, 1), and labels that a threshold gets wrong.

    Of the rows up to 0.5 a share of 0.2 is labelled 1, of those above a share of 0.4, in
    both domains; so "0 up to 0.5, else 1" has the risk 0.2 below and 0.6 above.
    """
    rng = np.random.default_rng(seed)
    Xs, Xt = rng.normal(size=n_source), rng.normal(SHIFT, size=n_target)
    y = (rng.random(n_source) < np.where(Xs > 0.5, 0.4, 0.2)).astype(int)
    return Xs[:, np.newaxis], y, Xt[:, np.newaxis]


class Threshold:
    """Predict 1 above 0.5, with probability 0.9."""

    classes_ = np.array([0, 1])

    def predict(self, X):
        return (X[:, 0] > 0.5).astype(int)

    def predict_proba(self, X):
        return np.where(self.predict(X)[:, np.newaxis] == self.classes_, 0.9, 0.1)


def true_ratio(X):
    return np.exp(SHIFT * X[:, 0] - SHIFT**2 / 2)


@given(pairs)
def test_weighted_risk_by_plain_loops(weights_and_losses):
    weights, losses = weights_and_losses
    expected = sum(w * loss for w, loss in zip(weights, losses, strict=True)) / len(weights)
    assert importance_weighted_risk(weights, losses) == pytest.approx(expected, abs=1e-12)


@given(pairs)
def test_controlled_risk_by_plain_loops(weights_and_losses):
    weights, losses = (values.round(3) for values in weights_and_losses)
    n = len(weights)
    products = [w * loss for w, loss in zip(weights, losses, strict=True)]
    mean_w, mean_p = sum(weights) / n, sum(products) / n
    variance = sum((w - mean_w) ** 2 for w in weights) / n
    covariance = (
        sum((p - mean_p) * (w - mean_w) for p, w in zip(products, weights, strict=True)) / n
    )
    eta = -covariance / variance if len(set(weights.tolist())) > 1 else 0.0
    assert controlled_risk(weights, losses) == pytest.approx(
        mean_p + eta * mean_w - eta, rel=1e-6, abs=1e-6
    )


@given(st.floats(0, 5), arrays(float, 10, elements=st.floats(0.1, 10)))
def test_a_constant_loss_is_its_own_controlled_risk(loss, weights):
    # All that varies is the weight, and the control variate takes it out wholly.
    losses = np.full(10, loss)
    if np.ptp(weights) > 1e-3:
        assert controlled_risk(weights, losses) == pytest.approx(loss, rel=1e-6, abs=1e-6)


def test_risks_converge_to_the_true_target_risk_where_the_ratio_is_known():
    X, y, _ = draw_domains(200_000, 2, 0)
    losses = (Threshold().predict(X) != y).astype(float)
    assert losses.mean() == pytest.approx(norm.cdf(0.5) * 0.2 + norm.sf(0.5) * 0.6, abs=0.005)
    assert abs(losses.mean() - TRUE_RISK) > 0.1  # unweighted it is far off
    assert importance_weighted_risk(true_ratio(X), losses) == pytest.approx(TRUE_RISK, abs=0.01)
    assert controlled_risk(true_ratio(X), losses) == pytest.approx(TRUE_RISK, abs=0.01)


def test_the_control_variate_lessens_the_variance():
    draws = [draw_domains(200, 2, seed) for seed in range(300)]
    estimates = []
    for X, y, _ in draws:
        losses = (Threshold().predict(X) != y).astype(float)
        weights = true_ratio(X)
        estimates.append(
            [importance_weighted_risk(weights, losses), controlled_risk(weights, losses)]
        )
    weighted, controlled = np.array(estimates).T
    assert weighted.mean() == pytest.approx(TRUE_RISK, abs=0.02)
    assert controlled.mean() == pytest.approx(TRUE_RISK, abs=0.02)
    assert controlled.std() < 0.75 * weighted.std()


@pytest.mark.parametrize("scorer", [IWCVScorer, DEVScorer])
def test_scorers_find_the_true_target_risk_by_the_ratio_they_learn(scorer):
    X, y, X_target = draw_domains(20_000, 10_000, 0)
    assert scorer(X_target)(Threshold(), X, y) == pytest.approx(-TRUE_RISK, abs=0.02)


@pytest.mark.parametrize("scorer", [IWCVScorer, DEVScorer])
def test_log_loss_is_the_expected_one(scorer):
    X, y, X_target = draw_domains(20_000, 10_000, 1)
    expected = TRUE_RISK * math.log(0.1) + (1 - TRUE_RISK) * math.log(0.9)
    assert scorer(X_target, loss="log_loss")(Threshold(), X, y) == pytest.approx(expected, abs=0.06)


@pytest.mark.parametrize("n_target", [500, 2000, 8000])
def test_the_ratio_does_not_depend_on_the_sizes_of_the_domains(n_target):
    X, _, X_target = draw_domains(2000, n_target, 0)
    ratio = density_ratio(X, X_target, LogisticRegression())
    errors = np.log(ratio) - np.log(true_ratio(X))
    assert abs(errors.mean()) < 0.12
    assert errors.std() < 0.2
    assert ratio.mean() == pytest.approx(1, abs=0.15)


def test_many_features_and_few_rows_do_not_blow_up_the_weights():
    source, target = np.random.default_rng(0).normal(size=(2, 100, 200))
    ratio = density_ratio(source, target, make_domain_classifier(200))
    assert ratio.mean() == pytest.approx(1, abs=0.3)  # the domains are the same
    assert ratio.max() < 10
    usual = density_ratio(source, target, LogisticRegression())
    assert usual.max() > 1000


def test_the_ratio_of_a_row_comes_from_a_classifier_that_has_not_seen_it():
    seen = []

    class Spy(LogisticRegression):
        def fit(self, X, y):
            seen.append(set(X[:, 0].tolist()))
            return super().fit(X, y)

        def predict_proba(self, X):
            assert not seen[-1] & set(X[:, 0].tolist())
            return super().predict_proba(X)

    X, _, X_target = draw_domains(50, 40, 0)
    assert len(density_ratio(X, X_target, Spy())) == 50
    assert len(seen) == 5


def test_losses_of_labels_that_the_estimator_does_not_know_are_finite():
    X = np.array([[0.0], [1.0]])
    assert prediction_losses("zero_one", Threshold(), X, [2, 1]).tolist() == [1.0, 0.0]
    losses = prediction_losses("log_loss", Threshold(), X, [2, 1])
    assert losses[1] == pytest.approx(-math.log(0.9))
    assert 30 < losses[0] < 40


def test_weights_are_those_of_the_features_and_of_rows_without_any(domains):
    X, y, X_target = domains
    clf = DANNClassifier(max_epochs=2, random_state=0).fit(X, y, X_target)
    rows_only = SimpleNamespace(predict=clf.predict, classes_=clf.classes_)
    scorer = IWCVScorer(X_target)
    by_features, losses = scorer._weights_and_losses(clf, X, y)
    by_rows, same_losses = scorer._weights_and_losses(rows_only, X, y)
    np.testing.assert_array_equal(losses, same_losses)
    assert by_features.shape == by_rows.shape == (90,)
    assert not np.allclose(by_features, by_rows)


def test_a_domain_classifier_of_ones_own_weighs_the_rows():
    X, y, X_target = draw_domains(300, 300, 0)

    class Undecided(LogisticRegression):
        def predict_proba(self, X):
            return np.full((len(X), 2), 0.5)

    scorer = IWCVScorer(X_target, domain_classifier=Undecided())
    expected = -np.mean(Threshold().predict(X) != y)
    assert scorer(Threshold(), X, y) == pytest.approx(expected)


@pytest.mark.parametrize("scorer", [IWCVScorer, DEVScorer])
def test_what_is_missing_or_unknown_is_named(scorer):
    X_target = np.zeros((5, 1))
    with pytest.raises(ValueError, match=rf"{scorer.__name__} needs labelled rows of the source"):
        scorer(X_target)(Threshold())
    with pytest.raises(ValueError, match=r"loss must be one of .*'zero_one'.*; got 'hinge'"):
        scorer(X_target, loss="hinge")
    with pytest.raises(TypeError, match="domain_classifier must be an estimator"):
        scorer(X_target, domain_classifier=LinearSVC())
    with pytest.raises(ValueError, match="learned from 1 rows of the source and 5 of the target"):
        scorer(X_target)(Threshold(), np.zeros((1, 1)), [0])
