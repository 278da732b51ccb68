"""How tasks share a body: each formula against plain loops."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from sktransfer.data._domain import Domain
from sktransfer.multitask import MultiTaskRegressor
from sktransfer.multitask._deep import initial_losses, n_labels
from sktransfer.multitask._gradients import (
    LEAST_WEIGHT,
    WEIGHTS_RATE,
    balance_gradients,
    loss_of_gradients,
    project_conflicts,
    sum_of_products,
    widest_type,
)
from sktransfer.multitask._heads import head_penalty, make_heads
from sktransfer.multitask._several import SeveralClassifications, SeveralRegressions
from sktransfer.multitask._weighting import (
    GradNormStep,
    PCGradStep,
    ProjectedWeights,
    mean_losses,
    uncertainty_loss,
)

seeds = st.integers(0, 10_000)
SOME = torch.tensor([[1.0, 2.0], [3.0, 0.0], [0.0, 5.0]])
KNOWN = torch.tensor([[True, True], [True, False], [False, True]])


def draw(seed, *shape):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


def pcgrad_by_loops(gradients, order):
    """Algorithm 1 of Yu et al., with the order in which each task meets the others given."""
    gradients = [g.numpy() for g in gradients]
    projected = []
    for i, own in enumerate(gradients):
        own = own.copy()
        for j in order[i].tolist():
            other = gradients[j]
            if j != i and own @ other < 0:
                own -= (own @ other) / (other @ other) * other
        projected.append(own)
    return np.array(projected)


@given(seeds, st.integers(1, 6), st.integers(1, 8))
@settings(max_examples=60)
def test_projections_are_those_of_loops_against_the_original_gradients(seed, n_tasks, size):
    gradients = draw(seed, n_tasks, size)
    order = draw(seed + 1, n_tasks, n_tasks).argsort(dim=1)
    coefficients = project_conflicts(gradients @ gradients.T, order)
    np.testing.assert_allclose(
        coefficients @ gradients, pcgrad_by_loops(gradients, order), atol=1e-8
    )


def test_two_tasks_in_conflict_lose_what_they_have_against_each_other():
    gradients = torch.tensor([[1.0, 0.0], [-1.0, 1.0]])
    coefficients = project_conflicts(gradients @ gradients.T, torch.tensor([[0, 1], [1, 0]]))
    projected = coefficients @ gradients
    torch.testing.assert_close(projected, torch.tensor([[0.5, 0.5], [0.0, 1.0]]))
    torch.testing.assert_close((projected * gradients.flip(0)).sum(dim=1), torch.zeros(2))


@given(seeds)
@settings(max_examples=20)
def test_tasks_that_agree_keep_their_gradients(seed):
    gradients = draw(seed, 4, 3).abs()
    order = draw(seed + 1, 4, 4).argsort(dim=1)
    torch.testing.assert_close(
        project_conflicts(gradients @ gradients.T, order), torch.eye(4, dtype=torch.float64)
    )


def test_a_task_without_a_gradient_changes_no_other():
    gradients = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    order = torch.tensor([[0, 1], [0, 1]])
    torch.testing.assert_close(project_conflicts(gradients @ gradients.T, order), torch.eye(2))


def gradnorm_by_loops(weights, norms, ratios, alpha):
    """Eqs. 1 and 2 of Chen et al., with the derivative by autograd and over the mean norm."""
    n_tasks, total = len(weights), sum(weights)
    mean = sum(w * n for w, n in zip(weights, norms, strict=True)) / n_tasks
    moved = []
    for weight, norm, ratio in zip(weights, norms, ratios, strict=True):
        w = torch.tensor(weight, dtype=torch.float64, requires_grad=True)
        relative = ratio / (sum(ratios) / n_tasks)
        (w * norm - mean * relative**alpha).abs().backward()
        moved.append(max(weight - WEIGHTS_RATE * w.grad.item() / mean, LEAST_WEIGHT))
    return [m * total / sum(moved) for m in moved]


@given(seeds, st.integers(2, 5), st.sampled_from([0.0, 0.5, 1.5]))
@settings(max_examples=40)
def test_weights_move_as_by_loops_and_keep_their_sum(seed, n_tasks, alpha):
    weights, norms, ratios = draw(seed, 3, n_tasks).abs() + 0.1
    moved = balance_gradients(weights, norms, ratios, alpha)
    expected = gradnorm_by_loops(weights.tolist(), norms.tolist(), ratios.tolist(), alpha)
    np.testing.assert_allclose(moved, expected, rtol=1e-10)
    assert moved.sum().item() == pytest.approx(weights.sum().item())
    assert (moved > 0).all()


def test_no_weight_falls_below_the_least():
    weights, norms = torch.tensor([0.01, 1.99]).double(), torch.tensor([100.0, 1.0]).double()
    ratios = torch.tensor([0.1, 2.0]).double()
    moved = balance_gradients(weights, norms, ratios, 1.5)
    assert 0 < moved[0] < 2 * LEAST_WEIGHT
    expected = gradnorm_by_loops(weights.tolist(), norms.tolist(), ratios.tolist(), 1.5)
    np.testing.assert_allclose(moved, expected, rtol=1e-10)


def test_steps_of_the_weights_lead_to_equal_norms():
    weights, norms = torch.ones(3, dtype=torch.float64), torch.tensor([0.5, 1.0, 2.0]).double()
    for _ in range(300):
        weights = balance_gradients(weights, norms, torch.ones(3).double(), 1.5)
    weighed = weights * norms
    assert (weighed.max() - weighed.min()) / weighed.mean() < 0.2


def test_tasks_without_gradients_leave_the_weights():
    weights = torch.tensor([1.5, 0.5])
    torch.testing.assert_close(
        balance_gradients(weights, torch.zeros(2), torch.ones(2), 1.5), weights
    )


def test_losses_of_tasks_sum_to_the_mean_loss_of_labels():
    losses, shares = mean_losses(SOME, KNOWN)
    torch.testing.assert_close(losses, torch.tensor([4 / 4, 7 / 4]))
    torch.testing.assert_close(shares, torch.tensor([0.5, 0.5]))


@pytest.mark.parametrize(("dtype", "rtol"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_products_of_gradients_are_summed_over_parameters(dtype, rtol):
    rng = np.random.default_rng(0)
    parts = [rng.normal(size=(3, 2, 2)), rng.normal(size=(3, 5))]
    expected = [
        [sum((part[i] * part[j]).sum() for part in parts) for j in range(3)] for i in range(3)
    ]
    found = sum_of_products(map(torch.from_numpy, parts), 3, torch.device("cpu"), dtype)
    assert found.dtype == dtype
    np.testing.assert_allclose(found.numpy(), expected, rtol=rtol)


@pytest.mark.parametrize(
    ("device", "dtype"), [("cpu", torch.float64), ("cuda", torch.float64), ("mps", torch.float32)]
)
def test_products_have_the_digits_that_the_device_knows(device, dtype):
    assert widest_type(torch.device(device)) == dtype


def test_labels_are_counted_as_their_rows_weigh():
    y = np.array([[1.0, np.nan], [2.0, 3.0], [np.nan, np.nan]])
    assert n_labels(Domain(np.zeros((3, 1)), y, np.array([4.0, 0.5, 7.0]))) == 5.0
    assert n_labels(Domain(np.zeros((3, 1)), y)) == 3.0


def test_a_task_without_any_loss_at_first_is_measured_by_one():
    y = np.array([[0.0, 2.0], [0.0, -2.0]])
    task = SeveralRegressions(np.zeros(2), np.ones(2), "squared_error")
    initial = initial_losses(task, Domain(np.zeros((2, 1)), y), torch.device("cpu"))
    assert initial.tolist() == [1.0, 4.0]


def test_losses_of_a_single_label_and_of_none():
    one, none = torch.tensor([[True, False]]), torch.zeros(1, 2, dtype=torch.bool)
    losses, shares = mean_losses(torch.tensor([[3.0, 0.0]]), one)
    assert (losses.tolist(), shares.tolist()) == ([3.0, 0.0], [1.0, 0.0])
    assert not torch.stack(mean_losses(torch.zeros(1, 2), none)).any()


@pytest.mark.parametrize("deviance", [0.5, 1.0])
def test_uncertainty_is_least_at_the_noise(deviance):
    losses, shares = torch.tensor([0.3, 0.02]), torch.tensor([0.75, 0.25])
    log_variances = torch.zeros(2, requires_grad=True)
    optimizer = torch.optim.Adam([log_variances], lr=0.05)
    for _ in range(500):
        optimizer.zero_grad()
        sum(uncertainty_loss(losses, shares, log_variances, deviance)).backward()
        optimizer.step()
    # d/ds (d e^-s l + share s/2) = 0
    expected = 2 * deviance * losses / shares
    torch.testing.assert_close(log_variances.exp().detach(), expected, rtol=0.01, atol=0)
    weighed, rest = uncertainty_loss(losses, shares, torch.tensor([0.0, 1.0]), deviance)
    assert weighed.item() == pytest.approx(deviance * (0.3 + 0.02 / np.e))
    assert rest.item() == pytest.approx(0.125)


def test_a_loss_of_gradients_sends_these():
    parameters = [nn.Parameter(torch.ones(2, 3)), nn.Parameter(torch.zeros(4))]
    gradients = [draw(0, 2, 3).float(), draw(1, 4).float()]
    loss_of_gradients(parameters, gradients).backward()
    for parameter, gradient in zip(parameters, gradients, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)


def make_step(weighting, seed=0, missing=0.3):
    """Return a step, its network and a batch, as a fit is about to take it."""
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(30, 3)), rng.normal(size=(30, 3))
    y[rng.random((30, 3)) < missing] = np.nan
    taken = []

    class Watched(MultiTaskRegressor):
        def _make_step(self, network, source):
            step = super()._make_step(network, source)

            def watch(batch, update):
                if not taken:
                    taken.append((step, copy.deepcopy(network), batch, network))
                return step(batch, update)

            return watch

    Watched(weighting=weighting, hidden_layer_sizes=(5,), max_epochs=1, random_state=0).fit(X, y)
    return taken[0]


def gradients_by_loops(network, batch, task):
    """Return the gradient of each task's loss, ``1/n sum`` over its labels, by parameter."""
    y = batch.source.y.numpy()
    n_labels = np.isfinite(y).sum()
    result = []
    for code in range(y.shape[1]):
        network.zero_grad()
        outputs, total = network(batch.source.X), 0.0
        for row in range(len(y)):
            if np.isfinite(y[row, code]):
                total = total + (outputs[row, code] - y[row, code]) ** 2 / n_labels
        total.backward()
        result.append(
            {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}
        )
    return result


