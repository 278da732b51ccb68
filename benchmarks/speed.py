"""Time per training step beside a loop by hand, stock skorch and skada, in turn.

    python benchmarks/speed.py [repeats]

Ratios are taken within each repeat and their median is printed, so that a machine
whose speed drifts does not favour anyone.
"""

import sys
import time
import warnings
from statistics import median

import torch
from _contenders import CONTENDERS
from _problems import make_problem


def measure(problem, repeats):
    """Return the seconds per step of each contender in each repeat."""
    seconds = {name: [] for name in CONTENDERS}
    for repeat in range(repeats + 1):
        for name, fit in CONTENDERS.items():
            start = time.perf_counter()
            fit(problem)
            if repeat:  # the first round warms up
                seconds[name].append((time.perf_counter() - start) / problem.n_steps)
    return seconds


def table(problem, seconds):
    """Return a Markdown table of medians and of ratios to the first contender."""
    ours = seconds["sktransfer"]
    lines = [
        f"| {problem.name}, {problem.n_steps} steps of 64 + 64 rows | ms per step | "
        "sktransfer's time / its time | its time / sktransfer's |",
        "|---|---|---|---|",
    ]
    for name, times in seconds.items():
        ratio = median(a / b for a, b in zip(ours, times, strict=True))
        lines.append(f"| {name} | {1e3 * median(times):.2f} | {ratio:.2f} | {1 / ratio:.2f} |")
    return "\n".join(lines)


def main(repeats=9):
    """Print the tables of both problems."""
    warnings.simplefilter("ignore")
    text = []
    for name, threads in (("tabular", 1), ("images", torch.get_num_threads())):
        torch.set_num_threads(threads)  # for those who do not choose it themselves
        problem = make_problem(name)
        text.append(table(problem, measure(problem, repeats)))
    return "\n\n".join(text)


if __name__ == "__main__":
    print(main(*map(int, sys.argv[1:])))
