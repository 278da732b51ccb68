"""Fits at their defaults, beside loops by hand with the same losses, networks and steps.

    python benchmarks/loops.py [repeats] [method ...]

600 rows of each domain, the default MLP, one thread; processor time of whole fits, and the median
ratio of the two in turn.
"""

import copy
import math
import sys
import time
import warnings
from statistics import median

import numpy as np
import torch
from torch.nn import functional as F

import sktransfer as st
from sktransfer.adaptation._cdan import certainty_weights, products, weighted_adversarial_loss
from sktransfer.adaptation._dann import domain_adversarial_loss, gradient_penalty
from sktransfer.adaptation._mcd import discrepancy
from sktransfer.adaptation._target_losses import class_confusion, entropy
from sktransfer.fewshot._heads import class_means, similarities
from sktransfer.layers import scale_gradient
from sktransfer.multitask._gradients import project_conflicts

N, WIDTH, BATCH, EPOCHS = 600, 20, 64, 30
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, WIDTH)).astype(np.float32)
Y = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0.5)
TASKS = np.column_stack([Y, X[:, 2] > 0, X[:, 3] > 0]).astype(int)
MANY = RNG.integers(0, 20, N)
X_TARGET = X * np.float32(1.1) + np.float32(0.2)
X_, Y_, X_TARGET_, TASKS_ = map(torch.from_numpy, (X, Y, X_TARGET, TASKS))
PLAIN = {"average_weights": 0.0, "random_state": 0}  # a loop takes no mean of its weights