def test_a_step_of_pcgrad_sends_the_body_projected_gradients_and_heads_plain_ones():
    step, before, batch, network = make_step("pcgrad")
    network.load_state_dict(before.state_dict())
    by_task = gradients_by_loops(copy.deepcopy(before), batch, step.losses.task)
    body = [name for name in by_task[0] if name.startswith("body")]
    flat = [torch.cat([g[name].ravel() for name in body]) for g in by_task]
    torch.manual_seed(7)
    order = torch.rand(3, 3).argsort(dim=1)
    expected = pcgrad_by_loops(flat, order).sum(axis=0)
    torch.manual_seed(7)
    sent = {}

    def update(losses, parameters=None):
        network.zero_grad()
        sum(losses.values()).backward()
        sent.update({name: p.grad for name, p in network.named_parameters()})

    losses = step(batch, update)
    assert losses["label_loss"].item() == pytest.approx(
        float(mean_losses(*label_losses(network, batch, step.losses.task))[0].sum())
    )
    np.testing.assert_allclose(torch.cat([sent[n].ravel() for n in body]), expected, atol=1e-6)
    for name in ("label_head.weight", "label_head.bias"):
        torch.testing.assert_close(sent[name], sum(g[name] for g in by_task))


def test_a_step_of_pcgrad_sends_heads_their_penalty():
    step, before, batch, network = make_step("pcgrad")
    network.load_state_dict(before.state_dict())
    head = network.label_head.weight
    penalised = PCGradStep(replace(step.losses, penalty=lambda: head.square().sum()), step.weights)
    sent = []

    def update(losses, parameters=None):
        network.zero_grad()
        sum(losses.values()).backward()
        sent.append(head.grad.clone())

    step(batch, update)
    losses = penalised(batch, update)
    assert losses["head_penalty"].item() == pytest.approx(head.square().sum().item())
    torch.testing.assert_close(sent[1], sent[0] + 2 * head.detach())


