"""
A body and callbacks of one's own: signals of two machines
==========================================================

The same three states are to be told apart by the vibration of two machines: sound, unbalanced, and
with a broken bearing. Labels exist for one machine. Beside the other something hums. Rows are
signals, not columns, so the body is a small convolutional network; callbacks of skorch halve the
learning rate, look on at labelled rows, and keep the best epoch.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from skorch.callbacks import LRScheduler
from torch import nn
from torch.optim.lr_scheduler import StepLR

from sktransfer import DANNClassifier
from sktransfer.callbacks import DomainScoring, TargetValidation
from sktransfer.displays import TrainingHistoryDisplay
from sktransfer.model_selection import InfoMaxScorer

SEEDS = range(3)  # each decides the signals and the training
STATES = np.array(["sound", "unbalanced", "broken bearing"])


def make_signals(n_signals, hum, generator):
    """Return signals of shape (n_signals, 1, 128) and the states of the machine."""
    state = generator.integers(3, size=n_signals)
    time = np.arange(128) / 128
    turns = 4 * time + generator.random((n_signals, 1))
    strength = np.where(state == 1, 2.5, 1.0)[:, np.newaxis]
    signals = strength * generator.uniform(0.8, 1.2, (n_signals, 1)) * np.sin(2 * np.pi * turns)
    since_impact = (2.6 * turns) % 1  # a broken bearing rings 2.6 times in each turn
    ringing = 2 * np.exp(-5 * since_impact) * np.sin(2 * np.pi * 4 * since_impact)
    signals += (state == 2)[:, np.newaxis] * ringing
    signals += hum * np.sin(2 * np.pi * (25 * time + generator.random((n_signals, 1))))
    signals += generator.normal(scale=0.5, size=signals.shape)
    return signals[:, np.newaxis].astype(np.float32), STATES[state]


# %%
# The body is any torch module that maps rows to features. Given as a function, it is made anew for
# each fit, its weights decided by ``random_state``.


def make_body(input_shape):
    """Return two convolutions along time, and means over quarters of the signal."""
    return nn.Sequential(
        nn.Conv1d(input_shape[0], 16, 9, padding=4),
        nn.ReLU(),
        nn.MaxPool1d(4),
        nn.Conv1d(16, 32, 5, padding=2),
        nn.ReLU(),
        nn.AdaptiveAvgPool1d(4),
    )


# %%
# Three callbacks. skorch's `LRScheduler` takes any schedule of torch. `DomainScoring` records
# accuracies on labelled rows of both machines, which influences nothing. `TargetValidation` scores
# each epoch without labels, here on the rows in training, and in the end restores the best one.

table = []
for seed in SEEDS:
    generator = np.random.default_rng(seed)
    (Xs, ys), (Xt, _) = (make_signals(500, hum, generator) for hum in (0.0, 0.8))
    test = [make_signals(300, hum, generator) for hum in (0.0, 0.8)]
    dann = DANNClassifier(
        make_body,
        lambda_=0.3,
        max_epochs=30,
        callbacks=[
            LRScheduler(StepLR, step_size=10, gamma=0.5),
            DomainScoring(*test[0], *test[1]),
            TargetValidation(InfoMaxScorer),
        ],
        random_state=seed,
    )
    dann.fit(Xs, ys, X_target=Xt)
    plain = DANNClassifier(make_body, lambda_=0.0, max_epochs=30, random_state=seed).fit(Xs, ys)
    table.append([clf.score(*domain) for clf in (plain, dann) for domain in test])
    if seed == SEEDS[0]:
        drawn = dann, Xs, ys, Xt

print(f"{'':<10}{'source test':>12}{'target test':>12}   mean of {len(SEEDS)} seeds")
for name, accuracies in zip(
    ["plain", "DANN"], np.reshape(np.mean(table, axis=0), (2, 2)), strict=True
):
    print(f"{name:<10}{accuracies[0]:12.3f}{accuracies[1]:12.3f}")

# %%
# On the left one signal of each state. The hum is no state of the machine, but a network that has
# never heard it takes it for one. On the right what the callbacks recorded: the learning rate falls
# at epochs 11 and 21, and the curves calm down. The score without labels (pink) rises to the end,
# so the last epoch is the one that is kept.

dann, Xs, ys, Xt = drawn
hummed = make_signals(300, 0.8, np.random.default_rng(0))
figure = plt.figure(figsize=(13, 5.6), layout="constrained")
left, right = figure.subfigures(1, 2, width_ratios=[1, 1.2])
axes = left.subplots(3, 2, sharex=True, sharey=True)
for row, state in zip(axes, STATES, strict=True):
    for ax, (X, y), color in zip(row, [(Xs, ys), hummed], ["#0072B2", "#D55E00"], strict=True):
        ax.plot(X[y == state][0, 0], color=color, lw=1)
    row[0].set_ylabel(state)
axes[0, 0].set_title("source: labelled machine")
axes[0, 1].set_title("target: the other, with a hum")
for ax in axes[-1]:
    ax.set_xlabel("sample")
TrainingHistoryDisplay.from_estimator(dann, ax=right.subplots(2, 1, sharex=True))

if "__file__" in globals():
    figure.savefig(Path(__file__).with_suffix(".png"), dpi=110)
