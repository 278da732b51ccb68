"""Optimal transport."""

import importlib
from contextlib import nullcontext

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from sktransfer import make_transfer_pipeline
from sktransfer.alignment import OptimalTransport
from sktransfer.alignment._base import merge_rows
from sktransfer.alignment._optimal_transport import gaussian_transport_matrix
from sktransfer.alignment._transport_plans import _check_plan, transport_cost, transport_plan
from sktransfer.data._domain import Domain
from tests.alignment.problems import shifted


@given(seed=st.integers(0, 1000))
def test_the_linear_map_is_symmetric_and_gives_the_targets_moments(seed):
    X, _, X_target = shifted(seed=seed)
    aligner = OptimalTransport(regularization=0.0)
    aligned = aligner.fit_transform(X, X_target=X_target)
    np.testing.assert_allclose(aligner.matrix_, aligner.matrix_.T, atol=1e-8)
    assert np.linalg.eigvalsh(aligner.matrix_).min() > 0
    np.testing.assert_allclose(aligned.mean(axis=0), X_target.mean(axis=0), atol=1e-9)
    found, wanted = (np.cov(rows.T, bias=True) for rows in (aligned, X_target))
    np.testing.assert_allclose(found, wanted, atol=1e-8)


def test_the_linear_map_between_commuting_gaussians_is_analytic():
    found = gaussian_transport_matrix(np.diag([4.0, 9.0]), np.diag([1.0, 36.0]))
    np.testing.assert_allclose(found, np.diag([0.5, 2.0]), atol=1e-12)


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_the_linear_map_of_a_direction_without_variance_is_zero_in_any_unit(scale):
    for seed in range(5):
        v = np.random.default_rng(seed).normal(size=3)
        v /= np.linalg.norm(v)
        A = gaussian_transport_matrix(scale * np.outer(v, v), scale * np.eye(3))
        np.testing.assert_allclose(A, np.outer(v, v), atol=1e-7)


def test_the_linear_map_moves_rows_less_than_whitening_and_colouring():
    X, _, X_target = shifted()
    ours = OptimalTransport(regularization=0.0).fit_transform(X, X_target=X_target)
    centred = X - X.mean(axis=0)
    whiten = np.linalg.inv(np.linalg.cholesky(np.cov(X.T, bias=True))).T
    colour = np.linalg.cholesky(np.cov(X_target.T, bias=True)).T
    others = centred @ whiten @ colour + X_target.mean(axis=0)
    assert ((ours - X) ** 2).sum() < ((others - X) ** 2).sum()


def test_the_cost_has_mean_one_and_unequal_labels_are_dear():
    X, y, X_target = shifted()
    source = merge_rows(Domain(X, y), with_labels=True)
    labels, known = np.zeros(len(X_target), int), np.arange(len(X_target)) < 5
    target = merge_rows(Domain(X_target, labels, None, known), with_labels=True)
    plain = transport_cost(source, Domain(target.X, None, target.sample_weight))
    np.testing.assert_allclose(plain.mean(), 1.0)
    i, j = 4, 7
    distances = ((source.X[:, None] - target.X[None]) ** 2).sum(axis=2)
    np.testing.assert_allclose(plain[i, j], distances[i, j] / distances.mean())
    added = transport_cost(source, target) - plain
    differs = (source.y[:, None] != 0) & target.has_label[None, :]
    np.testing.assert_allclose(added, differs * plain.max(), atol=1e-12)


def test_the_cost_knows_no_unit_and_equal_rows_cost_nothing():
    X, _, X_target = shifted()
    costs = [
        transport_cost(*(merge_rows(Domain(scale * Z)) for Z in (X, X_target)))
        for scale in (0.125, 1.0)
    ]
    np.testing.assert_allclose(*costs)
    one = merge_rows(Domain(np.ones((3, 2))))
    np.testing.assert_array_equal(transport_cost(one, one), [[0.0]])


@pytest.mark.parametrize(("missed", "is_refused"), [(0.008, False), (0.012, True)])
def test_a_plan_may_miss_a_hundredth_of_the_targets_shares(missed, is_refused):
    b = np.array([0.25, 0.75])
    plan = np.array([[0.1, 0.3], [0.15, 0.45]]) + missed / 4 * np.array([1.0, -1.0])
    told = pytest.raises(ValueError, match=f"shares of {missed:.2g} of 1")
    with told if is_refused else nullcontext():
        assert _check_plan(plan, b, "sinkhorn", 0.1) is plan


def test_exact_transport_of_as_many_rows_is_their_assignment():
    pytest.importorskip("ot")
    X, _, X_target = shifted(40, 40)
    aligned = OptimalTransport("exact").fit_transform(X, X_target=X_target)
    rows, columns = linear_sum_assignment(((X[:, None] - X_target[None]) ** 2).sum(axis=2))
    np.testing.assert_allclose(aligned[rows], X_target[columns])