def test_weights_of_projections_are_means_over_the_steps_of_a_task():
    weights = ProjectedWeights(3)
    weights.add(torch.tensor([0, 1]), torch.tensor([0.5, 1.0]))
    weights.add(torch.tensor([1]), torch.tensor([0.2]))
    assert weights.end_epoch() == pytest.approx([0.5, 0.6, 1.0])
    weights.add(torch.tensor([2]), torch.tensor([3.0]))
    assert weights.end_epoch() == pytest.approx([0.5, 0.6, 3.0])


def label_losses(network, batch, task):
    outputs, y = network(batch.source.X).detach(), batch.source.y
    return task.label_losses(outputs, y), task.has_label(y)


@pytest.mark.parametrize("seed", range(3))
def test_a_step_of_gradnorm_moves_the_weights_as_by_loops(seed):
    step, before, batch, network = make_step("gradnorm", seed, missing=[0.8, 0.3, 0.0])
    assert isinstance(step, GradNormStep)
    network.load_state_dict(before.state_dict())
    by_task = gradients_by_loops(copy.deepcopy(before), batch, step.losses.task)
    norms = [g["body.0.weight"].norm().item() for g in by_task]
    losses, known = label_losses(before, batch, step.losses.task)
    ratios = [
        (losses[:, code].sum() / known[:, code].sum() / step.initial[code]).item()
        for code in range(3)
    ]
    weights = network.task_weights.weights.tolist()
    step(batch, lambda losses, parameters=None: None)
    expected = gradnorm_by_loops(weights, norms, ratios, 1.5)
    np.testing.assert_allclose(network.task_weights.weights, expected, rtol=1e-5)