def train(network, loss_of, betas=(0.9, 0.999), steps_of=None):
    """Go down a loss of batches of both domains, by Adam in one kernel."""
    parameters = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(parameters, lr=2e-3, betas=betas, fused=True)

    def update(loss, players=None):
        optimizer.zero_grad()
        loss.backward(inputs=players)
        optimizer.step()

    n_steps, step = EPOCHS * -(-N // BATCH), 0
    for _ in range(EPOCHS):
        orders = torch.randperm(N).split(BATCH), torch.randperm(N).split(BATCH)
        for rows, of_target in zip(*orders, strict=True):
            share = 2 / (1 + math.exp(-10 * step / n_steps)) - 1
            batch = X_[rows], rows, X_TARGET_[of_target], share
            if steps_of is None:
                update(loss_of(network, *batch))
            else:
                steps_of(network, update, *batch)
            step += 1


def passed(network, rows, target):
    """Return features of both domains and logits."""
    features = network.body(torch.cat([rows, target]))
    source, of_target = features.split_with_sizes([len(rows), len(target)])
    return features, source, of_target


def dann(network, rows, numbers, target, share):
    """Return DANN's losses with penalty and entropy."""
    features, source, of_target = passed(network, rows, target)
    loss = F.cross_entropy(network.label_head(source), Y_[numbers])
    domains = network.domain_classifier.head(scale_gradient(features, -share))
    fixed = features.detach().requires_grad_()
    loss = loss + 5 * gradient_penalty(network.domain_classifier.head(fixed), fixed)
    logits = scale_gradient(network.label_head(of_target), share)
    domain_loss = domain_adversarial_loss(*domains.split_with_sizes([len(rows), len(target)]))
    return loss + domain_loss + 0.03 * entropy(logits)


def cdan(network, rows, numbers, target, share):
    """Return CDAN's losses with penalty."""
    _, source, of_target = passed(network, rows, target)
    z, z_target = network.label_head(source), network.label_head(of_target)
    pairs = [(source, z.detach()), (of_target, z_target.detach())]
    joint = [products(f, logits.softmax(dim=1)) for f, logits in pairs]
    head = network.domain_classifier.head
    domains = [head(scale_gradient(both, -0.3 * share)) for both in joint]
    weights = [certainty_weights(logits) for _, logits in pairs]
    fixed = torch.cat(joint).detach().requires_grad_()
    loss = F.cross_entropy(z, Y_[numbers]) + weighted_adversarial_loss(*domains, *weights)
    return loss + 5 * gradient_penalty(head(fixed), fixed)


def mcc(network, rows, numbers, target, share):
    """Return MCC's losses."""
    _, source, of_target = passed(network, rows, target)
    confusion = class_confusion(scale_gradient(network.label_head(of_target), 0.3 * share))
    return F.cross_entropy(network.label_head(source), Y_[numbers]) + confusion


def mcd(network, update, rows, numbers, target, share):
    """Take MCD's moves."""
    first, second = network.label_head.first, network.label_head.second
    body, heads = list(network.body.parameters()), list(network.label_head.parameters())

    def known(f):
        return F.cross_entropy(first(f), Y_[numbers]) + F.cross_entropy(second(f), Y_[numbers])

    update(known(network.body(rows)), body + heads)
    with torch.no_grad():
        _, source, of_target = passed(network, rows, target)
    update(known(source) - share * discrepancy(first(of_target), second(of_target)), heads)
    for _ in range(4):
        features = scale_gradient(network.body(target), share)
        update(discrepancy(first(features), second(features)), body)


def task_losses(network, rows, numbers):
    """Return the loss of each task."""
    parts = network.label_head(network.body(rows)).split_with_sizes([3, 2, 2], dim=1)
    return [F.cross_entropy(part, TASKS_[numbers, t]) / 3 for t, part in enumerate(parts)]


def uniform(network, rows, numbers, target, share):
    """Return the loss of all tasks."""
    return sum(task_losses(network, rows, numbers))


def pcgrad(network, update, rows, numbers, target, share):
    """Take a step of projected gradients."""
    losses, body = task_losses(network, rows, numbers), list(network.body.parameters())
    gradients = [torch.autograd.grad(loss, body, retain_graph=True) for loss in losses]
    flat = torch.stack([torch.cat([g.ravel() for g in of_task]) for of_task in gradients])
    flat = flat.double()
    coefficients = project_conflicts(flat @ flat.T, torch.rand(3, 3).argsort(dim=1)).sum(dim=0)
    projected = (coefficients @ flat).float().split([p.numel() for p in body])
    own = list(network.label_head.parameters())
    of_own = torch.autograd.grad(sum(losses), own)
    sent = [g.view_as(p) for g, p in zip([*projected, *of_own], [*body, *own], strict=True)]
    update(sum((p * g).sum() for p, g in zip([*body, *own], sent, strict=True)))


def classify(network, rows, numbers, target, share):
    """Return the cross-entropy of the source."""
    return F.cross_entropy(network.label_head(network.body(rows)), Y_[numbers])


def prototypes(network):
    """Train on 500 episodes of 20 classes, 5 rows to learn from and 5 to be asked about."""
    optimizer = torch.optim.Adam(network.body.parameters(), lr=1e-3, fused=True)
    pools = [torch.from_numpy(np.flatnonzero(code == MANY)) for code in range(20)]
    for _ in range(500):
        shown, asked, y_shown, y_asked = [], [], [], []
        for label, number in enumerate(torch.randperm(20).tolist()):
            pool = pools[number]
            order = pool[torch.randperm(len(pool))[:10]]
            shown.append(order[:5])
            asked.append(order[5:])
            y_shown += [label] * 5
            y_asked += [label] * len(asked[-1])
        y = torch.tensor(y_shown)
        features = network.body(X_[torch.cat(shown + asked)])
        centres = class_means(features[: len(y)], y, 20)
        logits = similarities(features[len(y) :], centres, "euclidean")
        optimizer.zero_grad()
        F.cross_entropy(logits, torch.tensor(y_asked)).backward()
        optimizer.step()


def adapting(kind, **params):
    """Return what fits a method on both domains."""
    return lambda epochs: kind(**PLAIN, **params, max_epochs=epochs).fit(X, Y, X_TARGET)


def several(weighting):
    """Return what fits three tasks."""
    return lambda epochs: st.MultiTaskClassifier(
        weighting=weighting, max_epochs=epochs, **PLAIN
    ).fit(X, TASKS)


def fine_tuned(epochs):
    """Fine-tune all layers of a default body."""
    torch.manual_seed(0)
    body = torch.nn.Sequential(
        *(torch.nn.Linear(WIDTH, 100), torch.nn.ReLU()),
        *(torch.nn.Linear(100, 100), torch.nn.ReLU()),
    )
    clf = st.FineTuneClassifier(
        body,
        unfreeze_depth="all",
        head_epochs=0,
        finetune_epochs=epochs,
        batch_size=BATCH,
        random_state=0,
    )
    return clf.fit(X, Y)


def few_shot(epochs):
    """Train on the episodes of the defaults."""
    clf = st.PrototypicalClassifier(episodes=500 if epochs > 1 else 1, random_state=0)
    return clf.fit(X, MANY)


GAME = {"betas": (0.5, 0.999)}
METHODS = {
    "DANN": (
        adapting(st.DANNClassifier, class_weighting=None),
        lambda net: train(net, dann, **GAME),
    ),
    "CDAN": (adapting(st.CDANClassifier), lambda net: train(net, cdan, **GAME)),
    "MCC": (adapting(st.MCCClassifier), lambda net: train(net, mcc)),
    "MCD": (
        adapting(st.MCDClassifier),
        lambda net: train(net, None, steps_of=mcd),
    ),
    "fine-tuning": (fine_tuned, lambda net: train(net, classify)),
    "several tasks": (several("uniform"), lambda net: train(net, uniform)),
    "several tasks, PCGrad": (several("pcgrad"), lambda net: train(net, None, steps_of=pcgrad)),
    "prototypical": (few_shot, prototypes),
}


def seconds_of(call, *args):
    """Return the processor time that a call takes."""
    start = time.process_time()
    call(*args)
    return time.process_time() - start


def main(repeats=7, *names):
    """Print the table."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    print("| fit | seconds | loop by hand | sktransfer's time / its time |\n|---|---|---|---|")
    for name in names or METHODS:
        fit, by_hand = METHODS[name]
        network = fit(1).net_.module_
        taken = []
        for _ in range(int(repeats)):
            other = copy.deepcopy(network).requires_grad_(True).train()
            taken.append((seconds_of(fit, EPOCHS), seconds_of(by_hand, other)))
        ours, hand = map(median, zip(*taken, strict=True))
        ratio = median(first / second for first, second in taken)
        print(f"| {name} | {ours:.2f} | {hand:.2f} | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