@pytest.mark.parametrize("method", ["exact", "sinkhorn", "class_regularized"])
def test_plans_hold_the_shares_and_rows_go_to_their_barycentres(method):
    pytest.importorskip("ot")
    X, y, X_target = shifted()
    weights = np.linspace(1, 2, len(X))
    source = merge_rows(Domain(X, y, weights), with_labels=True)
    target = merge_rows(Domain(X_target), with_labels=True)
    plan = transport_plan(method, source, target, 0.1, 0.1)
    np.testing.assert_allclose(plan.sum(axis=1), source.sample_weight / weights.sum(), atol=1e-5)
    np.testing.assert_allclose(plan.sum(axis=0), 1 / len(X_target), atol=1e-5)
    aligner = OptimalTransport(method).fit(X, y, X_target, sample_weight=weights)
    aligned = aligner.transform_source(source.X)
    for i in (0, 9):
        place = sum(plan[i, j] * target.X[j] for j in range(len(target))) / plan[i].sum()
        np.testing.assert_allclose(aligned[i], place)


@pytest.mark.parametrize("method", ["sinkhorn", "class_regularized"])
@pytest.mark.filterwarnings("ignore:Warning. numerical errors")  # POT's own
def test_a_plan_that_vanishes_is_refused(method):
    pytest.importorskip("ot")
    X, y, X_target = shifted()
    with pytest.raises(ValueError, match=r"no plan with regularization=1e-05.*Raise it.*exact"):
        OptimalTransport(method, regularization=1e-5).fit(X, y, X_target=X_target)


def test_class_regularised_targets_receive_from_fewer_classes():
    pytest.importorskip("ot")
    X, y, X_target = shifted()
    source = merge_rows(Domain(X, y), with_labels=True)
    target = merge_rows(Domain(X_target), with_labels=True)
    entropies = []
    for q in (0.0, 1.0):
        plan = transport_plan("class_regularized", source, target, 0.5, q)
        shares = np.array([plan[source.y == c].sum(axis=0) for c in range(3)]) * len(target)
        entropies.append(-(shares * np.log(shares + 1e-12)).sum(axis=0).mean())
    assert entropies[1] < entropies[0]
    np.testing.assert_allclose(
        transport_plan("class_regularized", source, target, 0.5, 0.0),
        transport_plan("sinkhorn", source, target, 0.5, 0.0),
        atol=1e-6,
    )


def test_a_round_of_class_regularisation_adds_the_slope_of_the_roots_to_the_cost(monkeypatch):
    ot = pytest.importorskip("ot")
    X, y, X_target = shifted()
    source, target = merge_rows(Domain(X, y), with_labels=True), merge_rows(Domain(X_target))
    monkeypatch.setattr("sktransfer.alignment._transport_plans.N_MAJORISATIONS", 2)
    first = transport_plan("sinkhorn", source, target, 0.5, 0.0)
    cost = transport_cost(source, target)
    for i, label in enumerate(source.y):
        for j in range(len(target)):
            mass = sum(first[k, j] for k in range(len(source)) if source.y[k] == label)
            cost[i, j] += 0.7 * 0.5 / np.sqrt(mass + 1e-3)
    a, b = (part.sample_weight / part.sample_weight.sum() for part in (source, target))
    found = transport_plan("class_regularized", source, target, 0.5, 0.7)
    np.testing.assert_allclose(found, ot.sinkhorn(a, b, cost, 0.5), rtol=1e-2, atol=1e-7)


def test_known_labels_of_the_target_keep_classes_apart():
    pytest.importorskip("ot")
    X = np.array([[0.0], [1.0]])
    aligner = OptimalTransport("exact")
    np.testing.assert_allclose(aligner.fit_transform(X, ["a", "b"], [[2.0], [3.0]]), [[2], [3]])
    told = aligner.fit_transform(X, ["a", "b"], [[2.0], [3.0]], ["b", "a"])
    np.testing.assert_allclose(told, [[3], [2]])
    with pytest.raises(ValueError, match="without y"):
        aligner.fit(X, None, X + 1, ["b", "a"])


def test_new_source_rows_move_as_the_nearest():
    pytest.importorskip("ot")
    aligner = OptimalTransport("exact").fit([[0.0], [10.0]], X_target=[[1.0], [13.0]])
    np.testing.assert_allclose(aligner.transform_source([[0.5], [9.0]]), [[1.5], [12.0]])
    np.testing.assert_allclose(aligner.transform([[4.0]]), [[4.0]])


def test_a_parameter_that_means_nothing_is_refused():
    X, y, X_target = shifted()
    with pytest.raises(ValueError, match="regularization must be above 0"):
        OptimalTransport("sinkhorn", regularization=0.0).fit(X, y, X_target)
    with pytest.raises(ValueError, match="y"):
        OptimalTransport("class_regularized").fit(X, None, X_target)


def test_without_pot_the_message_names_the_extra(monkeypatch):
    X, y, X_target = shifted()

    def no_pot(name, package=None):
        if name == "ot":
            raise ImportError(name)
        return importlib.__import__(name)

    monkeypatch.setattr(importlib, "import_module", no_pot)
    with pytest.raises(ImportError, match=r"sktransfer\[ot\].*linear"):
        OptimalTransport("exact").fit(X, y, X_target)
    OptimalTransport().fit(X, y, X_target)


def test_only_methods_that_read_labels_ask_pipelines_for_them():
    asked = {
        method: OptimalTransport(method).get_metadata_routing().fit.requests["y_target"]
        for method in ("linear", "exact")
    }
    assert asked == {"linear": False, "exact": True}
    assert (
        make_transfer_pipeline(OptimalTransport())
        .get_metadata_routing()
        .consumes("fit", ["X_target"])
    )
