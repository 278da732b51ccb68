"""The losses of a stage by plain loops, and what holds for class weights."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sktransfer._task import Classification
from sktransfer.data._domain import Domain
from sktransfer.deep._class_weights import weigh_classes
from sktransfer.finetuning._stages import TrainingRows, l2_sp_penalty


def test_cross_entropy_is_the_weighted_mean_over_rows():
    rng = np.random.default_rng(0)
    logits, y, weights = rng.normal(size=(6, 3)), rng.integers(0, 3, 6), [0.5, 2.0, 1.0]
    total = 0.0
    for row, label in zip(logits, y, strict=True):
        exponentials = [math.exp(z) for z in row]
        total += weights[label] * -math.log(exponentials[label] / sum(exponentials))
    rows = TrainingRows(
        Domain(np.zeros((6, 1)), y),
        Classification(np.arange(3)),
        class_weight=torch.tensor(weights).double(),
    )
    loss = rows.loss(torch.from_numpy(logits), torch.from_numpy(y))
    assert loss.item() == pytest.approx(total / 6)


def test_l2_sp_is_half_alpha_times_the_squared_way_from_the_start():
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=(2, 3)), rng.normal(size=4)]
    anchors = [rng.normal(size=(2, 3)), rng.normal(size=4)]
    expected = 0.0
    for w, w0 in zip(weights, anchors, strict=True):
        for a, b in zip(w.ravel(), w0.ravel(), strict=True):
            expected += 0.3 / 2 * (a - b) ** 2
    tensors = [[torch.from_numpy(w) for w in group] for group in (weights, anchors)]
    assert l2_sp_penalty(*tensors, 0.3).item() == pytest.approx(expected)
    assert l2_sp_penalty(tensors[0], tensors[0], 0.3).item() == 0


def test_gradient_of_l2_sp_pulls_back_by_alpha_times_the_way():
    weight, anchor = torch.rand(5, requires_grad=True), torch.rand(5)
    l2_sp_penalty([weight], [anchor], 0.7).backward()
    torch.testing.assert_close(weight.grad, 0.7 * (weight.detach() - anchor))


counts = st.lists(st.integers(0, 20), min_size=2, max_size=5).filter(
    lambda n: sum(k > 0 for k in n) > 1
)


@given(counts)
def test_balanced_classes_weigh_the_same_in_all(n_rows):
    y = np.repeat(np.arange(len(n_rows)), n_rows)
    weights = weigh_classes("balanced", np.arange(len(n_rows)), y, None)
    share = weights * n_rows
    present = np.array(n_rows) > 0
    np.testing.assert_allclose(share[present], share[present][0])
    assert share.sum() == pytest.approx(len(y))


@given(counts, st.floats(0.01, 100))
def test_scale_of_class_weights_does_not_matter(n_rows, scale):
    classes = np.array([f"class {i}" for i in range(len(n_rows))])
    y = np.repeat(np.arange(len(n_rows)), n_rows)
    given = {label: 1.0 + i for i, label in enumerate(classes.tolist())}
    scaled = {label: scale * weight for label, weight in given.items()}
    a, b = (weigh_classes(w, classes, y, None) for w in (given, scaled))
    np.testing.assert_allclose(a, b)
    assert np.average(a[y]) == pytest.approx(1)
    assert a[1] == pytest.approx(2 * a[0])


def test_class_weights_count_the_rows_by_their_sample_weights():
    classes, y = np.array([0, 1]), np.array([0, 0, 1])
    weighted = weigh_classes("balanced", classes, y, np.array([2.0, 0.0, 1.0]))
    np.testing.assert_allclose(weighted, weigh_classes("balanced", classes, [0, 0, 1], None))


def test_labels_left_out_weigh_one():
    weights = weigh_classes({"b": 3.0}, np.array(["a", "b"]), np.array([0, 1]), None)
    np.testing.assert_allclose(weights, [0.5, 1.5])


@pytest.mark.parametrize(
    ("class_weight", "message"),
    [
        ({"c": 1.0}, r"class_weight names \['c'\].*classes are \['a', 'b'\]"),
        ({"a": -1.0}, "must give finite weights of 0 or more"),
        ({"a": 0.0, "b": 0.0}, "above 0 for some class"),
        ({"a": np.nan}, "must give finite weights"),
    ],
)
def test_class_weights_that_cannot_be_are_refused(class_weight, message):
    with pytest.raises(ValueError, match=message):
        weigh_classes(class_weight, np.array(["a", "b"]), np.array([0, 1]), None)


def labelled(X, y, sample_weight=None):
    return TrainingRows(Domain(X, y, sample_weight), Classification.of_labels(y, "y"))


def test_held_out_rows_are_a_share_of_each_class():
    y = np.repeat(["a", "b"], [40, 60])
    kept = labelled(np.arange(100.0)[:, None], y, np.arange(100.0)).split(0.2, seed=0)
    held_out = kept.held_out.domain
    assert np.unique(kept.domain.y, return_counts=True)[1].tolist() == [32, 48]
    assert np.unique(held_out.y, return_counts=True)[1].tolist() == [8, 12]
    rows = np.concatenate([kept.domain.X[:, 0], held_out.X[:, 0]])
    assert sorted(rows) == list(range(100))
    for domain in (kept.domain, held_out):
        np.testing.assert_array_equal(domain.sample_weight, domain.X[:, 0])
        np.testing.assert_array_equal(domain.y, y[domain.X[:, 0].astype(int)])


def test_too_few_rows_to_hold_out_are_an_error():
    rows = labelled(np.zeros((3, 1)), np.array([0, 0, 1]))
    with pytest.raises(ValueError, match=r"a fraction of 0\.1 of the 3 labelled rows"):
        rows.split(0.1, seed=0)