def test_losses_before_training_are_those_of_outputs_zero():
    step, *_ = make_step("gradnorm")
    torch.testing.assert_close(step.initial, torch.ones(3))  # of standardised labels


def test_losses_before_training_of_weighted_rows_are_those_of_repeated_ones():
    y, times = draw(0, 6, 2).numpy(), np.array([1, 3, 2, 1, 1, 5])
    y[4, 1] = np.nan
    task = SeveralRegressions(np.zeros(2), np.ones(2), "squared_error")
    rows, cpu = np.zeros((6, 1)), torch.device("cpu")
    weighted = initial_losses(task, Domain(rows, y, times.astype(float)), cpu)
    repeated = Domain(rows.repeat(times, 0), y.repeat(times, 0))
    torch.testing.assert_close(weighted, initial_losses(task, repeated, cpu))
    assert not torch.allclose(weighted, initial_losses(task, Domain(rows, y), cpu))


# What is learned, and its heads


def test_a_task_of_classes_has_the_cross_entropy_of_its_own_logits():
    classes = [np.array(["a", "b"]), np.array([1, 2, 3]), np.array(["x"])]
    task = SeveralClassifications(classes)
    outputs, y = draw(0, 4, 6), torch.tensor([[0, 2, 0], [1, -1, 0], [-1, 0, -1], [0, 1, 0]])
    losses = task.label_losses(outputs, y)
    start = 0
    for code, own in enumerate(classes):
        logits = outputs[:, start : start + len(own)]
        for row in range(4):
            label = int(y[row, code])
            expected = 0.0
            if label >= 0:
                expected = -(logits[row, label] - logits[row].exp().sum().log()).item()
            assert losses[row, code].item() == pytest.approx(expected, abs=1e-12)
        start += len(own)
    shown = task.shown(outputs)
    torch.testing.assert_close(shown[:, 2:5], outputs[:, 2:5].softmax(dim=1))
    assert task.answers(outputs.numpy())[:, 2].tolist() == ["x"] * 4


