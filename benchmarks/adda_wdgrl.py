"""Are ADDA and WDGRL better than DANN anywhere? Both in short, on the package's engine.

    python benchmarks/adda_wdgrl.py RUNS.jsonl [--seeds 0 1 2] [--tasks ...]
    python benchmarks/adda_wdgrl.py RUNS.jsonl --table

One line of JSON a run; runs that stand in the file are not made again. DANN and source only are
the runs of `family.py`.

References
----------
Tzeng et al., "Adversarial Discriminative Domain Adaptation", CVPR 2017.
Shen et al., "Wasserstein Distance Guided Representation Learning", AAAI 2018.
"""

import argparse
import copy
from functools import partial
from pathlib import Path

import numpy as np
import torch
from _family_problems import CHOICES, FAMILY
from _resumable import run_missing, table
from torch.nn import functional as F

from sktransfer.adaptation._classifier import AdaptationClassifier
from sktransfer.adaptation._dann import DANNMixin
from sktransfer.deep._parameters import parameters
from sktransfer.engine._stage import AlternatingStep, GradientStep, Move, Stage

PIXELS = tuple(
    f"digits,objects: {pair}" for pair in ("MNIST -> USPS", "USPS -> MNIST", "COIL1 -> COIL2")
)
TASKS = ("moons: 20 degrees", *CHOICES[:3], *PIXELS)
PROBLEMS = {problem.name: problem for problem in FAMILY if problem.name in TASKS}
COLUMNS = ["task", "method", "seed"]


@parameters
class Adversary(DANNMixin, AdaptationClassifier):
    """What both have: a domain classifier, without reversal, that moves in turns of its own."""

    optimizer: str = "game_adam"
    gradient_penalty: float = 0.0

    def _in_turn(self, network, n_moves, tell_domains, others, objective):
        own = list(network.domain_classifier.parameters())
        return AlternatingStep([Move(tell_domains, own, n_moves), Move(objective, others)])


@parameters
class ADDA(Adversary):
    """A source model; then a copy of its body that the domain classifier takes for the source's.

    The label head and the source's body are held fixed meanwhile, and the copy's loss is the
    domain classifier's with labels exchanged: ``-mean log q(source | target row)``.
    """

    target_epochs: int = 30
    target_learning_rate: float = 2e-4

    def _plan(self, domains, seed):
        network = self.net_.module_
        sampler = self._make_sampler(domains, seed)
        flops = network.row_flops()
        step = GradientStep(partial(self._know_source, network))
        followers = self._followers(network, sampler)
        yield Stage(sampler, step, self.max_epochs, flops, followers=followers)
        source_body = copy.deepcopy(network.body).requires_grad_(False)
        tell_domains = partial(self._tell_domains, network, source_body)
        objective = partial(self._fool, network)
        parts = list(network.body.parameters())
        players = [*parts, *network.domain_classifier.parameters()]
        yield Stage(
            sampler,
            self._in_turn(network, 1, tell_domains, parts, objective),
            self.target_epochs,
            flops,
            groups=[{"params": players, "lr": self.target_learning_rate}],
            followers=self._followers(network, sampler),
        )
        self._estimate_statistics(network, sampler)

    def _know_source(self, network, batch):
        batch.source.features = network.features(batch.source.X)
        outputs = network.label_head(batch.source.features)
        return {"label_loss": self._label_loss(network, batch.source, outputs)}

    def _tell_domains(self, network, source_body, batch):
        with torch.no_grad():
            source = source_body(batch.source.X).flatten(1)
            target = network.features(batch.target.X)
        classify = network.domain_classifier.head
        loss = F.softplus(classify(source)).mean() + F.softplus(-classify(target)).mean()
        return {"domain_loss": loss}

    def _fool(self, network, batch):
        logits = network.domain_classifier.head(network.features(batch.target.X))
        return {"confusion_loss": F.softplus(logits).mean()}


@parameters
class WDGRL(Adversary):
    """A critic measures the Wasserstein distance of the domains' features; the body lessens it.

    Five moves of the critic up ``mean f(source) - mean f(target)``, less 10 times
    ``(||df/dx|| - 1)^2`` on rows of both and between them, for one of body and label head down
    ``L_y + lambda`` times that distance.
    """

    critic_moves: int = 5
    slope_weight: float = 10.0

    def _make_step(self, network):
        own = {id(parameter) for parameter in network.domain_classifier.parameters()}
        others = [parameter for parameter in network.parameters() if id(parameter) not in own]
        tell_domains = partial(self._tell_domains, network)
        objective = partial(self._losses, network)
        return self._in_turn(network, self.critic_moves, tell_domains, others, objective)

    def _tell_domains(self, network, batch):
        with torch.no_grad():
            network.forward_domains(batch)
        source, target = batch.source.features, batch.target.features
        n_rows = min(len(source), len(target))
        share = torch.rand(n_rows, 1, dtype=source.dtype)
        between = share * source[:n_rows] + (1 - share) * target[:n_rows]
        rows = torch.cat([source, target, between]).requires_grad_()
        values = network.domain_classifier.head(rows)
        (slopes,) = torch.autograd.grad(values.sum(), rows, create_graph=True)
        of_source, of_target, _ = values.split([len(source), len(target), n_rows])
        penalty = (slopes.norm(dim=1) - 1).square().mean()
        distance = of_source.mean() - of_target.mean()
        return {"critic_loss": self.slope_weight * penalty - distance}

    def _domain_losses(self, network, batch):
        network.domain_classifier.reversal.lambda_ = -batch.lambda_
        source, target = network.forward_head("domain_classifier", batch)
        return {"domain_loss": source.mean() - target.mean()}


METHODS = {
    "ADDA, rate 2e-4": ADDA,
    "ADDA, rate 1e-3": partial(ADDA, target_learning_rate=1e-3),
    "WDGRL, lambda 1": WDGRL,
    "WDGRL, lambda .1": partial(WDGRL, lambda_=0.1),
}


def run(task, method, seed):
    """Return the accuracy of one fit."""
    problem = PROBLEMS[task]
    Xs, ys, Xt, yt = problem.rows(seed, problem.inputs[0])
    clf = METHODS[method](**problem.settings, random_state=seed).fit(Xs, ys, X_target=Xt)
    return np.mean(clf.predict(Xt) == yt)


def main():
    """Make the runs that lack, or print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("runs", type=Path)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=TASKS)
    parser.add_argument("--table", action="store_true")
    args = parser.parse_args()
    if args.table:
        print(table(args.runs, COLUMNS, ["method"], "task"))
        return
    keys = [(task, name, seed) for seed in args.seeds for task in args.tasks for name in METHODS]
    run_missing(args.runs, keys, run)


if __name__ == "__main__":
    main()
