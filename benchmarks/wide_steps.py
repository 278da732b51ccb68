"""Losses of wide features by products of matrices, beside the same by their definitions.

    python benchmarks/wide_steps.py [repeats]

Forward and backward, batches of 64 rows of each domain, one thread; medians of the processor time
that both take in turn, and how far either is, in single precision, from the definition in double.
"""

import sys
import time
from statistics import median

import torch
from torch.nn import functional as F

from sktransfer._kernels import mean_of_powers
from sktransfer.adaptation._coral import coral_loss, covariance
from sktransfer.adaptation._jdot import transport_cost
from sktransfer.adaptation._mmd import mmd_loss
from sktransfer.finetuning._relations import relational_loss

ROWS, CLASSES, WIDTHS = 64, 10, (128, 512, 2048)


def differences(rows, others):
    """Return squared distances as sums of squared differences."""
    return torch.cdist(rows, others, compute_mode="donot_use_mm_for_euclid_dist").square()


def mmd_by_definition(source, target):
    """Return DAN's loss."""
    rows, n = torch.cat([source, target]), len(source)
    distances = differences(rows, rows)
    v = distances.detach().sum() / (len(rows) * (len(rows) - 1))
    kernel = mean_of_powers(torch.exp(distances / (-4 * v)))
    return kernel[:n, :n].mean() + kernel[n:, n:].mean() - 2 * kernel[:n, n:].mean()


def jdot_by_definition(source, target):
    """Return the mean of DeepJDOT's costs."""
    y, logits = torch.arange(ROWS) % CLASSES, target[:, :CLASSES]
    surprise = -F.log_softmax(logits, dim=1).T[y]
    return (differences(source, target) / source.shape[1] + 0.1 * surprise).mean()


def jdot(source, target):
    """Return the mean of DeepJDOT's costs as the library has them."""
    y, logits = torch.arange(ROWS) % CLASSES, target[:, :CLASSES]
    return transport_cost(source, y, target, logits, 1.0, 0.1).mean()


def coral_by_definition(source, target):
    """Return the CORAL loss."""
    gap = covariance(source) - covariance(target)
    return gap.square().sum() / (4 * source.shape[1] ** 2)


def relations_by_definition(features, before):
    """Return the loss of distances and angles of all rows."""
    n, other = len(features), 1 - torch.eye(len(features)).to(features)

    def relations(rows):
        gaps = rows[:, None] - rows[None]
        lengths = torch.where(other > 0, gaps.square().sum(dim=2), 1.0).sqrt()
        directions = gaps / lengths[:, :, None]
        distances = lengths * other
        angles = directions @ directions.transpose(1, 2) * other
        return distances * n * (n - 1) / distances.sum(), angles

    (d, a), (d_before, a_before) = relations(features), relations(before.detach())
    of_distances = F.huber_loss(d, d_before, reduction="sum") / (n * (n - 1))
    return of_distances + 2 * F.huber_loss(a, a_before, reduction="sum") / (n * (n - 1) * (n - 2))


LOSSES = {
    "`DeepMMDClassifier`": (lambda s, t: mmd_loss([s], [t]), mmd_by_definition),
    "`DeepJDOTClassifier`": (jdot, jdot_by_definition),
    "`DeepCORALClassifier`": (coral_loss, coral_by_definition),
    "`Unfreezing(relational_weight=...)`": (relational_loss, relations_by_definition),
}


def seconds_of(loss, sides):
    """Return the processor time of forward and backward."""
    start = time.process_time()
    loss(*sides).backward()
    return time.process_time() - start


def main(repeats=41):
    """Print the table."""
    torch.set_num_threads(1)
    print("| loss of | features | ms | ms by its definition | times as fast | error | its error |")
    print("|---|---|---|---|---|---|---|")
    for name, both in LOSSES.items():
        for width in WIDTHS:
            torch.manual_seed(0)
            sides = [torch.randn(ROWS, width).add(shift).relu() for shift in (0.0, 0.3)]
            exact = both[1](*[side.double() for side in sides]).item()
            errors = [abs(loss(*sides).item() / exact - 1) for loss in both]
            sides = [side.requires_grad_() for side in sides]
            taken = [[seconds_of(loss, sides) for loss in both] for _ in range(repeats)]
            ours, plain = (1e3 * median(times) for times in zip(*taken, strict=True))
            ratio = median(second / first for first, second in taken)
            print(
                f"| {name} | {width:,} | {ours:.2f} | {plain:.2f} | {ratio:.1f} | "
                f"{errors[0]:.0e} | {errors[1]:.0e} |",
                flush=True,
            )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