def test_missing_labels_send_no_gradient_and_no_nan():
    task = SeveralRegressions(np.zeros(2), np.ones(2), "squared_error")
    outputs = draw(0, 3, 2).requires_grad_()
    y = torch.tensor([[1.0, np.nan], [np.nan, np.nan], [0.0, 2.0]])
    task.label_losses(outputs, y).sum().backward()
    missing = y.isnan()
    assert (outputs.grad[missing] == 0).all()
    assert (outputs.grad[~missing] != 0).all()
    classes = SeveralClassifications([np.arange(2), np.arange(3)])
    logits = draw(1, 2, 5).requires_grad_()
    classes.label_losses(logits, torch.tensor([[-1, 2], [0, -1]])).sum().backward()
    assert (logits.grad[0, :2] == 0).all()
    assert (logits.grad[1, 2:] == 0).all()
    assert logits.grad.isfinite().all()


@given(seeds)
@settings(max_examples=20)
def test_numbers_are_standardised_by_column_or_all_together(seed):
    rng = np.random.default_rng(seed)
    y, weight = rng.normal(3, 2, size=(9, 2)), rng.integers(0, 4, 9).astype(float)
    weight[0] = 1
    y[rng.random((9, 2)) < 0.2] = np.nan
    repeated = y.repeat(weight.astype(int), axis=0)
    one = SeveralRegressions.of_values(y, weight, "huber", of_one_kind=True)
    values = repeated[np.isfinite(repeated)]
    if len(values):
        np.testing.assert_allclose(one.mean, values.mean())
    each = SeveralRegressions.of_values(y, weight, "huber", of_one_kind=False)
    for code in range(2):
        values = repeated[np.isfinite(repeated[:, code]), code]
        if len(values) > 1:
            assert each.mean[code] == pytest.approx(values.mean())
            assert each.scale[code] == pytest.approx(values.std() or 1.0)
    np.testing.assert_allclose(each.answers(each.encode(y)), y, atol=1e-12)


def test_heads_of_a_group_begin_alike_and_the_penalty_is_by_loops():
    sizes, groups = [2, 3, 2], [np.array([0, 2])]
    layer = make_heads(None, torch.zeros(2, 4), sizes, groups)
    torch.testing.assert_close(layer.weight[:2], layer.weight[5:])
    assert head_penalty(layer, sizes, groups, 3.0, 2.0).item() == 0
    with torch.no_grad():
        layer.weight.copy_(draw(0, 7, 4))
        layer.bias.copy_(draw(1, 7))
    expected = 0.0
    for k in range(2):
        for values, factor in ((layer.weight, 3.0 / 3), (layer.bias, 2.0)):
            pair = [values[k].detach().numpy(), values[5 + k].detach().numpy()]
            for value in pair:
                expected += factor * ((value - (pair[0] + pair[1]) / 2) ** 2).sum()
    assert head_penalty(layer, sizes, groups, 3.0, 2.0).item() == pytest.approx(expected)
    own = make_heads(nn.Linear, torch.zeros(2, 4), sizes, groups)
    torch.testing.assert_close(own.heads[0].weight, own.heads[2].weight)
    with torch.no_grad():
        for code, start in ((0, 0), (1, 2), (2, 5)):
            own.heads[code].weight.copy_(layer.weight[start : start + sizes[code]])
            own.heads[code].bias.copy_(layer.bias[start : start + sizes[code]])
    features = draw(2, 5, 4).float()
    torch.testing.assert_close(own(features), layer(features))
    assert head_penalty(own, sizes, groups, 3.0, 2.0).item() == pytest.approx(expected)
